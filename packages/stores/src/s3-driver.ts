// S3 and what speaks its protocol, by the AWS SDK. Requests are signed over their bytes (parts are in memory), so the
// service refuses a body that was changed on its way, also without TLS.
import type { Readable } from "node:stream";
import type * as S3Sdk from "@aws-sdk/client-s3";
import type * as S3Presigner from "@aws-sdk/s3-request-presigner";
import type {
  GetObjectCommandOutput,
  ObjectCannedACL,
  S3Client,
  ServerSideEncryption,
  StorageClass,
} from "@aws-sdk/client-s3";
import type { PutOptions } from "./object-store.ts";
import type { DriverUpload, KeyRange, ListPage, OpenedObject, RemoteDriver } from "./remote-driver.ts";
import type { S3Arguments } from "./s3-arguments.ts";
import { failureOf, textOf } from "./store-failure.ts";
import { silenceVersionNotice } from "./system-version-notice.ts";

const CONNECTION_COUNT_MAX = 64;
const CONNECT_MS_MAX = 10_000;
/** A signed URL lives for at most a week. */
const SIGNED_SECONDS_MAX = 7 * 24 * 60 * 60;

type Sdk = typeof S3Sdk;
type Presigner = typeof S3Presigner;

/** @param args credentials and what they leave out come from the SDK's default chain */
export async function openS3Driver(bucket: string, args: S3Arguments): Promise<RemoteDriver> {
  const sdk = await import("@aws-sdk/client-s3");
  const presigner = await import("@aws-sdk/s3-request-presigner");
  silenceVersionNotice();
  const { Endpoint: endpoint, Region: region, Profile: profile } = args;
  const checksums = endpoint === undefined ? "WHEN_SUPPORTED" : "WHEN_REQUIRED";
  const agent = { keepAlive: true, maxSockets: CONNECTION_COUNT_MAX };
  const client = new sdk.S3Client({
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
    maxAttempts: 1,
    // Not every service of another vendor knows them.
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    requestHandler: { connectionTimeout: CONNECT_MS_MAX, httpAgent: agent, httpsAgent: agent },
  });
  return new S3Driver(sdk, presigner, client, bucket, args);
}

class S3Driver implements RemoteDriver {
  readonly #sdk: Sdk;
  readonly #presigner: Presigner;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #args: S3Arguments;

  constructor(sdk: Sdk, presigner: Presigner, client: S3Client, bucket: string, args: S3Arguments) {
    this.#sdk = sdk;
    this.#presigner = presigner;
    this.#client = client;
    this.#bucket = bucket;
    this.#args = args;
  }

