// Sources, sinks and what belongs to them, as the configuration API has them. Members that the page does not know are
// kept as they came; columns are loose, because one that is being edited is none yet.
import type {
  DeadLettersList,
  MappedRecord,
  SettingsResult,
  Sink as ApiSink,
  Source,
} from "@millrace/api-client";

export type {
  FileStatistics,
  Level,
  NewToken,
  SinkStatistics,
  Source,
  Task,
  Token,
  Version,
} from "@millrace/api-client";

export type Setting = SettingsResult["settings"][number];
export type DeadLetters = Pick<DeadLettersList, "deadLetters" | "page">;
/** A record that the sink could not map. */
export type DeadLetter = DeadLetters["deadLetters"][number];
export type MappedRow = MappedRecord["rows"][number];

export interface Column {
  readonly type: string;
  readonly name: string;
  readonly path?: string;
  readonly defaultValue?: string;
  readonly rawString?: boolean;
  readonly template?: { readonly language: string; readonly content: string };
}

export type Sink = Omit<ApiSink, "table"> & {
  readonly table: {
    readonly type: string;
    readonly tableId: string;
    /** Of a target that is not beside the platform; never with a password. */
    readonly connection?: Readonly<Record<string, string | number>>;
    readonly mapping: { readonly columns: readonly Column[] };
  };
};

export const SIGNALS = ["logs", "metrics", "traces"] as const;
export type Signal = (typeof SIGNALS)[number];

/** What a version of a definition says, without what every version says anew. */
export function comparable(definition: Source | Sink): object {
  const { version: _, created: __, ...rest } = definition;
  return rest;
}

/** A column of a type, with the members that it needs. @param name kept from the column before */
export function columnOf(type: string, name: string): Column {
  if (type === "path") return { type, name, path: "", rawString: false };
  if (type === "template") return { type, name, template: templateOf("jsonnet", "") };
  return { type, name };
}

/** Languages of templates, each with a program that gives the body. */
export const LANGUAGES: ReadonlyMap<string, string> = new Map([
  ["jsonnet", "Body('')"],
  ["jsonata", "$"],
]);

/** A template in another language. @param content kept unless nobody has written it */
export function templateOf(language: string, content: string): NonNullable<Column["template"]> {
  const isWritten = content !== "" && ![...LANGUAGES.values()].includes(content);
  return { language, content: isWritten ? content : (LANGUAGES.get(language) ?? content) };
}

/** The columns of a new sink: whatever comes, it is a row. */
export const FIRST_COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "body", name: "body" },
];
