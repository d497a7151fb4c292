// Headers of a staged object's pages: structs of integers in Thrift's compact protocol, the counterpart of
// staging-thrift.ts. Every byte is checked to be there before it is read.

export interface StagedPage {
  /** Of its values, in the object. */
  readonly begin: number;
  readonly end: number;
  readonly values: number;
}

const STRUCT = 12;
const INTEGERS: ReadonlySet<number> = new Set([4, 5, 6]);
/** A page header has a struct in it, and no more. */
const DEPTH_MAX = 2;
/** Fields of a page header with its data page header, and a few to spare. */
const FIELDS_MAX = 16;
const DATA_PAGE = 0;
const PLAIN = 0;

type Fields = ReadonlyMap<number, number | Fields>;

/** Goes through pages that follow each other. */
export class PageHeaders {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(bytes: Uint8Array, begin: number, end: number) {
    this.#bytes = bytes;
    this.at = begin;
    this.#end = end;
  }

  /** The next page, uncompressed and PLAIN; undefined: what stands there is none. */
  next(): StagedPage | undefined {
    const fields = this.#struct(1);
    const data = fields?.get(5);
    if (fields === undefined || !(data instanceof Map)) return undefined;
    const bytes = fields.get(2);
    const values: unknown = data.get(1);
    if (fields.get(1) !== DATA_PAGE || fields.get(3) !== bytes || data.get(2) !== PLAIN) return undefined;
    if (typeof bytes !== "number" || typeof values !== "number" || bytes < 0 || values < 1) return undefined;
    const begin = this.at;
    if (bytes > this.#end - begin) return undefined;
    this.at = begin + bytes;
    return { begin, end: this.at, values };
  }

  #struct(depth: number): Fields | undefined {
    const fields = new Map<number, number | Fields>();
    let id = 0;
    while (fields.size <= FIELDS_MAX && this.at < this.#end) {
      const head = this.#bytes[this.at++]!;
      if (head === 0) return fields;
      const type = head & 15;
      if (head >> 4 === 0 || (type === STRUCT && depth === DEPTH_MAX)) return undefined;
      id += head >> 4;
      const value =
        type === STRUCT ? this.#struct(depth + 1) : INTEGERS.has(type) ? this.#zigzag() : undefined;
      if (value === undefined) return undefined;
      fields.set(id, value);
    }
    return undefined;
  }

  #zigzag(): number | undefined {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 42 && this.at < this.#end; scale *= 128) {
      const byte = this.#bytes[this.at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
    return undefined;
  }
}
