// Reads a staged object back (staging-parquet.ts), for the model target: no more of Parquet than that writes.
import { assert, text, WireError } from "@millrace/base";

export interface StagedRow {
  readonly offset: number;
  readonly values: readonly string[];
}

/** @param columns values of a row, without the offset @throws {WireError} CORRUPT */
export function readStaged(bytes: Uint8Array, columns: number, rows: number): readonly StagedRow[] {
  if (text(bytes.subarray(0, 4)) !== "PAR1" || text(bytes.subarray(-4)) !== "PAR1") {
    throw new WireError("CORRUPT", "not a Parquet file");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cursor = new Cursor(bytes, 4);
  const offsets: number[] = [];
  const values: string[][] = Array.from({ length: rows }, () => []);
  for (let column = 0; column <= columns; column++) {
    for (let row = 0; row < rows;) {
      const header = cursor.struct();
      let at = cursor.at;
      const page = header.get(5);
      assert(page instanceof Map, "a page has a data page header");
      const count = Number(page.get(1));
      for (let i = 0; i < count; i++, row++) {
        if (column === 0) {
          offsets.push(Number(view.getBigInt64(at, true)));
          at += 8;
          continue;
        }
        const length = view.getUint32(at, true);
        values[row]!.push(text(bytes.subarray(at + 4, at + 4 + length)));
        at += 4 + length;
      }
      cursor.at += Number(header.get(2));
      assert(at === cursor.at, "a page has the size that it states", { at, end: cursor.at });
    }
  }
  return offsets.map((offset, row) => ({ offset, values: values[row]! }));
}

type Thrift = number | ReadonlyMap<number, Thrift>;

/** Structs of integers in Thrift's compact protocol. */
class Cursor {
  readonly #bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  struct(): ReadonlyMap<number, Thrift> {
    const fields = new Map<number, Thrift>();
    let id = 0;
    for (;;) {
      const head = this.#bytes[this.at++]!;
      if (head === 0) return fields;
      id += head >> 4;
      fields.set(id, (head & 15) === 12 ? this.struct() : this.#zigzag());
    }
  }

  #zigzag(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }
}
