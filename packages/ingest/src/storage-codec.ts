// Entities as JSON values of the coordination store, checked when written and when read: what belongs to another state,
// is missing or has the wrong type is refused with its field.
import { utf8 } from "@millrace/base";
import type { FrameFilterCheckpoint } from "./frame-filter.ts";
import type { SinkKey } from "./definitions.ts";
import { decodeRetry, type RetryBlock } from "./retry-block.ts";
import type {
  Partition,
  ReaderState,
  SinkReset,
  SinkSum,
  Slice,
  StagedEntry,
  Statistics,
  StorageFile,
} from "./storage-entities.ts";
import { JsonFields, parseJson } from "./storage-json.ts";
import { decodeTarget } from "./target-ref.ts";

const FILE_TIMES = ["closingAt", "importingAt", "importedAt"] as const;
const SLICE_TIMES = ["closingAt", "uploadingAt", "uploadedAt", "importedAt"] as const;
/** How many of the times above a state has reached. */
const FILE_REACHED = { writing: 0, closing: 1, importing: 2, imported: 3 } as const;
const SLICE_REACHED = { writing: 0, closing: 1, uploading: 2, uploaded: 3, imported: 4 } as const;

export function encodeJson(value: object): Uint8Array {
  return utf8(JSON.stringify(value));
}

export function decodePartition(bytes: Uint8Array, what: string): Partition {
  const fields = new JsonFields(parseJson(bytes, what), what);
  const staged = fields.object("staged");
  const common = {
    ...sinkKeyIn(fields),
    n: fields.integer("n"),
    journal: fields.text("journal"),
    createdAt: fields.time("createdAt"),
    staged: { offset: staged.integer("offset"), ...readerStateIn(staged) },
  };
  const state = fields.oneOf("state", ["active", "retired"] as const);
  if (state === "active") {
    fields.forbid(["retiredAt", "end", "target", "tableId"], "the partition is active");
    return { ...common, state };
  }
  const retiredAt = fields.time("retiredAt");
  // The first version wrote `tableId` in the partition itself.
  const target = decodeTarget(fields.has("target") ? fields.object("target") : fields);
  return { ...common, state, retiredAt, end: fields.integer("end"), target };
}

export function decodeFile(bytes: Uint8Array, what: string): StorageFile {
  const fields = new JsonFields(parseJson(bytes, what), what);
  const state = fields.oneOf("state", ["writing", "closing", "importing", "imported"] as const);
  const file = {
    ...sinkKeyIn(fields),
    fileId: fields.text("fileId"),
    lane: fields.integer("lane"),
    target: decodeTarget(fields.object("target")),
    openedAt: fields.time("openedAt"),
    ...retryIn(fields),
    state,
    ...timesIn(fields, FILE_TIMES, FILE_REACHED[state], state),
  };
  return file as StorageFile;
}

export function decodeSlice(bytes: Uint8Array, what: string): Slice {
  const fields = new JsonFields(parseJson(bytes, what), what);
  const state = fields.oneOf("state", ["writing", "closing", "uploading", "uploaded", "imported"] as const);
  const reached = SLICE_REACHED[state];
  const common = {
    ...sinkKeyIn(fields),
    fileId: fields.text("fileId"),
    n: fields.integer("n"),
    begin: fields.integer("begin"),
    target: decodeTarget(fields.object("target")),
    startsTarget: fields.flag("startsTarget"),
    openedAt: fields.time("openedAt"),
    ...retryIn(fields),
    ...timesIn(fields, SLICE_TIMES, reached, state),
  };
  if (state === "writing") fields.forbid(["end", "statistics"], "the slice is writing");
  if (reached < SLICE_REACHED.uploaded) fields.forbid(["objects"], `the slice is ${state}`);
  if (state !== "uploaded") fields.forbid(["filter", "keysBegin"], `the slice is ${state}`);
  const end = reached === 0 ? {} : { end: fields.integer("end", common.begin) };
  const known = reached >= SLICE_REACHED.uploaded || fields.has("statistics");
  const statistics = known ? { statistics: decodeStatistics(fields.object("statistics")) } : {};
  const objects = reached < SLICE_REACHED.uploaded ? {} : { objects: fields.list("objects", stagedEntry) };
  const reader = state === "uploaded" ? readerStateIn(fields) : {};
  return { ...common, state, ...end, ...statistics, ...objects, ...reader } as Slice;
}

export function decodeSum(bytes: Uint8Array, what: string): SinkSum {
  const fields = new JsonFields(parseJson(bytes, what), what);
  return {
    ...sinkKeyIn(fields),
    files: fields.integer("files"),
    slices: fields.integer("slices"),
    statistics: decodeStatistics(fields.object("statistics")),
  };
}

export function decodeReset(bytes: Uint8Array, what: string): SinkReset {
  const fields = new JsonFields(parseJson(bytes, what), what);
  return {
    ...sinkKeyIn(fields),
    at: fields.time("at"),
    statistics: decodeStatistics(fields.object("statistics")),
  };
}

export function decodeStatistics(fields: JsonFields): Statistics {
  const recordsCount = fields.integer("recordsCount");
  const times =
    recordsCount === 0
      ? {}
      : { firstRecordAt: fields.time("firstRecordAt"), lastRecordAt: fields.time("lastRecordAt") };
  if (recordsCount === 0) fields.forbid(["firstRecordAt", "lastRecordAt"], "there are no records");
  return {
    ...times,
    recordsCount,
    uncompressedSize: fields.integer("uncompressedSize"),
    compressedSize: fields.integer("compressedSize"),
  };
}

export function sinkKeyIn(fields: JsonFields): SinkKey {
  return {
    projectId: fields.integer("projectId"),
    branchId: fields.integer("branchId"),
    sourceId: fields.text("sourceId"),
    sinkId: fields.text("sinkId"),
  };
}

function retryIn(fields: JsonFields): { retry?: RetryBlock } {
  return fields.has("retry") ? { retry: decodeRetry(fields.object("retry")) } : {};
}

/** The first `reached` of `names`; the others must be absent. */
function timesIn(
  fields: JsonFields,
  names: readonly string[],
  reached: number,
  state: string,
): Record<string, string> {
  fields.forbid(names.slice(reached), `its state is ${state}`);
  return Object.fromEntries(names.slice(0, reached).map((name) => [name, fields.time(name)]));
}

export function filterIn(fields: JsonFields): FrameFilterCheckpoint {
  return fields.list("filter", (value, what) => {
    const pair = new JsonFields(Array.isArray(value) ? { 0: value[0], 1: value[1] } : value, what);
    return [pair.text("0"), pair.integer("1", 1)] as const;
  });
}

function readerStateIn(fields: JsonFields): ReaderState {
  const filter = filterIn(fields);
  return fields.has("keysBegin") ? { filter, keysBegin: fields.integer("keysBegin") } : { filter };
}

function stagedEntry(value: unknown, what: string): StagedEntry {
  const fields = new JsonFields(value, what);
  return {
    path: fields.text("path"),
    sinkVersion: fields.integer("sinkVersion", 1),
    rows: fields.integer("rows", 1),
    bytes: fields.integer("bytes", 1),
    crc32c: fields.integer("crc32c"),
  };
}
