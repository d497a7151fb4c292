// Follows one partition: reads frames, turns rows into columns, and uploads its closed slices, in order.
//
// R1 Everything starts from the partition's `staged`: an offset and the reader's state there. What was held in memory
//    when a process ended is read again.
// R2 A slice is uploaded once all of it was read: its objects are confirmed before the transaction that says so, and
//    that transaction moves `staged` to its end.
// R3 What is held is bounded, by slice and by reader. At a bound the tail stops reading and asks for rotation (`full`).
// R4 A slice that ends where the tail has no boundary (another process decided) starts the tail again from `staged`.
// R5 Nothing is read of a partition that has lost acknowledged bytes (partition-integrity.ts).
// R6 A partition that is suspended goes on where it ended: the tail waits for that as for the next record.
// R7 Offsets that nothing is found at any more are passed over only as far as a person has given them up.
import { Gate, WireError, type Clock, type Logger } from "@millrace/base";
import { readJournal, type JournalTransport, type ReadEvent } from "@millrace/client";
import type { ObjectStore } from "@millrace/stores";
import type { BytePool } from "./byte-pool.ts";
import { sinkPath } from "./definitions.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { FrameFilter } from "./frame-filter.ts";
import { FRAME_LIMITS, type Frame } from "./frame.ts";
import { checkGivenUp } from "./given-up-hole.ts";
import type { PartitionIntegrity } from "./partition-integrity.ts";
import { PartitionKeys, type KeyMemory } from "./partition-keys.ts";
import type { HeldBytes } from "./reader-held.ts";
import { statisticsOfTotals, type Progress } from "./reader-progress.ts";
import { Segment, totalsOf } from "./reader-segment.ts";
import { afterFailure, retryWaitMs } from "./retry-block.ts";
import { putStaged } from "./staging-put.ts";
import type { PartitionKey, ReaderState, SliceClosing, SliceUploading, Slice } from "./storage-entities.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import { msOf } from "./storage-json.ts";
import { SLICE_VERSIONS_MAX } from "./storage-limits.ts";
import type { StorageMetrics } from "./storage-metrics.ts";
import type { StorageStore } from "./storage-store.ts";
import { endUpload, withRetry } from "./storage-transitions.ts";
import { targetOf } from "./target-ref.ts";
import type { PartitionView, Stored } from "./storage-view.ts";

export interface TailPorts {
  readonly storage: StorageStore;
  readonly transport: JournalTransport;
  readonly stagingStore: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
  readonly integrity: PartitionIntegrity;
  readonly catalog: SinkCatalog;
  readonly held: HeldBytes;
  /** Of the keys of all tails. */
  readonly memory: KeyMemory;
  readonly pool: BytePool;
  /** In [0, 1), anew at each call. */
  readonly spread: () => number;
  readonly sliceBytesMax: number;
  readonly onProgress: (sinkPath: string) => void;
}

/** Waits between attempts to make a transition that the coordination store did not take. */
const COMMIT_RETRY_MS = 100;

/** After few bytes the next ones are awaited: to read each group of the log by itself cost as much as its rows. */
const PAUSE_MS = 10;
const PAUSE_BELOW_BYTES = 64 * 1024;

/** Before a broker is asked again that cannot wait for a suspended journal (Gazette's). */
const SUSPENDED_WAIT_MS = 5000;

/** Thrown inside a tail to start it again (R4). */
class Misaligned extends Error {}

export class PartitionTail {
  readonly key: PartitionKey;
  readonly journal: string;
  /** The greatest offset that was ever read to. */
  reached = 0;
  readonly #path: string;
  readonly #ports: TailPorts;
  /** Opens when the partition's slices changed or memory was freed. */
  readonly #wake = new Gate();
  #segments: Segment[] = [];
  #open = new Segment(0);
  #filter = new FrameFilter();
  #keys: PartitionKeys;
  /** At the begin of the first segment. */
  #stateAtBegin: ReaderState = { filter: [] };
  #writeHead = 0;
  /** Begin of the open slice in the view, and what is held from there on. */
  #sliceBegin = 0;
  #sliceBytes = 0;
  /** End of the first closed slice that was not read to its end; nothing to stop at when there is none. */
  #nextEnd = Number.POSITIVE_INFINITY;
  #full = false;
  #running = false;
  /** A slice ends at an offset that is not a boundary here. */
  #misaligned = false;

