// Creates partitions when their first record comes (D26): the journal, then in one transaction the partition, its first
// slice at 0, and the lane's file if it has none. Any number of processes may race: the transaction holds only once.
//
// Only the newest life of a sink gets partitions: a door that has not heard of a purge would otherwise bring back what
// was purged, or its rows would meet those of a sink that has nothing but the name in common with theirs.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { applyJournals, getJournal, type JournalTransport } from "@millrace/client";
import { atomically, keyOf, prefixRange, type CoordinationStore, type StoreOp } from "@millrace/metadata";
import { FLAG, labelSet, unionLabels, valueOf, type JournalSpec, type LabelSet } from "@millrace/protocol";
import { TargetAway, type PartitionIntegrity, type TakenPartition } from "./partition-integrity.ts";
import { decodeLife } from "./definition-codec.ts";
import { nextKey } from "./definition-keys.ts";
import { incarnationOf, partitionJournal, sinkPath, type Life, type SinkLife } from "./definitions.ts";
import { SinkGone } from "./publisher.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import { decodeFile, decodePartition, encodeJson } from "./storage-codec.ts";
import type { Partition, PartitionKey, StorageFile } from "./storage-entities.ts";
import { isoTime } from "./storage-json.ts";
import { fileKey, filesPrefix, partitionKey, sliceKey } from "./storage-keys.ts";
import { laneOf } from "./storage-limits.ts";
import { nextFileId, openFile, openSlice } from "./storage-transitions.ts";
import { isSameTarget, targetOf, type TargetRef } from "./target-ref.ts";

/** What all partition journals have in common. */
export type PartitionTemplate = Omit<JournalSpec, "name">;

export interface PartitionPorts {
  readonly store: CoordinationStore;
  readonly transport: JournalTransport;
  readonly catalog: SinkCatalog;
  /** The pipeline's, where it runs in this process: its readers look at each partition before a record comes. */
  readonly integrity: Pick<PartitionIntegrity, "check" | "knownEnd" | "forget">;
  readonly clock: Clock;
  readonly logger: Logger;
}

const PARTITION_KIND = "partition";
export const DEAD_LETTER_KIND = "dead-letters";

/** Labels of a sink's journals, for selectors. */
export const FRAME_LABELS = {
  kind: "millrace.dev/kind",
  source: "millrace.dev/source",
  sink: "millrace.dev/sink",
} as const;

/** Whether a journal with these labels holds a sink's records: frames that only the platform appends. */
export function holdsFrames(labels: LabelSet): boolean {
  const kind = valueOf(labels, FRAME_LABELS.kind);
  return kind === PARTITION_KIND || kind === DEAD_LETTER_KIND;
}

export class Partitions {
  readonly #ports: PartitionPorts;
  readonly #template: PartitionTemplate;

  constructor(ports: PartitionPorts, template: PartitionTemplate) {
    this.#ports = ports;
    this.#template = template;
  }

  /**
   * Makes sure that partition `n` of a sink is there and that its rows will be loaded. A retired one becomes active.
   * Ask again when an append to its journal says NOT_ALLOWED or JOURNAL_NOT_FOUND.
   * @returns its journal
   * @throws {SinkGone} for a sink that is unknown, or was purged since and perhaps made anew
   * @throws {WireError} CONFLICT, CORRUPT when the journal has lost acknowledged bytes, and what store, broker and
   * target say
   */
  async ensure(key: SinkLife, n: number, signal: AbortSignal): Promise<string> {
    const { projectId, branchId, sourceId, sinkId } = key;
    const partition: PartitionKey = { projectId, branchId, sourceId, sinkId, n };
    const { store, catalog, logger } = this.#ports;
    const journal = partitionJournal(key, n);
    const known = await store.range({ key: partitionKey(partition) }, signal);
    if (known.kvs[0] !== undefined) {
      const entity = decodePartition(known.kvs[0].value, known.kvs[0].key);
      if (entity.journal !== journal) throw purged(key);
      const stagedEnd = Math.max(entity.staged.offset, entity.state === "retired" ? entity.end : 0);
      const sink = catalog.sink(key);
      const target = sink === undefined ? undefined : targetOf(sink);
      await this.#checkWhole({ journal, sink: partition, stagedEnd, target }, signal);
      if (entity.state === "active") return journal;
    }
    const definition = catalog.sink(key);
    if (definition === undefined) throw new SinkGone(`sink ${sinkPath(key)} not found`);
    if (incarnationOf(definition) !== incarnationOf(key)) throw purged(key);
    const name = nextKey(key);
    const next = await store.range({ key: name }, signal);
    checkLife(key, decodeLife(next.kvs[0]?.value, name));
    await this.#applyJournal(partition, journal, signal);
    const target = targetOf(definition);
    // A table may know the journal from a life that the coordination store has forgotten.
    await this.#checkWhole({ journal, sink: partition, stagedEnd: 0, target }, signal);
    await this.#open(partition, { life: key, journal, newest: target }, signal);
    logger.info("partition-opened", { journal });
    return journal;
  }

  knownEnd({ projectId, branchId, sourceId, sinkId }: SinkLife, n: number, journal: string): number {
    return this.#ports.integrity.knownEnd({ projectId, branchId, sourceId, sinkId, n }, journal);
  }

