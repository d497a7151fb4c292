// Thrift's compact protocol, as much of it as the headers and the footer of a Parquet file need. Write only.

export const THRIFT = { i32: 5, i64: 6, binary: 8, list: 9, struct: 12 } as const;

export class ThriftWriter {
  #bytes = new Uint8Array(256);
  #length = 0;
  /** Last field id of each open struct. */
  readonly #last: number[] = [0];

  i32(field: number, value: number): this {
    this.#field(field, THRIFT.i32);
    return this.zigzag(value);
  }

  /** @param value a safe integer */
  i64(field: number, value: number): this {
    this.#field(field, THRIFT.i64);
    return this.zigzag(value);
  }

  /** @param value ASCII */
  text(field: number, value: string): this {
    this.#field(field, THRIFT.binary);
    return this.element(value);
  }

  /** Opens a list; its `count` elements follow: `element`, `zigzag`, or `begin` … `end` for each. */
  list(field: number, type: number, count: number): this {
    this.#field(field, THRIFT.list);
    if (count < 15) this.#byte((count << 4) | type);
    else this.#byte(0xf0 | type).#varint(count);
    return this;
  }

  /** Opens a struct field; `end` closes it. */
  struct(field: number): this {
    this.#field(field, THRIFT.struct);
    return this.begin();
  }

  /** Opens a struct that is an element of a list. */
  begin(): this {
    this.#last.push(0);
    return this;
  }

  end(): this {
    this.#last.pop();
    return this.#byte(0);
  }

  /** A string as an element of a list. */
  element(value: string): this {
    this.#varint(value.length);
    for (let i = 0; i < value.length; i++) this.#byte(value.charCodeAt(i));
    return this;
  }

  /** An integer as an element of a list. */
  zigzag(value: number): this {
    return this.#varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  /** Everything written, as one struct. */
  finish(): Uint8Array {
    this.#byte(0);
    return this.#bytes.subarray(0, this.#length);
  }

  #field(id: number, type: number): void {
    const top = this.#last.length - 1;
    const delta = id - this.#last[top]!;
    this.#last[top] = id;
    if (delta > 0 && delta < 16) this.#byte((delta << 4) | type);
    else this.#byte(type).zigzag(id);
  }

  #varint(value: number): this {
    let rest = value;
    while (rest > 127) {
      this.#byte((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    return this.#byte(rest);
  }

  #byte(value: number): this {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = value;
    return this;
  }
}
