// Sources and sinks as the door looks at them, mappings compiled. Built anew for a source when it or one of its sinks
// changes; http-source-index.ts finds them.
import { utf8, type Random } from "@millrace/base";
import {
  deadLetterJournal,
  partitionJournal,
  sourcePath,
  type EffectiveSink,
  type SinkDefinition,
  type MirroredSource,
} from "./definitions.ts";
import { settingsInForce } from "./definition-settings.ts";
import type { DiskQuotas, LetterQuota, SinkQuota } from "./disk-quota.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { keyedPartition } from "./idempotency-key.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { compileMapping, type CompiledMapping, type MappingScope } from "./mapping.ts";
import type { PartitionPublisher } from "./publisher.ts";
import { takesNul } from "./target-settings.ts";
import type { SourceLimiter, SourceLimiters } from "./rate-limit.ts";

export interface SinkRoute {
  readonly sink: SinkDefinition;
  readonly version: number;
  readonly isAwaited: boolean;
  readonly mapping: CompiledMapping;
  /** What bounds its use of the disk, if anything does. */
  readonly quota: SinkQuota | undefined;
  /** One for each partition. */
  readonly publishers: readonly PartitionPublisher[];
  /** Takes the records that cannot be mapped; undefined: they are refused. */
  readonly letters: PartitionPublisher | undefined;
  /** What bounds them. */
  readonly letterQuota: LetterQuota | undefined;
  /** The partition that takes records now. */
  current: number;
}

export interface SourceRoute {
  /** Of the source, among those of all projects. */
  readonly name: string;
  readonly source: MirroredSource;
  /** Empty while the source is closed (`whyClosed`): nobody can show that he has it. */
  readonly secret: Uint8Array;
  readonly isEnabled: boolean;
  /** What bounds its records, if anything does. */
  readonly limiter: SourceLimiter | undefined;
  /** Paths of all its sinks' mappings. */
  readonly tree: PathTree;
  /** Programs of all its sinks' mappings: a record waits for them. */
  readonly programs: ProgramSet;
  /** Of any sink (mapping.ts). */
  readonly hasTemplates: boolean;
  /** Enabled ones. */
  readonly sinks: readonly SinkRoute[];
  /** The first column that looks into the body, of any sink. */
  readonly readingColumn: string | undefined;
}

interface RoutePorts {
  readonly dispatcher: Dispatcher;
  readonly random: Random;
  readonly limiters: SourceLimiters;
  readonly quotas: DiskQuotas;
}

/** Compiles a source. @param sinks of it, also disabled ones */
export function sourceRoute(
  source: MirroredSource,
  sinks: readonly EffectiveSink[],
  ports: RoutePorts,
): SourceRoute {
  const scope = { tree: new PathTree(), programs: new ProgramSet(), random: ports.random };
  const { tree, programs } = scope;
  const enabled = sinks.filter((sink) => sink.disabled === undefined);
  const routes = enabled.map((sink) => sinkRoute(sink, scope, ports));
  const looking = routes.find(({ mapping }) => mapping.readingColumn !== undefined);
  const readingColumn = looking?.mapping.readingColumn;
  const hasTemplates = routes.some(({ mapping }) => mapping.hasTemplates);
  const isEnabled = source.disabled === undefined;
  const limiter = ports.limiters.of(source, settingsInForce(source.settings ?? {}).limits);
  const name = sourcePath(source);
  return {
    name,
    source,
    secret: utf8(source.secret),
    isEnabled,
    limiter,
    tree,
    programs,
    hasTemplates,
    sinks: routes,
    readingColumn,
  };
}

function sinkRoute(sink: EffectiveSink, scope: MappingScope, { dispatcher, quotas }: RoutePorts): SinkRoute {
  const mapping = compileMapping(sink.table.mapping.columns, scope, { takesNul: takesNul(sink.table.type) });
  const publishers = Array.from({ length: sink.partitions }, (_, n) => dispatcher.publisher(sink, n));
  const { quotaBytes: bytesMax, deadLetters } = sink;
  const letterQuota = deadLetters.isEnabled
    ? quotas.ofLetters(sink, { sizeBytes: deadLetters.keptBytes, bytesMax })
    : undefined;
  return {
    sink,
    version: sink.version.number,
    isAwaited: sink.waitForAppend,
    mapping,
    quota: quotas.of(sink, bytesMax),
    publishers,
    letters: deadLetters.isEnabled ? dispatcher.letters(sink) : undefined,
    letterQuota,
    current: 0,
  };
}

/** Names of the publishers that `sources` have, as the dispatcher knows them. */
export function* publishedJournals(sources: Iterable<SourceRoute>): Iterable<string> {
  for (const { sinks } of sources) {
    for (const { sink, publishers, letters } of sinks) {
      if (letters !== undefined) yield deadLetterJournal(sink);
      for (let n = 0; n < publishers.length; n++) yield partitionJournal(sink, n);
    }
  }
}

/**
 * The publisher that takes the sink's next record: one after the other, each for a frame; of a record with a key that
 * of the key.
 * @param key hash
 */
export function publisherFor(sink: SinkRoute, key: string | undefined): PartitionPublisher {
  const { publishers } = sink;
  if (key !== undefined) return publishers[keyedPartition(key, sink.sink.keyedPartitions)]!;
  let publisher = publishers[sink.current]!;
  if (publishers.length === 1 || publisher.isFilling) return publisher;
  sink.current = (sink.current + 1) % publishers.length;
  publisher = publishers[sink.current]!;
  return publisher;
}

/** Equality in a time that depends only on how many bytes are given. */
export function isSecret(secret: Uint8Array, bytes: Uint8Array, begin: number, end: number): boolean {
  let difference = (end - begin) ^ secret.length;
  for (let i = begin; i < end; i++) difference |= bytes[i]! ^ (secret[(i - begin) % secret.length] ?? 0);
  return difference === 0;
}
