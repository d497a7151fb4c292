// The entropy coders of zstd (RFC 8878, 4): bit streams that are read backwards, FSE tables and Huffman trees.
import { corrupt } from "./codec-zstd-frame.ts";

/**
 * Bits of `bytes[begin, end)` from the last to the first. The highest set bit of the last byte marks the start. `bytes`
 * must have 4 more bytes behind `end`: they are loaded, and masked away.
 */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #begin: number;
  /** Bits not read yet; below 0: more was read than there is, as zeros. */
  left: number;

  constructor(bytes: Uint8Array, begin: number, end: number) {
    const last = end > begin ? bytes[end - 1]! : 0;
    if (last === 0) throw corrupt("a bit stream without its end mark");
    this.#bytes = bytes;
    this.#begin = begin;
    this.left = (end - begin) * 8 - 1 - Math.clz32(last) + 24;
    // 8 bits of the last byte, less the mark and the zeros above it: 8 - (clz32 - 24) - 1.
  }

  /** The next `count` <= 24 bits without taking them; zeros beyond the end. */
  peek(count: number): number {
    const at = this.left - count;
    if (at >= 0) return this.#load(at, count);
    return this.left <= 0 ? 0 : this.#load(0, this.left) << -at;
  }

  /** Takes `count` <= 31 bits. */
  read(count: number): number {
    if (count > 24) {
      const high = this.read(count - 16);
      return high * 65_536 + this.read(16);
    }
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  #load(bit: number, count: number): number {
    const at = this.#begin + (bit >> 3);
    const bytes = this.#bytes;
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    return (word >>> (bit & 7)) & ((1 << count) - 1);
  }
}

/** A decoding table of finite state entropy. */
export interface FseTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  /** Next state before the bits are added. */
  readonly bases: Uint16Array;
}

/** A table that gives one symbol for ever. */
export function fseConstant(symbol: number): FseTable {
  return { log: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

/** @param counts of each symbol, normalised to a sum of 2^log; -1 for one that is rarer than 1 */
export function fseTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(counts.length);
  let high = size;
  for (const [symbol, count] of counts.entries()) {
    next[symbol] = Math.abs(count);
    if (count === -1) symbols[--high] = symbol;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (const [symbol, count] of counts.entries()) {
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const symbol = symbols[state]!;
    const x = next[symbol]!;
    next[symbol] = x + 1;
    bits[state] = log - (31 - Math.clz32(x));
    bases[state] = (x << bits[state]!) - size;
  }
  return { log, symbols, bits, bases };
}

/**
 * Reads a table's description from `bytes[begin, end)`.
 * @returns the table and where the description ends
 */
export function readFseTable(
  bytes: Uint8Array,
  range: { readonly begin: number; readonly end: number },
  limits: { readonly logMax: number; readonly symbolMax: number },
): { table: FseTable; end: number } {
  const bitsEnd = (range.end - range.begin) * 8;
  let bit = 0;
  const peek = (count: number): number => {
    let value = 0;
    for (let i = 0; i < count && bit + i < bitsEnd; i++) {
      value |= ((bytes[range.begin + ((bit + i) >> 3)]! >> ((bit + i) & 7)) & 1) << i;
    }
    return value;
  };
  const log = peek(4) + 5;
  bit += 4;
  if (log > limits.logMax) throw corrupt(`a table with accuracy ${log} (at most ${limits.logMax})`);
  const counts: number[] = [];
  let remaining = 1 << log;
  while (remaining > 0) {
    if (counts.length > limits.symbolMax || bit >= bitsEnd) throw corrupt("a table's counts do not add up");
    const width = 32 - Math.clz32(remaining + 1);
    const low = (1 << (width - 1)) - 1;
    const threshold = (1 << width) - 1 - (remaining + 1);
    let value = peek(width);
    if ((value & low) < threshold) {
      value &= low;
      bit += width - 1;
    } else {
      if (value > low) value -= threshold;
      bit += width;
    }
    const count = value - 1;
    remaining -= Math.abs(count);
    counts.push(count);
    for (let zeros = 3; count === 0 && zeros === 3;) {
      zeros = peek(2);
      bit += 2;
      for (let i = 0; i < zeros; i++) counts.push(0);
    }
  }
  const end = range.begin + ((bit + 7) >> 3);
  if (remaining < 0 || counts.length > limits.symbolMax + 1 || bit > bitsEnd) {
    throw corrupt("a table's counts do not add up");
  }
  return { table: fseTable(counts, log), end };
}

/** A prefix code: index by the next `log` bits. */
export interface HuffmanTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
}

const HUFFMAN_LOG_MAX = 11;

/** Reads a tree's description from `bytes[begin, end)`. @returns the tree and where the description ends */
export function readHuffmanTable(
  bytes: Uint8Array,
  range: { readonly begin: number; readonly end: number },
): { table: HuffmanTable; end: number } {
  if (range.begin >= range.end) throw corrupt("no Huffman tree");
  const head = bytes[range.begin]!;
  const begin = range.begin + 1;
  const direct = head >= 128;
  const end = begin + (direct ? (head - 126) >> 1 : head);
  if (end > range.end) throw corrupt("a Huffman tree is cut off");
  const weights = direct ? directWeights(bytes, begin, head - 127) : fseWeights(bytes, { begin, end });
  return { table: huffmanTable(weights), end };
}

function directWeights(bytes: Uint8Array, begin: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const byte = bytes[begin + (i >> 1)]!;
    return i % 2 === 0 ? byte >> 4 : byte & 15;
  });
}

/** Two states take turns; the stream is over when a state wants bits that are not there. */
function fseWeights(bytes: Uint8Array, range: { readonly begin: number; readonly end: number }): number[] {
  const { table, end } = readFseTable(bytes, range, { logMax: 6, symbolMax: 255 });
  const bits = new BackwardBits(bytes, end, range.end);
  const states = [bits.read(table.log), bits.read(table.log)];
  const weights: number[] = [];
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn]!;
    weights.push(table.symbols[state]!);
    if (weights.length > 254) throw corrupt("a Huffman tree of more than 255 symbols");
    states[turn] = table.bases[state]! + bits.read(table.bits[state]!);
    if (bits.left < 0) {
      weights.push(table.symbols[states[turn ^ 1]!]!);
      return weights;
    }
  }
}

function huffmanTable(weights: readonly number[]): HuffmanTable {
  let total = 0;
  for (const weight of weights) {
    if (weight > HUFFMAN_LOG_MAX) throw corrupt("a Huffman code is too long");
    if (weight > 0) total += 1 << (weight - 1);
  }
  const log = 32 - Math.clz32(total);
  const rest = (1 << log) - total;
  if (total === 0 || log > HUFFMAN_LOG_MAX || (rest & (rest - 1)) !== 0)
    throw corrupt("Huffman weights do not add up");
  const all = [...weights, 32 - Math.clz32(rest)];
  const symbols = new Uint8Array(1 << log);
  const bits = new Uint8Array(1 << log);
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    for (const [symbol, one] of all.entries()) {
      if (one !== weight) continue;
      const count = 1 << (weight - 1);
      symbols.fill(symbol, at, at + count);
      bits.fill(log + 1 - weight, at, at + count);
      at += count;
    }
  }
  return { log, symbols, bits };
}
