// Google Cloud Storage: credentials and signatures by Google's SDK for them, requests by the documented JSON API. Its
// storage SDK is not used: its requests take no abort signal, and it checks an object's sum when the object is there
// for all to see, and then deletes it. Here the sum is in the request.
import { createHash, type Hash } from "node:crypto";
import type { Readable } from "node:stream";
import type { GoogleAuth } from "google-auth-library";
import { WireError } from "@millrace/base";
import { Agent, request, type Dispatcher } from "undici";
import type { AzureTokenPorts } from "./azure-token.ts";
import { signedUrl, unsignedGet } from "./gcs-signing.ts";
import type { PutOptions } from "./object-store.ts";
import type {
  DriverUpload,
  KeyRange,
  ListPage,
  OpenedObject,
  RemoteDriver,
  UploadPart,
} from "./remote-driver.ts";
import { failureOf, textOf, type Refusal } from "./store-failure.ts";

export type GcsPorts = Pick<AzureTokenPorts, "clock" | "env" | "random">;

const ENDPOINT = "https://storage.googleapis.com";
const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";
const CONNECTION_COUNT_MAX = 64;
const PAGE_COUNT = 1000;
/** Of an answer that is not an object. */
const ANSWER_BYTES_MAX = 16 * 2 ** 20;

/** Answers of a service that refused. */
class GcsRefusal extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData["headers"];
  readonly body: Readable;
}

interface Resource {
  readonly name?: string;
  readonly size?: string;
  readonly updated?: string;
  readonly md5Hash?: string;
}

interface Ask {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly url: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
  /** Statuses that are answers. */
  readonly expects: readonly number[];
  /** What is not there when the answer is 404. */
  readonly on: "object" | "bucket" | "session";
}

/**
 * `gs://bucket/`. Credentials are the application's default ones; an emulator (STORAGE_EMULATOR_HOST, the vendor's
 * variable) needs none.
 */
export async function openGcsDriver(bucket: string, ports: GcsPorts): Promise<RemoteDriver> {
  const { STORAGE_EMULATOR_HOST: emulator = "", GOOGLE_APPLICATION_CREDENTIALS: keyFile } = ports.env;
  if (emulator !== "") {
    const endpoint = (emulator.includes("://") ? emulator : `http://${emulator}`).replace(/\/+$/, "");
    return new GcsDriver(bucket, endpoint, undefined, ports);
  }
  const { GoogleAuth } = await import("google-auth-library");
  const auth = new GoogleAuth({
    scopes: [SCOPE],
    ...(keyFile === undefined ? {} : { keyFilename: keyFile }),
  });
  return new GcsDriver(bucket, ENDPOINT, auth, ports);
}

class GcsDriver implements RemoteDriver {
  readonly #bucket: string;
  readonly #endpoint: string;
  readonly #auth: GoogleAuth | undefined;
  readonly #ports: GcsPorts;
  readonly #dispatcher = new Agent({ connections: CONNECTION_COUNT_MAX, headersTimeout: 0, bodyTimeout: 0 });

  constructor(bucket: string, endpoint: string, auth: GoogleAuth | undefined, ports: GcsPorts) {
    this.#bucket = bucket;
    this.#endpoint = endpoint;
    this.#auth = auth;
    this.#ports = ports;
  }

  async list(prefix: string, from: string | undefined, signal: AbortSignal): Promise<ListPage> {
    const query = new URLSearchParams({
      prefix,
      maxResults: String(PAGE_COUNT),
      fields: "items(name,size,updated),nextPageToken",
      ...(from === undefined ? {} : { pageToken: from }),
    });
    const url = `${this.#objects()}?${query.toString()}`;
    const answer = await this.#ask({ method: "GET", url, expects: [200], on: "bucket" }, signal);
    const page = await json<{ items?: Resource[]; nextPageToken?: string }>(answer);
    const objects = (page.items ?? []).map((item) => ({ key: item.name ?? "", ...entryOf(item) }));
    return { objects, next: page.nextPageToken === "" ? undefined : page.nextPageToken };
  }

  async get(key: string, { begin, end }: KeyRange, signal: AbortSignal): Promise<OpenedObject | "beyond"> {
    const whole = begin === 0 && end === undefined;
    // With gzip accepted, what was stored compressed is given as it is.
    const headers = {
      "accept-encoding": "gzip",
      ...(whole ? {} : { range: `bytes=${begin}-${end === undefined ? "" : end - 1}` }),
    };
    const url = `${this.#object(key)}?alt=media`;
    const ask: Ask = { method: "GET", url, headers, expects: [200, 206, 416], on: "object" };
    const answer = await this.#ask(ask, signal);
    if (answer.status === 416) {
      answer.body.on("error", () => undefined).destroy();
      return "beyond";
    }
    const bytes = header(answer, "content-length");
    return {
      body: answer.body,
      bytes: bytes === undefined ? undefined : Number(bytes),
      range: header(answer, "content-range"),
    };
  }

