// Rows of a staged object as Parquet files for others to read: typed, compressed, one file for each day.
//
// What comes out is a function of the object alone: a repeated load writes the same bytes.
import { WireError } from "@millrace/base";
import type { Column, StagedRows } from "@millrace/ingest";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { ColumnSource, SchemaElement } from "hyparquet-writer";
import { tableColumns, type ColumnKind } from "./column-kinds.ts";
import { NO_DATE } from "./parquet-layout.ts";

export interface ParquetFile {
  /** `YYYY-MM-DD` of the first datetime column, UTC; NO_DATE without one. */
  readonly date: string;
  readonly bytes: Uint8Array;
  readonly rows: number;
}

/** A row group ends at so many rows or bytes of values: readers take it whole, and it is held here as text. */
const GROUP_ROWS = 65_536;
const GROUP_BYTES = 8 * 1024 * 1024;
const DATE_CHARS = 10;

/** @throws {WireError} UNPROCESSABLE: a moment that is none, CORRUPT */
export function parquetFiles(
  rows: StagedRows,
  journal: string,
  columns: readonly Column[],
): readonly ParquetFile[] {
  const dated = columns.findIndex(({ type }) => type === "datetime");
  const days = new Map<string, Day>();
  while (rows.next()) {
    const date = dated < 0 ? NO_DATE : rows.value(dated).slice(0, DATE_CHARS);
    let day = days.get(date);
    if (day === undefined) {
      day = new Day(journal, columns);
      days.set(date, day);
    }
    day.add(rows);
  }
  return [...days].map(([date, day]) => ({ date, ...day.finish() }));
}

/** The file of one day. */
class Day {
  readonly #out = new ByteWriter();
  readonly #writer: ParquetWriter;
  readonly #columns: readonly Column[];
  readonly #journal: string;
  readonly #names: readonly (readonly [name: string, kind: ColumnKind])[];
  #values: (string | bigint)[][] = [];
  #bytes = 0;
  #rows = 0;

  constructor(journal: string, columns: readonly Column[]) {
    this.#journal = journal;
    this.#columns = columns;
    this.#names = tableColumns(columns);
    this.#writer = new ParquetWriter({
      writer: this.#out,
      schema: schemaOf(this.#names),
      createdBy: "millrace",
    });
    this.#clear();
  }

  add(rows: StagedRows): void {
    const values = this.#values;
    for (let i = 0; i < this.#columns.length; i++) {
      const [name, kind] = this.#names[i]!;
      const text = rows.value(i);
      values[i]!.push(kind === "moment" ? this.#momentOf(text, rows.offset, name) : text);
      this.#bytes += rows.ends[i]! - rows.begins[i]!;
    }
    values.at(-2)!.push(this.#journal);
    values.at(-1)!.push(BigInt(rows.offset));
    this.#rows++;
    if (values[0]!.length >= GROUP_ROWS || this.#bytes >= GROUP_BYTES) this.#flush();
  }

  finish(): { bytes: Uint8Array; rows: number } {
    this.#flush();
    void this.#writer.finish();
    return { bytes: this.#out.getBytes(), rows: this.#rows };
  }

  #flush(): void {
    const count = this.#values[0]!.length;
    if (count === 0) return;
    const columnData = this.#names.map(([name], i): ColumnSource => ({ name, data: this.#values[i]! }));
    void this.#writer.write({ columnData, rowGroupSize: count });
    this.#clear();
  }

  #clear(): void {
    this.#values = this.#names.map(() => []);
    this.#bytes = 0;
  }

  #momentOf(text: string, offset: number, column: string): bigint {
    const ms = Date.parse(text);
    if (!Number.isNaN(ms)) return BigInt(ms);
    const facts = { journal: this.#journal, offset, column };
    throw new WireError("UNPROCESSABLE", `the row at offset ${offset} has no moment in column "${column}"`, {
      facts,
    });
  }
}

function schemaOf(columns: readonly (readonly [name: string, kind: ColumnKind])[]): SchemaElement[] {
  return [
    { name: "root", num_children: columns.length },
    ...columns.map(([name, kind]) => elementOf(name, kind)),
  ];
}

/** UUIDs are text: readers of Parquet that know their type are few. */
function elementOf(name: string, kind: ColumnKind): SchemaElement {
  switch (kind) {
    case "uuid":
    case "text":
      return { name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" };
    case "moment":
      return { name, type: "INT64", converted_type: "TIMESTAMP_MILLIS", repetition_type: "REQUIRED" };
    case "offset":
      return { name, type: "INT64", repetition_type: "REQUIRED" };
  }
}
