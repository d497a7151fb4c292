// Snappy's block format: a length and a list of literals and copies. Compression is snappyjs's. Decompression is our
// own: snappyjs walks backwards for ever over a literal with a negative length, and writes past what was announced.
//   block   := varint(length of the content, < 2^32) tag*
//   tag 00  := (n - 1) << 2, n <= 60, then n bytes; 60..63: n - 1 in the next 1..4 bytes, little endian
//   tag 01  := copy of 4..11 bytes, distance 11 bits   tag 10 := 1..64 bytes, 16 bits   tag 11 := 1..64 bytes, 32 bits
import { compress as compressBlock } from "snappyjs";
import { WireError } from "@millrace/base";

/** Up to here a loop copies faster than a call. */
const LOOP_BYTES_MAX = 64;

export function snappyCompress(content: Uint8Array): Uint8Array {
  return compressBlock(content);
}

/** @param bytesMax of the content. @throws {WireError} CORRUPT */
export function snappyUncompress(block: Uint8Array, bytesMax: number): Uint8Array {
  const { length, at: start } = readLength(block);
  if (length > bytesMax) throw corrupt(`a block announces ${length} bytes (at most ${bytesMax})`);
  const out = new Uint8Array(length);
  const end = block.length;
  let at = start;
  let written = 0;
  while (at < end) {
    const tag = block[at++]!;
    if ((tag & 3) === 0) {
      let count = tag >> 2;
      if (count >= 60) {
        const extra = count - 59;
        count = readLittleEndian(block, at, extra);
        at += extra;
      }
      count++;
      if (at + count > end || written + count > length) throw corrupt("a literal does not fit");
      if (count > LOOP_BYTES_MAX) out.set(block.subarray(at, at + count), written);
      else for (let i = 0; i < count; i++) out[written + i] = block[at + i]!;
      at += count;
      written += count;
      continue;
    }
    const extra = (tag & 3) === 3 ? 4 : tag & 3;
    if (at + extra > end) throw corrupt("a tag is cut off");
    let count = (tag >> 2) + 1;
    let distance = block[at]!;
    if (extra === 1) {
      count = ((tag >> 2) & 7) + 4;
      distance |= (tag >> 5) << 8;
    } else {
      distance |= block[at + 1]! << 8;
      if (extra === 4) distance = readLittleEndian(block, at, 4);
    }
    at += extra;
    if (distance === 0 || distance > written || written + count > length)
      throw corrupt("a copy does not fit");
    // At most 64 bytes, and what is copied may overlap what is written: a loop.
    for (const stop = written + count; written < stop; written++) out[written] = out[written - distance]!;
  }
  if (written !== length) throw corrupt(`a block of ${written} bytes announces ${length}`);
  return out;
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