  constructor(key: PartitionKey, journal: string, ports: TailPorts) {
    this.key = key;
    this.journal = journal;
    this.#path = sinkPath(key);
    this.#ports = ports;
    this.#keys = new PartitionKeys(ports, journal, { offset: 0 });
  }

  /** Everything below was read; an acknowledged end of a frame. */
  get offset(): number {
    return this.#open.end;
  }

  get writeHead(): number {
    return Math.max(this.#writeHead, this.offset);
  }

  /** Something of the partition changed in the store, or memory was freed. */
  wake(): void {
    this.#measure();
    this.#wake.open();
  }

  progress(): Progress | undefined {
    const held = this.#running ? this.#from(this.#sliceBegin) : undefined;
    if (held === undefined) return undefined;
    const { offset, writeHead } = this;
    return { ...totalsOf(held), begin: this.#sliceBegin, offset, writeHead, full: this.#full };
  }

  seal(): Progress | undefined {
    this.#seal();
    return this.progress();
  }

  /**
   * Works until `signal` aborts or the tail has to start again.
   * @throws {WireError} what stands against reading: CORRUPT, JOURNAL_NOT_FOUND, …
   */
  async run(signal: AbortSignal): Promise<void> {
    const partition = this.#view()?.entity?.value;
    if (partition === undefined) return;
    const definition = this.#ports.catalog.sink(this.key);
    const target = definition === undefined ? undefined : targetOf(definition);
    const { journal, staged: before } = partition;
    const onHead = (head: number): void => {
      this.#writeHead = Math.max(this.#writeHead, head);
    };
    const taken = { journal, sink: this.key, stagedEnd: before.offset, target, onHead };
    await this.#ports.integrity.check(taken, signal); // R5
    const staged = this.#view()?.entity?.value.staged;
    if (staged === undefined) return;
    this.#reset(staged);
    this.#running = true;
    const controller = new AbortController();
    const stop = (): void => controller.abort(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    const failed = (thrown: unknown): void => {
      if (!controller.signal.aborted) controller.abort(thrown);
    };
    try {
      await Promise.all([
        this.#read(controller.signal).catch(failed),
        this.#upload(controller.signal).catch(failed),
      ]);
    } finally {
      signal.removeEventListener("abort", stop);
      this.#running = false;
      this.#reset(staged);
    }
    const reason: unknown = controller.signal.reason;
    if (!signal.aborted && !(reason instanceof Misaligned)) throw reason;
  }

  #reset(staged: { readonly offset: number } & ReaderState): void {
    for (const segment of [...this.#segments, this.#open]) this.#ports.held.add(-segment.bytes);
    this.#segments = [];
    this.#open = new Segment(staged.offset, this.#ports.pool);
    this.#filter = new FrameFilter(staged.filter);
    this.#keys.close();
    this.#keys = new PartitionKeys(this.#ports, this.journal, staged);
    const { offset: _offset, ...state } = staged;
    this.#stateAtBegin = state;
    this.#full = false;
    this.#misaligned = false;
    this.#measure();
  }

  #measure(): void {
    this.#sliceBegin = this.#view()?.slices.at(-1)?.value.begin ?? 0;
    this.#sliceBytes = 0;
    for (const segment of this.#from(this.#sliceBegin) ?? [this.#open]) this.#sliceBytes += segment.bytes;
  }

  #view(): PartitionView | undefined {
    return this.#ports.storage.view.partitionAt(this.#path, this.key.n);
  }

  // Reading

  async #read(signal: AbortSignal): Promise<void> {
    const { clock, metrics } = this.#ports;
    let decoder = new FrameDecoder(this.offset, FRAME_LIMITS, this.#ports.pool);
    this.#sealAtEnds();
    for await (const event of this.#events(signal)) {
      if (event.kind === "jump") {
        const told = "are gone and were not imported";
        await checkGivenUp(this.#ports, this.journal, { ...event, told }, signal); // R7
        this.#pass(event.to);
        decoder = new FrameDecoder(event.to, FRAME_LIMITS, this.#ports.pool);
        continue;
      }
      this.#writeHead = Math.max(this.#writeHead, event.writeHead);
      let records = 0;
      for (const frame of decoder.push(event.bytes)) {
        if (!this.#fits(frame)) await this.#room(frame, signal);
        while (this.#keys.isMissingFor(frame)) await this.#keys.load(this.offset, signal);
        this.#take(frame);
        records += frame.count;
      }
      decoder.recycle();
      this.#keys.noteUse();
      metrics.readRecords.add(records);
      metrics.readBytes.add(event.bytes.length);
      metrics.heldBytes.set(this.#ports.held.bytes);
      this.#ports.onProgress(this.#path);
      if (event.bytes.length < PAUSE_BELOW_BYTES) await clock.sleep(PAUSE_MS, signal);
    }
  }

  /** What is read from here on, for ever. R6 */
  async *#events(signal: AbortSignal): AsyncGenerator<ReadEvent, never, void> {
    const { transport, clock, logger } = this.#ports;
    let at = this.offset;
    for (;;) {
      const options = { journal: this.journal, offset: at, block: true, awaitsResume: true };
      try {
        for await (const event of readJournal({ transport, clock, logger }, options, signal)) {
          yield event;
          at = event.kind === "content" ? event.offset + event.bytes.length : event.to;
        }
      } catch (thrown) {
        if (signal.aborted || WireError.from(thrown).code !== "SUSPENDED") throw thrown;
        await clock.sleep(SUSPENDED_WAIT_MS, signal);
      }
    }
  }

  /** Slices may end in the hole: their boundaries are made in passing. */
  #pass(to: number): void {
    while (this.#nextEnd <= to) {
      this.#open.passTo(this.#nextEnd);
      this.#sealAtEnds();
    }
    this.#open.passTo(to);
    this.reached = Math.max(this.reached, to);
    this.#measure();
    this.#wake.open();
  }

  #take(frame: Frame): void {
    if (frame.begin < this.#nextEnd && frame.end > this.#nextEnd) {
      const facts = {
        journal: this.journal,
        end: this.#nextEnd,
        frameBegin: frame.begin,
        frameEnd: frame.end,
      };
      throw new WireError("CORRUPT", `a slice ends at ${this.#nextEnd}, inside a frame`, { facts });
    }
    this.reached = Math.max(this.reached, frame.end);
    const kept = this.#keys.kept(frame);
    if (this.#filter.accept(frame)) this.#hold(frame, kept);
    else this.#ports.metrics.duplicateFrames.add(1);
    this.#open.skip(frame);
    if (frame.end < this.#nextEnd) return;
    this.#sealAtEnds();
    this.#measure();
    this.#wake.open();
  }

  /** @param kept its rows that repeat no key */
  #hold(frame: Frame, kept: readonly Frame[]): void {
    let rows = 0;
    for (const run of kept) {
      this.#open.add(run);
      this.#sliceBytes += run.body.length;
      this.#ports.held.add(run.body.length);
      rows += run.count;
    }
    if (rows < frame.count) this.#ports.metrics.duplicateRecords.add(frame.count - rows);
  }

  /** Makes boundaries where slices end, as far as they were read. */
  #sealAtEnds(): void {
    const slices = this.#view()?.slices ?? [];
    this.#nextEnd = Number.POSITIVE_INFINITY;
    for (let at = slices.length - 1; at >= 0; at--) {
      const slice = slices[at]!.value;
      if (slice.state === "writing") continue;
      if (slice.end < this.offset) {
        if (slice.end <= this.#stagedOffset() || this.#isBoundary(slice.end)) break;
        this.#misaligned = true; // R4
      } else if (slice.end === this.offset) this.#seal();
      else this.#nextEnd = slice.end;
    }
  }

  #isBoundary(offset: number): boolean {
    return offset === this.#open.begin || this.#segments.some(({ end }) => end === offset);
  }

  #stagedOffset(): number {
    return this.#segments[0]?.begin ?? this.#open.begin;
  }

  #seal(): void {
    if (this.#open.end === this.#open.begin) return;
    const keysBegin = this.#keys.begin;
    this.#open.state = {
      filter: this.#filter.checkpoint(),
      ...(keysBegin === undefined ? {} : { keysBegin }),
    };
    this.#segments.push(this.#open);
    this.#open = new Segment(this.#open.end, this.#ports.pool);
  }

  /** What is held from `begin` on; undefined when that is not a boundary here. */
  #from(begin: number): Segment[] | undefined {
    if (begin === this.offset) return [];
    const all = [...this.#segments, this.#open];
    const at = all.findIndex((segment) => segment.begin === begin);
    return at < 0 ? undefined : all.slice(at);
  }

  /**
   * Whether `frame` may be held too (R3). A slice may hold any one frame; one that has ended already is read to its
   * end, unless an earlier one can be uploaded first.
   */
  #fits(frame: Frame): boolean {
    const bytes = frame.body.length;
    if (this.offset < this.#sliceBegin) return this.#ports.held.fits(bytes) || this.#due() === undefined;
    if (this.#sliceBytes === 0) return true;
    if (this.#sliceBytes + bytes > this.#ports.sliceBytesMax || !this.#ports.held.fits(bytes)) return false;
    return this.#open.stages.has(frame.sinkVersion) || this.#versions() < SLICE_VERSIONS_MAX;
  }

  #versions(): number {
    const held = this.#from(this.#sliceBegin) ?? [this.#open];
    return new Set(held.flatMap((segment) => [...segment.stages.keys()])).size;
  }

  async #room(frame: Frame, signal: AbortSignal): Promise<void> {
    this.#full = true;
    try {
      do {
        this.#ports.onProgress(this.#path);
        await this.#wake.next(signal);
      } while (!this.#fits(frame));
    } finally {
      this.#full = false;
    }
  }

  // Uploading

  async #upload(signal: AbortSignal): Promise<void> {
    for (;;) {
      this.#sealAtEnds();
      this.#forgetStaged();
      if (this.#misaligned) throw new Misaligned("a slice ends where this tail has no boundary");
      const stored = this.#due();
      if (stored === undefined) {
        await this.#wake.next(signal);
        continue;
      }
      const slice = stored.value as SliceClosing | SliceUploading;
      const waitMs = retryWaitMs(slice.retry, this.#ports.clock.wallMs());
      if (waitMs > 0) await this.#ports.clock.sleep(waitMs, signal);
      else await this.#uploadSlice(stored, slice, signal);
    }
  }

  /** The first closed slice, when all of it was read. */
  #due(): Stored<Slice> | undefined {
    const slices = this.#view()?.slices ?? [];
    let first: Stored<Slice> | undefined;
    for (let at = slices.length - 1; at >= 0; at--) {
      const { state } = slices[at]!.value;
      if (state === "uploaded" || state === "imported") break;
      if (state !== "writing") first = slices[at];
    }
    if (first === undefined || first.value.state === "writing") return undefined;
    const { end } = first.value as SliceClosing;
    return end <= this.offset && this.#open.begin >= end ? first : undefined;
  }

  /** Drops segments below `staged`: uploaded, here or by another reader. */
  #forgetStaged(): void {
    const staged = this.#view()?.entity?.value.staged;
    if (staged === undefined) return;
    while (this.#segments.length > 0 && this.#segments[0]!.end <= staged.offset) {
      const segment = this.#segments.shift()!;
      this.#stateAtBegin = segment.state!;
      this.#ports.held.add(-segment.bytes);
      segment.release();
    }
    if (this.#stagedOffset() < staged.offset) this.#misaligned = true;
  }

  async #uploadSlice(
    stored: Stored<Slice>,
    slice: SliceClosing | SliceUploading,
    signal: AbortSignal,
  ): Promise<void> {
    const { stagingStore, metrics, clock, logger } = this.#ports;
    const last = this.#segments.findIndex((segment) => segment.end === slice.end);
    const segments = this.#segments.slice(0, last + 1);
    if (segments[0] === undefined || segments[0].begin !== slice.begin) {
      throw new Misaligned("the first slice does not begin where this tail begins");
    }
    const partition = this.#view()!.entity!;
    const begunMs = clock.monotonicMs();
    const note = (outcome: "ok" | "conflict" | "failed"): void =>
      metrics.operations.note("upload", outcome, clock.monotonicMs() - begunMs);
    let objects;
    try {
      objects = await putStaged(stagingStore, { ...slice, journal: this.journal }, segments, signal);
    } catch (thrown) {
      // The store may not have ended yet: whatever it writes now must be what it was given.
      for (const segment of segments) segment.lent = true;
      note("failed");
      signal.throwIfAborted();
      return this.#uploadFailed(stored, slice, WireError.from(thrown), signal);
    }
    const statistics = statisticsOfTotals(totalsOf(segments));
    const staged = { statistics, objects, ...this.#stateAtBegin };
    const nowMs = clock.wallMs();
    const after = { offset: slice.end, ...segments.at(-1)!.state! };
    const made = await this.#commit(
      [
        { kind: "slice", before: stored, after: endUpload(slice, staged, nowMs) },
        { kind: "partition", before: partition, after: { ...partition.value, staged: after } },
      ],
      signal,
    );
    note(made ? "ok" : "conflict");
    if (!made) return;
    metrics.stagedRowBytes.add(statistics.uncompressedSize);
    metrics.stagedObjects.add(objects.length);
    metrics.stagedBytes.add(objects.reduce((sum, object) => sum + object.bytes, 0));
    metrics.uploadSeconds.observe(Math.max(0, nowMs - msOf(slice.closingAt)) / 1000);
    logger.debug("slice-uploaded", { journal: this.journal, begin: slice.begin, end: slice.end });
  }

  async #uploadFailed(
    stored: Stored<Slice>,
    slice: SliceClosing | SliceUploading,
    error: WireError,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, logger, metrics, spread } = this.#ports;
    const failure = { code: error.code, reason: `upload to staging failed: ${error.message}` };
    const retry = afterFailure(slice.retry, failure, clock.wallMs(), spread());
    metrics.failures.add(1, { operation: "upload", code: error.code });
    logger.warn("slice-upload-failed", {
      journal: this.journal,
      begin: slice.begin,
      error,
      attempt: retry.attempt,
    });
    await this.#commit([{ kind: "slice", before: stored, after: withRetry(slice, retry) }], signal);
  }

  async #commit(changes: Parameters<StorageStore["commit"]>[0], signal: AbortSignal): Promise<boolean> {
    try {
      const made = await this.#ports.storage.commit(changes, signal);
      if (!made) await this.#ports.clock.sleep(COMMIT_RETRY_MS, signal); // another reader was faster
      return made;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = WireError.from(thrown);
      this.#ports.metrics.failures.add(1, { operation: "transition", code: error.code });
      this.#ports.logger.warn("slice-transition-failed", { journal: this.journal, error });
      await this.#ports.clock.sleep(COMMIT_RETRY_MS, signal);
      return false;
    }
  }
}
