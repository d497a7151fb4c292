// A Target's calls as JSON over HTTP, between the process that has a target and those that load into it.
//
//   POST /target/check        {tableId, columns, fit}                → {problem?}
//   POST /target/prepare      {tableId, columns, fit}                → {}
//   POST /target/loaded-ends  {tableId}                              → {ends: [[journal, end], …]}
//   POST /target/drop         {tableId, journals}                    → {}
//   POST /target/load         {target, columns, versions, partitions} → a LoadOutcome
//
// An answer has status 200 once the call was taken; it may begin with spaces, one every BEAT_MS while the target works,
// and {failed: {code, message}} stands in place of an answer for what the target says. `versions` are lists of columns,
// which objects name by their place: many objects have the same.
import { CODES, WireError, type Code } from "@millrace/base";
import {
  JsonFields,
  TARGET_KINDS,
  type Column,
  type LoadOutcome,
  type LoadRequest,
  type PartitionLoad,
  type StagedObject,
  type TableFit,
  type TargetRef,
} from "@millrace/ingest";

export const TARGET_PATH = "/target/";
/** A file has at most some hundred slices, each of some objects, of some hundred bytes. */
export const CALL_BYTES_MAX = 32 * 1024 * 1024;
/** From one sign of life to the next while a target works. */
export const BEAT_MS = 2000;

export type TargetCall =
  | {
      readonly kind: "check" | "prepare";
      readonly tableId: string;
      readonly columns: readonly Column[];
      readonly fit: TableFit;
    }
  | { readonly kind: "loaded-ends"; readonly tableId: string }
  | { readonly kind: "drop"; readonly tableId: string; readonly journals: readonly string[] }
  | { readonly kind: "load"; readonly request: LoadRequest };

const COLUMN_TYPES: readonly Column["type"][] = [
  "uuid",
  "datetime",
  "ip",
  "body",
  "headers",
  "path",
  "template",
];
const FITS: readonly TableFit[] = ["same", "growing"];

export function encodeCall(call: TargetCall): string {
  if (call.kind === "loaded-ends") return JSON.stringify({ tableId: call.tableId });
  if (call.kind === "drop") return JSON.stringify({ tableId: call.tableId, journals: call.journals });
  if (call.kind !== "load") {
    const { tableId, columns, fit } = call;
    return JSON.stringify({ tableId, columns, fit });
  }
  const { target, columns, partitions } = call.request;
  const places = new Map<readonly Column[], number>();
  const place = (list: readonly Column[]): number => {
    const known = places.get(list);
    if (known !== undefined) return known;
    places.set(list, places.size);
    return places.size - 1;
  };
  const loads = partitions.map((partition) => ({
    ...partition,
    objects: partition.objects.map((object) => ({ ...object, columns: place(object.columns) })),
  }));
  return JSON.stringify({ target, columns, partitions: loads, versions: [...places.keys()] });
}

