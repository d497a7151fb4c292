// Arrow IPC stream of a result: integers up to 64 bits, floats, booleans, dates and timestamps keep their type;
// whatever else is text, as in JSON.
import type { DuckDBDataChunk, DuckDBValue } from "@duckdb/node-api";
import { DuckDBDateValue, DuckDBTimestampValue } from "@duckdb/node-api";
import {
  Bool,
  type Builder,
  type DataType,
  DateDay,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
  makeBuilder,
  makeData,
  RecordBatch,
} from "apache-arrow";
import type { ResultBytes } from "./result-bytes.ts";
import type { ResultColumn, ResultEncoder } from "./result-encoders.ts";
import { csvText } from "./result-values.ts";

interface ColumnKind {
  readonly type: DataType;
  readonly convert: (value: DuckDBValue) => unknown;
}

const same = (value: DuckDBValue): unknown => value;
const text: ColumnKind = { type: new Utf8(), convert: asText };

const KINDS: Readonly<Record<string, ColumnKind>> = {
  BOOLEAN: { type: new Bool(), convert: same },
  TINYINT: { type: new Int8(), convert: same },
  SMALLINT: { type: new Int16(), convert: same },
  INTEGER: { type: new Int32(), convert: same },
  BIGINT: { type: new Int64(), convert: same },
  UTINYINT: { type: new Uint8(), convert: same },
  USMALLINT: { type: new Uint16(), convert: same },
  UINTEGER: { type: new Uint32(), convert: same },
  UBIGINT: { type: new Uint64(), convert: same },
  FLOAT: { type: new Float32(), convert: same },
  DOUBLE: { type: new Float64(), convert: same },
  DATE: {
    type: new DateDay(),
    convert: (value) => (value instanceof DuckDBDateValue ? value.days * 86_400_000 : null),
  },
  TIMESTAMP: {
    type: new TimestampMicrosecond(),
    convert: (value) => (value instanceof DuckDBTimestampValue ? Number(value.micros) / 1000 : null),
  },
};

/** Bytes of values that are made into a batch at a time, and bytes of a value that is not text. */
const BATCH_BYTES = 1024 * 1024;
const VALUE_BYTES = 8;

export function arrowEncoder(columns: readonly ResultColumn[], bytes: ResultBytes): ResultEncoder {
  const kinds = columns.map((column) => KINDS[column.type] ?? text);
  const fields = columns.map((column, i) => new Field(column.name, kinds[i]!.type, true));
  const schema = new Schema(fields);
  const writer = new RecordBatchStreamWriter({ autoDestroy: false });
  writer.reset(undefined, schema);
  // The writer tells of its bytes at its end only; until then they are counted as what its batches hold.
  let batchesBytes = 0;
  const write = (batch: RecordBatch): void => {
    batchesBytes += batch.data.byteLength;
    bytes.check(batchesBytes);
    writer.write(batch);
  };
  return {
    contentType: "application/vnd.apache.arrow.stream",
    chunk(chunk) {
      for (let begin = 0; begin < chunk.rowCount;) {
        const builder = new BatchBuilder(schema, kinds);
        begin = builder.fill(chunk, begin, (held) => bytes.check(batchesBytes + held));
        write(builder.finish());
      }
    },
    async end() {
      writer.close();
      for await (const part of writer) bytes.add(part);
    },
  };
}

class BatchBuilder {
  readonly #schema: Schema;
  readonly #kinds: readonly ColumnKind[];
  readonly #builders: readonly Builder[];
  #rows = 0;

  constructor(schema: Schema, kinds: readonly ColumnKind[]) {
    this.#schema = schema;
    this.#kinds = kinds;
    this.#builders = kinds.map(({ type }) => makeBuilder({ type, nullValues: [null, undefined] }));
  }

  /** Takes rows from `begin` on until it is full. @returns the first that it did not take */
  fill(chunk: DuckDBDataChunk, begin: number, check: (bytes: number) => void): number {
    let held = 0;
    let row = begin;
    for (; row < chunk.rowCount && held < BATCH_BYTES; row++, this.#rows++) {
      chunk.visitRowValues(row, (value, _row, column) => {
        const converted = value === null ? null : this.#kinds[column]!.convert(value);
        held += typeof converted === "string" ? converted.length : VALUE_BYTES;
        check(held);
        this.#builders[column]!.append(converted);
      });
    }
    return row;
  }

  finish(): RecordBatch {
    const children = this.#builders.map((builder) => builder.finish().flush());
    const type = new Struct(this.#schema.fields);
    return new RecordBatch(this.#schema, makeData({ type, length: this.#rows, nullCount: 0, children }));
  }
}

function asText(value: DuckDBValue): string {
  return typeof value === "string" ? value : csvText(value);
}
