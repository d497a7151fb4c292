// Removes what purged sources and their sinks have left (tombstone.ts): their tables, what the storage model has of
// them, their journals with all fragments, their staged objects. The process that owns a sink's work does it.
//
// U1 A stage is written down when it is through. Whoever dies in between leaves it to be done again, and doing it
//    again takes nothing that belongs to somebody else: journals and staged objects have the life in their names, a
//    table that another sink has stays, and another life begins only when the storage model is cleared (X2).
// U2 A table takes no more rows of the journals whose sink is purged: an importer that slept makes none anew.
// U3 What was under way elsewhere while a life was removed (a fragment on its way to its store, a staged object of a
//    reader that slept) is looked for once more, a minute later.
// U4 A table that cannot be removed stays, with the reason. Nothing else is given up.
import { abortScope, TaskGroup, WireError, type Clock } from "@millrace/base";
import { Keyspace, prefixRange, type CoordinationStore, type Key, type StoreOp } from "@millrace/metadata";
import { letterStateKey } from "./dead-letter-state.ts";
import { DEFINITION_PREFIX, NEXT_PREFIX, nextKey, sinkSecretPlace } from "./definition-keys.ts";
import { sinkPath, sourcePath, type SinkKey } from "./definitions.ts";
import { removeBytes, type PurgeBytesPorts } from "./purge-bytes.ts";
import type { SecretBox } from "./secret-box.ts";
import { takeSinks } from "./source-purge.ts";
import { decodePartition, sinkKeyIn } from "./storage-codec.ts";
import type { Partition } from "./storage-entities.ts";
import { JsonFields, parseJson } from "./storage-json.ts";
import { partitionsPrefix, storagePrefixes } from "./storage-keys.ts";
import { isSameTarget, placedAt, shownTarget, type TargetRef } from "./target-ref.ts";
import { decodeSettings, openSettings, type TargetSettings } from "./target-settings.ts";
import type { Target } from "./target.ts";
import {
  decodeTombstone,
  encodeTombstone,
  nextLife,
  tableOf,
  withLife,
  type PurgedLife,
  type SinkTombstone,
  type Tombstone,
} from "./tombstone.ts";
import type { WorkOwner } from "./work-owner.ts";

export interface PurgePorts extends PurgeBytesPorts {
  readonly targets: { at(settings: TargetSettings, signal: AbortSignal): Promise<Pick<Target, "drop">> };
  readonly secrets: SecretBox;
  /** Of sinks and sources, by their paths. */
  readonly share: WorkOwner;
  readonly clock: Clock;
}

/** A target that has not removed a table within this time is asked again, so many times. */
const DROP_MS_MAX = 30_000;
const DROP_ATTEMPTS = 3;
const DROP_PAUSE_MS = 500;
/** U3 */
const LATE_MS = 60_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 60_000;
/** Sinks and sources at the same time; others wait. As many as a source has sinks: one target may hold up them all. */
const AT_ONCE = 100;
/** Definitions of one read. */
const PAGE = 500;

interface Read {
  readonly tombstone: SinkTombstone;
  readonly modRevision: number;
}

export class Purges {
  readonly #ports: PurgePorts;
  readonly #keyspace: Keyspace<Tombstone>;
  /** Paths that are worked on; true: there is more to do since. */
  readonly #busy = new Map<string, boolean>();
  /** Those that wait for a place. */
  readonly #waiting = new Map<string, Tombstone>();
  readonly #timers = new Map<string, () => void>();
  /** When each life that is late is looked at, monotonic. */
  readonly #late = new Map<string, number>();
  #tasks: TaskGroup | undefined;

  constructor(ports: PurgePorts) {
    this.#ports = ports;
    const { store, clock, logger } = ports;
    this.#keyspace = new Keyspace({ store, clock, logger, prefix: NEXT_PREFIX, decode: decodeTombstone });
  }

