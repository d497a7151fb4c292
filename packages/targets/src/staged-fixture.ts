// Staged objects for tests of targets, made by the encoder that makes the real ones.
import { concatBytes, never, utf8 } from "@millrace/base";
import type { Column, PartitionLoad, StagedObject } from "@millrace/ingest";
import { ColumnStage, stagedObject } from "@millrace/ingest/testkit";
import type { ObjectStore } from "@millrace/stores";

export interface StagedSample {
  readonly columns: readonly Column[];
  /** One value per column. */
  readonly rows: readonly (readonly string[])[];
  /** Journal offset of the frame that holds them. */
  readonly begin: number;
  readonly sinkVersion?: number;
}

export interface StagedFixture {
  readonly object: StagedObject;
  /** Journal offset of each row. */
  readonly offsets: readonly number[];
  /** Where the frame ends. */
  readonly end: number;
}

/** Of the two lines before the rows of a frame. */
const HEAD_BYTES = 60;

/** Puts the rows of one frame into `store` as a staged object. */
export async function stageRows(
  store: ObjectStore,
  path: string,
  sample: StagedSample,
): Promise<StagedFixture> {
  const { columns, rows, begin, sinkVersion = 1 } = sample;
  const encoded = rows.map(csv);
  const body = concatBytes(encoded);
  const bodyBegin = begin + HEAD_BYTES;
  const stage = new ColumnStage();
  stage.add({
    producer: "00deadbeef00cafe",
    sequence: 1,
    sinkVersion,
    acceptedAtMs: 1,
    begin,
    end: bodyBegin + body.length,
    bodyBegin,
    count: rows.length,
    rowLengths: Uint32Array.from(encoded, ({ length }) => length),
    keys: undefined,
    body,
  });
  const { chunks, bytes, crc32c } = stagedObject([stage]);
  await store.put(path, iterate(chunks), { bytes }, never);
  const offsets: number[] = [];
  let at = bodyBegin;
  for (const { length } of encoded) {
    offsets.push(at);
    at += length;
  }
  const object = { path, columns, sinkVersion, rows: rows.length, bytes, crc32c };
  return { object, offsets, end: at };
}

/** A load of one object that holds one frame. */
export async function stageLoad(
  store: ObjectStore,
  journal: string,
  sample: StagedSample,
  startsTarget = sample.begin === 0,
): Promise<PartitionLoad> {
  const path = `${journal}/${sample.begin}-v${sample.sinkVersion ?? 1}.parquet`;
  const { object, end } = await stageRows(store, path, sample);
  return { journal, begin: sample.begin, end, objects: [object], startsTarget };
}

function csv(row: readonly string[]): Uint8Array {
  return utf8(`${row.map((value) => `"${value.replaceAll('"', '""')}"`).join(",")}\n`);
}

async function* iterate(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk;
}
