// Reads exact counts from a stream of chunks of any size. Holds no more than the chunk at hand and what is asked for.
import { WireError } from "@millrace/base";

export class StreamReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `bytes` bytes without taking them; fewer only at the end of the stream. */
  async peek(bytes: number): Promise<Uint8Array> {
    if (this.#chunk.length < bytes) await this.#fill(bytes);
    return this.#chunk.subarray(0, bytes);
  }

  /** The next `bytes` bytes; fewer only at the end of the stream. A view where possible: do not keep or change it. */
  async read(bytes: number): Promise<Uint8Array> {
    if (this.#chunk.length < bytes) await this.#fill(bytes);
    const part = this.#chunk.subarray(0, bytes);
    this.#chunk = this.#chunk.subarray(bytes);
    return part;
  }

  /** Some bytes, at most `bytesMax`; none at the end of the stream. */
  async readSome(bytesMax: number): Promise<Uint8Array> {
    if (this.#chunk.length === 0) await this.#fill(1);
    return this.read(Math.min(bytesMax, this.#chunk.length));
  }

  /** @throws {WireError} CORRUPT with `message` when the stream ends before */
  async skip(bytes: number, message: string): Promise<void> {
    for (let left = bytes; left > 0;) {
      const part = await this.readSome(left);
      if (part.length === 0) throw new WireError("CORRUPT", message);
      left -= part.length;
    }
  }

  /** What is left, in chunks as they come. */
  async *rest(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const part = await this.readSome(Number.MAX_SAFE_INTEGER);
      if (part.length === 0) return;
      yield part;
    }
  }

  /** Releases the source, if it has not ended. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#source.return?.();
  }

  async #fill(bytes: number): Promise<void> {
    const parts = this.#chunk.length === 0 ? [] : [this.#chunk];
    let total = this.#chunk.length;
    while (total < bytes && !this.#ended) {
      const next = await this.#source.next();
      if (next.done === true) {
        this.#ended = true;
        break;
      }
      if (next.value.length === 0) continue;
      parts.push(next.value);
      total += next.value.length;
    }
    this.#chunk = parts.length === 1 ? parts[0]! : Buffer.concat(parts, total);
  }
}
