// Copies of small pieces of content, many in one block of memory: a block for each of them costs several times the
// copying, and again when it is let go.
//
//  K1  A piece keeps its block: pieces so small share one so small that few of them cannot hold on to much.

/** Pieces from here on have blocks of their own. */
export const SMALL_BYTES_MAX = 4096;
const BLOCK_BYTES = 32 * 1024;

export class ContentCopies {
  #block = new Uint8Array(0);
  #used = 0;

  /** A copy of `bytes` from `begin` on. */
  copy(bytes: Uint8Array, begin: number): Uint8Array {
    const length = bytes.length - begin;
    if (length > SMALL_BYTES_MAX) return bytes.slice(begin);
    if (this.#used + length > this.#block.length) {
      this.#block = new Uint8Array(BLOCK_BYTES);
      this.#used = 0;
    }
    const copy = new Uint8Array(this.#block.buffer, this.#used, length);
    this.#used += length;
    copy.set(bytes.subarray(begin));
    return copy;
  }
}
