// Staged objects: Parquet files with one row group, PLAIN pages and no compression, made from ColumnStages by adding
// headers and a footer. Nothing is copied: a staged object is a list of chunks.
//
//   "PAR1" { page header, page }… for each column … footer, its length (4 bytes LE), "PAR1"
//
// Columns: `_offset` (INT64, required), then `c0`, `c1`, … (UTF-8, required): by position, since names of a mapping may
// differ in case only, or be `_offset`. The columns that they stand for are in StagedObject.columns. `_journal` is the
// same for all rows of an object and is not in it.
import { assert, utf8 } from "@millrace/base";
import { crc32c } from "./frame-crc.ts";
import type { ColumnPage, ColumnStage } from "./staging-columns.ts";
import { THRIFT, ThriftWriter } from "./staging-thrift.ts";

export interface StagedBytes {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  readonly rows: number;
  /** CRC-32C of all bytes. */
  readonly crc32c: number;
}

const MAGIC = utf8("PAR1");
const TYPE = { int64: 2, byteArray: 6 } as const;
const ENCODING = { plain: 0, rle: 3 } as const;
const REQUIRED = 0;
const CONVERTED_UTF8 = 0;
const DATA_PAGE = 0;
const UNCOMPRESSED = 0;

interface ColumnChunk {
  readonly name: string;
  readonly type: number;
  readonly begin: number;
  readonly bytes: number;
}

/** One object of all rows of `stages`, which follow each other in the journal and have the same number of columns. */
export function stagedObject(stages: readonly ColumnStage[]): StagedBytes {
  const filled = stages.filter((stage) => stage.rows > 0);
  const columnCount = filled[0]?.columnCount ?? 0;
  assert(columnCount >= 2, "a staged object has rows", { stages: stages.length });
  for (const stage of filled) {
    assert(stage.columnCount === columnCount, "one version has one number of columns", { columnCount });
  }
  const rows = filled.reduce((sum, stage) => sum + stage.rows, 0);
  const pagesOf = filled.map((stage) => stage.pages());
  const chunks: Uint8Array[] = [MAGIC];
  let at = MAGIC.length;
  const columns: ColumnChunk[] = [];
  for (let i = 0; i < columnCount; i++) {
    const begin = at;
    for (const page of pagesOf.flatMap((pages) => pages[i]!)) {
      const header = pageHeader(page);
      chunks.push(header, page.bytes);
      at += header.length + page.bytes.length;
    }
    const name = i === 0 ? "_offset" : stagedColumn(i - 1);
    columns.push({ name, type: i === 0 ? TYPE.int64 : TYPE.byteArray, begin, bytes: at - begin });
  }
  const footer = footerOf(columns, rows);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, footer.length, true);
  chunks.push(footer, length, MAGIC);
  const bytes = at + footer.length + 8;
  return { chunks, bytes, rows, crc32c: chunks.reduce((crc, chunk) => crc32c(chunk, crc), 0) };
}

/** Name in a staged object of the column that value `i` of a row goes to. */
export function stagedColumn(i: number): string {
  return `c${i}`;
}

function pageHeader(page: ColumnPage): Uint8Array {
  return new ThriftWriter()
    .i32(1, DATA_PAGE)
    .i32(2, page.bytes.length)
    .i32(3, page.bytes.length)
    .struct(5)
    .i32(1, page.values)
    .i32(2, ENCODING.plain)
    .i32(3, ENCODING.rle)
    .i32(4, ENCODING.rle)
    .end()
    .finish();
}

function footerOf(columns: readonly ColumnChunk[], rows: number): Uint8Array {
  const out = new ThriftWriter().i32(1, 1).list(2, THRIFT.struct, columns.length + 1);
  out.begin().text(4, "rows").i32(5, columns.length).end();
  for (const column of columns) {
    out.begin().i32(1, column.type).i32(3, REQUIRED).text(4, column.name);
    if (column.type === TYPE.byteArray) out.i32(6, CONVERTED_UTF8);
    out.end();
  }
  out.i64(3, rows).list(4, THRIFT.struct, 1).begin().list(1, THRIFT.struct, columns.length);
  let total = 0;
  for (const column of columns) {
    columnChunk(out, column, rows);
    total += column.bytes;
  }
  return out.i64(2, total).i64(3, rows).end().text(6, "millrace").finish();
}

function columnChunk(out: ThriftWriter, column: ColumnChunk, rows: number): void {
  out.begin().i64(2, column.begin).struct(3).i32(1, column.type);
  out.list(2, THRIFT.i32, 2).zigzag(ENCODING.plain).zigzag(ENCODING.rle);
  out.list(3, THRIFT.binary, 1).element(column.name);
  out.i32(4, UNCOMPRESSED).i64(5, rows).i64(6, column.bytes).i64(7, column.bytes).i64(9, column.begin);
  out.end().end();
}
