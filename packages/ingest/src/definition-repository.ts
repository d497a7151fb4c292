// Sources and sinks in the coordination store: every change is one guarded transaction that writes the entity and its
// version record, from the first version on.
//
// R1 A create whose outcome is unknown is looked up: what stands there tells by its secret or its time whether it is
//    ours.
// R2 Keys of deleted entities are read with every create, so that an ID that was deleted is never taken for a new one,
//    and so is what a purge has left: an ID whose past was purged begins another life.
import { WireError, type Clock, type Random } from "@millrace/base";
import {
  atomically,
  prefixRange,
  type AtomicReads,
  type CoordinationStore,
  type StoreOp,
  keyOf,
} from "@millrace/metadata";
import {
  decodeLife,
  decodeSink,
  decodeSource,
  encodeDefinition,
  encodeSource,
  withVersion,
} from "./definition-codec.ts";
import {
  branchKey,
  nextKey,
  sinkKey,
  sinksPrefix,
  sinkVersionKey,
  sourceKey,
  sourcesPrefix,
  sourceVersionKey,
} from "./definition-keys.ts";
import { sinkSettings } from "./definition-settings.ts";
import type {
  By,
  Change,
  Column,
  Life,
  SettingValues,
  SinkDefinition,
  SinkKey,
  SourceDefinition,
  SourceKey,
} from "./definitions.ts";
import { DEFINITION_LIMITS } from "./limits.ts";
import type { SecretBox } from "./secret-box.ts";

export interface NewSource extends SourceKey {
  readonly name: string;
  readonly description: string;
}

export interface NewSink extends SinkKey {
  readonly name: string;
  readonly description: string;
  readonly tableId: string;
  readonly columns: readonly Column[];
  readonly settings: SettingValues;
}

export type CreateOutcome<T> =
  | { readonly kind: "created"; readonly entity: T; readonly revision: number }
  | { readonly kind: "exists" }
  /** The ID was deleted; its versions go on when it is undeleted. */
  | { readonly kind: "deleted" }
  | { readonly kind: "limit"; readonly max: number }
  | { readonly kind: "noSource" };

export interface Page<T> {
  readonly items: readonly T[];
  readonly totalCount: number;
}

export interface PageRequest {
  /** Exclusive; empty: from the start. */
  readonly afterId: string;
  readonly limit: number;
}

const SECRET_LENGTH = 48;
const SECRET_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

