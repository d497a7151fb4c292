// HPACK, receiving side. The result of a block that changed nothing in the table is kept with its bytes: the next
// request of the same kind has the same block and costs a look-up.
//
// K1 A list never has more than `listBytesMax` bytes (as SETTINGS_MAX_HEADER_LIST_SIZE counts them); what is beyond is
//    decoded, so that both tables stay the same, and dropped.
// K2 A byte of a block can name a field of 4 KiB: a list of more than LIST_EXCESS_MAX times `listBytesMax` is decoded
//    no further, and ends the connection.
import { ConnectionFault } from "./h2-error.ts";
import { decodeHuffman, latin1 } from "./hpack-huffman.ts";
import { DynamicTable, fieldSize, STATIC_COUNT, staticName, staticValue } from "./hpack-table.ts";

/** What a header block says. Shared by equal blocks: nothing in it may be changed, but for what is derived from it. */
export class HeaderList {
  /** Names and values in turn. */
  readonly fields: readonly string[];
  /** It was longer than allowed, and is cut. */
  readonly isCut: boolean;
  /** Whoever reads a list keeps what he made of it here, for the next equal block. */
  derived: unknown = undefined;
  constructor(fields: readonly string[], isCut: boolean) {
    this.fields = fields;
    this.isCut = isCut;
  }
}

/** What costs so much more than may be had is no mistake of a client whose token is too long. */
const LIST_EXCESS_MAX = 8;

/** Blocks so short are worth keeping: they are made of indexes. */
const KEPT_BLOCK_BYTES_MAX = 32;
const KEPT_BLOCKS_MAX = 64;

export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #tableBytesMax: number;
  readonly #listBytesMax: number;
  readonly #sizeMax: number;
  readonly #kept = new Map<string, HeaderList>();
  #keptAt = -1;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** @param tableBytesMax what this side's SETTINGS_HEADER_TABLE_SIZE allows */
  constructor(tableBytesMax: number, listBytesMax: number) {
    this.#table = new DynamicTable(tableBytesMax);
    this.#tableBytesMax = tableBytesMax;
    this.#listBytesMax = listBytesMax;
    this.#sizeMax = LIST_EXCESS_MAX * listBytesMax;
  }

  /** @throws {ConnectionFault} COMPRESSION_ERROR; ENHANCE_YOUR_CALM (K2) */
  decode(block: Uint8Array): HeaderList {
    if (block.length > KEPT_BLOCK_BYTES_MAX) return this.#decode(block);
    const key = latin1(block, 0, block.length);
    const { changes } = this.#table;
    if (this.#keptAt === changes) {
      const kept = this.#kept.get(key);
      if (kept !== undefined) return kept;
    } else {
      this.#kept.clear();
      this.#keptAt = changes;
    }
    const list = this.#decode(block);
    if (this.#table.changes === changes && this.#kept.size < KEPT_BLOCKS_MAX) this.#kept.set(key, list);
    return list;
  }

  #decode(block: Uint8Array): HeaderList {
    this.#bytes = block;
    this.#at = 0;
    this.#end = block.length;
    const fields: string[] = [];
    let size = 0;
    let mayResize = true;
    while (this.#at < this.#end) {
      const first = block[this.#at]!;
      if ((first & 0xe0) === 0x20) {
        if (!mayResize) throw broken("a table size update after a field");
        this.#resize();
        continue;
      }
      mayResize = false;
      let name: string;
      let value: string;
      if ((first & 0x80) !== 0) {
        const index = this.#integer(7);
        name = this.#nameAt(index);
        value = index <= STATIC_COUNT ? staticValue(index) : this.#table.value(index - STATIC_COUNT - 1);
      } else {
        const isInserted = (first & 0x40) !== 0;
        const index = this.#integer(isInserted ? 6 : 4);
        name = index === 0 ? this.#string() : this.#nameAt(index);
        value = this.#string();
        if (isInserted) this.#table.insert(name, value);
      }
      size += fieldSize(name, value);
      if (size <= this.#listBytesMax)
        fields.push(name, value); // K1
      else if (size > this.#sizeMax) throw this.#excess(size); // K2
    }
    return new HeaderList(fields, size > this.#listBytesMax);
  }

  #excess(size: number): ConnectionFault {
    const text = `a header list of ${size} bytes and more (at most ${this.#listBytesMax} are taken)`;
    return new ConnectionFault("ENHANCE_YOUR_CALM", text);
  }

  #resize(): void {
    const size = this.#integer(5);
    if (size > this.#tableBytesMax)
      throw broken(`table size ${size} out of range (0 <= n <= ${this.#tableBytesMax})`);
    this.#table.resize(size);
  }

  #nameAt(index: number): string {
    if (index === 0 || index > STATIC_COUNT + this.#table.count) {
      throw broken(`index ${index} out of range (0 < n <= ${STATIC_COUNT + this.#table.count})`);
    }
    return index <= STATIC_COUNT ? staticName(index) : this.#table.name(index - STATIC_COUNT - 1);
  }

  /** RFC 7541 section 5.1; more than 2^28 is refused, long before anything would be allocated for it. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw broken("an integer is cut off");
      if (shift > 21) throw broken("an integer is too large");
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw broken("a string is cut off");
    const isHuffman = (this.#bytes[this.#at]! & 0x80) !== 0;
    const length = this.#integer(7);
    const begin = this.#at;
    const end = begin + length;
    if (end > this.#end) throw broken("a string is cut off");
    this.#at = end;
    if (!isHuffman) return latin1(this.#bytes, begin, end);
    const text = decodeHuffman(this.#bytes, begin, end);
    if (text === undefined) throw broken("a string has no valid Huffman code");
    return text;
  }
}

function broken(message: string): ConnectionFault {
  return new ConnectionFault("COMPRESSION_ERROR", `header block: ${message}`);
}
