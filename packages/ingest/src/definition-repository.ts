// Sources and sinks in the coordination store: every change is one guarded transaction that writes the entity and its
// version record, from the first version on. What a change makes of an entity, definition-changes.ts says.
//
// R1 A change whose outcome is unknown is looked up: what stands there tells whether it is ours, by when it was made
//    and by its content.
// R2 Keys of deleted entities are read with every change, so that an ID that was deleted is never taken for a new one,
//    and so is what a purge has left: an ID whose past was purged begins another life.
// R3 A transaction has a handful of operations, however many sinks a source has (D26).
import { WireError, type Clock, type Random } from "@millrace/base";
import {
  atomically,
  prefixRange,
  type AtomicReads,
  type CoordinationStore,
  type Key,
  type StoreOp,
  keyOf,
} from "@millrace/metadata";
import {
  createdSink,
  createdSource,
  planSink,
  planSource,
  onlySignals,
  type ChangePlan,
  type SinkCommand,
  type SourceCommand,
  type Standing,
} from "./definition-changes.ts";
import { decodeSink, decodeSource, encodeDefinition, encodeSink, encodeSource } from "./definition-codec.ts";
import {
  branchKey,
  nextKey,
  sinkKey,
  sinksPrefix,
  sinkVersionKey,
  sinkVersionsPrefix,
  sourceKey,
  sourcesPrefix,
  sourceVersionKey,
  sourceVersionsPrefix,
  versionText,
  type EntityState,
} from "./definition-keys.ts";
import { checkSettings } from "./definition-settings.ts";
import type {
  By,
  Change,
  Column,
  Life,
  SettingValues,
  Signal,
  SinkDefinition,
  SinkKey,
  SourceDefinition,
  SourceKey,
  SourceType,
} from "./definitions.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { SecretBox } from "./secret-box.ts";
import type { WebhookSignature } from "./webhook-signature.ts";
import type { TargetSettings } from "./target-settings.ts";
import { decodeTombstone, isOver } from "./tombstone.ts";

export interface NewSource extends SourceKey {
  readonly signature?: WebhookSignature;
  /** Default `http`. */
  readonly type?: SourceType;
  readonly name: string;
  readonly description: string;
}

export interface NewSink extends SinkKey {
  readonly name: string;
  readonly description: string;
  /** Default the warehouse. */
  readonly target?: TargetSettings;
  readonly tableId: string;
  readonly columns: readonly Column[];
  /** Of an OTLP source. Default, and with none: all. */
  readonly allowedSignals?: readonly Signal[];
  readonly settings: SettingValues;
}

export type CreateOutcome<T> =
  | { readonly kind: "created"; readonly entity: T; readonly revision: number }
  | { readonly kind: "exists" }
  | { readonly kind: "limit"; readonly max: number }
  /** What was purged under its ID is not gone yet. */
  | { readonly kind: "purging" }
  | { readonly kind: "noSource" };

export type ChangeOutcome<T> =
  /** The same as before: nothing was written. */
  | { readonly kind: "changed" | "unchanged"; readonly entity: T; readonly revision: number }
  | { readonly kind: "notFound" }
  | { readonly kind: "deletedNotFound" }
  | { readonly kind: "noVersion" }
  | { readonly kind: "exists" }
  | { readonly kind: "purging" }
  | { readonly kind: "noSource" }
  | { readonly kind: "limit"; readonly max: number }
  | { readonly kind: "versionLimit"; readonly max: number };

export interface Page<T> {
  readonly items: readonly T[];
  readonly totalCount: number;
}

export interface PageRequest {
  /** Exclusive; empty: from the start. Of versions a number, `2` or `0000000002`. */
  readonly afterId: string;
  readonly limit: number;
}

type Entity = SourceDefinition | SinkDefinition;
type Decode<T> = (bytes: Uint8Array, key: string) => T;

/** Where the records of one source or sink stand, and how they are read and written. */
interface Place<T extends Entity> {
  readonly active: Key;
  readonly deleted: Key;
  readonly version: (number: number) => Key;
  readonly next: Key;
  /** Of those that it counts among. */
  readonly siblings: Key;
  readonly siblingsMax: number;
  readonly decode: Decode<T>;
  readonly encode: (entity: T) => Uint8Array;
}

/** What a transaction is to write. */
type Plan<T> =
  | { readonly kind: "write"; readonly entity: T; readonly ops: readonly StoreOp[] }
  | { readonly kind: "unchanged"; readonly entity: T }
  | Exclude<ChangeOutcome<never>, { readonly entity: never }>;

const SECRET_LENGTH = 48;
const SECRET_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

export class DefinitionRepository {
  readonly #store: CoordinationStore;
  readonly #secrets: SecretBox;
  readonly #clock: Clock;
  readonly #random: Random;

