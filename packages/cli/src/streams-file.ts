// Streams as a file: YAML, a document for each source with its sinks. What the API has to say about values it says
// itself; here names of fields are checked, so that a slip of the pen is not passed over, and IDs: the API makes
// another one of an ID that is not normal, and the file would never be what is there. A field that is null is not
// given, but for a signature, which it takes away. Pure.
//
//  F1 A value that is written `{ env: NAME }` is a secret: taken from the environment, never shown, never compared,
//     since no answer of the API holds it.
import { SHAPES, type Column, type Shape } from "@millrace/api-client";
import { parseAllDocuments, type Document } from "yaml";
import { UsageError } from "./cli-io.ts";
import { knownFields } from "./known-fields.ts";
import type { SettingValue } from "./stream-options.ts";

export class Secret {
  readonly name: string;
  readonly value: string;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
  }
}

/** A value of a file: JSON with secrets in it. */
export type Tree =
  string | number | boolean | null | Secret | readonly Tree[] | { readonly [name: string]: Tree };
export type Fields = Readonly<Record<string, Tree>>;

export interface DesiredSource {
  readonly sourceId: string;
  /** As the API takes them: those that were given. */
  readonly fields: Fields;
  /** All that are set; absent: the file says nothing of them. */
  readonly settings?: Readonly<Record<string, SettingValue>>;
  readonly isDisabled: boolean;
  readonly sinks: readonly DesiredSink[];
}

export interface DesiredSink {
  readonly sinkId: string;
  readonly fields: Fields;
  /** Of its table, but the mapping. */
  readonly table: Fields;
  readonly columns: readonly Column[];
  readonly settings?: Readonly<Record<string, SettingValue>>;
  readonly isDisabled: boolean;
}

type Env = (name: string) => string | undefined;

const SOURCE_FIELDS = ["source", "type", "name", "description", "signature", "settings", "disabled", "sinks"];
const SINK_FIELDS = [
  "sink",
  "name",
  "description",
  "allowedSignals",
  "table",
  "columns",
  "settings",
  "disabled",
];
/** As the API makes them of any text. */
const NORMAL_ID = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const ID_LENGTH_MAX = 48;
const RESERVED_ID = "deleted";
const SECRETS = ["secret", "password"];
const ALIASES_MAX = 100;
const TEXT_CHARS_MAX = 4 * 1024 * 1024;

/** @param file for messages @throws {UsageError} naming file, place and what was expected */
export function parseStreams(text: string, file: string, env: Env): readonly DesiredSource[] {
  if (text.length > TEXT_CHARS_MAX) {
    throw new UsageError(`${file}: ${text.length} characters (expected <= ${TEXT_CHARS_MAX})`);
  }
  const documents = parseAllDocuments(text);
  const sources = [...documents].flatMap((document, i) => {
    const [error] = document.errors;
    if (error !== undefined) throw new UsageError(`${file}: ${error.message.split("\n", 1)[0]}`);
    const value = plainOf(document, `${file}: document ${i + 1}`);
    // A line of dashes at the end begins an empty one.
    if (value === null) return [];
    return sourceOf(value, `${file}: document ${i + 1}`, env);
  });
  // Of a template that gave nothing, or a pipe that broke, `--prune` would make an order to delete everything.
  if (sources.length === 0)
    throw new UsageError(`${file}: there is no source in it (expected one document for each)`);
  return sources;
}

/** @throws {UsageError} when aliases make more of it than a file may be */
function plainOf(document: Document, where: string): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    throw new UsageError(`${where}: ${(error as Error).message}`);
  }
}

/** One of several files: each source is in one of them. @throws {UsageError} */
export function joinStreams(files: readonly (readonly DesiredSource[])[]): readonly DesiredSource[] {
  const all = files.flat();
  refuseTwice(
    all.map(({ sourceId }) => sourceId),
    "source",
    "the files",
  );
  return all;
}

function sourceOf(value: unknown, where: string, env: Env): DesiredSource {
  const fields = objectOf(value, where, SOURCE_FIELDS);
  const sourceId = idOf(fields["source"], `${where}: source`);
  const place = `${where}: source ${sourceId}`;
  const { source: _source, settings, disabled, sinks = [], ...own } = fields;
  if (!Array.isArray(sinks)) throw new UsageError(`${place}: sinks: expected a list`);
  const parsed = sinks.map((sink: unknown, i) => sinkOf(sink, `${place}: sinks[${i}]`, env));
  refuseTwice(
    parsed.map(({ sinkId }) => sinkId),
    "sink",
    place,
  );
  return {
    sourceId,
    fields: treesOf(known(own, SHAPES.CreateSource, place), place, env),
    ...(settings === undefined ? {} : { settings: settingsOf(settings, `${place}: settings`) }),
    isDisabled: flagOf(disabled, `${place}: disabled`),
    sinks: parsed,
  };
}

