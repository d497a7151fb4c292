// Purges sources: the source, its versions and its sinks go from the definitions, and tombstones say what is left to
// remove; purges.ts removes it.
//
// Z1 Only a source that is deleted is purged: its doors are shut, and no change of a sink can commit any more.
// Z2 One transaction takes the source away. An undelete that comes before it makes the purge fail, one that comes after
//    it finds nothing.
// Z3 Sinks follow in transactions of some (D26), by whoever owns the source's tombstone: it ends only without any.
import { WireError, type Clock } from "@millrace/base";
import {
  atomically,
  prefixRange,
  type CoordinationStore,
  type KeyValue,
  type StoreOp,
} from "@millrace/metadata";
import {
  NEXT_PREFIX,
  nextKey,
  sinksPrefix,
  sinkVersionsPrefix,
  sourceKey,
  sourceVersionsPrefix,
} from "./definition-keys.ts";
import { sourcePath, type SourceKey } from "./definitions.ts";
import { sinkKeyIn } from "./storage-codec.ts";
import { JsonFields, parseJson } from "./storage-json.ts";
import {
  buried,
  decodeTombstone,
  encodeTombstone,
  isCleared,
  PURGED_LIVES_MAX,
  type SinkTombstone,
  type SourceTombstone,
} from "./tombstone.ts";

/** Three operations and two compares for each. */
const SINKS_PER_TXN = 20;

export type PurgeOutcome =
  /** @property at names the purge */
  | { readonly kind: "purging"; readonly at: string; readonly revision: number }
  /** It is there, and not deleted (Z1, Z2). */
  | { readonly kind: "active" }
  | { readonly kind: "notFound" };

export interface PurgeProgress {
  /** Nothing of the source is in the definitions and the storage model; its tables are gone, or have stayed. */
  readonly isDone: boolean;
  /** Tables that have stayed, each with the reason. */
  readonly kept: readonly string[];
}

export class SourcePurge {
  readonly #store: CoordinationStore;
  readonly #clock: Clock;

