// Byte arrays for reuse, in sizes of powers of two. Arrays outside of the JavaScript heap that come and go press V8 to
// collect the whole heap: at 200,000 records a second, full collections took a third of all CPU.
import { assert } from "@millrace/base";

const SMALLEST_BYTES = 1024;
/** Larger arrays are made as asked and not kept. */
const LARGEST_BYTES = 2 * 1024 * 1024;

export class BytePool {
  readonly #keptMax: number;
  /** Free arrays by size. */
  readonly #free = new Map<number, Uint8Array[]>();
  #kept = 0;

  /** @param keptMax bytes of free arrays that are kept; 0 keeps none */
  constructor(keptMax: number) {
    assert(keptMax >= 0, "a pool keeps 0 bytes or more", { keptMax });
    this.#keptMax = keptMax;
  }

  /** Bytes of free arrays. */
  get kept(): number {
    return this.#kept;
  }

  /** An array of at least `bytes` bytes, whose content is anything. */
  take(bytes: number): Uint8Array {
    if (bytes > LARGEST_BYTES) return new Uint8Array(bytes);
    const size = bytes <= SMALLEST_BYTES ? SMALLEST_BYTES : 2 ** (32 - Math.clz32(bytes - 1));
    const found = this.#free.get(size)?.pop();
    if (found === undefined) return new Uint8Array(size);
    this.#kept -= size;
    return found;
  }

  /** Gives back what `take` gave. Nobody may look at it any more. */
  give(bytes: Uint8Array): void {
    const size = bytes.length;
    if (size > LARGEST_BYTES || this.#kept + size > this.#keptMax) return;
    this.#kept += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [bytes]);
    else free.push(bytes);
  }
}

/** For what is used once. */
export const NO_POOL = new BytePool(0);