  async head(key: string, signal: AbortSignal): Promise<{ bytes: number; modTimeMs: number } | undefined> {
    const url = `${this.#object(key)}?fields=size,updated`;
    const ask: Ask = { method: "GET", url, expects: [200], on: "object" };
    try {
      return entryOf(await json<Resource>(await this.#ask(ask, signal)));
    } catch (error) {
      if (this.failureOf(error).code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void> {
    const md5Hash = createHash("md5").update(bytes).digest("base64");
    const resource = JSON.stringify({ ...this.#resource(key, options), md5Hash });
    const boundary = `millrace-${hexOf(this.#ports.random.fill(new Uint8Array(16)))}`;
    const type = "application/octet-stream";
    const head =
      `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n${resource}\r\n` +
      `--${boundary}\r\ncontent-type: ${type}\r\n\r\n`;
    const ask: Ask = {
      method: "POST",
      url: `${this.#uploads()}?uploadType=multipart`,
      headers: { "content-type": `multipart/related; boundary=${boundary}` },
      body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]),
      expects: [200],
      on: "bucket",
    };
    const stored = await json<Resource>(await this.#ask(ask, signal));
    checkStored(stored, bytes.length, undefined);
  }

  async upload(key: string, options: PutOptions, signal: AbortSignal): Promise<DriverUpload> {
    const ask: Ask = {
      method: "POST",
      url: `${this.#uploads()}?uploadType=resumable&name=${encodeURIComponent(key)}`,
      headers: { "content-type": "application/json; charset=UTF-8" },
      body: JSON.stringify(this.#resource(key, options)),
      expects: [200, 201],
      on: "bucket",
    };
    const answer = await this.#ask(ask, signal);
    await drain(answer);
    const session = header(answer, "location");
    if (session === undefined)
      throw new WireError("UNAVAILABLE", "the answer to a new upload has no location");
    const resumable = new GcsUpload((next, s) => this.#ask({ ...next, url: session }, s));
    return {
      part: (part, s) => resumable.part(part, s),
      // The last part made the object.
      finish: () => Promise.resolve(),
      abandon: async (s) => {
        const expects = [200, 204, 404, 410, 499];
        await drain(await this.#ask({ method: "DELETE", url: session, expects, on: "session" }, s));
      },
    };
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    try {
      const url = this.#object(key);
      await drain(await this.#ask({ method: "DELETE", url, expects: [200, 204], on: "object" }, signal));
    } catch (error) {
      if (this.failureOf(error).code !== "NOT_FOUND") throw error;
    }
  }

  async signGet(key: string, ttlMs: number): Promise<string> {
    if (this.#auth === undefined) return `${this.#object(key)}?alt=media`;
    const { client_email: signer } = await this.#auth.getCredentials();
    if (signer === undefined) {
      throw new WireError("FORBIDDEN", "signing a URL needs the credentials of a service account");
    }
    const nowMs = this.#ports.clock.wallMs();
    const request = { endpoint: this.#endpoint, bucket: this.#bucket, key, signer, nowMs, ttlMs };
    const unsigned = unsignedGet(request);
    return signedUrl(unsigned, await this.#auth.sign(unsigned.stringToSign));
  }

  failureOf(thrown: unknown): ReturnType<typeof failureOf> {
    if (thrown instanceof GcsRefusal) return failureOf("gs", thrown.refusal);
    const message = textOf(thrown, "message");
    const text = message === "" ? String(thrown) : message;
    return failureOf("gs", { status: undefined, name: textOf(thrown, "code"), message: text });
  }

  async #ask(ask: Ask, signal: AbortSignal): Promise<Answer> {
    const { statusCode, headers, body } = await request(ask.url, {
      method: ask.method,
      headers: { ...(await this.#authorization()), ...ask.headers },
      signal,
      dispatcher: this.#dispatcher,
      ...(ask.body === undefined ? {} : { body: ask.body }),
    });
    const answer = { status: statusCode, headers, body };
    if (ask.expects.includes(statusCode)) return answer;
    const refusal = await refusalOf(answer);
    if (statusCode !== 404 || ask.on === "object") throw refusal;
    // An upload that has ended may have been finished by an attempt whose answer was lost.
    const code = ask.on === "bucket" ? "FORBIDDEN" : "UNAVAILABLE";
    throw new WireError(code, `404 ${ask.on} not found: ${refusal.message}`);
  }

  async #authorization(): Promise<Record<string, string>> {
    if (this.#auth === undefined) return {};
    try {
      const headers = await this.#auth.getRequestHeaders();
      return Object.fromEntries(headers.entries());
    } catch (cause) {
      // The token's service may be away for a moment; anything else is that there are no credentials, or wrong ones.
      const { status } = (cause as { response?: { status?: number } }).response ?? {};
      const isPassing = status === undefined ? textOf(cause, "code") !== "" : status >= 500 || status === 429;
      const message = `no token for Google Cloud Storage: ${textOf(cause, "message")}`;
      throw new WireError(isPassing ? "UNAVAILABLE" : "FORBIDDEN", message, { cause });
    }
  }

  #objects(): string {
    return `${this.#endpoint}/storage/v1/b/${encodeURIComponent(this.#bucket)}/o`;
  }

  #object(key: string): string {
    return `${this.#objects()}/${encodeURIComponent(key)}`;
  }

  #uploads(): string {
    return `${this.#endpoint}/upload/storage/v1/b/${encodeURIComponent(this.#bucket)}/o`;
  }

  #resource(name: string, { contentEncoding }: PutOptions): Record<string, string> {
    const contentType = "application/octet-stream";
    return { name, contentType, ...(contentEncoding === undefined ? {} : { contentEncoding }) };
  }
}

/**
 * A resumable upload. A part that failed may have arrived: it is sent again, and the service leaves out what it has.
 * The last part makes the object; when it is sent again, the service says what it made.
 */
class GcsUpload {
  readonly #send: (ask: Omit<Ask, "url">, signal: AbortSignal) => Promise<Answer>;
  readonly #md5: Hash = createHash("md5");
  #hashed = 0;

  constructor(send: (ask: Omit<Ask, "url">, signal: AbortSignal) => Promise<Answer>) {
    this.#send = send;
  }

  async part({ begin, bytes, isLast }: UploadPart, signal: AbortSignal): Promise<void> {
    const end = begin + bytes.length;
    if (this.#hashed < end) this.#md5.update(bytes);
    this.#hashed = end;
    const headers = { "content-range": `bytes ${begin}-${end - 1}/${isLast ? end : "*"}` };
    const expects = isLast ? [200, 201] : [308];
    const answer = await this.#send({ method: "PUT", headers, body: bytes, expects, on: "session" }, signal);
    if (isLast) return checkStored(await json<Resource>(answer), end, this.#md5.copy().digest("base64"));
    await drain(answer);
    const arrived = received(answer);
    if (arrived !== end) throw new WireError("UNAVAILABLE", `upload has ${arrived} bytes; expected ${end}`);
  }
}

/** How many bytes of an upload have arrived. */
function received(answer: Answer): number {
  const [, last] = /^bytes=0-(\d+)$/.exec(header(answer, "range") ?? "") ?? [];
  return last === undefined ? 0 : Number(last) + 1;
}

function checkStored(stored: Resource, bytes: number, md5: string | undefined): void {
  const isRight =
    Number(stored.size) === bytes &&
    (md5 === undefined || stored.md5Hash === undefined || stored.md5Hash === md5);
  if (isRight) return;
  const said = `${stored.size ?? "?"} bytes with MD5 ${stored.md5Hash ?? "?"}`;
  throw new WireError("UNAVAILABLE", `the service stored ${said}; expected ${bytes} with MD5 ${md5 ?? "?"}`);
}

function entryOf({ size, updated }: Resource): { bytes: number; modTimeMs: number } {
  return { bytes: Number(size ?? 0), modTimeMs: Date.parse(updated ?? "") || 0 };
}

function header({ headers }: Answer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}

async function textOfAnswer(answer: Answer): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) {
      throw new WireError("UNAVAILABLE", `answer of more than ${ANSWER_BYTES_MAX} bytes`);
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString("utf8");
}

async function drain(answer: Answer): Promise<void> {
  await textOfAnswer(answer);
}

async function json<T>(answer: Answer): Promise<T> {
  const text = await textOfAnswer(answer);
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new WireError("UNAVAILABLE", `answer with status ${answer.status} is not JSON`, { cause });
  }
}

async function refusalOf(answer: Answer): Promise<GcsRefusal> {
  const { status } = answer;
  const text = await textOfAnswer(answer);
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } };
    return new GcsRefusal({ status, name: "", message: error?.message ?? "" });
  } catch {
    return new GcsRefusal({ status, name: "", message: text.slice(0, 200) });
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
