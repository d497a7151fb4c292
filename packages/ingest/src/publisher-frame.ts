// A frame that is being filled: rows, their lengths, and who waits for it.
import type { WireError } from "@millrace/base";
import { RowBuffer } from "./csv-writer.ts";
import { encodeFrameHead, type FrameHeader } from "./frame.ts";

/** Someone who is told what became of rows. */
export interface AppendWaiter {
  /**
   * Called once for each frame that has rows of the waiter.
   * @param rows how many; frames come in the order in which they were filled only when nothing fails
   * @param failure why they are not written; OUTCOME_UNKNOWN: they may be
   */
  onAppended(rows: number, failure: WireError | undefined): void;
  /**
   * Of one that may bring more rows to its only frame when others have brought theirs: where the frame has it. The
   * frame sets it; before, it is {@link NO_PLACE}.
   */
  place?: number;
}

export const NO_PLACE = -1;

const BUFFER_BYTES_FIRST = 64 * 1024;
const LENGTHS_FIRST = 256;

export class OpenFrame {
  readonly sinkVersion: number;
  readonly acceptedAtMs: number;
  /** Whether replies wait for the append. If not, it is tried until it succeeds. */
  readonly isAwaited: boolean;
  readonly rows: RowBuffer;
  #lengths = new Uint32Array(LENGTHS_FIRST);
  #count = 0;
  /** Of the rows so far, once one has a key. */
  #keys: (string | undefined)[] | undefined;
  #waiters: AppendWaiter[] = [];
  #waiterRows: number[] = [];

  constructor(rows: RowBuffer, head: { sinkVersion: number; acceptedAtMs: number; isAwaited: boolean }) {
    this.rows = rows;
    this.sinkVersion = head.sinkVersion;
    this.acceptedAtMs = head.acceptedAtMs;
    this.isAwaited = head.isAwaited;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.rows.at;
  }

  /** How many wait. */
  get waiters(): number {
    return this.#waiters.length;
  }

  /** The last `length` bytes are a row. @param key its hash */
  add(length: number, waiter: AppendWaiter | undefined, key: string | undefined): void {
    if (key !== undefined) this.#keys ??= Array.from({ length: this.#count }, () => undefined);
    this.#keys?.push(key);
    if (this.#count === this.#lengths.length) {
      const grown = new Uint32Array(this.#count * 2);
      grown.set(this.#lengths);
      this.#lengths = grown;
    }
    this.#lengths[this.#count++] = length;
    if (waiter === undefined) return;
    const at = waiter.place ?? this.#waiters.length - 1;
    if (at >= 0 && this.#waiters[at] === waiter) {
      this.#waiterRows[at]!++;
      return;
    }
    if (waiter.place !== undefined) waiter.place = this.#waiters.length;
    this.#waiters.push(waiter);
    this.#waiterRows.push(1);
  }

  /** Content of its append. */
  encode(identity: Pick<FrameHeader, "producer" | "sequence">): readonly Uint8Array[] {
    const body = this.rows.bytes.subarray(0, this.rows.at);
    const { sinkVersion, acceptedAtMs } = this;
    return [
      encodeFrameHead(
        { ...identity, sinkVersion, acceptedAtMs },
        this.#lengths,
        this.#count,
        body,
        this.#keys,
      ),
      body,
    ];
  }

  /** Tells everyone who waits, once. */
  settle(failure: WireError | undefined): void {
    const waiters = this.#waiters;
    const rows = this.#waiterRows;
    this.#waiters = [];
    this.#waiterRows = [];
    for (let i = 0; i < waiters.length; i++) waiters[i]!.onAppended(rows[i]!, failure);
  }
}

/** Row buffers for reuse: allocating a megabyte for each frame would keep the collector busy. */
export class BufferPool {
  readonly #free: RowBuffer[] = [];
  readonly #keptMax: number;
  readonly #bytesMax: number;

  /** @param keptMax buffers kept @param bytesMax a larger buffer is dropped */
  constructor(keptMax: number, bytesMax: number) {
    this.#keptMax = keptMax;
    this.#bytesMax = bytesMax;
  }

  take(): RowBuffer {
    return this.#free.pop() ?? new RowBuffer(BUFFER_BYTES_FIRST);
  }

  /** Nobody may look at the buffer any more. */
  give(buffer: RowBuffer): void {
    if (this.#free.length >= this.#keptMax || buffer.bytes.length > this.#bytesMax) return;
    buffer.at = 0;
    this.#free.push(buffer);
  }
}
