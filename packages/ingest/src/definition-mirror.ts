// The newest version of every definition in memory, kept current by a watch: what the doors and the back of the
// pipeline look at, so that no record costs a request to the coordination store. Older versions are read when rows of
// them are on their way (version-columns.ts).
//
// M1 What is sealed with a key that is not here is not passed over: the rest of the definition is in force, a source's
//    door refuses for the while (`whyClosed`), a sink's login is refused, and what the doors show stays below it. When
//    the key is here, it is opened. Only at the start it is an error.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { Keyspace, type CoordinationStore, type KeyspaceChange, type MirrorSize } from "@millrace/metadata";
import { decodeSink, decodeSource } from "./definition-codec.ts";
import { effectiveSink } from "./definition-effective.ts";
import {
  DEFINITION_PREFIX,
  definitionKindOf,
  sinkKey,
  sinksPrefix,
  sourceKey,
  type EntityState,
} from "./definition-keys.ts";
import {
  sinkPath,
  sourcePath,
  type Column,
  type EffectiveSink,
  type SinkDefinition,
  type SinkKey,
  type MirroredSource,
  type SourceDefinition,
  type SourceKey,
} from "./definitions.ts";
import type { SeenDefinitions } from "./door-sync.ts";
import { CannotOpen, unopenedSecrets, type SecretBox } from "./secret-box.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import { FormerTargets } from "./former-targets.ts";
import { isSameTarget, targetOf, type TargetRef } from "./target-ref.ts";
import { settingsOf, type TargetSettings } from "./target-settings.ts";
import { VersionColumns } from "./version-columns.ts";

type DefinitionValue =
  | { readonly kind: "source"; readonly source: MirroredSource }
  /** `whyClosed`: its password is not known here (M1). */
  | { readonly kind: "sink"; readonly sink: SinkDefinition; readonly whyClosed?: string }
  | { readonly kind: "other" };

/** What is mirrored: not the versions. */
const PARTS = ["sink/active/", "sink/deleted/", "source/active/", "source/deleted/"] as const;

const ACTIVE_SOURCES = `${DEFINITION_PREFIX}source/active/` as const;

export class DefinitionMirror implements SinkCatalog {
  readonly #columns: VersionColumns;
  readonly #logins: FormerTargets;
  readonly #secrets: SecretBox;
  /** The first secret whose key is not here. */
  #sealed: CannotOpen | undefined;
  /** Active sources that are closed (M1), with the revisions since which they are. */
  readonly #closedSources = new Map<string, number>();
  readonly #keyspace: Keyspace<DefinitionValue>;
  /** What is in force for a sink, with the source that it was made with. */
  readonly #effective = new WeakMap<
    SinkDefinition,
    { source: SourceDefinition | undefined; sink: EffectiveSink }
  >();
  readonly #sinkListeners = new Set<(path: string) => void>();
  readonly #sourceListeners = new Set<(path: string) => void>();