  forget({ projectId, branchId, sourceId, sinkId }: SinkLife, n: number, journal: string): void {
    this.#ports.integrity.forget({ projectId, branchId, sourceId, sinkId, n }, journal);
  }

  /** A target elsewhere that is away does not keep records out: the reader asks it before it stages any of them. */
  async #checkWhole(partition: TakenPartition, signal: AbortSignal): Promise<void> {
    try {
      await this.#ports.integrity.check(partition, signal);
    } catch (thrown) {
      if (!(thrown instanceof TargetAway)) throw thrown;
      const { journal } = partition;
      this.#ports.logger.warn("partition-not-compared", { journal, error: thrown });
    }
  }

  /** Creates the journal, or lets a retired one be written again. */
  async #applyJournal(key: PartitionKey, name: string, signal: AbortSignal): Promise<void> {
    const { transport } = this.#ports;
    const own = labelSet(
      [FRAME_LABELS.kind, PARTITION_KIND],
      [FRAME_LABELS.source, key.sourceId],
      [FRAME_LABELS.sink, key.sinkId],
    );
    const spec: JournalSpec = { ...this.#template, name, labels: unionLabels(own, this.#template.labels) };
    try {
      await applyJournals(transport, [{ expectModRevision: 0, upsert: spec, delete: "" }], signal);
    } catch (thrown) {
      if (!(thrown instanceof WireError) || thrown.code !== "ETCD_TRANSACTION_FAILED") throw thrown;
      const listed = await getJournal(transport, name, signal);
      if (listed.spec.flags !== FLAG.O_RDONLY) return;
      const upsert = { ...listed.spec, flags: this.#template.flags };
      await applyJournals(transport, [{ expectModRevision: listed.modRevision, upsert, delete: "" }], signal);
    }
  }

  async #open(
    key: PartitionKey,
    { life, journal, newest }: { life: SinkLife; journal: string; newest: TargetRef },
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock } = this.#ports;
    const next = nextKey(life);
    await atomically(
      { store, clock },
      async (reads) => {
        checkLife(life, decodeLife((await reads.get(next))?.value, next));
        const existing = await reads.get(partitionKey(key));
        const before = existing === undefined ? undefined : decodePartition(existing.value, existing.key);
        if (before?.state === "active") return { ops: [], result: undefined };
        const nowMs = clock.wallMs();
        const prefix = filesPrefix(key);
        const files = await reads.peekPrefix(prefix);
        const { file, op, fileName } = await this.#file(key, newest, files, nowMs, (name) =>
          reads.get(keyOf(name)),
        );
        const begin = before?.end ?? 0;
        // The file's target is the lane's until its next rotation, whatever the newest version says.
        const { fileId, target } = file;
        const startsTarget = before === undefined || !isSameTarget(before.target, target);
        const slice = openSlice(key, { fileId, begin, target, startsTarget }, nowMs);
        const partition = activePartition(key, journal, before, nowMs);
        const put = (name: string, value: object): StoreOp => ({
          kind: "put",
          key: name,
          value: encodeJson(value),
        });
        const noOtherFile = {
          target: "create",
          ...prefixRange(prefix),
          op: "<",
          revision: reads.revision + 1,
        } as const;
        const noSlice = { target: "version", key: sliceKey(slice), op: "=", version: 0 } as const;
        return {
          ops: [put(partitionKey(key), partition), put(sliceKey(slice), slice), op ?? put(fileName, file)],
          compare: [noOtherFile, noSlice],
          result: undefined,
        };
      },
      signal,
    );
  }

  /**
   * The lane's writing file, or a new one. An existing one is written again, so that its rotation conflicts with
   * us.
   */
  async #file(
    key: PartitionKey,
    target: TargetRef,
    files: readonly { readonly key: string; readonly value: Uint8Array }[],
    nowMs: number,
    guard: (name: string) => Promise<unknown>,
  ): Promise<{ file: StorageFile; fileName: string; op?: StoreOp }> {
    const lane = laneOf(key.n);
    const known = files.map((kv) => ({ kv, file: decodeFile(kv.value, kv.key) }));
    const writing = known.find(({ file }) => file.state === "writing" && file.lane === lane);
    if (writing !== undefined) {
      await guard(writing.kv.key);
      return {
        file: writing.file,
        fileName: writing.kv.key,
        op: { kind: "put", key: writing.kv.key, value: writing.kv.value },
      };
    }
    const ids = known.map(({ file }) => file.fileId);
    const file = openFile(key, { fileId: nextFileId(ids, nowMs), lane, target }, nowMs);
    return { file, fileName: fileKey(file) };
  }
}

/** @param next what the last purge of the sink's ID has left */
function checkLife(sink: SinkLife, next: Life): void {
  if (incarnationOf(next) > incarnationOf(sink)) throw purged(sink);
}

function purged(sink: SinkLife): SinkGone {
  return new SinkGone(`sink ${sinkPath(sink)} was deleted with everything in it`);
}

function activePartition(
  key: PartitionKey,
  journal: string,
  before: Extract<Partition, { state: "retired" }> | undefined,
  nowMs: number,
): Partition {
  if (before === undefined) {
    return { ...key, journal, createdAt: isoTime(nowMs), staged: { offset: 0, filter: [] }, state: "active" };
  }
  const { retiredAt: _at, end: _end, target: _target, ...kept } = before;
  return { ...kept, state: "active" };
}
