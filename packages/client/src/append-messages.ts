// An append as the messages of its call.
import { WireError } from "@millrace/base";
import { JOURNAL_SERVICE, newAppendRequest, type AppendPreamble } from "@millrace/protocol";
import type { AppendContent } from "./transport.ts";

const { append } = JOURNAL_SERVICE;
const INTENT = append.encodeRequest(newAppendRequest({}));
/** Messages stay well below what a broker takes. */
const CHUNK_BYTES_MAX = 512 * 1024;

/** The messages of an append. A source that fails leaves the intent out, so that nothing is committed. */
export class AppendMessages {
  /** What the content's source threw. */
  failure: Error | undefined;
  /** The intent to commit went out. */
  isWhole = false;
  readonly #request: AppendPreamble;
  readonly #content: AppendContent;

  constructor(request: AppendPreamble, content: AppendContent) {
    this.#request = request;
    this.#content = content;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    yield append.encodeRequest(this.#request);
    try {
      const parts = this.#content.kind === "bytes" ? this.#content.bytes : this.#content.chunks;
      for await (const part of parts) {
        for (let at = 0; at < part.length; at += CHUNK_BYTES_MAX) {
          const content = part.subarray(at, at + CHUNK_BYTES_MAX);
          yield append.encodeRequest(newAppendRequest({ content }));
        }
      }
    } catch (error) {
      this.failure = error instanceof Error ? error : WireError.from(error);
      throw error;
    }
    this.isWhole = true;
    yield INTENT;
  }
}
