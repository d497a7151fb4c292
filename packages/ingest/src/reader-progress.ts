// How far a reader is in the open slice of a partition: what conditions are evaluated on. It comes from the bytes that
// were read, so it can be behind the journal, but never wrong. In one process it is asked for; readers of another
// process publish it under the keys of the local statistics.
import { WireError } from "@millrace/base";
import { sinkKeyIn } from "./storage-codec.ts";
import type { PartitionKey, Statistics } from "./storage-entities.ts";
import { isoTime, JsonFields, parseJson } from "./storage-json.ts";

/** What is counted of rows while they are read. */
export interface Totals {
  readonly records: number;
  /** Bytes of the rows. */
  readonly bytes: number;
  /** Unix ms of the first and the last record; 0 when there are none. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface Progress extends Totals {
  /** Begin of the open slice. */
  readonly begin: number;
  /** Everything below was read; an acknowledged end of a frame, so the slice may end here. */
  readonly offset: number;
  /** Of the journal, when something was last read. */
  readonly writeHead: number;
  /** The reader holds as much of this slice as it may: it goes on when the slice has ended. */
  readonly full: boolean;
}

export interface ProgressFeed {
  /** Of the open slice; undefined when nobody reads the partition, or not yet from the slice's begin. */
  progress(key: PartitionKey): Progress | undefined;
  /** As progress(), and the reader can end the slice at the returned offset without reading anything again. */
  seal(key: PartitionKey): Progress | undefined;
}

export function statisticsOfTotals({ records, bytes, firstMs, lastMs }: Totals): Statistics {
  const times = records === 0 ? {} : { firstRecordAt: isoTime(firstMs), lastRecordAt: isoTime(lastMs) };
  return { ...times, recordsCount: records, uncompressedSize: bytes, compressedSize: bytes };
}

/** What a partition's reader in another process has published. */
export type PublishedProgress = PartitionKey &
  Progress & {
    /** That it reads; absent of readers of the first version. */
    readonly journal?: string;
  };

export function decodeProgress(bytes: Uint8Array, what: string): PublishedProgress {
  const fields = new JsonFields(parseJson(bytes, what), what);
  const begin = fields.integer("begin");
  const offset = fields.integer("offset");
  if (offset < begin) throw new WireError("CORRUPT", `${what}: offset ${offset} is below begin ${begin}`);
  return {
    ...sinkKeyIn(fields),
    n: fields.integer("n"),
    ...(fields.has("journal") ? { journal: fields.text("journal") } : {}),
    begin,
    offset,
    writeHead: fields.integer("writeHead"),
    records: fields.integer("records"),
    bytes: fields.integer("bytes"),
    firstMs: fields.integer("firstMs"),
    lastMs: fields.integer("lastMs"),
    full: fields.flag("full"),
  };
}
