// The configuration model as it stands in the coordination store: sources, sinks, their mapping and versions
// (keboola-stream specification, section 1.8). The API's bodies are made from these.

import type { Signal } from "@millrace/otlp";
import type { TargetSettings } from "./target-settings.ts";
import type { WebhookSignature } from "./webhook-signature.ts";

export type { Signal };

/** What kinds of records an OTLP source takes. */
export const SIGNALS: readonly Signal[] = ["logs", "metrics", "traces"];

/** How records come into a source: as they are posted, or in OpenTelemetry's protocol. */
export type SourceType = "http" | "otlp";
export const SOURCE_TYPES: readonly SourceType[] = ["http", "otlp"];

export type SettingValue = string | number | boolean;
export type SettingValues = Readonly<Record<string, SettingValue>>;

/** Who changed something. */
export interface By {
  readonly type: "system" | "user";
  readonly tokenId?: string;
  readonly tokenDesc?: string;
  readonly userName?: string;
}

export interface Change {
  /** UTC ISO 8601 with milliseconds. */
  readonly at: string;
  readonly by: By;
}

export interface Version extends Change {
  /** 1, 2, … */
  readonly number: number;
  /** Structural hash of the entity, 16 hex digits. */
  readonly hash: string;
  readonly description: string;
}

export interface SourceKey {
  readonly projectId: number;
  readonly branchId: number;
  readonly sourceId: string;
}

export interface SinkKey extends SourceKey {
  readonly sinkId: string;
}

/**
 * Which life of its ID an entity is: absent the first; each purge that took everything of the one before leads to the
 * next. What belongs to one life never meets what belongs to another.
 */
export interface Life {
  readonly incarnation?: number;
}

export type SinkLife = SinkKey & Life;

export interface SourceDefinition extends SourceKey, Life {
  readonly type: SourceType;
  readonly name: string;
  readonly description: string;
  /** 48 characters of [0-9a-zA-Z]; never in a log. */
  readonly secret: string;
  /** Of type http: requests must be signed so. */
  readonly signature?: WebhookSignature;
  /** What its owner has set for all its sinks, apart from the defaults, by the specification's keys. */
  readonly settings?: SettingValues;
  readonly version: Version;
  readonly created: Change;
  readonly disabled?: Change & { readonly reason: string };
  readonly deleted?: Change;
}

/** A source as a process knows it that may not have the key of its secret. */
export interface MirroredSource extends SourceDefinition {
  /** Why its secrets are not known here; they are empty then. */
  readonly whyClosed?: string;
}

export type Column =
  | { readonly type: "uuid" | "datetime" | "ip" | "body" | "headers"; readonly name: string }
  | {
      readonly type: "path";
      readonly name: string;
      /** Dot and index syntax, `a.b[0].c`; empty: the whole body. */
      readonly path: string;
      readonly defaultValue?: string;
      /** A string is written without JSON quotes. */
      readonly rawString?: boolean;
    }
  | TemplateColumn;

export const TEMPLATE_LANGUAGES = ["jsonnet", "jsonata"] as const;
export type TemplateLanguage = (typeof TEMPLATE_LANGUAGES)[number];

export interface TemplateColumn {
  readonly type: "template";
  readonly name: string;
  readonly template: {
    readonly language: TemplateLanguage;
    /** The program, 1 to 4096 characters. */
    readonly content: string;
  };
  /** A result that is a string is written without JSON quotes. */
  readonly rawString?: boolean;
}

/** A sink as it is stored; what is in force for it is an {@link EffectiveSink}. */
export interface SinkDefinition extends SinkKey, Life {
  readonly type: "table";
  readonly name: string;
  readonly description: string;
  readonly table: TargetSettings & {
    /** `<schema>.<table>`, e.g. `main.flights`. */
    readonly tableId: string;
    readonly mapping: { readonly columns: readonly Column[] };
  };
  /** Of an OTLP source: the kinds of records that it takes, at least one; absent: all of them. */
  readonly allowedSignals?: readonly Signal[];
  /** What its owner has set apart from the defaults and from what its source says. */
  readonly settings?: SettingValues;
  /** Number of partitions that records are spread over; K of D24 is fixed at creation. */
  readonly partitions: number;
  readonly keyedPartitions: number;
  readonly version: Version;
  readonly created: Change;
  readonly disabled?: Change & { readonly reason: string };
  readonly deleted?: Change;
}

