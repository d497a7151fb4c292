// Decodes the blocks of one zstd frame (RFC 8878, 3.1.1.2 and 3.1.1.3) with no more memory than the frame's window. For
// frames that the WASM library, which wants everything at once, cannot take. Checksums of frames are not checked here:
// fragments have a SHA-1.
import {
  BackwardBits,
  fseConstant,
  fseTable,
  readFseTable,
  readHuffmanTable,
  type FseTable,
  type HuffmanTable,
} from "./codec-zstd-entropy.ts";
import { BLOCK_BYTES_MAX, corrupt, type BlockHeader } from "./codec-zstd-frame.ts";

/** Bytes that may be loaded behind a block. */
const PADDING_BYTES = 8;

const LITERAL_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14,
  15, 16,
];
const MATCH_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1,
  2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
const LITERAL_BASES = basesOf(LITERAL_BITS, 0);
const MATCH_BASES = basesOf(MATCH_BITS, 3);

const DEFAULT_LITERALS = fseTable(
  [
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1,
    -1, -1,
  ],
  6,
);
const DEFAULT_MATCHES = fseTable(
  [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
  ],
  6,
);
const DEFAULT_OFFSETS = fseTable(
  [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
  5,
);

interface SequenceTables {
  literals: FseTable | undefined;
  offsets: FseTable | undefined;
  matches: FseTable | undefined;
}

export class ZstdFrameDecoder {
  readonly #windowBytes: number;
  /** The window, and behind it the block at hand. */
  #out: Uint8Array;
  #end = 0;
  #huffman: HuffmanTable | undefined;
  readonly #tables: SequenceTables = { literals: undefined, offsets: undefined, matches: undefined };
  readonly #repeats: [number, number, number] = [1, 4, 8];
  readonly #block = new Uint8Array(BLOCK_BYTES_MAX + PADDING_BYTES);
  readonly #literals = new Uint8Array(BLOCK_BYTES_MAX);

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
    this.#out = new Uint8Array(Math.min(windowBytes, BLOCK_BYTES_MAX) + 2 * BLOCK_BYTES_MAX);
  }

  /** The content of the next block. @throws {WireError} CORRUPT */
  block(header: BlockHeader, body: Uint8Array): Uint8Array {
    this.#makeRoom();
    const begin = this.#end;
    if (header.type === "compressed") this.#compressed(body);
    else {
      const end = begin + (header.contentBytes ?? 0);
      if (header.type === "raw") this.#out.set(body, begin);
      else this.#out.fill(body[0]!, begin, end);
      this.#end = end;
    }
    return this.#out.slice(begin, this.#end);
  }

  /** Makes room for one block, and keeps the window. */
  #makeRoom(): void {
    if (this.#end + BLOCK_BYTES_MAX <= this.#out.length) return;
    if (this.#out.length < this.#windowBytes + 2 * BLOCK_BYTES_MAX) {
      const grown = new Uint8Array(Math.min(2 * this.#out.length, this.#windowBytes + 2 * BLOCK_BYTES_MAX));
      grown.set(this.#out);
      this.#out = grown;
      if (this.#end + BLOCK_BYTES_MAX <= grown.length) return;
    }
    const keep = Math.min(this.#windowBytes, this.#end);
    this.#out.copyWithin(0, this.#end - keep, this.#end);
    this.#end = keep;
  }

  #compressed(body: Uint8Array): void {
    const bytes = this.#block;
    bytes.set(body);
    bytes.fill(0, body.length, body.length + PADDING_BYTES);
    const { count, end } = this.#readLiterals(bytes, body.length);
    this.#readSequences(bytes, { begin: end, end: body.length }, count);
  }

  /** Fills #literals. @returns how many there are and where their section ends */
  #readLiterals(bytes: Uint8Array, length: number): { count: number; end: number } {
    const head = bytes[0]!;
    const type = head & 3;
    const format = (head >> 2) & 3;
    const word =
      bytes[0]! + bytes[1]! * 2 ** 8 + bytes[2]! * 2 ** 16 + bytes[3]! * 2 ** 24 + bytes[4]! * 2 ** 32;
    if (type < 2) {
      const headBytes = format === 1 ? 2 : format === 3 ? 3 : 1;
      const count =
        headBytes === 1 ? head >> 3 : headBytes === 2 ? (word & 0xffff) >> 4 : (word & 0xffffff) >> 4;
      const end = headBytes + (type === 0 ? count : 1);
      if (end > length || count > BLOCK_BYTES_MAX) throw corrupt("literals do not fit");
      if (type === 0) this.#literals.set(bytes.subarray(headBytes, end));
      else this.#literals.fill(bytes[headBytes]!, 0, count);
      return { count, end };
    }
    const headBytes = format < 2 ? 3 : format + 2;
    const width = format < 2 ? 10 : format === 2 ? 14 : 18;
    const count = Math.floor(word / 16) % 2 ** width;
    const end = headBytes + (Math.floor(word / 2 ** (4 + width)) % 2 ** width);
    if (end > length || count > BLOCK_BYTES_MAX) throw corrupt("literals do not fit");
    let begin = headBytes;
    if (type === 2) ({ table: this.#huffman, end: begin } = readHuffmanTable(bytes, { begin, end }));
    if (this.#huffman === undefined) throw corrupt("literals without a Huffman tree");
    this.#readStreams(bytes, { begin, end }, { count, single: format === 0 });
    return { count, end };
  }

  #readStreams(
    bytes: Uint8Array,
    { begin, end }: { begin: number; end: number },
    { count, single }: { count: number; single: boolean },
  ): void {
    if (single) return this.#readStream(bytes, { begin, end }, { from: 0, to: count });
    if (begin + 6 > end) throw corrupt("a jump table is cut off");
    const each = (count + 3) >> 2;
    let at = begin + 6;
    for (let i = 0; i < 4; i++) {
      const size = bytes[begin + 2 * i]! | (bytes[begin + 2 * i + 1]! << 8);
      const stop = i === 3 ? end : at + size;
      const to = i === 3 ? count : Math.min(count, each * (i + 1));
      if (stop > end || each * i > to) throw corrupt("a literal stream does not fit");
      this.#readStream(bytes, { begin: at, end: stop }, { from: each * i, to });
      at = stop;
    }
  }

  #readStream(
    bytes: Uint8Array,
    range: { begin: number; end: number },
    { from, to }: { from: number; to: number },
  ): void {
    const { log, symbols, bits: widths } = this.#huffman!;
    const bits = new BackwardBits(bytes, range.begin, range.end);
    const literals = this.#literals;
    for (let i = from; i < to; i++) {
      const code = bits.peek(log);
      literals[i] = symbols[code]!;
      bits.left -= widths[code]!;
    }
    if (bits.left !== 0) throw corrupt("a literal stream has another length");
  }

  #readSequences(bytes: Uint8Array, range: { begin: number; end: number }, literalCount: number): void {
    let at = range.begin;
    if (at >= range.end) throw corrupt("no sequences section");
    let count = bytes[at++]!;
    if (count >= 128) {
      count = count < 255 ? ((count - 128) << 8) + bytes[at++]! : bytes[at++]! + (bytes[at++]! << 8) + 0x7f00;
    }
    if (at > range.end) throw corrupt("sequences are cut off");
    let literal = 0;
    if (count > 0) {
      const modes = bytes[at++]!;
      if (at > range.end || (modes & 3) !== 0) throw corrupt("reserved bits in sequence modes");
      at = this.#readTables(bytes, { begin: at, end: range.end }, modes);
      literal = this.#execute(new BackwardBits(bytes, at, range.end), count, literalCount);
    } else if (at !== range.end) throw corrupt("bytes behind the sequences");
    const rest = literalCount - literal;
    if (this.#end + rest > this.#out.length) throw corrupt("a block is too long");
    this.#out.set(this.#literals.subarray(literal, literalCount), this.#end);
    this.#end += rest;
  }

  #readTables(bytes: Uint8Array, range: { begin: number; end: number }, modes: number): number {
    const kinds = [
      { name: "literals", mode: modes >> 6, preset: DEFAULT_LITERALS, logMax: 9, symbolMax: 35 },
      { name: "offsets", mode: (modes >> 4) & 3, preset: DEFAULT_OFFSETS, logMax: 8, symbolMax: 31 },
      { name: "matches", mode: (modes >> 2) & 3, preset: DEFAULT_MATCHES, logMax: 9, symbolMax: 52 },
    ] as const;
    let begin = range.begin;
    for (const { name, mode, preset, logMax, symbolMax } of kinds) {
      if (mode === 0) this.#tables[name] = preset;
      else if (mode === 1) {
        const symbol = bytes[begin++]!;
        if (begin > range.end || symbol > symbolMax)
          throw corrupt(`a symbol of ${symbol} (at most ${symbolMax})`);
        this.#tables[name] = fseConstant(symbol);
      } else if (mode === 2) {
        ({ table: this.#tables[name], end: begin } = readFseTable(
          bytes,
          { begin, end: range.end },
          { logMax, symbolMax },
        ));
      } else if (this.#tables[name] === undefined) throw corrupt(`no table of ${name} to repeat`);
    }
    return begin;
  }

  /** Copies literals and matches. @returns literals that were used */
  #execute(bits: BackwardBits, count: number, literalCount: number): number {
    const literalTable = this.#tables.literals!;
    const offsetTable = this.#tables.offsets!;
    const matchTable = this.#tables.matches!;
    let literalState = bits.read(literalTable.log);
    let offsetState = bits.read(offsetTable.log);
    let matchState = bits.read(matchTable.log);
    const blockEnd = this.#end + BLOCK_BYTES_MAX;
    let literal = 0;
    for (let i = 0; i < count; i++) {
      const offsetCode = offsetTable.symbols[offsetState]!;
      const offsetValue = 2 ** offsetCode + bits.read(offsetCode);
      const matchCode = matchTable.symbols[matchState]!;
      const matchBytes = MATCH_BASES[matchCode]! + bits.read(MATCH_BITS[matchCode]!);
      const literalCode = literalTable.symbols[literalState]!;
      const literalBytes = LITERAL_BASES[literalCode]! + bits.read(LITERAL_BITS[literalCode]!);
      if (literal + literalBytes > literalCount || this.#end + literalBytes + matchBytes > blockEnd) {
        throw corrupt("a sequence does not fit");
      }
      this.#copyLiterals(literal, literalBytes);
      literal += literalBytes;
      this.#copyMatch(this.#offset(offsetValue, literalBytes), matchBytes);
      if (i === count - 1) break;
      literalState = literalTable.bases[literalState]! + bits.read(literalTable.bits[literalState]!);
      matchState = matchTable.bases[matchState]! + bits.read(matchTable.bits[matchState]!);
      offsetState = offsetTable.bases[offsetState]! + bits.read(offsetTable.bits[offsetState]!);
      if (bits.left < 0) throw corrupt("sequences are cut off");
    }
    if (bits.left !== 0) throw corrupt("a sequence stream has another length");
    return literal;
  }

  /** The distance that an offset value stands for: 1 to 3 repeat recent ones. */
  #offset(value: number, literalBytes: number): number {
    const repeats = this.#repeats;
    const [first, second, third] = repeats;
    if (value > 3) {
      this.#remember(value - 3, first, second);
      return value - 3;
    }
    const index = value - 1 + (literalBytes === 0 ? 1 : 0);
    if (index === 0) return first;
    const offset = index === 1 ? second : index === 2 ? third : first - 1;
    if (index === 1) this.#remember(second, first, third);
    else this.#remember(offset, first, second);
    return offset;
  }

  #remember(first: number, second: number, third: number): void {
    this.#repeats[0] = first;
    this.#repeats[1] = second;
    this.#repeats[2] = third;
  }

  #copyLiterals(from: number, bytes: number): void {
    const out = this.#out;
    const literals = this.#literals;
    let at = this.#end;
    for (let i = from; i < from + bytes; i++) out[at++] = literals[i]!;
    this.#end = at;
  }

  #copyMatch(offset: number, bytes: number): void {
    const out = this.#out;
    let at = this.#end;
    if (offset <= 0 || offset > at || offset > this.#windowBytes)
      throw corrupt(`an offset of ${offset} leaves the window`);
    if (offset >= bytes && bytes > 16) {
      out.copyWithin(at, at - offset, at - offset + bytes);
      this.#end = at + bytes;
      return;
    }
    for (const end = at + bytes; at < end; at++) out[at] = out[at - offset]!;
    this.#end = at;
  }
}

/** Least values of codes, each of which covers 2^bits values. */
function basesOf(bits: readonly number[], least: number): readonly number[] {
  let base = least;
  return bits.map((width) => {
    const from = base;
    base += 2 ** width;
    return from;
  });
}
