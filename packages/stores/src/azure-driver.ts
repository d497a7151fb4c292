// Azure Blob Storage by its SDK, with the account's key or as an application of a tenant. Each body carries its MD5,
// which the service checks.
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import type * as AzureSdk from "@azure/storage-blob";
import type {
  BlobSASSignatureValues,
  BlockBlobClient,
  ContainerClient,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { WireError } from "@millrace/base";
import type { AzureTokenPorts } from "./azure-token.ts";
import { azureToken } from "./azure-token.ts";
import type { PutOptions } from "./object-store.ts";
import type { DriverUpload, KeyRange, ListPage, OpenedObject, RemoteDriver } from "./remote-driver.ts";
import { failureOf, textOf } from "./store-failure.ts";
import { AzureDelegation } from "./azure-delegation.ts";

type Sdk = typeof AzureSdk;
/** The token that gives the right to read one blob. */
export type SignBlob = (values: BlobSASSignatureValues, signal: AbortSignal) => Promise<string>;

export interface AzureContainer {
  readonly account: string;
  readonly container: string;
}

const PAGE_COUNT = 1000;
/** Of signed URLs: one that emulators and clouds of one's own know too. */
const SIGNATURE_VERSION = "2025-07-05";

/** `azure://container/`: the account and its key come from the environment. */
export async function openAzureDriver(container: string, ports: AzureTokenPorts): Promise<RemoteDriver> {
  const { AZURE_ACCOUNT_NAME: account = "", AZURE_ACCOUNT_KEY: key = "" } = ports.env;
  if (account === "" || key === "") {
    const message = "AZURE_ACCOUNT_NAME and AZURE_ACCOUNT_KEY must be set for azure:// URLs";
    throw new WireError("FORBIDDEN", message);
  }
  const sdk = await import("@azure/storage-blob");
  const credential = new sdk.StorageSharedKeyCredential(account, key);
  const service = serviceOf(sdk, account, credential, ports);
  const sign: SignBlob = (values) =>
    Promise.resolve(sdk.generateBlobSASQueryParameters(values, credential).toString());
  return new AzureDriver(sdk, service.getContainerClient(container), sign, ports);
}

/** `azure-ad://tenant/account/container/`: a client secret from the environment. */
export async function openAzureAdDriver(
  tenant: string,
  { account, container }: AzureContainer,
  ports: AzureTokenPorts,
): Promise<RemoteDriver> {
  const credential = azureToken(tenant, ports);
  const sdk = await import("@azure/storage-blob");
  const service = serviceOf(sdk, account, credential, ports);
  const delegation = new AzureDelegation(service, ports.clock);
  const sign: SignBlob = async (values, signal) => {
    const key = await delegation.key(signal);
    return sdk.generateBlobSASQueryParameters(values, key, account).toString();
  };
  return new AzureDriver(sdk, service.getContainerClient(container), sign, ports);
}

function serviceOf(
  sdk: Sdk,
  account: string,
  credential: StorageSharedKeyCredential | ReturnType<typeof azureToken>,
  { env }: AzureTokenPorts,
): InstanceType<Sdk["BlobServiceClient"]> {
  const endpoint = env["AZURE_STORAGE_SERVICE_ENDPOINT"] ?? "";
  const url = endpoint === "" ? `https://${account}.blob.core.windows.net` : endpoint;
  return new sdk.BlobServiceClient(url, credential, { retryOptions: { maxTries: 1 } });
}

class AzureDriver implements RemoteDriver {
  readonly #sdk: Sdk;
  readonly #container: ContainerClient;
  readonly #sign: SignBlob;
  readonly #ports: AzureTokenPorts;

  constructor(sdk: Sdk, container: ContainerClient, sign: SignBlob, ports: AzureTokenPorts) {
    this.#sdk = sdk;
    this.#container = container;
    this.#sign = sign;
    this.#ports = ports;
  }

  async list(prefix: string, from: string | undefined, signal: AbortSignal): Promise<ListPage> {
    const pages = this.#container
      .listBlobsFlat({ prefix, abortSignal: signal })
      .byPage({ maxPageSize: PAGE_COUNT, ...(from === undefined ? {} : { continuationToken: from }) });
    const page = (await pages.next()).value as BlobPage | undefined;
    if (page === undefined) return { objects: [], next: undefined };
    const objects = page.segment.blobItems.map(({ name, properties }) => ({
      key: name,
      bytes: properties.contentLength ?? 0,
      modTimeMs: properties.lastModified.getTime(),
    }));
    const { continuationToken: next } = page;
    return { objects, next: next === "" ? undefined : next };
  }

  async get(key: string, { begin, end }: KeyRange, signal: AbortSignal): Promise<OpenedObject | "beyond"> {
    const count = end === undefined ? undefined : end - begin;
    try {
      const answer = await this.#blob(key).download(begin, count, { abortSignal: signal });
      const body = answer.readableStreamBody as Readable;
      return { body, bytes: answer.contentLength, range: answer.contentRange };
    } catch (error) {
      if (statusOf(error) === 416) return "beyond";
      throw error;
    }
  }

  async head(key: string, signal: AbortSignal): Promise<{ bytes: number; modTimeMs: number } | undefined> {
    try {
      const { contentLength, lastModified } = await this.#blob(key).getProperties({ abortSignal: signal });
      return { bytes: contentLength ?? 0, modTimeMs: lastModified?.getTime() ?? 0 };
    } catch (error) {
      if (this.failureOf(error).code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void> {
    const blobHTTPHeaders = { ...encoded(options), blobContentMD5: md5(bytes) };
    await this.#blob(key).upload(bytes, bytes.length, { abortSignal: signal, blobHTTPHeaders });
  }

  upload(key: string, options: PutOptions): Promise<DriverUpload> {
    const blob = this.#blob(key);
    // Two who put one name at a time must not take each other's blocks for theirs.
    const salt = this.#ports.random.u32().toString(16).padStart(8, "0");
    const ids: string[] = [];
    const upload: DriverUpload = {
      part: async ({ index, bytes }, signal) => {
        const id = btoa(`${salt}-${String(index).padStart(6, "0")}`);
        const checked = { abortSignal: signal, transactionalContentMD5: md5(bytes) };
        await blob.stageBlock(id, bytes, bytes.length, checked);
        ids[index] = id;
      },
      finish: async (signal) => {
        await blob.commitBlockList(ids, { abortSignal: signal, blobHTTPHeaders: encoded(options) });
      },
      // The service drops blocks that nobody committed within a week.
      abandon: () => Promise.resolve(),
    };
    return Promise.resolve(upload);
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#blob(key).delete({ abortSignal: signal, deleteSnapshots: "include" });
    } catch (error) {
      if (this.failureOf(error).code !== "NOT_FOUND") throw error;
    }
  }

  async signGet(key: string, ttlMs: number, signal: AbortSignal): Promise<string> {
    const { SASProtocol, BlobSASPermissions } = this.#sdk;
    const blob = this.#blob(key);
    const isHttps = blob.url.startsWith("https:");
    const query = await this.#sign(
      {
        containerName: this.#container.containerName,
        blobName: key,
        version: SIGNATURE_VERSION,
        permissions: BlobSASPermissions.parse("r"),
        expiresOn: new Date(this.#ports.clock.wallMs() + ttlMs),
        protocol: isHttps ? SASProtocol.Https : SASProtocol.HttpsAndHttp,
      },
      signal,
    );
    return `${blob.url}?${query}`;
  }

  failureOf(thrown: unknown): ReturnType<typeof failureOf> {
    const details = (thrown as { details?: unknown } | undefined)?.details;
    const message = textOf(thrown, "message");
    return failureOf("azure", {
      status: statusOf(thrown),
      name: textOf(thrown, "code") || textOf(details, "errorCode"),
      message: message === "" ? String(thrown) : message.split("\n", 1)[0]!,
    });
  }

  #blob(key: string): BlockBlobClient {
    return this.#container.getBlockBlobClient(key);
  }
}

interface BlobPage {
  readonly segment: {
    readonly blobItems: readonly {
      readonly name: string;
      readonly properties: { readonly contentLength?: number; readonly lastModified: Date };
    }[];
  };
  readonly continuationToken?: string;
}

function encoded({ contentEncoding }: PutOptions): { blobContentEncoding?: string } {
  return contentEncoding === undefined ? {} : { blobContentEncoding: contentEncoding };
}

function md5(bytes: Uint8Array): Uint8Array {
  return createHash("md5").update(bytes).digest();
}

function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  return (thrown as { statusCode?: number }).statusCode;
}
