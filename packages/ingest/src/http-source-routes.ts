// Sources and sinks as the door looks at them: found by the bytes of a path, mappings compiled. Built from the mirror,
// and built anew for a source when it or one of its sinks changes.
import { utf8, type Random } from "@millrace/base";
import type { DefinitionMirror } from "./definition-mirror.ts";
import {
  partitionJournal,
  type EffectiveSink,
  type SinkDefinition,
  type SourceDefinition,
} from "./definitions.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { PathTree } from "./mapping-path.ts";
import { compileMapping, type CompiledMapping } from "./mapping.ts";
import type { PartitionPublisher } from "./publisher.ts";

export interface SinkRoute {
  readonly sink: SinkDefinition;
  readonly version: number;
  readonly isAwaited: boolean;
  readonly mapping: CompiledMapping;
  /** One for each partition. */
  readonly publishers: readonly PartitionPublisher[];
  /** The partition that takes records now. */
  current: number;
}

export interface SourceRoute {
  readonly source: SourceDefinition;
  readonly secret: Uint8Array;
  readonly isEnabled: boolean;
  /** Paths of all its sinks' mappings. */
  readonly tree: PathTree;
  /** Enabled ones. */
  readonly sinks: readonly SinkRoute[];
  /** The first column that looks into the body, of any sink. */
  readonly readingColumn: string | undefined;
}

/** Routes of one `project/source`, one for each branch. */
interface Place {
  readonly name: Uint8Array;
  routes: readonly SourceRoute[];
}

export class RouteTable {
  readonly #mirror: DefinitionMirror;
  readonly #dispatcher: Dispatcher;
  readonly #random: Random;
  readonly #places = new Map<number, Place[]>();
  readonly #stop: () => void;

  constructor(mirror: DefinitionMirror, dispatcher: Dispatcher, random: Random) {
    this.#mirror = mirror;
    this.#dispatcher = dispatcher;
    this.#random = random;
    for (const source of mirror.sources()) this.#rebuild(source.projectId, source.sourceId);
    this.#stop = mirror.observeSources((path) => this.#onSource(path));
  }

  close(): void {
    this.#stop();
  }

  /** @param bytes of a path, of which [begin, end) is `<project>/<source>` */
  find(bytes: Uint8Array, begin: number, end: number): readonly SourceRoute[] {
    const places = this.#places.get(hashOf(bytes, begin, end));
    if (places === undefined) return NONE;
    for (const place of places) if (isSame(place.name, bytes, begin, end)) return place.routes;
    return NONE;
  }

  #onSource(path: string): void {
    const [project = "", , sourceId = ""] = path.split("/");
    this.#rebuild(Number(project), sourceId);
    const wanted = new Set(this.#publishedPartitions());
    this.#dispatcher.prune((name) => wanted.has(name));
  }

  *#publishedPartitions(): Iterable<string> {
    for (const places of this.#places.values()) {
      for (const { routes } of places) {
        for (const { sinks } of routes) {
          for (const { sink, publishers } of sinks) {
            for (let n = 0; n < publishers.length; n++) yield partitionJournal(sink, n);
          }
        }
      }
    }
  }

  #rebuild(projectId: number, sourceId: string): void {
    const name = utf8(`${projectId}/${sourceId}`);
    const sources = this.#mirror
      .sources()
      .filter((one) => one.projectId === projectId && one.sourceId === sourceId);
    const hash = hashOf(name, 0, name.length);
    const others = (this.#places.get(hash) ?? []).filter(
      (place) => !isSame(place.name, name, 0, name.length),
    );
    const routes = sources.map((source) => this.#route(source));
    if (routes.length > 0) this.#places.set(hash, [...others, { name, routes }]);
    else if (others.length > 0) this.#places.set(hash, others);
    else this.#places.delete(hash);
  }

  #route(source: SourceDefinition): SourceRoute {
    const tree = new PathTree();
    const enabled = this.#mirror.sinks(source).filter((sink) => sink.disabled === undefined);
    const sinks = enabled.map((sink) => this.#sinkRoute(sink, tree));
    const readingColumn = sinks.find(({ mapping }) => mapping.readsBody)?.mapping.readingColumn;
    const isEnabled = source.disabled === undefined;
    return { source, secret: utf8(source.secret), isEnabled, tree, sinks, readingColumn };
  }

  #sinkRoute(sink: EffectiveSink, tree: PathTree): SinkRoute {
    const mapping = compileMapping(sink.table.mapping.columns, tree, this.#random);
    const publishers = Array.from({ length: sink.partitions }, (_, n) => this.#dispatcher.publisher(sink, n));
    return {
      sink,
      version: sink.version.number,
      isAwaited: sink.waitForAppend,
      mapping,
      publishers,
      current: 0,
    };
  }
}

/** The publisher that takes the sink's next record: one after the other, each for a frame. */
export function publisherFor(sink: SinkRoute): PartitionPublisher {
  const { publishers } = sink;
  let publisher = publishers[sink.current]!;
  if (publishers.length === 1 || publisher.isFilling) return publisher;
  sink.current = (sink.current + 1) % publishers.length;
  publisher = publishers[sink.current]!;
  return publisher;
}

const NONE: readonly SourceRoute[] = [];

/** FNV-1a. */
function hashOf(bytes: Uint8Array, begin: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = begin; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash | 0;
}

function isSame(name: Uint8Array, bytes: Uint8Array, begin: number, end: number): boolean {
  if (name.length !== end - begin) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[begin + i]) return false;
  return true;
}

/** Equality in a time that depends only on how many bytes are given. */
export function isSecret(secret: Uint8Array, bytes: Uint8Array, begin: number, end: number): boolean {
  let difference = (end - begin) ^ secret.length;
  for (let i = begin; i < end; i++) difference |= bytes[i]! ^ (secret[(i - begin) % secret.length] ?? 0);
  return difference === 0;
}