/** @param name the path behind {@link TARGET_PATH} @throws {WireError} NOT_FOUND, INVALID_ARGUMENT */
export function decodeCall(name: string, body: string): TargetCall {
  try {
    return callOf(name, new JsonFields(JSON.parse(body), name));
  } catch (thrown) {
    // Not of the staged objects: a caller that hears CORRUPT stages them again.
    if (thrown instanceof WireError && thrown.code === "NOT_FOUND") throw thrown;
    throw new WireError("INVALID_ARGUMENT", thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function callOf(name: string, fields: JsonFields): TargetCall {
  switch (name) {
    case "check":
    case "prepare":
      return {
        kind: name,
        tableId: fields.text("tableId"),
        columns: columnsOf(fields, "columns"),
        fit: fields.oneOf("fit", FITS),
      };
    case "loaded-ends":
      return { kind: name, tableId: fields.text("tableId") };
    case "drop": {
      const journals = fields.list("journals", (journal, what) =>
        new JsonFields({ journal }, what).text("journal"),
      );
      return { kind: name, tableId: fields.text("tableId"), journals };
    }
    case "load":
      return { kind: name, request: loadOf(fields) };
    default:
      throw new WireError("NOT_FOUND", `no such call of a target: ${name}`);
  }
}

function loadOf(fields: JsonFields): LoadRequest {
  const versions = fields.list("versions", (value, what) =>
    columnsOf(new JsonFields({ value }, what), "value"),
  );
  const partitions = fields.list("partitions", (value, what) => {
    return partitionOf(new JsonFields(value, what), versions);
  });
  return { target: refOf(fields.object("target")), columns: columnsOf(fields, "columns"), partitions };
}

function refOf(fields: JsonFields): TargetRef {
  const connection = fields.has("connection") ? { connection: fields.text("connection") } : {};
  return { kind: fields.oneOf("kind", TARGET_KINDS), ...connection, tableId: fields.text("tableId") };
}

function partitionOf(fields: JsonFields, versions: readonly (readonly Column[])[]): PartitionLoad {
  const begin = fields.integer("begin");
  return {
    journal: fields.text("journal"),
    begin,
    end: fields.integer("end", begin),
    startsTarget: fields.flag("startsTarget"),
    objects: fields.list("objects", (value, what) => objectOf(new JsonFields(value, what), versions)),
  };
}

function objectOf(fields: JsonFields, versions: readonly (readonly Column[])[]): StagedObject {
  const place = fields.integer("columns");
  const columns = versions[place];
  if (columns === undefined)
    throw new Error(`columns ${place} out of range (0 <= columns < ${versions.length})`);
  return {
    path: pathOf(fields.text("path")),
    columns,
    sinkVersion: fields.integer("sinkVersion"),
    rows: fields.integer("rows"),
    bytes: fields.integer("bytes"),
    // Some sums are given as signed.
    crc32c: fields.integer("crc32c", -(2 ** 31)),
  };
}

/** Of an object below the staging store, and of nothing beside it. */
function pathOf(path: string): string {
  const isClean = path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (isClean && !path.includes("\0")) return path;
  throw new Error(`path ${JSON.stringify(path.slice(0, 100))} is not that of a staged object`);
}

/** What a target looks at is checked; the rest of a column is the mapping's. */
function columnsOf(fields: JsonFields, name: string): readonly Column[] {
  return fields.list(name, (value, what) => {
    const column = new JsonFields(value, what);
    column.oneOf("type", COLUMN_TYPES);
    column.text("name");
    return value as Column;
  });
}

export function encodeFailure({ code, message }: WireError): string {
  return JSON.stringify({ failed: { code, message } });
}

/** @throws {WireError} what the target said; OUTCOME_UNKNOWN for an answer that is none */
export function decodeAnswer(body: string): JsonFields {
  let fields: JsonFields;
  let failed: JsonFields | undefined;
  try {
    fields = new JsonFields(JSON.parse(body), "the target's answer");
    failed = fields.has("failed") ? fields.object("failed") : undefined;
  } catch (cause) {
    throw new WireError("OUTCOME_UNKNOWN", "the target's answer is not whole", { cause });
  }
  if (failed === undefined) return fields;
  const code = failed.oneOf("code", Object.keys(CODES) as Code[]);
  throw new WireError(code, failed.text("message"));
}

export function decodeOutcome(fields: JsonFields): LoadOutcome {
  const kind = fields.oneOf("kind", ["loaded", "already", "refused"] as const);
  if (kind === "already") return { kind };
  if (kind === "loaded") return { kind, rows: fields.integer("rows") };
  const loadedEnd = fields.has("loadedEnd") ? fields.integer("loadedEnd") : undefined;
  return { kind, journal: fields.text("journal"), begin: fields.integer("begin"), loadedEnd };
}

export function decodeEnds(fields: JsonFields): ReadonlyMap<string, number> {
  return new Map(
    fields.list("ends", (value, what) => {
      const [journal, end] = Array.isArray(value) ? (value as unknown[]) : [];
      const pair = new JsonFields({ journal, end }, what);
      return [pair.text("journal"), pair.integer("end")] as const;
    }),
  );
}
