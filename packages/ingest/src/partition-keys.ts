// The keys that a tail remembers of its partition (key-window.ts): in memory while rows with keys come, within one
// bound for all partitions of a process.
//
// M1 Windows take at most `bytesMax` together, or one of them alone does. Beyond it those go that were used longest
//    ago. What is remembered is a function of the journal's bytes, so the next row with a key reads it again (Y3): a
//    tail that comes back late is slow, and never wrong.
// M2 Few windows are read at a time, since one may be of WINDOW_BYTES, and each for a while only: where the bytes of
//    one partition cannot be had, its tail fails and comes back, and those of others have their turns.
// M3 Of a window that is not in memory is known where it begins, so that the clean-up keeps what it is made of.
import {
  abortScope,
  Slots,
  WireError,
  type Clock,
  type Counter,
  type Gauge,
  type Logger,
} from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import type { Frame } from "./frame.ts";
import { KEY_WINDOW, KeyWindow, type WindowBounds } from "./key-window.ts";
import { keysAt } from "./reader-keys.ts";

/** What a key takes in memory, measured. */
export const KEY_BYTES = 200;

/** M2 */
const READS_AT_ONCE = 4;
const READ_MS_MAX = 60_000;

export interface KeyMemoryMetrics {
  readonly keyBytes: Pick<Gauge, "set">;
  readonly keyWindowsRead: Pick<Counter, "add">;
}

/** The windows of all partitions that a process reads. */
export class KeyMemory {
  readonly #bytesMax: number;
  readonly #metrics: KeyMemoryMetrics;
  /** Bytes of each that is in memory; the one used longest ago first. */
  readonly #used = new Map<PartitionKeys, number>();
  #bytes = 0;
  readonly #reads = new Slots(READS_AT_ONCE);

  constructor(bytesMax: number, metrics: KeyMemoryMetrics) {
    this.#bytesMax = bytesMax;
    this.#metrics = metrics;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** It was used, and takes so many bytes: M1. */
  note(keys: PartitionKeys, bytes: number): void {
    this.#drop(keys);
    this.#used.set(keys, bytes);
    this.#bytes += bytes;
    for (const other of this.#used.keys()) {
      if (this.#bytes <= this.#bytesMax || other === keys) break;
      this.#drop(other);
      other.letGo();
    }
    this.#metrics.keyBytes.set(this.#bytes);
  }

  /** It takes nothing any more. */
  forget(keys: PartitionKeys): void {
    this.#drop(keys);
    this.#metrics.keyBytes.set(this.#bytes);
  }

  /** M2 @throws {WireError} UNAVAILABLE: it takes too long; what `work` throws; what aborted `signal` */
  async read<T>(work: (signal: AbortSignal) => Promise<T>, clock: Clock, signal: AbortSignal): Promise<T> {
    await this.#reads.take(signal);
    const scope = abortScope(signal);
    const slow = `the keys of a partition's rows could not be read within ${READ_MS_MAX} ms`;
    const cancel = clock.after(READ_MS_MAX, () => scope.abort(new WireError("UNAVAILABLE", slow)));
    try {
      this.#metrics.keyWindowsRead.add(1);
      return await work(scope.signal);
    } finally {
      cancel();
      scope.dispose();
      this.#reads.release();
    }
  }

  #drop(keys: PartitionKeys): void {
    this.#bytes -= this.#used.get(keys) ?? 0;
    this.#used.delete(keys);
  }
}

export interface PartitionKeysPorts {
  readonly transport: JournalTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly memory: KeyMemory;
}

export class PartitionKeys {
  readonly #ports: PartitionKeysPorts;
  readonly #journal: string;
  readonly #bounds: WindowBounds;
  #window: KeyWindow | undefined;
  /** Of the window while it is not in memory; undefined: it is empty. */
  #begin: number | undefined;
  /** Begin of the last frame with keys, or what it is not behind. */
  #lastKeyed: number;

  /** @param at a place, and from where on keys matter there */
  constructor(
    ports: PartitionKeysPorts,
    journal: string,
    at: { readonly offset: number; readonly keysBegin?: number },
    bounds: WindowBounds = KEY_WINDOW,
  ) {
    this.#ports = ports;
    this.#journal = journal;
    this.#bounds = bounds;
    const { offset, keysBegin = offset } = at;
    this.#begin = keysBegin < offset ? keysBegin : undefined;
    this.#lastKeyed = offset;
  }

  /** From where on keys matter; undefined: none does. */
  get begin(): number | undefined {
    return this.#window === undefined ? this.#begin : this.#window.begin;
  }

  /** Whether `kept` needs what `load` reads. */
  isMissingFor({ keys }: Pick<Frame, "keys">): boolean {
    return keys !== undefined && this.#window === undefined;
  }

  /**
   * Reads the window as it is at an offset that everything before was given to `kept`. Another one may have taken its
   * place by the time this resolves.
   * @throws {WireError} of the journal; CORRUPT
   */
  async load(offset: number, signal: AbortSignal): Promise<void> {
    const at = this.#begin === undefined ? { offset } : { offset, keysBegin: this.#begin };
    const { memory, clock } = this.#ports;
    const read = (reading: AbortSignal): Promise<KeyWindow> =>
      keysAt(this.#ports, this.#journal, at, this.#bounds, reading);
    this.#window =
      this.#begin === undefined ? new KeyWindow(this.#bounds) : await memory.read(read, clock, signal);
    this.noteUse();
  }

  /** The rows of the next frame that repeat no key (Y1). */
  kept(frame: Frame): readonly Frame[] {
    if (frame.keys !== undefined) this.#lastKeyed = frame.begin;
    if (this.#window !== undefined) return this.#window.kept(frame);
    if (this.#lastKeyed < frame.begin - this.#bounds.bytes) this.#begin = undefined;
    return [frame];
  }

  /** Tells the memory what it takes. */
  noteUse(): void {
    const { memory } = this.#ports;
    if (this.#window === undefined || this.#window.size === 0) memory.forget(this);
    else memory.note(this, this.#window.size * KEY_BYTES);
  }

  /** M1 */
  letGo(): void {
    this.#begin = this.#window?.begin ?? this.#begin;
    this.#window = undefined;
  }

  /** Nothing is done with it any more. */
  close(): void {
    this.#ports.memory.forget(this);
    this.#window = undefined;
  }
}
