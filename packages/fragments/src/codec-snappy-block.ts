// Snappy's block format: a length and a list of literals and copies. Compression is snappyjs's. Decompression is our
// own: snappyjs walks backwards for ever over a literal with a negative length, and writes past what was announced.
//   block   := varint(length of the content, < 2^32) tag*
//   tag 00  := (n - 1) << 2, n <= 60, then n bytes; 60..63: n - 1 in the next 1..4 bytes, little endian
//   tag 01  := copy of 4..11 bytes, distance 11 bits   tag 10 := 1..64 bytes, 16 bits   tag 11 := 1..64 bytes, 32 bits
import { compress as compressBlock } from "snappyjs";
import { WireError } from "@millrace/base";

export function snappyCompress(content: Uint8Array): Uint8Array {
  return compressBlock(content);
}

/** @param bytesMax of the content. @throws {WireError} CORRUPT */
export function snappyUncompress(block: Uint8Array, bytesMax: number): Uint8Array {
  const { length, at: start } = readLength(block);
  if (length > bytesMax) throw corrupt(`a block announces ${length} bytes (at most ${bytesMax})`);
  const out = new Uint8Array(length);
  let written = 0;
  for (let at = start; at < block.length;) {
    const tag = block[at++]!;
    const kind = tag & 3;
    if (kind === 0) {
      const extra = Math.max(0, (tag >> 2) - 59);
      const count = (extra === 0 ? tag >> 2 : readLittleEndian(block, at, extra)) + 1;
      at += extra;
      if (at + count > block.length || written + count > length) throw corrupt("a literal does not fit");
      out.set(block.subarray(at, at + count), written);
      at += count;
      written += count;
      continue;
    }
    const extra = kind === 3 ? 4 : kind;
    const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const distance = readLittleEndian(block, at, extra) + (kind === 1 ? (tag >> 5) << 8 : 0);
    at += extra;
    if (distance === 0 || distance > written || written + count > length)
      throw corrupt("a copy does not fit");
    copyWithin(out, written, distance, count);
    written += count;
  }
  if (written !== length) throw corrupt(`a block of ${written} bytes announces ${length}`);
  return out;
}

function copyWithin(out: Uint8Array, at: number, distance: number, count: number): void {
  if (distance >= count) {
    out.copyWithin(at, at - distance, at - distance + count);
    return;
  }
  for (let i = 0; i < count; i++) out[at + i] = out[at + i - distance]!;
}

function readLength(block: Uint8Array): { length: number; at: number } {
  let length = 0;
  for (let at = 0; at < Math.min(5, block.length); at++) {
    length += (block[at]! & 0x7f) * 2 ** (7 * at);
    if (block[at]! < 0x80) {
      if (length >= 2 ** 32) break;
      return { length, at: at + 1 };
    }
  }
  throw corrupt("a block has no length");
}

function readLittleEndian(block: Uint8Array, at: number, count: number): number {
  if (at + count > block.length) throw corrupt("a tag is cut off");
  let value = 0;
  for (let i = 0; i < count; i++) value += block[at + i]! * 2 ** (8 * i);
  return value;
}

function corrupt(what: string): WireError {
  return new WireError("CORRUPT", `snappy: ${what}`);
}
