// Sources, sinks and what belongs to them, as the configuration API has them: what the page reads and writes of it.
// Members that the page does not know are kept as they came.

export interface Version {
  readonly number: number;
  readonly description: string;
  readonly at: string;
  readonly by: { readonly type: string; readonly tokenDesc?: string; readonly userName?: string };
}

export interface Disabled {
  readonly at: string;
  readonly reason: string;
}

interface History {
  readonly version: Version;
  readonly disabled?: Disabled;
  readonly deleted?: { readonly at: string };
}

export interface Source extends History {
  readonly sourceId: string;
  readonly type: string;
  readonly name: string;
  readonly description: string;
  readonly http?: { readonly url: string };
  readonly otlp?: { readonly url: string };
}

export interface Template {
  readonly language: string;
  readonly content: string;
}

export interface Column {
  readonly type: string;
  readonly name: string;
  readonly path?: string;
  readonly defaultValue?: string;
  readonly rawString?: boolean;
  readonly template?: Template;
}

export interface Table {
  readonly type: string;
  readonly tableId: string;
  readonly mapping: { readonly columns: readonly Column[] };
}

export interface Sink extends History {
  readonly sourceId: string;
  readonly sinkId: string;
  readonly type: string;
  readonly name: string;
  readonly description: string;
  readonly table: Table;
}

export interface Setting {
  readonly key: string;
  readonly type: string;
  readonly description: string;
  readonly value: string | number | boolean;
  readonly defaultValue: string | number | boolean;
  readonly overwritten: boolean;
  readonly protected: boolean;
  readonly validation?: string;
}

export interface Level {
  readonly firstRecordAt?: string;
  readonly lastRecordAt?: string;
  readonly recordsCount: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
}

export interface Levels {
  readonly total: Level | null;
  readonly levels: { readonly local?: Level; readonly staging?: Level; readonly target?: Level };
}

export interface FileStatistics {
  readonly fileId: string;
  readonly state: "writing" | "closing" | "importing" | "imported";
  readonly openedAt: string;
  readonly closingAt?: string;
  readonly importingAt?: string;
  readonly importedAt?: string;
  readonly retryAttempt?: number;
  readonly retryReason?: string;
  readonly retryAfter?: string;
  readonly statistics: Levels;
}

export interface Task {
  readonly taskId: string;
  readonly type: string;
  readonly status: "processing" | "success" | "error";
  readonly isFinished: boolean;
  readonly createdAt: string;
  readonly duration?: number;
  readonly result?: string;
  readonly error?: string;
  readonly outputs?: {
    readonly sourceId?: string;
    readonly sinkId?: string;
    readonly replayed?: number;
    readonly refused?: number;
  };
}

/** A record that the sink could not map. */
export interface DeadLetter {
  readonly id: string;
  readonly receivedAt: string;
  readonly ip: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly bodyBytes: number;
  readonly body?: string;
  readonly bodyBase64?: string;
  /** Of the sink, whose mapping refused it. */
  readonly version: number;
  readonly statusCode: number;
  readonly column: string;
  readonly reason: string;
  readonly attempts: number;
  readonly isCut?: boolean;
}

export interface DeadLetters {
  readonly deadLetters: readonly DeadLetter[];
  readonly page: { readonly totalCount: number };
}

export interface MappedRow {
  readonly columns: readonly { readonly name: string; readonly value: string }[];
}

/** What a version of a definition says, without what every version says anew. */
export function comparable(definition: Source | Sink): object {
  const { version: _, created: __, ...rest } = definition as History & { created?: unknown };
  return rest;
}

/** A column of a type, with the members that it needs. @param name kept from the column before */
export function columnOf(type: string, name: string): Column {
  if (type === "path") return { type, name, path: "", rawString: false };
  if (type === "template") return { type, name, template: { language: "jsonnet", content: "Body('')" } };
  return { type, name };
}

/** The columns of a new sink: whatever comes, it is a row. */
export const FIRST_COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "body", name: "body" },
];