  constructor(ports: { store: CoordinationStore; secrets: SecretBox; clock: Clock; logger: Logger }) {
    this.#columns = new VersionColumns(ports.store);
    this.#logins = new FormerTargets(ports);
    this.#secrets = ports.secrets;
    const decode = (key: string, bytes: Uint8Array): DefinitionValue => {
      try {
        return decodeValue(key, bytes, ports.secrets);
      } catch (thrown) {
        if (thrown instanceof CannotOpen) this.#sealed ??= thrown;
        throw thrown;
      }
    };
    this.#keyspace = new Keyspace({
      ...ports,
      prefix: DEFINITION_PREFIX,
      parts: PARTS.map((part) => DEFINITION_PREFIX + part),
      decode,
      instead: (key, _known, { value, error }) => closedValue(key, value, error),
    });
    this.#keyspace.observe((changes) => this.#onChanges(changes));
  }

  /** @throws {CannotOpen} when a key is missing: its sources would not be found @throws {WireError} of the store */
  async load(signal: AbortSignal): Promise<void> {
    await this.#keyspace.load(0, signal);
    if (this.#sealed !== undefined) throw this.#sealed;
  }

  /** Follows the store, and the keys of secrets (M1), until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const end = this.#secrets.observe(() => this.#keyspace.decodeAgain());
    try {
      await this.#keyspace.run(signal);
    } finally {
      end();
    }
  }

  /** Resolves once everything up to `revision` of the store is seen, and its observers have been told. */
  waitForRevision(revision: number, signal: AbortSignal): Promise<void> {
    return this.#keyspace.waitForRevision(revision, signal);
  }

  get size(): MirrorSize {
    return { keys: this.#keyspace.size, bytes: this.#keyspace.bytes };
  }

  get revision(): number {
    return this.#keyspace.revision;
  }

  /** What a door may show: nothing from the first change on that it cannot serve (M1). */
  get seen(): SeenDefinitions {
    const revision = (): number =>
      Math.min(this.revision, ...[...this.#closedSources.values()].map((at) => at - 1));
    return {
      get revision() {
        return revision();
      },
      observeRevision: (listener) => this.#keyspace.observe(listener),
    };
  }

  /** Definitions whose secret is sealed with a key that is not here, or that cannot be read at all. */
  get undecodable(): number {
    return this.#keyspace.undecodable;
  }

  /** Active sources, all branches, ordered by key. */
  sources(): readonly MirroredSource[] {
    const entries = this.#keyspace.scan(ACTIVE_SOURCES);
    return entries.flatMap(({ value }) => (value.kind === "source" ? [value.source] : []));
  }

  source(key: SourceKey): MirroredSource | undefined {
    return this.#sourceAt(key, "active");
  }

  /** Active sinks of a source, ordered by ID, also disabled ones. */
  sinks(source: SourceKey): readonly EffectiveSink[] {
    return this.#sinksOf(source, "active").map((sink) => this.#inForce(sink));
  }

  sink(key: SinkKey): EffectiveSink | undefined {
    const sink = this.#sinkAt(key, "active") ?? this.#sinkAt(key, "deleted");
    return sink === undefined ? undefined : this.#inForce(sink);
  }

  /** @throws {WireError} NOT_FOUND; UNAVAILABLE while the login cannot be opened (M1); of the store */
  async settings(key: SinkKey, target: TargetRef, signal: AbortSignal): Promise<TargetSettings> {
    const found = this.#sinkValueAt(key, "active") ?? this.#sinkValueAt(key, "deleted");
    if (found === undefined) throw new WireError("NOT_FOUND", `sink ${sinkPath(key)} not found`);
    const { sink, whyClosed } = found;
    if (!isSameTarget(targetOf(sink), target)) return this.#logins.of(sink, target, signal);
    if (whyClosed !== undefined) throw new WireError("UNAVAILABLE", whyClosed);
    return settingsOf(sink.table);
  }

  columns(key: SinkKey, version: number, signal: AbortSignal): Promise<readonly Column[]> {
    return this.#columns.of(key, version, signal);
  }

  observe(listener: (path: string) => void): () => void {
    this.#sinkListeners.add(listener);
    return () => this.#sinkListeners.delete(listener);
  }

  /** Calls `listener` with the path of each source that changes, itself or a sink of it. */
  observeSources(listener: (path: string) => void): () => void {
    this.#sourceListeners.add(listener);
    return () => this.#sourceListeners.delete(listener);
  }

  #inForce(sink: SinkDefinition): EffectiveSink {
    const source = this.#sourceAt(sink, "active") ?? this.#sourceAt(sink, "deleted");
    let known = this.#effective.get(sink);
    if (known === undefined || known.source !== source) {
      known = { source, sink: effectiveSink(sink, source) };
      this.#effective.set(sink, known);
    }
    return known.sink;
  }

  #sourceAt(key: SourceKey, state: EntityState): MirroredSource | undefined {
    const value = this.#keyspace.get(sourceKey(key, state))?.value;
    return value?.kind === "source" ? value.source : undefined;
  }

  #sinksOf(source: SourceKey, state: EntityState): readonly SinkDefinition[] {
    const entries = this.#keyspace.scan(sinksPrefix(source, state));
    return entries.flatMap(({ value }) => (value.kind === "sink" ? [value.sink] : []));
  }

  #sinkAt(key: SinkKey, state: EntityState): SinkDefinition | undefined {
    return this.#sinkValueAt(key, state)?.sink;
  }

  #sinkValueAt(key: SinkKey, state: EntityState): Extract<DefinitionValue, { kind: "sink" }> | undefined {
    const value = this.#keyspace.get(sinkKey(key, state))?.value;
    return value?.kind === "sink" ? value : undefined;
  }

  #onChanges(changes: readonly KeyspaceChange<DefinitionValue>[]): void {
    for (const { key, before, after } of changes) {
      this.#noteClosed(key, after);
      if (after === undefined && before?.value.kind === "sink")
        this.#columns.forget(sinkPath(before.value.sink));
    }
    // Who observes looks at what there is when it begins: nobody is told of ten thousand sources that are loaded.
    if (this.#sinkListeners.size > 0 || this.#sourceListeners.size > 0) this.#tell(changes);
  }

  #noteClosed(key: string, after: KeyspaceChange<DefinitionValue>["after"]): void {
    const isClosed = after?.value.kind === "source" && after.value.source.whyClosed !== undefined;
    if (!isClosed || !key.startsWith(ACTIVE_SOURCES)) this.#closedSources.delete(key);
    else if (!this.#closedSources.has(key)) this.#closedSources.set(key, after.modRevision);
  }

  #tell(changes: readonly KeyspaceChange<DefinitionValue>[]): void {
    const sinks = new Set<string>();
    const sources = new Set<string>();
    for (const { before, after } of changes) {
      for (const value of [before?.value, after?.value]) {
        if (value?.kind === "sink") {
          sinks.add(sinkPath(value.sink));
          sources.add(sourcePath(value.sink));
        }
        if (value?.kind === "source") {
          const { source } = value;
          sources.add(sourcePath(source));
          for (const state of ["active", "deleted"] as const) {
            for (const sink of this.#sinksOf(source, state)) sinks.add(sinkPath(sink));
          }
        }
      }
    }
    for (const path of sinks) for (const listener of this.#sinkListeners) listener(path);
    for (const path of sources) for (const listener of this.#sourceListeners) listener(path);
  }
}

/** What is known without the key (M1). */
function closedValue(key: string, bytes: Uint8Array, error: Error): DefinitionValue | undefined {
  if (!(error instanceof CannotOpen)) return undefined;
  const value = decodeValue(key, bytes, unopenedSecrets);
  const whyClosed = error.message;
  if (value.kind === "source") return { ...value, source: { ...value.source, whyClosed } };
  return value.kind === "sink" ? { ...value, whyClosed } : undefined;
}

function decodeValue(key: string, bytes: Uint8Array, secrets: SecretBox): DefinitionValue {
  switch (definitionKindOf(key)) {
    case "source":
      return { kind: "source", source: decodeSource(bytes, key, secrets) };
    case "sink":
      return { kind: "sink", sink: decodeSink(bytes, key, secrets) };
    case "other":
      return { kind: "other" };
  }
}
