// The specification of a journal. Durations are milliseconds; see duration.ts for their precision.
//
//   JournalSpec  1 name string · 2 replication int32 · 3 labels LabelSet · 4 fragment Fragment · 6 flags uint32 ·
//                7 max_append_rate int64 · 8 suspend Suspend (may be absent)
//   Fragment     1 length int64 · 2 compression_codec enum · 3 stores repeated string · 4 refresh_interval Duration ·
//                5 retention Duration · 6 flush_interval Duration · 7 path_postfix_template string
//   Suspend      1 level enum · 2 offset int64
import {
  builder,
  codecs,
  enumeration,
  int32,
  int64,
  invalid,
  message,
  named,
  nested,
  optional,
  string,
  strings,
  uint32,
  ValidationError,
  wideInt64,
  within,
} from "@millrace/protobuf";
import { printDuration, durationField } from "./duration.ts";
import { FLAG, SUSPEND_LEVEL, type CompressionCodec, type SuspendLevel } from "./enums.ts";
import { parseFragmentStore } from "./fragment-store.ts";
import { codecField, validateCompressionCodec } from "./fragment.ts";
import { splitMeta, validateJournalName } from "./journal-name.ts";
import { labelSetMessage, validateLabelSet, valuesOf, type LabelSet } from "./label-set.ts";
import {
  FLUSH_INTERVAL_MS_MIN,
  FRAGMENT_LENGTH_BYTES,
  REFRESH_INTERVAL_MS,
  REPLICATION_MAX,
} from "./limits.ts";
import { validateMediaType } from "./media-type.ts";
import { validatePathTemplate } from "./path-template.ts";

export interface JournalSpec {
  readonly name: string;
  /** Wanted number of replicas, 1..5. */
  readonly replication: number;
  readonly labels: LabelSet;
  readonly fragment: FragmentSpec;
  /** One of FLAG. */
  readonly flags: number;
  /** Bytes a second, 0 = no limit. A bigint from 2^53 on. */
  readonly maxAppendRate: number | bigint;
  /** Absent = { NONE, 0 }. */
  readonly suspend?: Suspend;
}

/** How a journal's fragments are cut, compressed, stored and kept. */
export interface FragmentSpec {
  /** Target length in bytes before compression. */
  readonly length: number;
  readonly compressionCodec: CompressionCodec;
  /** URLs; new fragments go to the first, all are read. */
  readonly stores: readonly string[];
  /** Between listings of the stores. */
  readonly refreshIntervalMs: number;
  /** Age at which pruning deletes a fragment; 0 = at once. */
  readonly retentionMs: number;
  /** Fragments are closed at multiples of this wall time; 0 = never for age. */
  readonly flushIntervalMs: number;
  /** See path-template.ts. */
  readonly pathPostfixTemplate: string;
}

export interface Suspend {
  readonly level: SuspendLevel;
  /** Lower bound of the write head on resume. A bigint from 2^53 on: the journal cannot be opened here. */
  readonly offset: number | bigint;
}

/** What a spec without `suspend` means. */
export const NOT_SUSPENDED: Suspend = { level: "NONE", offset: 0 };

const CONTENT_TYPE = "content-type";
const MESSAGE_TYPE = "app.gazette.dev/message-type";
const MESSAGE_SUBTYPE = "app.gazette.dev/message-subtype";

/** Labels with a defined meaning that may have one value only. */
export const SINGLE_VALUE_LABELS: ReadonlySet<string> = new Set([
  "app.gazette.dev/instance",
  "app.gazette.dev/managed-by",
  MESSAGE_SUBTYPE,
  MESSAGE_TYPE,
  "app.gazette.dev/region",
  CONTENT_TYPE,
]);

const fragmentSpecMessage = message<FragmentSpec>({
  length: int64(1),
  compressionCodec: codecField(2),
  stores: strings(3),
  refreshIntervalMs: named("refresh_interval", durationField(4)),
  retentionMs: named("retention", durationField(5)),
  flushIntervalMs: named("flush_interval", durationField(6)),
  pathPostfixTemplate: string(7),
});

const suspendMessage = message<Suspend>({
  level: enumeration(1, SUSPEND_LEVEL, "Level variant"),
  offset: wideInt64(2),
});

export const journalSpecMessage = message<JournalSpec>({
  name: string(1),
  replication: int32(2),
  labels: nested(3, labelSetMessage),
  fragment: nested(4, fragmentSpecMessage),
  flags: uint32(6),
  maxAppendRate: wideInt64(7),
  suspend: optional(8, suspendMessage),
});

export const { encode: encodeJournalSpec, decode: decodeJournalSpec } = codecs(journalSpecMessage);

/** A spec of zero values with `fields` set: what a node of a journalspace tree starts as. Not valid by itself. */
export const newJournalSpec = builder(journalSpecMessage);

/** Whether the journal may be read. A spec without flags allows both. */
export function mayRead(spec: JournalSpec): boolean {
  return spec.flags === FLAG.NOT_SPECIFIED || spec.flags === FLAG.O_RDONLY || spec.flags === FLAG.O_RDWR;
}

/** Whether the journal may be appended to. */
export function mayWrite(spec: JournalSpec): boolean {
  return spec.flags === FLAG.NOT_SPECIFIED || spec.flags === FLAG.O_WRONLY || spec.flags === FLAG.O_RDWR;
}

/** The suspension of a spec, whether it states one or not. */
export function suspension(spec: JournalSpec): Suspend {
  return spec.suspend ?? NOT_SUSPENDED;
}

