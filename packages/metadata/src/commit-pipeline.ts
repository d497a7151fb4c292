// From a decided record to a durable one. Records are replayed into the state at once, so that the next request is
// decided on top of them, and leave for the log in batches, one batch at a time: whatever was decided while one batch
// was being synced is the next one.
//
// P1 Nothing above `durableRevision` is shown to anybody but the transaction that made it, and to that one only later.
// P2 When the log refuses a batch, everything decided and not yet durable is undone, newest first, and rejected.
// P3 When the log cannot tell what became of a batch, its outcome is unknown. If the log goes on, the next batch voids
//    that one, so that it is undone like a refused one; if not, nothing is accepted any more (D5).
import { assert, Gate, WireError, type Code } from "@millrace/base";
import type { AuthState } from "./auth-state.ts";
import type { StoreJournal } from "./journal.ts";
import { PENDING_BYTES_MAX, PENDING_TXNS_MAX } from "./limits.ts";
import type { Applied, Lease, Mvcc } from "./mvcc.ts";
import { encodeBatch, recordBytesBound } from "./record-codec.ts";
import type { StoreRecord } from "./records.ts";

const NEVER_WRITTEN: ReadonlySet<Code> = new Set<Code>(["DISK_FULL", "SHUTTING_DOWN"]);

interface Entry {
  /** Undefined for a barrier, which only waits for what was decided before it. */
  readonly record: StoreRecord | undefined;
  /** Undefined for a barrier and for a compaction, which cannot be undone and so waits until it is durable. */
  readonly applied: Applied | undefined;
  readonly revision: number;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class CommitPipeline {
  /** Opens whenever `durableRevision` may have risen, and when the pipeline fails or closes. */
  readonly progress = new Gate();
  readonly #state: Mvcc;
  readonly #journal: StoreJournal;
  #durableRevision: number;
  #pending: Entry[] = [];
  #pendingBytes = 0;
  #running: Promise<void> | undefined;
  #between: (() => void)[] = [];
  #failure: WireError | undefined;
  #closed = false;

  constructor(state: Mvcc, journal: StoreJournal) {
    this.#state = state;
    this.#journal = journal;
    this.#durableRevision = state.revision;
  }

  get durableRevision(): number {
    return this.#durableRevision;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Why writes fail, or undefined. */
  get unhealthy(): string | undefined {
    if (this.#failure !== undefined) return `the coordination log failed: ${this.#failure.message}`;
    const reason = this.#journal.unhealthy();
    return reason === undefined ? undefined : `the coordination log refuses writes: ${reason}`;
  }

  /** Throws unless a record may be decided now. @throws {WireError} UNAVAILABLE, OVERLOADED */
  admit(): void {
    if (this.#closed) throw new WireError("UNAVAILABLE", "the coordination store is closed");
    if (this.#failure !== undefined) {
      throw new WireError("UNAVAILABLE", this.unhealthy!, { cause: this.#failure });
    }
    if (this.#pending.length < PENDING_TXNS_MAX && this.#pendingBytes < PENDING_BYTES_MAX) return;
    throw new WireError(
      "OVERLOADED",
      `${this.#pending.length} transactions with ${this.#pendingBytes} bytes wait for the coordination log ` +
        `(at most ${PENDING_TXNS_MAX}, ${PENDING_BYTES_MAX})`,
    );
  }

  /** Replays `record`, but for a compaction, at once; `durable` resolves when it is synced and visible. */
  submit(record: StoreRecord): { readonly applied: Applied | undefined; readonly durable: Promise<void> } {
    const applied = record.kind === "compacted" ? undefined : this.#state.replay(record);
    return { applied, durable: this.#enqueue(record, applied, recordBytesBound(record)) };
  }

  /** Resolves when everything decided before is durable; rejects if some of it is not going to be. */
  barrier(): Promise<void> {
    if (this.#running === undefined) return Promise.resolve();
    return this.#enqueue(undefined, undefined, 0);
  }

  /** Runs `run` at a moment when no batch is with the log, and gives its result. */
  between<T>(run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const guarded = (): void => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      };
      if (this.#running === undefined) guarded();
      else this.#between.push(guarded);
    });
  }

  /** The leases as the durable records left them. To be called in between(). */
  durableLeases(): readonly Omit<Lease, "keys">[] {
    const leases = new Map<bigint, Omit<Lease, "keys">>(this.#state.leases);
    for (const { record, applied } of this.#pending.toReversed()) {
      if (record?.kind === "lease-granted") leases.delete(record.lease);
      if (applied?.revoked !== undefined) leases.set(applied.revoked.id, applied.revoked);
    }
    return [...leases.values()];
  }

  /** The users as the durable records left them. To be called in between(). */
  durableAuth(): AuthState {
    const pending = this.#pending.find(({ applied }) => applied?.auth !== undefined);
    return pending?.applied?.auth ?? this.#state.auth;
  }

  /** Takes no more, and resolves when what was taken is settled. */
  async close(): Promise<void> {
    this.#closed = true;
    this.progress.open();
    await this.#running;
  }

  #enqueue(record: StoreRecord | undefined, applied: Applied | undefined, bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ record, applied, revision: this.#state.revision, bytes, resolve, reject });
      this.#pendingBytes += bytes;
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // what is submitted in the same turn shares a batch
    while (this.#pending.length > 0) {
      const batch = this.#takeBatch();
      const records = batch.flatMap(({ record }) => (record === undefined ? [] : [record]));
      try {
        if (records.length > 0) await this.#journal.append(encodeBatch(records));
      } catch (error) {
        this.#onRefused(batch, error);
        continue;
      }
      this.#onDurable(batch);
      for (const run of this.#between.splice(0)) run();
    }
    this.#running = undefined;
    for (const run of this.#between.splice(0)) run();
  }

  #takeBatch(): readonly Entry[] {
    let count = 0;
    let bytes = 1;
    while (count < this.#pending.length) {
      bytes += this.#pending[count]!.bytes;
      if (count > 0 && bytes > this.#journal.batchBytesMax) break;
      count++;
    }
    const batch = this.#pending.splice(0, count);
    for (const entry of batch) this.#pendingBytes -= entry.bytes;
    return batch;
  }

  #onDurable(batch: readonly Entry[]): void {
    for (const { record, revision } of batch) {
      if (record?.kind === "compacted") this.#state.replay(record);
      assert(revision >= this.#durableRevision, "the durable revision never goes back", { revision });
      this.#durableRevision = revision;
    }
    for (const { resolve } of batch) resolve();
    this.progress.open();
  }

  #onRefused(batch: readonly Entry[], thrown: unknown): void {
    const error = WireError.from(thrown);
    const behind = this.#pending.splice(0);
    this.#pendingBytes = 0;
    let about = error;
    if (!NEVER_WRITTEN.has(error.code))
      about = new WireError("OUTCOME_UNKNOWN", error.message, { cause: error });
    let aboutBehind = error;
    if (this.#journal.hasFailed) {
      this.#failure = error; // P3
      aboutBehind = new WireError("UNAVAILABLE", this.unhealthy!, { cause: error });
    } else {
      for (const { applied } of [...batch, ...behind].toReversed()) {
        if (applied !== undefined) this.#state.undo(applied); // P2
      }
      if (about !== error) aboutBehind = new WireError("DISK_FULL", error.message, { cause: error });
    }
    for (const { reject } of batch) reject(about);
    for (const { reject } of behind) reject(aboutBehind);
    this.progress.open();
  }
}
