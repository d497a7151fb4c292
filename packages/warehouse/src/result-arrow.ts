// Arrow IPC stream of a result: integers up to 64 bits, floats, booleans, dates and timestamps keep their type;
// whatever else is text, as in JSON.
import type { DuckDBDataChunk, DuckDBValue } from "@duckdb/node-api";
import { DuckDBDateValue, DuckDBTimestampValue } from "@duckdb/node-api";
import {
  Bool,
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

export function arrowEncoder(columns: readonly ResultColumn[]): ResultEncoder {
  const kinds = columns.map((column) => KINDS[column.type] ?? text);
  const fields = columns.map((column, i) => new Field(column.name, kinds[i]!.type, true));
  const schema = new Schema(fields);
  const writer = new RecordBatchStreamWriter({ autoDestroy: false });
  writer.reset(undefined, schema);
  return {
    contentType: "application/vnd.apache.arrow.stream",
    chunk(chunk) {
      writer.write(recordBatch(schema, kinds, chunk));
      return new Uint8Array();
    },
    end() {
      writer.finish();
      return writer.toUint8Array(true);
    },
  };
}

function recordBatch(schema: Schema, kinds: readonly ColumnKind[], chunk: DuckDBDataChunk): RecordBatch {
  const children = kinds.map((kind, i) => {
    const builder = makeBuilder({ type: kind.type, nullValues: [null, undefined] });
    for (const value of chunk.getColumnValues(i)) builder.append(value === null ? null : kind.convert(value));
    return builder.finish().flush();
  });
  const data = makeData({ type: new Struct(schema.fields), length: chunk.rowCount, nullCount: 0, children });
  return new RecordBatch(schema, data);
}

function asText(value: DuckDBValue): string {
  return typeof value === "string" ? value : csvText(value);
}
