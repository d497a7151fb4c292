// The log under the embedded store, as the store needs it. Over packages/wal in durable-store.ts; in memory below.
import { WireError } from "@millrace/base";

/** One append at a time. */
export interface StoreJournal {
  /** Bytes of the largest batch that append() takes. */
  readonly batchBytesMax: number;
  /** Bytes that a recovery would replay behind the newest checkpoint. */
  readonly tailBytes: number;
  /**
   * Resolves when `batch` is durable.
   * @throws {WireError} DISK_FULL when nothing of it was or will be written; any other error: it may be there or not,
   * and the journal takes no more
   */
  append(batch: Uint8Array): Promise<void>;
  /**
   * Puts `chunks` in the place of all batches appended before this call. Appends go on meanwhile. Until it resolves the
   * older checkpoint counts. @throws {WireError} as append; a failure leaves the older checkpoint in force
   */
  checkpoint(chunks: Iterable<Uint8Array>): Promise<void>;
  close(): Promise<void>;
}

/** A journal with what it held: the newest checkpoint, and the batches behind it in order. Both are read once. */
export interface OpenedJournal {
  readonly journal: StoreJournal;
  readonly checkpoint: AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined;
  readonly batches: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A journal that lives as long as the process: for tests and for tools that need a store for a moment. */
export class MemoryJournal implements StoreJournal {
  readonly batchBytesMax = 4 * 1024 * 1024;
  /** When set, append() asks it first: it may wait, and it may throw what a disk would. */
  onAppend: (() => Promise<void>) | undefined;
  #checkpoint: readonly Uint8Array[] | undefined;
  #batches: Uint8Array[] = [];
  #tailBytes = 0;
  #failed: unknown;

  get tailBytes(): number {
    return this.#tailBytes;
  }

  /** What a restart would find. */
  open(): OpenedJournal {
    this.#failed = undefined;
    return { journal: this, checkpoint: this.#checkpoint, batches: [...this.#batches] };
  }

  async append(batch: Uint8Array): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    try {
      await this.onAppend?.();
    } catch (error) {
      if (!(error instanceof WireError && error.code === "DISK_FULL")) this.#failed = error;
      throw error;
    }
    this.#batches.push(batch);
    this.#tailBytes += batch.length;
  }

  async checkpoint(chunks: Iterable<Uint8Array>): Promise<void> {
    const covered = this.#batches.length;
    const whole: Uint8Array[] = [];
    for (const chunk of chunks) {
      whole.push(chunk);
      await Promise.resolve();
    }
    this.#checkpoint = whole;
    for (const batch of this.#batches.splice(0, covered)) this.#tailBytes -= batch.length;
  }

  async close(): Promise<void> {}
}