  async list(prefix: string, from: string | undefined, signal: AbortSignal): Promise<ListPage> {
    const command = new this.#sdk.ListObjectsV2Command({
      Bucket: this.#bucket,
      Prefix: prefix,
      ContinuationToken: from,
    });
    const answer = await this.#client.send(command, { abortSignal: signal });
    const objects = (answer.Contents ?? []).map(({ Key, Size, LastModified }) => ({
      key: Key ?? "",
      bytes: Size ?? 0,
      // Some services list fractions of a second that the object's own header cannot have.
      modTimeMs: Math.floor((LastModified?.getTime() ?? 0) / 1000) * 1000,
    }));
    return { objects, next: answer.IsTruncated === true ? answer.NextContinuationToken : undefined };
  }

  async get(key: string, { begin, end }: KeyRange, signal: AbortSignal): Promise<OpenedObject | "beyond"> {
    const whole = begin === 0 && end === undefined;
    const command = new this.#sdk.GetObjectCommand({
      ...this.#named(key),
      ...(whole ? {} : { Range: `bytes=${begin}-${end === undefined ? "" : end - 1}` }),
    });
    let answer: GetObjectCommandOutput;
    try {
      answer = await this.#client.send(command, { abortSignal: signal });
    } catch (error) {
      if (statusOf(error) === 416) return "beyond";
      throw error;
    }
    return { body: answer.Body as Readable, bytes: answer.ContentLength, range: answer.ContentRange };
  }

  async head(key: string, signal: AbortSignal): Promise<{ bytes: number; modTimeMs: number } | undefined> {
    try {
      const command = new this.#sdk.HeadObjectCommand(this.#named(key));
      const { ContentLength, LastModified } = await this.#client.send(command, { abortSignal: signal });
      return { bytes: ContentLength ?? 0, modTimeMs: LastModified?.getTime() ?? 0 };
    } catch (error) {
      if (this.failureOf(error).code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void> {
    const command = new this.#sdk.PutObjectCommand({ ...this.#created(key, options), Body: bytes });
    await this.#client.send(command, { abortSignal: signal });
  }

  async upload(key: string, options: PutOptions, signal: AbortSignal): Promise<DriverUpload> {
    const begin = new this.#sdk.CreateMultipartUploadCommand(this.#created(key, options));
    const { UploadId } = await this.#client.send(begin, { abortSignal: signal });
    const named = { ...this.#named(key), UploadId };
    const parts: { PartNumber: number; ETag: string | undefined }[] = [];
    return {
      part: async ({ index, bytes }, partSignal) => {
        const PartNumber = index + 1;
        const command = new this.#sdk.UploadPartCommand({ ...named, PartNumber, Body: bytes });
        const { ETag } = await this.#client.send(command, { abortSignal: partSignal });
        parts[index] = { PartNumber, ETag };
      },
      finish: async (finishSignal) => {
        const command = new this.#sdk.CompleteMultipartUploadCommand({
          ...named,
          MultipartUpload: { Parts: parts },
        });
        await this.#client.send(command, { abortSignal: finishSignal });
      },
      abandon: async (abandonSignal) => {
        const command = new this.#sdk.AbortMultipartUploadCommand(named);
        await this.#client.send(command, { abortSignal: abandonSignal });
      },
    };
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#client.send(new this.#sdk.DeleteObjectCommand(this.#named(key)), { abortSignal: signal });
    } catch (error) {
      if (this.failureOf(error).code !== "NOT_FOUND") throw error;
    }
  }

  signGet(key: string, ttlMs: number): Promise<string> {
    const command = new this.#sdk.GetObjectCommand(this.#named(key));
    const expiresIn = Math.min(SIGNED_SECONDS_MAX, Math.max(1, Math.ceil(ttlMs / 1000)));
    return this.#presigner.getSignedUrl(this.#client, command, { expiresIn });
  }

  failureOf(thrown: unknown): ReturnType<typeof failureOf> {
    const [name, message] = [textOf(thrown, "name"), textOf(thrown, "message")];
    return failureOf("s3", {
      status: statusOf(thrown),
      name: name === "Error" ? textOf(thrown, "code") : name,
      message: message === "" ? String(thrown) : message,
    });
  }

  #named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: key };
  }

  #created(key: string, { contentEncoding }: PutOptions): PutInput {
    const { ACL, StorageClass, SSE, SSEKMSKeyId } = this.#args;
    return {
      ...this.#named(key),
      ...(contentEncoding === undefined ? {} : { ContentEncoding: contentEncoding }),
      // The service says what is wrong with a value that it does not know.
      ...(ACL === undefined ? {} : { ACL: ACL as ObjectCannedACL }),
      ...(StorageClass === undefined ? {} : { StorageClass: StorageClass as StorageClass }),
      ...(SSE === undefined ? {} : { ServerSideEncryption: SSE as ServerSideEncryption }),
      ...(SSEKMSKeyId === undefined ? {} : { SSEKMSKeyId }),
    };
  }
}

interface PutInput {
  Bucket: string;
  Key: string;
  ContentEncoding?: string;
  ACL?: ObjectCannedACL;
  StorageClass?: StorageClass;
  ServerSideEncryption?: ServerSideEncryption;
  SSEKMSKeyId?: string;
}

function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  return (thrown as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