  /** Works until `signal` aborts. Call once. @throws the first failure that is a bug; {WireError} of the first load */
  async run(signal: AbortSignal): Promise<void> {
    await this.#keyspace.load(0, signal);
    let fail: (error: unknown) => void = () => {};
    const failure = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const tasks = new TaskGroup("purges", (_task, error) => fail(error));
    this.#tasks = tasks;
    const stops = [
      this.#keyspace.observe((changes) => {
        for (const { after } of changes) if (after !== undefined) this.#look(after.value);
      }),
      this.#ports.share.observe(() => this.#lookAtAll()),
    ];
    tasks.spawn("tombstones", (inner) => this.#keyspace.run(inner));
    this.#lookAtAll();
    try {
      await Promise.race([failure, aborted(signal)]);
    } finally {
      for (const stop of stops) stop();
      for (const cancel of this.#timers.values()) cancel();
      this.#timers.clear();
      this.#tasks = undefined;
      await tasks.close();
    }
  }

  #lookAtAll(): void {
    for (const { value } of this.#keyspace.scan()) this.#look(value);
  }

  #look(tombstone: Tombstone): void {
    const path = pathOf(tombstone);
    if (tombstone.kind === "source" && tombstone.purging === undefined) {
      // Its sinks were waiting for that, whoever has taken them.
      for (const { value } of this.#keyspace.scan(`${NEXT_PREFIX}${path}/`)) this.#look(value);
      return;
    }
    const isOver = tombstone.kind === "sink" && nextLife(tombstone) === undefined;
    if (!isOver && this.#ports.share.owns(path)) this.#start(path, tombstone);
  }

  #start(path: string, tombstone: Tombstone): void {
    if (this.#busy.has(path)) {
      this.#busy.set(path, true);
      return;
    }
    if (this.#busy.size >= AT_ONCE) return void this.#waiting.set(path, tombstone);
    this.#busy.set(path, false);
    this.#tasks?.spawn(path, (signal) => this.#work(path, tombstone, signal));
  }

  async #work(path: string, tombstone: Tombstone, signal: AbortSignal): Promise<void> {
    const { clock, logger, share } = this.#ports;
    this.#timers.get(path)?.();
    this.#timers.delete(path);
    let waitMs: number | undefined;
    try {
      for (let failures = 0; share.owns(path);) {
        this.#busy.set(path, false);
        try {
          waitMs =
            tombstone.kind === "source"
              ? await this.#source(tombstone, signal)
              : await this.#sink(tombstone.key, signal);
          if (this.#busy.get(path) !== true) break;
        } catch (thrown) {
          if (signal.aborted) throw thrown;
          const error = WireError.from(thrown);
          const pauseMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures++, 10));
          logger.warn("purge-failed", { path, error, waitMs: pauseMs });
          await clock.sleep(pauseMs, signal);
        }
      }
    } finally {
      this.#busy.delete(path);
      const [next] = this.#waiting;
      if (next !== undefined) {
        this.#waiting.delete(next[0]);
        this.#start(...next);
      }
    }
    if (waitMs === undefined || this.#tasks === undefined) return;
    this.#timers.set(
      path,
      clock.after(waitMs, () => this.#start(path, tombstone)),
    );
  }

  async #source(tombstone: Tombstone & { kind: "source" }, signal: AbortSignal): Promise<undefined> {
    while (!(await takeSinks(this.#ports.store, tombstone, signal))) signal.throwIfAborted();
    this.#ports.logger.info("source-purged", { source: sourcePath(tombstone.key) });
  }

  /** Removes what there is of a sink's lives. @returns ms until there is more */
  async #sink(key: SinkKey, signal: AbortSignal): Promise<number | undefined> {
    for (;;) {
      const read = await this.#read(key, signal);
      const life = read === undefined ? undefined : nextLife(read.tombstone);
      if (read === undefined || life === undefined) return undefined;
      const { store } = this.#ports;
      switch (life.stage) {
        case "table":
          // Another sink of the source may have the table: it goes first.
          if (await isPurging(store, key, signal)) return undefined;
          await this.#write(read, await this.#withoutTable(key, life, signal), signal);
          break;
        case "storage":
          await this.#clearStorage(read, life, signal);
          break;
        case "bytes":
          await removeBytes(this.#ports, { ...key, ...life }, signal);
          await this.#write(read, { ...life, stage: "late" }, signal);
          break;
        case "late": {
          const waitMs = this.#lateWaitMs(sinkPath(key), life);
          if (waitMs > 0) return waitMs;
          await removeBytes(this.#ports, { ...key, ...life }, signal);
          if (!(await this.#write(read, { ...life, stage: "done" }, signal))) break;
          this.#late.delete(`${sinkPath(key)} ${life.incarnation}`);
          this.#ports.logger.info("sink-purged", { sink: sinkPath(key), life: life.incarnation });
          break;
        }
        case "done":
          return undefined;
      }
    }
  }

  /** U3 */
  #lateWaitMs(path: string, { incarnation }: PurgedLife): number {
    const nowMs = this.#ports.clock.monotonicMs();
    const name = `${path} ${incarnation}`;
    const dueMs = this.#late.get(name) ?? nowMs + LATE_MS;
    this.#late.set(name, dueMs);
    return dueMs - nowMs;
  }

  async #read(key: SinkKey, signal: AbortSignal): Promise<Read | undefined> {
    const name = nextKey(key);
    const [found] = (await this.#ports.store.range({ key: name }, signal)).kvs;
    const tombstone = found === undefined ? undefined : decodeTombstone(name, found.value);
    return found === undefined || tombstone?.kind !== "sink"
      ? undefined
      : { tombstone, modRevision: found.modRevision };
  }

  /** @param more in the same transaction @returns false: the tombstone has changed since it was read */
  async #write(
    { tombstone, modRevision }: Read,
    life: PurgedLife,
    signal: AbortSignal,
    more: readonly StoreOp[] = [],
  ): Promise<boolean> {
    const key = nextKey(tombstone.key);
    const value = encodeTombstone(withLife(tombstone, life));
    const request = {
      compare: [{ target: "mod", key, op: "=", revision: modRevision } as const],
      success: [{ kind: "put", key, value } as const, ...more],
    };
    return (await this.#ports.store.txn(request, signal)).succeeded;
  }

  /** U2, U4 */
  async #withoutTable(key: SinkKey, life: PurgedLife, signal: AbortSignal): Promise<PurgedLife> {
    const { store, secrets, logger } = this.#ports;
    const what = nextKey(key);
    const ref = tableOf(life, what);
    const kept = (problem: string): PurgedLife => {
      logger.warn("table-stays", { sink: sinkPath(key), table: ref.tableId, problem });
      return { ...life, stage: "storage", kept: `${shownTarget(ref)} ${ref.tableId}: ${problem}` };
    };
    const other = await sinkOn(store, ref, signal);
    if (other !== undefined) return kept(`sink "${other.sourceId}/${other.sinkId}" has it too`);
    const journals = (await partitionsOf(store, key, signal)).map(({ journal }) => journal);
    try {
      const settings = openSettings(new JsonFields(life.table, what), secrets, sinkSecretPlace(key));
      await this.#drop(settings, ref, journals, signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      return kept(WireError.from(thrown).message);
    }
    return { ...life, stage: "storage" };
  }

  async #drop(
    settings: TargetSettings,
    { tableId }: TargetRef,
    journals: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const { targets, clock } = this.#ports;
    for (let attempt = 1; ; attempt++) {
      const scope = abortScope(signal);
      const cancel = clock.after(DROP_MS_MAX, () => {
        scope.abort(new WireError("UNAVAILABLE", `the target has not answered in ${DROP_MS_MAX} ms`));
      });
      try {
        const target = await targets.at(settings, scope.signal);
        return await target.drop(tableId, journals, scope.signal);
      } catch (thrown) {
        const { code } = WireError.from(thrown);
        const isPassing = code === "UNAVAILABLE" || code === "OUTCOME_UNKNOWN";
        if (signal.aborted || !isPassing || attempt === DROP_ATTEMPTS) throw thrown;
      } finally {
        cancel();
        scope.dispose();
      }
      await clock.sleep(DROP_PAUSE_MS, signal);
    }
  }

  /** One transaction, whatever there is: what a sink has in the storage model lies below a handful of prefixes. */
  async #clearStorage(read: Read, life: PurgedLife, signal: AbortSignal): Promise<void> {
    const { key } = read.tombstone;
    const partitions = await partitionsOf(this.#ports.store, key, signal);
    const journals = partitions.map(({ journal }) => journal);
    const ops = storagePrefixes(key).map((prefix): StoreOp => ({ kind: "delete", ...prefixRange(prefix) }));
    ops.push({ kind: "delete", key: letterStateKey(key) });
    await this.#write(read, { ...life, stage: "bytes", journals }, signal, ops);
  }
}

function pathOf(tombstone: Tombstone): string {
  return tombstone.kind === "sink" ? sinkPath(tombstone.key) : sourcePath(tombstone.key);
}

/** Whether a source's sinks are still being taken. */
async function isPurging(store: CoordinationStore, key: SinkKey, signal: AbortSignal): Promise<boolean> {
  const { projectId, branchId, sourceId } = key;
  const name = nextKey({ projectId, branchId, sourceId });
  const [found] = (await store.range({ key: name }, signal)).kvs;
  const tombstone = found === undefined ? undefined : decodeTombstone(name, found.value);
  return tombstone?.kind === "source" && tombstone.purging !== undefined;
}

async function partitionsOf(
  store: CoordinationStore,
  key: SinkKey,
  signal: AbortSignal,
): Promise<readonly Partition[]> {
  const { kvs } = await store.range(prefixRange(partitionsPrefix(key)), signal);
  return kvs.map((kv) => decodePartition(kv.value, kv.key));
}

/** A sink, also a deleted one, whose rows go into the table. */
async function sinkOn(
  store: CoordinationStore,
  ref: TargetRef,
  signal: AbortSignal,
): Promise<SinkKey | undefined> {
  for (const state of ["active", "deleted"] as const) {
    const all = prefixRange(`${DEFINITION_PREFIX}sink/${state}/`);
    for (let key: Key = all.key; ;) {
      const { kvs, more } = await store.range({ key, end: all.end, limit: PAGE }, signal);
      for (const kv of kvs) {
        const fields = new JsonFields(parseJson(kv.value, kv.key), kv.key);
        const table = fields.object("table");
        if (isSameTarget(placedAt(decodeSettings(table), table.text("tableId")), ref))
          return sinkKeyIn(fields);
      }
      if (!more) break;
      key = `${kvs.at(-1)!.key}\0`;
    }
  }
  return undefined;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