  constructor({ store, clock }: { readonly store: CoordinationStore; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Takes a deleted source away. @throws {WireError} what the store says */
  async begin(key: SourceKey, signal: AbortSignal): Promise<PurgeOutcome> {
    const at = new Date(this.#clock.wallMs()).toISOString();
    const next = nextKey(key);
    try {
      const { result, revision } = await atomically(
        { store: this.#store, clock: this.#clock },
        async (reads) => {
          const none = { ops: [] as StoreOp[] };
          if ((await reads.get(sourceKey(key, "active"))) !== undefined)
            return { ...none, result: "active" as const };
          const found = await reads.get(sourceKey(key, "deleted"));
          if (found === undefined) return { ...none, result: "notFound" as const };
          await reads.get(next);
          const incarnation = incarnationIn(found) + 1;
          const tombstone: SourceTombstone = { kind: "source", key, incarnation, purging: at };
          const ops: StoreOp[] = [
            { kind: "delete", key: found.key },
            { kind: "delete", ...prefixRange(sourceVersionsPrefix(key)) },
            { kind: "put", key: next, value: encodeTombstone(tombstone) },
          ];
          return { ops, result: "purging" as const };
        },
        signal,
      );
      return result === "purging" ? { kind: result, at, revision } : { kind: result };
    } catch (thrown) {
      if (WireError.from(thrown).code !== "OUTCOME_UNKNOWN" || signal.aborted) throw thrown;
      const { kvs, header } = await this.#store.range({ key: next }, signal);
      const found = kvs[0] === undefined ? undefined : decodeTombstone(next, kvs[0].value);
      if (found?.kind !== "source" || found.purging !== at) throw thrown;
      return { kind: "purging", at, revision: header.revision };
    }
  }

  /** How far the purge `at` of a source is. @throws {WireError} what the store says */
  async progress(key: SourceKey, at: string, signal: AbortSignal): Promise<PurgeProgress> {
    const success: StoreOp[] = [
      { kind: "range", key: nextKey(key) },
      { kind: "range", ...prefixRange(`${NEXT_PREFIX}${sourcePath(key)}/`) },
    ];
    const { results } = await this.#store.txn({ compare: [], success }, signal);
    const [own, sinks] = results.map((result) => (result.kind === "range" ? result.kvs : []));
    const tombstones = [...(own ?? []), ...(sinks ?? [])].map((kv) => decodeTombstone(kv.key, kv.value));
    const isTaken = tombstones.every((each) => each.kind === "sink" || each.purging !== at);
    const lives = tombstones.flatMap((each) => (each.kind === "sink" ? each.lives : []));
    const ours = lives.filter((life) => life.at === at);
    return {
      isDone: isTaken && ours.every(isCleared),
      kept: ours.flatMap(({ kept }) => kept ?? []),
    };
  }
}

/**
 * Z3: takes some sinks of a purged source. @returns whether that were all, and the tombstone says so
 * @throws {WireError} UNAVAILABLE while too many lives of a sink are under way; what the store says
 */
export async function takeSinks(
  store: CoordinationStore,
  { key }: SourceTombstone,
  signal: AbortSignal,
): Promise<boolean> {
  const next = nextKey(key);
  const success: StoreOp[] = [
    { kind: "range", key: next },
    { kind: "range", ...prefixRange(sinksPrefix(key, "active")), limit: SINKS_PER_TXN },
    { kind: "range", ...prefixRange(sinksPrefix(key, "deleted")), limit: SINKS_PER_TXN },
  ];
  const { results } = await store.txn({ compare: [], success }, signal);
  const [own, active, deleted] = results.map((result) => (result.kind === "range" ? result.kvs : []));
  const stored = own?.[0];
  const tombstone = stored === undefined ? undefined : decodeTombstone(next, stored.value);
  if (stored === undefined || tombstone?.kind !== "source" || tombstone.purging === undefined) return true;
  const guard = { target: "mod", key: next, op: "=", revision: stored.modRevision } as const;
  const sinks = [...(active ?? []), ...(deleted ?? [])].slice(0, SINKS_PER_TXN);
  if (sinks.length === 0) {
    const { purging: _purging, ...over } = tombstone;
    const ops: StoreOp[] = [{ kind: "put", key: next, value: encodeTombstone(over) }];
    return (await store.txn({ compare: [guard], success: ops }, signal)).succeeded;
  }
  const changes = await Promise.all(sinks.map((sink) => burial(store, sink, tombstone.purging!, signal)));
  const compare = [guard, ...changes.flatMap((change) => change.compare)];
  await store.txn({ compare, success: changes.flatMap(({ ops }) => ops) }, signal);
  return false;
}

async function burial(store: CoordinationStore, stored: KeyValue, at: string, signal: AbortSignal) {
  const fields = new JsonFields(parseJson(stored.value, stored.key), stored.key);
  const key = sinkKeyIn(fields);
  const name = nextKey(key);
  const { kvs } = await store.range({ key: name }, signal);
  const before = kvs[0] === undefined ? undefined : (decodeTombstone(name, kvs[0].value) as SinkTombstone);
  const table = tableIn(stored);
  const after = buried(before, { key, incarnation: incarnationIn(stored), table }, at);
  if (after === undefined) {
    const message = `${PURGED_LIVES_MAX} earlier purges of sink ${key.sinkId} are still under way`;
    throw new WireError("UNAVAILABLE", message);
  }
  const unchanged = (name: string, revision: number) =>
    ({ target: "mod", key: name, op: "=", revision }) as const;
  return {
    compare: [unchanged(stored.key, stored.modRevision), unchanged(name, kvs[0]?.modRevision ?? 0)],
    ops: [
      { kind: "delete", key: stored.key },
      { kind: "delete", ...prefixRange(sinkVersionsPrefix(key)) },
      { kind: "put", key: name, value: encodeTombstone(after) },
    ] satisfies StoreOp[],
  };
}

/** Where its rows went, as it is stored. */
function tableIn({ key, value }: KeyValue): object {
  const { table } = parseJson(value, key) as { table: { mapping: unknown } };
  const { mapping: _mapping, ...settings } = table;
  return settings;
}

function incarnationIn({ key, value }: KeyValue): number {
  const fields = new JsonFields(parseJson(value, key), key);
  return fields.has("incarnation") ? fields.integer("incarnation", 1) : 0;
}