function sinkOf(value: unknown, where: string, env: Env): DesiredSink {
  const fields = objectOf(value, where, SINK_FIELDS);
  const sinkId = idOf(fields["sink"], `${where}: sink`);
  const place = `${where} (${sinkId})`;
  const { sink: _sink, settings, disabled, table, columns, ...own } = fields;
  if (!Array.isArray(columns)) throw new UsageError(`${place}: columns: expected a list`);
  const isNamed = typeof table === "string";
  const given = isNamed ? { tableId: table } : objectOf(table, `${place}: table`);
  if ("mapping" in given) throw new UsageError(`${place}: table: the mapping is the sink's columns`);
  // One that is not given is looked at as the one that is meant.
  known({ type: "duckdb", ...given }, SHAPES.CreateSink.fields.table, `${place}: table`);
  return {
    sinkId,
    fields: treesOf(known(withSet(own, "allowedSignals"), SHAPES.CreateSink, place), place, env),
    table: treesOf(known(given, SHAPES.CreateSink.fields.table, `${place}: table`), `${place}: table`, env),
    columns: columns.map((column: unknown, i) => {
      return knownFields(column, SHAPES.Column, `${place}: columns[${i}]`) as Column;
    }),
    ...(settings === undefined ? {} : { settings: settingsOf(settings, `${place}: settings`) }),
    isDisabled: flagOf(disabled, `${place}: disabled`),
  };
}

/** A list that is a set, in the one way in which the API gives it. */
function withSet(fields: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> {
  const list = fields[name];
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) return fields;
  return { ...fields, [name]: [...new Set(list)].sort((a, b) => (a < b ? -1 : 1)) };
}

function known(
  fields: Readonly<Record<string, unknown>>,
  shape: Shape,
  where: string,
): Readonly<Record<string, unknown>> {
  return knownFields(fields, shape, where) as Readonly<Record<string, unknown>>;
}

function treesOf(fields: Readonly<Record<string, unknown>>, where: string, env: Env): Fields {
  const entries = Object.entries(fields).map(([name, value]) => {
    if (SECRETS.includes(name) && typeof value === "string") {
      throw new UsageError(`${where}: ${name}: expected { env: NAME }, so that the file holds no secret`); // F1
    }
    return [name, treeOf(value, `${where}: ${name}`, env)] as const;
  });
  return Object.fromEntries(entries);
}

function treeOf(value: unknown, where: string, env: Env): Tree {
  if (Array.isArray(value)) return value.map((item: unknown, i) => treeOf(item, `${where}[${i}]`, env));
  if (typeof value === "object" && value !== null) {
    const fields = value as Readonly<Record<string, unknown>>;
    const name = fields["env"];
    if (typeof name !== "string" || Object.keys(fields).length !== 1) return treesOf(fields, where, env);
    const secret = env(name);
    if (secret === undefined || secret === "") {
      throw new UsageError(`${where}: the environment variable ${name} is not set`);
    }
    return new Secret(name, secret); // F1
  }
  return value as Tree;
}

function objectOf(
  value: unknown,
  where: string,
  known?: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError(`${where}: expected fields${known === undefined ? "" : `: ${known.join(", ")}`}`);
  }
  for (const name of Object.keys(value)) {
    if (known?.includes(name) === false) {
      throw new UsageError(`${where}: "${name}" is not a field (expected ${known.join(", ")})`);
    }
  }
  return value as Readonly<Record<string, unknown>>;
}

function settingsOf(value: unknown, where: string): Readonly<Record<string, SettingValue>> {
  const fields = objectOf(value, where);
  for (const [key, one] of Object.entries(fields)) {
    if (!["string", "number", "boolean"].includes(typeof one)) {
      throw new UsageError(`${where}: ${key}: expected a text, a number or a flag`);
    }
  }
  return fields as Readonly<Record<string, SettingValue>>;
}

function idOf(value: unknown, where: string): string {
  if (typeof value !== "string" || value === "") throw new UsageError(`${where}: expected an ID`);
  if (value === RESERVED_ID)
    throw new UsageError(`${where}: "${value}" is no ID: it names the list of what was deleted`);
  if (NORMAL_ID.test(value) && value.length <= ID_LENGTH_MAX) return value;
  const shown = JSON.stringify(value.slice(0, 100));
  const rule = `1 to ${ID_LENGTH_MAX} of a-z and 0-9, with single hyphens between them`;
  throw new UsageError(`${where}: ${shown} is not an ID as the API has them (expected ${rule})`);
}

function flagOf(value: unknown, where: string): boolean {
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw new UsageError(`${where}: expected true or false`);
}

function refuseTwice(ids: readonly string[], what: string, where: string): void {
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw new UsageError(`${where}: ${what} ${twice} is there twice`);
}
