// How far a read has come. It may be served by one broker after the other; to its caller it is one stream: one header,
// offsets that ascend, and an end where the request says so.
import { WireError } from "@millrace/base";
import type { ReadRequest, ReadResponse } from "@millrace/protocol";

export class ReadPlace {
  #request: ReadRequest;
  #messages = 0;
  #isDone = false;

  constructor(request: ReadRequest) {
    this.#request = request;
  }

  /** What is still wanted. */
  get request(): ReadRequest {
    return this.#request;
  }

  /** Messages so far. */
  get messages(): number {
    return this.#messages;
  }

  /** Everything that was asked for was given: nobody else need serve the rest. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** @returns the message as the caller gets it @throws {WireError} INTERNAL: whoever serves it went back */
  seen(response: ReadResponse): ReadResponse {
    const wanted = this.#request.offset;
    if (response.status === "OK" && response.offset < wanted) {
      throw new WireError("INTERNAL", `offset ${response.offset} came, after everything up to ${wanted}`);
    }
    const isFirst = this.#messages++ === 0;
    const { header, ...headless } = response;
    const { metadataOnly, doNotProxy, endOffset } = this.#request;
    const { status, content, fragment } = response;
    const offset = response.offset + (content?.length ?? 0);
    if (status === "OK") this.#request = { ...this.#request, offset };
    const isMetadata = content === undefined;
    const isStored = fragment !== undefined && fragment.backingStore !== "";
    this.#isDone =
      status !== "OK" ||
      (isMetadata && (metadataOnly || (doNotProxy && isStored))) ||
      (endOffset !== 0 && offset >= endOffset);
    return isFirst || header === undefined ? response : headless;
  }
}