/** Lower bound of the write head; undefined where no offset here can be as large. */
export function resumeOffset(spec: JournalSpec): number | undefined {
  const { offset } = suspension(spec);
  return typeof offset === "number" ? offset : undefined;
}

/** Replicas that the allocator should place. @param replicationMax bound of the cluster, >= 0 */
export function desiredReplication(spec: JournalSpec, replicationMax: number): number {
  const wanted = { NONE: spec.replication, PARTIAL: 1, FULL: 0 }[suspension(spec).level];
  return Math.min(wanted, replicationMax);
}

/**
 * Whether a spec is asked for, or stored already. A stored one was judged by the broker that took it, of whatever kind
 * and version: a template that cannot be evaluated here is no reason to be without the journal. Only its persisting
 * fails.
 */
export type SpecOrigin = "asked" | "stored";

/** @throws {ValidationError} the first rule that `spec` breaks */
export function validateJournalSpec(spec: JournalSpec, origin: SpecOrigin = "asked"): void {
  within("Name", () => validateJournalName(spec.name));
  const { meta } = splitMeta(spec.name);
  if (meta !== "") invalid(`Name cannot have a metadata path segment (${meta}; expected no segment)`);
  if (spec.replication < 1 || spec.replication > REPLICATION_MAX) {
    invalid(`invalid Replication (${spec.replication}; expected 1 <= Replication <= ${REPLICATION_MAX})`);
  }
  within("Labels", () => validateLabelSet(spec.labels));
  for (const reserved of ["name", "prefix"]) {
    if (valuesOf(spec.labels, reserved).length > 0) invalid(`Labels cannot include label "${reserved}"`);
  }
  within("Labels", () => validateWellKnownLabels(spec.labels));
  within("Fragment", () => validateFragmentSpec(spec.fragment, origin));
  if (!Object.values<number>(FLAG).includes(spec.flags)) {
    within("Flags", () => invalid(`invalid combination (${spec.flags | 0})`)); // as Go, whose flags are int32
  }
  if (spec.maxAppendRate < 0) invalid(`invalid MaxAppendRate (${spec.maxAppendRate}; expected >= 0)`);
  within("Suspend", () => validateSuspend(suspension(spec)));
}

/** @throws {ValidationError} */
export function validateFragmentSpec(fragment: FragmentSpec, origin: SpecOrigin = "asked"): void {
  const { min, max } = FRAGMENT_LENGTH_BYTES;
  if (fragment.length < min || fragment.length > max) {
    invalid(`invalid Length (${fragment.length}; expected ${min} <= length <= ${max})`);
  }
  within("CompressionCodec", () => validateCompressionCodec(fragment.compressionCodec));
  fragment.stores.forEach((store, i) => {
    const { scheme } = within(`Stores[${i}]`, () => parseFragmentStore(store));
    if (i === 0 && scheme === "file" && fragment.compressionCodec === "GZIP_OFFLOAD_DECOMPRESSION") {
      invalid(`GZIP_OFFLOAD_DECOMPRESSION is incompatible with file:// stores (${store})`);
    }
  });
  validateIntervals(fragment);
  if (origin === "asked")
    within("PathPostfixTemplate", () => validatePathTemplate(fragment, newJournalSpec({})));
}

function validateIntervals(fragment: FragmentSpec): void {
  const refresh = fragment.refreshIntervalMs;
  const { min, max } = REFRESH_INTERVAL_MS;
  if (refresh < min || refresh > max) {
    const bounds = `${printDuration(min)} <= interval <= ${printDuration(max)}`;
    invalid(`invalid RefreshInterval (${printDuration(refresh)}; expected ${bounds})`);
  }
  const flush = fragment.flushIntervalMs;
  if (flush !== 0 && flush < FLUSH_INTERVAL_MS_MIN) {
    invalid(
      `invalid FlushInterval (${printDuration(flush)}; expected >= ${printDuration(FLUSH_INTERVAL_MS_MIN)})`,
    );
  }
}

function validateSuspend(suspend: Suspend): void {
  if (!Object.hasOwn(SUSPEND_LEVEL, suspend.level)) {
    within("Level", () => invalid(`invalid Level variant (${suspend.level})`));
  }
  if (suspend.offset < 0)
    within("Offset", () => invalid(`invalid Offset (${suspend.offset}; expected >= 0)`));
}

function validateWellKnownLabels(labels: LabelSet): void {
  labels.labels.forEach((item, i) => {
    if (labels.labels[i - 1]?.name === item.name && SINGLE_VALUE_LABELS.has(item.name)) {
      const which = `index ${i}; label ${item.name} value ${item.value}`;
      invalid(`expected single-value Label has multiple values (${which})`);
    }
  });
  const [contentType] = valuesOf(labels, CONTENT_TYPE);
  if (contentType !== undefined) validateContentType(contentType);
  const hasMessageType = valuesOf(labels, MESSAGE_TYPE).length > 0;
  if (hasMessageType && contentType === undefined) {
    invalid(`expected ${CONTENT_TYPE} label alongside ${MESSAGE_TYPE}`);
  }
  if (!hasMessageType && valuesOf(labels, MESSAGE_SUBTYPE).length > 0) {
    invalid(`expected ${MESSAGE_TYPE} label alongside ${MESSAGE_SUBTYPE}`);
  }
}

function validateContentType(value: string): void {
  try {
    validateMediaType(value);
  } catch (thrown) {
    if (thrown instanceof ValidationError) invalid(`parsing ${CONTENT_TYPE}: ${thrown.reason}`);
    throw thrown;
  }
}