export class DefinitionRepository {
  readonly #store: CoordinationStore;
  readonly #secrets: SecretBox;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(ports: { store: CoordinationStore; secrets: SecretBox; clock: Clock; random: Random }) {
    this.#store = ports.store;
    this.#secrets = ports.secrets;
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  async source(key: SourceKey, signal: AbortSignal): Promise<SourceDefinition | undefined> {
    const name = sourceKey(key, "active");
    const { kvs } = await this.#store.range({ key: name }, signal);
    return kvs[0] === undefined ? undefined : decodeSource(kvs[0].value, name, this.#secrets);
  }

  async sink(key: SinkKey, signal: AbortSignal): Promise<SinkDefinition | undefined> {
    const name = sinkKey(key, "active");
    const { kvs } = await this.#store.range({ key: name }, signal);
    return kvs[0] === undefined ? undefined : decodeSink(kvs[0].value, name);
  }

  sources(
    branch: Pick<SourceKey, "projectId" | "branchId">,
    page: PageRequest,
    signal: AbortSignal,
  ): Promise<Page<SourceDefinition>> {
    const decode = (bytes: Uint8Array, key: string): SourceDefinition =>
      decodeSource(bytes, key, this.#secrets);
    return this.#page(sourcesPrefix(branch, "active"), page, decode, signal);
  }

  sinks(source: SourceKey, page: PageRequest, signal: AbortSignal): Promise<Page<SinkDefinition>> {
    return this.#page(sinksPrefix(source, "active"), page, decodeSink, signal);
  }

  /** @throws {WireError} what the store says */
  createSource(input: NewSource, by: By, signal: AbortSignal): Promise<CreateOutcome<SourceDefinition>> {
    const secret = this.#secret();
    const change = this.#change(by);
    const { projectId, branchId, sourceId, name, description } = input;
    const source = withVersion<SourceDefinition>(
      { projectId, branchId, sourceId, type: "http", name, description, secret, created: change },
      { number: 1, description: "New source.", ...change },
    );
    const plan = async (reads: AtomicReads): Promise<Plan<SourceDefinition>> => {
      const active = await reads.get(sourceKey(source, "active"));
      if (active !== undefined) return { kind: "exists" };
      if ((await reads.get(sourceKey(source, "deleted"))) !== undefined) return { kind: "deleted" }; // R2
      const others = await reads.peekPrefix(sourcesPrefix(source, "active"));
      const max = DEFINITION_LIMITS.sourcesPerBranchMax;
      if (others.length >= max) return { kind: "limit", max };
      const entity = { ...source, ...(await lifeOf(reads, source)) };
      const ops = [
        put(sourceKey(source, "active"), encodeSource(entity, this.#secrets)),
        put(sourceVersionKey(source, 1), encodeSource(entity, this.#secrets)),
        ...(await this.#branch(reads, source, change)),
      ];
      return { kind: "write", entity, ops };
    };
    const ours = async (): Promise<SourceDefinition | undefined> => {
      const found = await this.source(source, signal);
      return found?.secret === secret ? found : undefined; // R1
    };
    return this.#create(plan, ours, signal);
  }

  /** @throws {WireError} INVALID_ARGUMENT about the settings; what the store says */
  createSink(input: NewSink, by: By, signal: AbortSignal): Promise<CreateOutcome<SinkDefinition>> {
    sinkSettings(input.settings);
    const change = this.#change(by);
    const { projectId, branchId, sourceId, sinkId, name, description, tableId, columns, settings } = input;
    const sink = withVersion<SinkDefinition>(
      {
        projectId,
        branchId,
        sourceId,
        sinkId,
        type: "table",
        name,
        description,
        table: { type: "duckdb", tableId, mapping: { columns } },
        ...(Object.keys(settings).length === 0 ? {} : { settings }),
        partitions: 1,
        keyedPartitions: 1,
        created: change,
      },
      { number: 1, description: "New sink.", ...change },
    );
    const plan = async (reads: AtomicReads): Promise<Plan<SinkDefinition>> => {
      const source = await reads.get(sourceKey(sink, "active"));
      if (source === undefined) return { kind: "noSource" };
      const active = await reads.get(sinkKey(sink, "active"));
      if (active !== undefined) return { kind: "exists" };
      if ((await reads.get(sinkKey(sink, "deleted"))) !== undefined) return { kind: "deleted" }; // R2
      const others = await reads.peekPrefix(sinksPrefix(sink, "active"));
      const max = DEFINITION_LIMITS.sinksPerSourceMax;
      if (others.length >= max) return { kind: "limit", max };
      const entity = { ...sink, ...(await lifeOf(reads, sink)) };
      const value = encodeDefinition(entity);
      const ops = [put(sinkKey(sink, "active"), value), put(sinkVersionKey(sink, 1), value)];
      return { kind: "write", entity, ops };
    };
    const ours = async (): Promise<SinkDefinition | undefined> => {
      const found = await this.sink(sink, signal);
      const isOurs = found?.version.hash === sink.version.hash && found.created.at === sink.created.at; // R1
      return isOurs ? found : undefined;
    };
    return this.#create(plan, ours, signal);
  }

  async #create<T extends SourceDefinition | SinkDefinition>(
    plan: (reads: AtomicReads) => Promise<Plan<T>>,
    ours: () => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<CreateOutcome<T>> {
    const options = { store: this.#store, clock: this.#clock };
    try {
      const { result, revision } = await atomically(
        options,
        async (reads) => {
          const planned = await plan(reads);
          return { ops: planned.kind === "write" ? planned.ops : [], result: planned };
        },
        signal,
      );
      return result.kind === "write" ? { kind: "created", entity: result.entity, revision } : result;
    } catch (thrown) {
      const error = WireError.from(thrown);
      if (error.code !== "OUTCOME_UNKNOWN" || signal.aborted) throw thrown;
      const entity = await ours();
      if (entity === undefined) throw thrown;
      const { header } = await this.#store.range({ key: branchKey(entity), limit: 1 }, signal);
      return { kind: "created", entity, revision: header.revision };
    }
  }

  /** The branch's own record, at its first source. */
  async #branch(reads: AtomicReads, source: SourceDefinition, created: Change): Promise<readonly StoreOp[]> {
    const key = branchKey(source);
    if ((await reads.get(key)) !== undefined) return [];
    const { projectId, branchId } = source;
    return [put(key, encodeDefinition({ projectId, branchId, isDefault: true, created }))];
  }

  async #page<T>(
    prefix: string,
    page: PageRequest,
    decode: (bytes: Uint8Array, key: string) => T,
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

type Plan<T> =
  | { readonly kind: "write"; readonly entity: T; readonly ops: readonly StoreOp[] }
  | Exclude<CreateOutcome<never>, { readonly kind: "created" }>;

/** The life that an ID is to begin: the first, or the one after the last purge. */
async function lifeOf(reads: AtomicReads, key: SourceKey | SinkKey): Promise<Life> {
  const name = nextKey(key);
  return decodeLife((await reads.get(name))?.value, name);
}

function put(key: string, value: Uint8Array): StoreOp {
  return { kind: "put", key, value };
}
