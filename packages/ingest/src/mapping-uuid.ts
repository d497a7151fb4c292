// UUID v7 (RFC 9562) as text, written into a row: 48 bits of time, a 26-bit counter that starts at random in each
// millisecond, so that the ids of a process ascend, and 48 random bits. A clock that goes back does not: the last
// millisecond is kept and the counter goes on.
import type { Random } from "@millrace/base";
import type { RowBuffer } from "./csv-writer.ts";

const POOL_BYTES = 6 * 1024;
const COUNTER_BITS = 26;
/** Hex digits of a byte: high and low. */
const HIGH = new Uint8Array(256);
const LOW = new Uint8Array(256);
for (let i = 0; i < 256; i++) {
  const digits = i.toString(16).padStart(2, "0");
  HIGH[i] = digits.charCodeAt(0);
  LOW[i] = digits.charCodeAt(1);
}
const DASH = 0x2d;

export class UuidWriter {
  readonly #random: Random;
  readonly #pool = new Uint8Array(POOL_BYTES);
  #used = POOL_BYTES;
  #ms = -1;
  #counter = 0;
  /** `tttttttt-tttt-` of #ms. */
  readonly #time = new Uint8Array(14);

  constructor(random: Random) {
    this.#random = random;
  }

  /** Appends 36 characters. @param nowMs Unix milliseconds, below 2^48 */
  put(out: RowBuffer, nowMs: number): void {
    if (nowMs > this.#ms) this.#startMs(nowMs);
    const counter = this.#counter++;
    // 2^25 ids in one millisecond cannot be made; a clock that stands still for long must not repeat itself.
    if (this.#counter === 1 << COUNTER_BITS) this.#startMs(this.#ms + 1);
    if (this.#used === POOL_BYTES) {
      this.#random.fill(this.#pool);
      this.#used = 0;
    }
    out.reserve(36);
    const bytes = out.bytes;
    const time = this.#time;
    let at = out.at;
    for (let i = 0; i < 14; i++) bytes[at++] = time[i]!;
    bytes[at++] = 0x37;
    bytes[at++] = LOW[(counter >>> 22) & 0xf]!;
    bytes[at++] = HIGH[(counter >>> 14) & 0xff]!;
    bytes[at++] = LOW[(counter >>> 14) & 0xff]!;
    bytes[at++] = DASH;
    const variant = 0x80 | ((counter >>> 8) & 0x3f);
    bytes[at++] = HIGH[variant]!;
    bytes[at++] = LOW[variant]!;
    bytes[at++] = HIGH[counter & 0xff]!;
    bytes[at++] = LOW[counter & 0xff]!;
    bytes[at++] = DASH;
    const pool = this.#pool;
    for (let i = this.#used, end = i + 6; i < end; i++) {
      bytes[at++] = HIGH[pool[i]!]!;
      bytes[at++] = LOW[pool[i]!]!;
    }
    this.#used += 6;
    out.at = at;
  }

  #startMs(ms: number): void {
    this.#ms = ms;
    this.#counter = this.#random.below(1 << (COUNTER_BITS - 1));
    const digits = ms.toString(16).padStart(12, "0");
    const text = `${digits.slice(0, 8)}-${digits.slice(8)}-`;
    for (let i = 0; i < 14; i++) this.#time[i] = text.charCodeAt(i);
  }
}
