// The log under the embedded store, as the store needs it. Over packages/wal in durable-journal.ts; in memory below.
import { WireError } from "@millrace/base";

/** One append at a time. */
export interface StoreJournal {
  /** Bytes of the largest batch that append() takes. */
  readonly batchBytesMax: number;
  /** Bytes that a recovery would replay behind the newest checkpoint. */
  readonly tailBytes: number;
  /** Whether it can take nothing more, so that only a restart can tell what it holds. */
  readonly hasFailed: boolean;
  /** What stands against appending; undefined when healthy. Recovers by itself unless the journal has failed. */
  unhealthy(): string | undefined;
  /**
   * Resolves when `batch` is durable.
   * @throws {WireError} DISK_FULL, SHUTTING_DOWN: nothing of it will be there after a restart. Any other error: it may
   * be there; if the journal has not failed, the next batch that it takes voids this one
   */
  append(batch: Uint8Array): Promise<void>;
  /**
   * Puts `chunks` in the place of all batches appended before this call. Appends go on meanwhile. Until it resolves the
   * older checkpoint counts. @throws {WireError} the older checkpoint stays in force
   */
  checkpoint(chunks: Iterable<Uint8Array>): Promise<void>;
  close(): Promise<void>;
}

/** Is shown what a journal holds: the chunks of the newest checkpoint, if there is one, then the batches behind it. */
export interface JournalVisitor {
  onChunk(chunk: Uint8Array): void;
  onBatch(batch: Uint8Array): void;
}

/** Reads what is there, then gives the journal that goes on behind it. @throws {WireError} CORRUPT */
export type RecoverJournal = (visitor: JournalVisitor) => Promise<StoreJournal>;

/** A journal that lives as long as the process: for tests and for tools that need a store for a moment. */
export class MemoryJournal implements StoreJournal {
  readonly batchBytesMax = 4 * 1024 * 1024;
  /** When set, append() waits for it, and fails as it does. */
  onAppend: (() => Promise<void>) | undefined;
  #checkpoint: readonly Uint8Array[] = [];
  #batches: Uint8Array[] = [];
  #tailBytes = 0;
  #failed: Error | undefined;
  #refusal: string | undefined;

  get tailBytes(): number {
    return this.#tailBytes;
  }

  get hasFailed(): boolean {
    return this.#failed !== undefined;
  }

  unhealthy(): string | undefined {
    return this.#failed?.message ?? this.#refusal;
  }

  /** What a restart does. */
  readonly recover: RecoverJournal = async (visitor) => {
    this.#failed = undefined;
    for (const chunk of this.#checkpoint) visitor.onChunk(chunk);
    for (const batch of this.#batches) visitor.onBatch(batch);
    return this;
  };

  /** One that goes on from what this one has now: a snapshot. */
  copy(): MemoryJournal {
    const copy = new MemoryJournal();
    copy.#checkpoint = this.#checkpoint;
    copy.#batches = [...this.#batches];
    copy.#tailBytes = this.#tailBytes;
    return copy;
  }

  async append(batch: Uint8Array): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    try {
      await this.onAppend?.();
    } catch (thrown) {
      const error = WireError.from(thrown);
      if (error.code === "DISK_FULL") this.#refusal = error.message;
      else this.#failed = error;
      throw error;
    }
    this.#refusal = undefined;
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
