// Reads persisted fragments past the broker, at the signed URLs that it gives. A name says what the content is, its
// length and its SHA-1, and both are checked: whoever serves the URL is not trusted with more than bytes.
import { createHash, type Hash } from "node:crypto";
import { WireError, type Code } from "@millrace/base";
import { contentPath, type CompressionCodec, type Fragment } from "@millrace/protocol";
import { Agent, request, type Dispatcher } from "undici";

type ByteStream = AsyncIterable<Uint8Array>;

/** How fragments are decompressed: `pooledCodecs` of @millrace/fragments. */
export interface Decompressor {
  /**
   * @param bytes exact length of the content
   * @throws {WireError} CORRUPT
   */
  decompress(codec: CompressionCodec, stored: ByteStream, bytes: number): ByteStream;
}

const CONNECT_MS_MAX = 10_000;
/** To the head of an answer, and between two pieces of its body. */
const SILENCE_MS_MAX = 60_000;

export class FragmentReader {
  readonly #codecs: Decompressor;
  readonly #dispatcher: Agent;

  /** @param connections kept at most to each host */
  constructor(codecs: Decompressor, connections: number) {
    this.#codecs = codecs;
    const silence = { headersTimeout: SILENCE_MS_MAX, bodyTimeout: SILENCE_MS_MAX };
    this.#dispatcher = new Agent({ connections, connect: { timeout: CONNECT_MS_MAX }, ...silence });
  }

  /** Ends the connections; reads under way fail. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  /** Whether it can read that URL: those of `file` stores it cannot. */
  reads(url: string): boolean {
    return /^https?:\/\//.test(url);
  }

  /**
   * The content of `fragment` from `offset` to its end.
   * @param offset fragment.begin <= offset < fragment.end
   * @throws {WireError} CORRUPT: another content than the name says, of which the last piece is not given; NOT_FOUND;
   * FORBIDDEN: the URL has expired; UNAVAILABLE; `signal.reason`
   */
  async *read(
    fragment: Fragment,
    url: string,
    offset: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    const name = contentPath(fragment);
    try {
      const content = this.#contentFrom(fragment, url, offset, signal);
      if (offset === fragment.begin) yield* verified(content, fragment);
      else yield* content;
    } catch (cause) {
      signal.throwIfAborted();
      // The URL is a credential: it is not for messages.
      if (cause instanceof WireError) throw new WireError(cause.code, `${name}: ${cause.message}`, { cause });
      throw new WireError("UNAVAILABLE", `${name}: ${(cause as Error).message}`, { cause });
    }
  }

  async *#contentFrom(
    fragment: Fragment,
    url: string,
    offset: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    const { begin, end, compressionCodec: codec } = fragment;
    const skip = offset - begin;
    if (codec === "NONE") {
      const answer = await this.#get(url, skip, signal);
      // A server may leave the range out of account.
      const isWhole = answer.statusCode === 200;
      if (!isWhole) checkRange(answer, skip);
      const stored = this.#codecs.decompress(codec, answer.body, end - begin - (isWhole ? 0 : skip));
      yield* isWhole ? behind(stored, skip) : stored;
      return;
    }
    const answer = await this.#get(url, 0, signal);
    yield* behind(this.#codecs.decompress(storedCodec(codec, answer), answer.body, end - begin), skip);
  }

  async #get(url: string, begin: number, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    // Stores that can shall decompress what was put with a content encoding.
    const range = begin === 0 ? {} : { range: `bytes=${begin}-` };
    const headers = { "accept-encoding": "identity", ...range };
    const answer = await request(url, { headers, signal, dispatcher: this.#dispatcher });
    const { statusCode: status, body } = answer;
    if (status === 200 || (begin > 0 && status === 206)) return answer;
    body.on("error", () => undefined).destroy();
    throw new WireError(CODES[status] ?? "UNAVAILABLE", `status ${status} for a signed URL`);
  }
}

const CODES: Readonly<Record<number, Code>> = { 403: "FORBIDDEN", 404: "NOT_FOUND" };

function checkRange({ headers }: Dispatcher.ResponseData, begin: number): void {
  const range = String(headers["content-range"]);
  if (range.startsWith(`bytes ${begin}-`)) return;
  throw new WireError("UNAVAILABLE", `asked for bytes from ${begin}, got content-range ${range}`);
}

/** What is in the body: a store that decompresses for its readers leaves nothing to do. */
function storedCodec(codec: CompressionCodec, { headers }: Dispatcher.ResponseData): CompressionCodec {
  if (codec !== "GZIP_OFFLOAD_DECOMPRESSION") return codec;
  return headers["content-encoding"] === "gzip" ? "GZIP" : "NONE";
}

async function* behind(content: ByteStream, bytes: number): AsyncGenerator<Uint8Array, void, void> {
  let skip = bytes;
  for await (const chunk of content) {
    if (chunk.length > skip) yield skip === 0 ? chunk : chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}

/** `content`, the last piece of which is held back until the sum is right. */
async function* verified(content: ByteStream, fragment: Fragment): AsyncGenerator<Uint8Array, void, void> {
  const hash: Hash = createHash("sha1");
  let held: Uint8Array | undefined;
  for await (const chunk of content) {
    hash.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  const sum = hash.digest("hex");
  if (sum !== fragment.sum) {
    throw new WireError("CORRUPT", `content has SHA-1 ${sum}; expected ${fragment.sum}`);
  }
  if (held !== undefined) yield held;
}