  readonly #partitions: number;

  /** @param partitions of each sink that is made */
  constructor(
    ports: { store: CoordinationStore; secrets: SecretBox; clock: Clock; random: Random },
    partitions = 1,
  ) {
    this.#partitions = partitions;
    this.#store = ports.store;
    this.#secrets = ports.secrets;
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  source(
    key: SourceKey,
    signal: AbortSignal,
    state: EntityState = "active",
  ): Promise<SourceDefinition | undefined> {
    return this.#get(sourceKey(key, state), this.#decodeSource, signal);
  }

  sink(
    key: SinkKey,
    signal: AbortSignal,
    state: EntityState = "active",
  ): Promise<SinkDefinition | undefined> {
    return this.#get(sinkKey(key, state), this.#decodeSink, signal);
  }

  /** What a source was in a version that there is a record of. */
  sourceVersion(key: SourceKey, number: number, signal: AbortSignal): Promise<SourceDefinition | undefined> {
    return this.#get(sourceVersionKey(key, number), this.#decodeSource, signal);
  }

  sinkVersion(key: SinkKey, number: number, signal: AbortSignal): Promise<SinkDefinition | undefined> {
    return this.#get(sinkVersionKey(key, number), this.#decodeSink, signal);
  }

  sources(
    branch: Pick<SourceKey, "projectId" | "branchId">,
    page: PageRequest,
    signal: AbortSignal,
    state: EntityState = "active",
  ): Promise<Page<SourceDefinition>> {
    return this.#page(sourcesPrefix(branch, state), page, this.#decodeSource, signal);
  }

  sinks(
    source: SourceKey,
    page: PageRequest,
    signal: AbortSignal,
    state: EntityState = "active",
  ): Promise<Page<SinkDefinition>> {
    return this.#page(sinksPrefix(source, state), page, this.#decodeSink, signal);
  }

  /** Ascending by number. */
  sourceVersions(key: SourceKey, page: PageRequest, signal: AbortSignal): Promise<Page<SourceDefinition>> {
    return this.#page(sourceVersionsPrefix(key), versionPage(page), this.#decodeSource, signal);
  }

  sinkVersions(key: SinkKey, page: PageRequest, signal: AbortSignal): Promise<Page<SinkDefinition>> {
    return this.#page(sinkVersionsPrefix(key), versionPage(page), this.#decodeSink, signal);
  }

  /** One with a deleted ID comes back with this content, its versions go on. @throws {WireError} what the store says */
  async createSource(
    input: NewSource,
    by: By,
    signal: AbortSignal,
  ): Promise<CreateOutcome<SourceDefinition>> {
    const change = this.#change(by);
    const { projectId, branchId, sourceId, type = "http", name, description } = input;
    const key = { projectId, branchId, sourceId };
    const signature = input.signature === undefined ? {} : { signature: input.signature };
    const fields = { ...key, type, name, description, secret: this.#secret(), ...signature };
    const place = this.#sourcePlace(key);
    const plan = async (reads: AtomicReads): Promise<Plan<SourceDefinition>> => {
      const make = (deleted: SourceDefinition | undefined, life: Life): SourceDefinition =>
        createdSource(deleted, fields, { change, life });
      const created = await this.#create(reads, place, make);
      if (created.kind !== "write") return created;
      return { ...created, ops: [...created.ops, ...(await this.#branch(reads, key, change))] };
    };
    return createOutcome(await this.#commit(place, plan, signal));
  }

  /** The same for a sink. @throws {WireError} INVALID_ARGUMENT about the settings; what the store says */
  async createSink(input: NewSink, by: By, signal: AbortSignal): Promise<CreateOutcome<SinkDefinition>> {
    checkSettings(input.settings, "sink");
    const change = this.#change(by);
    const { projectId, branchId, sourceId, sinkId, name, description, tableId, columns, settings } = input;
    const { target = { type: "duckdb" } } = input;
    const key = { projectId, branchId, sourceId, sinkId };
    const fields = {
      ...key,
      type: "table",
      name,
      description,
      table: { ...target, tableId, mapping: { columns } },
      ...onlySignals(input.allowedSignals ?? []),
      ...(Object.keys(settings).length === 0 ? {} : { settings }),
      partitions: this.#partitions,
      keyedPartitions: this.#partitions,
    } as const;
    const place = this.#sinkPlace(key);
    const plan = async (reads: AtomicReads): Promise<Plan<SinkDefinition>> => {
      if ((await reads.get(sourceKey(key, "active"))) === undefined) return { kind: "noSource" };
      const make = (deleted: SinkDefinition | undefined, life: Life): SinkDefinition =>
        createdSink(deleted, fields, { change, life });
      return this.#create(reads, place, make);
    };
    return createOutcome(await this.#commit(place, plan, signal));
  }

  /** @throws {WireError} INVALID_ARGUMENT about settings; what the store says */
  changeSource(
    key: SourceKey,
    command: SourceCommand,
    by: By,
    signal: AbortSignal,
  ): Promise<ChangeOutcome<SourceDefinition>> {
    const place = this.#sourcePlace(key);
    const change = this.#change(by);
    const secret = { secret: this.#secret() };
    const plan = async (reads: AtomicReads): Promise<Plan<SourceDefinition>> => {
      const standing = await standingOf(reads, place);
      const version = await versionOf(reads, place, command);
      return this.#planned(reads, place, planSource(standing, command, { change, ...secret, ...version }));
    };
    return this.#commit(place, plan, signal);
  }

  /** A sink of a source that is deleted is not to be found. @throws as changeSource */
  changeSink(
    key: SinkKey,
    command: SinkCommand,
    by: By,
    signal: AbortSignal,
  ): Promise<ChangeOutcome<SinkDefinition>> {
    const place = this.#sinkPlace(key);
    const change = this.#change(by);
    const plan = async (reads: AtomicReads): Promise<Plan<SinkDefinition>> => {
      if ((await reads.get(sourceKey(key, "active"))) === undefined) return { kind: "noSource" };
      const standing = await standingOf(reads, place);
      const version = await versionOf(reads, place, command);
      return this.#planned(reads, place, planSink(standing, command, { change, ...version }));
    };
    return this.#commit(place, plan, signal);
  }

  /** @param make the entity, from what was deleted under its ID, or in the life that its ID begins */
  async #create<T extends Entity>(
    reads: AtomicReads,
    place: Place<T>,
    make: (deleted: T | undefined, life: Life) => T,
  ): Promise<Plan<T>> {
    const standing = await standingOf(reads, place); // R2
    if (standing.kind === "active") return { kind: "exists" };
    const left = await reads.get(place.next);
    const tombstone = left === undefined ? undefined : decodeTombstone(place.next, left.value);
    if (tombstone !== undefined && !isOver(tombstone)) return { kind: "purging" };
    const life = tombstone === undefined ? {} : { incarnation: tombstone.incarnation };
    const entity = make(standing.kind === "deleted" ? standing.entity : undefined, life);
    return this.#planned(reads, place, { kind: "write", entity, to: "active", isVersion: true });
  }

  async #planned<T extends Entity>(
    reads: AtomicReads,
    place: Place<T>,
    planned: ChangePlan<T>,
  ): Promise<Plan<T>> {
    if (planned.kind !== "write") return planned;
    const { entity, to, isVersion } = planned;
    const { siblingsMax: max } = place;
    const from = to === "active" ? "deleted" : "active";
    const comes = to === "active" && (await reads.get(place.active)) === undefined;
    if (comes && (await reads.peekPrefix(place.siblings)).length >= max) return { kind: "limit", max };
    const value = place.encode(entity);
    const ops: StoreOp[] = [{ kind: "put", key: place[to], value }];
    if ((await reads.get(place[from])) !== undefined) ops.push({ kind: "delete", key: place[from] });
    if (isVersion) ops.push({ kind: "put", key: place.version(entity.version.number), value });
    return { kind: "write", entity, ops };
  }

  async #commit<T extends Entity>(
    place: Place<T>,
    plan: (reads: AtomicReads) => Promise<Plan<T>>,
    signal: AbortSignal,
  ): Promise<ChangeOutcome<T>> {
    const options = { store: this.#store, clock: this.#clock };
    let tried: T | undefined;
    try {
      const { result, revision } = await atomically(
        options,
        async (reads) => {
          const planned = await plan(reads);
          tried = planned.kind === "write" ? planned.entity : undefined;
          return { ops: planned.kind === "write" ? planned.ops : [], result: planned };
        },
        signal,
      );
      if (result.kind === "write") return { kind: "changed", entity: result.entity, revision };
      return result.kind === "unchanged" ? { ...result, revision } : result;
    } catch (thrown) {
      const error = WireError.from(thrown);
      if (error.code !== "OUTCOME_UNKNOWN" || signal.aborted || tried === undefined) throw thrown;
      const key = tried.deleted === undefined ? place.active : place.deleted;
      const { kvs, header } = await this.#store.range({ key }, signal);
      const found = kvs[0] === undefined ? undefined : place.decode(kvs[0].value, key);
      if (found === undefined || !isSame(found, tried)) throw thrown; // R1
      return { kind: "changed", entity: found, revision: header.revision };
    }
  }

  #sourcePlace(key: SourceKey): Place<SourceDefinition> {
    return {
      active: sourceKey(key, "active"),
      deleted: sourceKey(key, "deleted"),
      version: (number) => sourceVersionKey(key, number),
      next: nextKey(key),
      siblings: sourcesPrefix(key, "active"),
      siblingsMax: DEFINITION_LIMITS.sourcesPerBranchMax,
      decode: this.#decodeSource,
      encode: (source) => encodeSource(source, this.#secrets),
    };
  }

  #sinkPlace(key: SinkKey): Place<SinkDefinition> {
    return {
      active: sinkKey(key, "active"),
      deleted: sinkKey(key, "deleted"),
      version: (number) => sinkVersionKey(key, number),
      next: nextKey(key),
      siblings: sinksPrefix(key, "active"),
      siblingsMax: DEFINITION_LIMITS.sinksPerSourceMax,
      decode: this.#decodeSink,
      encode: (sink) => encodeSink(sink, this.#secrets),
    };
  }

  readonly #decodeSink: Decode<SinkDefinition> = (bytes, key) => decodeSink(bytes, key, this.#secrets);

  readonly #decodeSource: Decode<SourceDefinition> = (bytes, key) => decodeSource(bytes, key, this.#secrets);

  /** The branch's own record, at its first source. */
  async #branch(reads: AtomicReads, source: SourceKey, created: Change): Promise<readonly StoreOp[]> {
    const key = branchKey(source);
    if ((await reads.get(key)) !== undefined) return [];
    const { projectId, branchId } = source;
    const value = encodeDefinition({ projectId, branchId, isDefault: true, created });
    return [{ kind: "put", key, value }];
  }

  async #get<T>(key: Key, decode: Decode<T>, signal: AbortSignal): Promise<T | undefined> {
    const { kvs } = await this.#store.range({ key }, signal);
    return kvs[0] === undefined ? undefined : decode(kvs[0].value, key);
  }

  async #page<T>(
    prefix: string,
    page: PageRequest,
    decode: Decode<T>,
    signal: AbortSignal,
  ): Promise<Page<T>> {
    const all = prefixRange(prefix);
    const counted = await this.#store.range({ ...all, countOnly: true }, signal);
    const key = page.afterId === "" ? all.key : `${prefix}${keyOf(page.afterId)}\0`;
    const revision = counted.header.revision;
    const { kvs } = await this.#store.range({ key, end: all.end, limit: page.limit, revision }, signal);
    return { items: kvs.map((kv) => decode(kv.value, kv.key)), totalCount: counted.count };
  }

  #change(by: By): Change {
    return { at: new Date(this.#clock.wallMs()).toISOString(), by };
  }

  #secret(): string {
    let secret = "";
    for (let i = 0; i < SECRET_LENGTH; i++)
      secret += SECRET_LETTERS[this.#random.below(SECRET_LETTERS.length)];
    return secret;
  }
}

async function standingOf<T extends Entity>(reads: AtomicReads, place: Place<T>): Promise<Standing<T>> {
  for (const kind of ["active", "deleted"] as const) {
    const found = await reads.get(place[kind]);
    if (found !== undefined) return { kind, entity: place.decode(found.value, place[kind]) };
  }
  return { kind: "absent" };
}

/** The version that a rollback names, when it is there. */
async function versionOf<T extends Entity>(
  reads: AtomicReads,
  place: Place<T>,
  command: SourceCommand | SinkCommand,
): Promise<{ readonly version?: T }> {
  if (command.kind !== "rollback") return {};
  const key = place.version(command.version);
  const found = await reads.get(key);
  return found === undefined ? {} : { version: place.decode(found.value, key) };
}

/** Whether what stands there is what was to be written: made at the same time, with the same content. */
function isSame(found: Entity, tried: Entity): boolean {
  const secrets = [found, tried].map((entity) =>
    "secret" in entity ? `${entity.secret} ${entity.signature?.secret}` : "",
  );
  const isSameVersion =
    found.version.number === tried.version.number &&
    found.version.hash === tried.version.hash &&
    found.version.at === tried.version.at;
  return isSameVersion && secrets[0] === secrets[1] && found.deleted?.at === tried.deleted?.at;
}

function createOutcome<T>(outcome: ChangeOutcome<T>): CreateOutcome<T> {
  switch (outcome.kind) {
    case "changed":
      return { kind: "created", entity: outcome.entity, revision: outcome.revision };
    case "exists":
    case "limit":
    case "purging":
    case "noSource":
      return outcome;
    case "unchanged":
    case "notFound":
    case "deletedNotFound":
    case "noVersion":
    case "versionLimit":
      throw new WireError("INTERNAL", `a create was answered by ${outcome.kind}`);
  }
}

function versionPage({ afterId, limit }: PageRequest): PageRequest {
  return { afterId: afterId === "" ? "" : versionText(Number(afterId)), limit };
}