/** A sink with what follows from its settings and from its source; `disabled` and `deleted` are also the source's. */
export interface EffectiveSink extends SinkDefinition {
  /**
   * false: reply 202 as soon as the record is handed to the append. Setting `storage.level.local.encoding.sync.wait`.
   */
  readonly waitForAppend: boolean;
  /** Bytes that may wait for the table; 0: any number. Setting `storage.level.local.quota`. */
  readonly quotaBytes: number;
  readonly conditions: SinkConditions;
  readonly deadLetters: DeadLetterPolicy;
}

/** What becomes of records that the sink cannot map. Settings `storage.level.local.deadLetters.*`. */
export interface DeadLetterPolicy {
  /** They go to the sink's dead-letter journal; false: they are refused. */
  readonly isEnabled: boolean;
  /** How long they are kept, and how many bytes of them: the oldest go. */
  readonly keptMs: number;
  readonly keptBytes: number;
}

export const DEFAULT_DEAD_LETTERS: DeadLetterPolicy = {
  isEnabled: false,
  keptMs: 7 * 24 * 3_600_000,
  keptBytes: 256 * 1024 * 1024,
};

/** When a slice is uploaded and a file imported; evaluated in the order of specification section 6.1. */
export interface SinkConditions {
  readonly upload: LevelConditions;
  readonly import: LevelConditions & { readonly slicesCount: number; readonly maxSlices: number };
}

export interface LevelConditions {
  readonly count: number;
  readonly bytes: number;
  readonly intervalMs: number;
  readonly minIntervalMs: number;
}

/** Millrace's own defaults: the specification's counts and sizes, but rows within a second. */
export const DEFAULT_CONDITIONS: SinkConditions = {
  upload: { count: 10_000, bytes: 5_000_000, intervalMs: 200, minIntervalMs: 0 },
  import: {
    count: 50_000,
    bytes: 50_000_000,
    intervalMs: 300,
    minIntervalMs: 0,
    slicesCount: 100,
    maxSlices: 100,
  },
};

/** Whether a sink takes records of a kind. @param signal undefined of records without one: those are always taken */
export function takesSignal(
  sink: Pick<SinkDefinition, "allowedSignals">,
  signal: Signal | undefined,
): boolean {
  return signal === undefined || (sink.allowedSignals ?? SIGNALS).includes(signal);
}

/** `<project>/<branch>/<source>`: part of store keys and journal names. */
export function sourcePath(key: SourceKey): string {
  return `${key.projectId}/${key.branchId}/${key.sourceId}`;
}

/** `<project>/<branch>/<source>/<sink>`. */
export function sinkPath(key: SinkKey): string {
  return `${sourcePath(key)}/${key.sinkId}`;
}

/** 0, 1, … */
export function incarnationOf({ incarnation = 0 }: Life): number {
  return incarnation;
}

/** Journal of a sink's partition `n`. No partition's name is a directory of another's, and no two lives share one. */
export function partitionJournal(sink: SinkLife, n: number): string {
  return `${journalsPrefix(sink)}p${String(n).padStart(3, "0")}`;
}

/** Journal of the records that a sink could not map. */
export function deadLetterJournal(sink: SinkLife): string {
  return `${journalsPrefix(sink)}dead-letters`;
}

/** What the names of a life's journals begin with. */
export function journalsPrefix(sink: SinkLife): string {
  const incarnation = incarnationOf(sink);
  // No ID has a dot.
  const life = incarnation === 0 ? "" : `.${incarnation}`;
  return `stream/${sinkPath(sink)}${life}/`;
}

/** Whether a journal has a name as {@link partitionJournal} makes them. */
export function isPartitionJournal(name: string): boolean {
  return /^stream\/\d+\/\d+\/[^/]+\/[^/]+\/p\d{3,}$/.test(name);
}
