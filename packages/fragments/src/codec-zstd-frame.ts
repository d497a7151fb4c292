// Layout of zstd streams (RFC 8878, 3.1): frames one after another, each a header and blocks.
//   frame  := 0xFD2FB528 descriptor(1) [window(1)] [dictionary id(1,2,4)] [content size(1,2,4,8)] block+ [checksum(4)]
//   block  := last(1 bit) type(2 bits) size(21 bits), little endian, then `size` bytes, or 1 for an RLE block
//   skippable := 0x184D2A5? size(4) bytes
import { WireError } from "@millrace/base";

export const FRAME_MAGIC = 0xfd2fb528;
export const BLOCK_BYTES_MAX = 128 * 1024;
/** As libzstd's default: larger windows are refused. */
const WINDOW_BYTES_MAX = 128 * 1024 * 1024;

export interface FrameHeader {
  /** Content size, when the frame says it. */
  readonly contentBytes: number | undefined;
  readonly windowBytes: number;
  readonly hasChecksum: boolean;
}

export interface BlockHeader {
  readonly last: boolean;
  readonly type: "raw" | "rle" | "compressed";
  /** Bytes that follow the header. */
  readonly bytes: number;
  /** Bytes of content; undefined for a compressed block. */
  readonly contentBytes: number | undefined;
}

export function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === 0x184d2a50;
}

/** Bytes of a frame's header after the magic, from its descriptor. @throws {WireError} CORRUPT */
export function frameHeaderBytes(descriptor: number): number {
  if ((descriptor & 0x08) !== 0) throw corrupt("reserved bit in a frame's descriptor");
  return 1 + (isSingleSegment(descriptor) ? 0 : 1) + dictionaryBytes(descriptor) + sizeBytes(descriptor);
}

/** @param bytes {@link frameHeaderBytes} bytes, from the descriptor on. @throws {WireError} CORRUPT */
export function parseFrameHeader(bytes: Uint8Array): FrameHeader {
  const descriptor = bytes[0]!;
  const single = isSingleSegment(descriptor);
  let at = single ? 1 : 2;
  if (littleEndian(bytes, at, dictionaryBytes(descriptor)) !== 0) throw corrupt("frame needs a dictionary");
  at += dictionaryBytes(descriptor);
  const width = sizeBytes(descriptor);
  const size = littleEndian(bytes, at, width) + (width === 2 ? 256 : 0);
  const contentBytes = width === 0 ? undefined : size;
  const windowBytes = single ? size : windowOf(bytes[1]!);
  if (windowBytes > WINDOW_BYTES_MAX) {
    throw corrupt(`frame needs a window of ${windowBytes} bytes (at most ${WINDOW_BYTES_MAX})`);
  }
  return { contentBytes, windowBytes, hasChecksum: (descriptor & 0x04) !== 0 };
}

/** @param bytes the 3 bytes of a block's header. @throws {WireError} CORRUPT */
export function parseBlockHeader(bytes: Uint8Array): BlockHeader {
  const word = littleEndian(bytes, 0, 3);
  const size = word >>> 3;
  const last = (word & 1) === 1;
  if (size > BLOCK_BYTES_MAX) throw corrupt(`a block of ${size} bytes (at most ${BLOCK_BYTES_MAX})`);
  switch ((word >> 1) & 3) {
    case 0:
      return { last, type: "raw", bytes: size, contentBytes: size };
    case 1:
      return { last, type: "rle", bytes: 1, contentBytes: size };
    case 2:
      return { last, type: "compressed", bytes: size, contentBytes: undefined };
    default:
      throw corrupt("reserved block type");
  }
}

/** @param count at most 8; values beyond 2^53 lose digits, and are beyond every bound */
export function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}

export function corrupt(what: string): WireError {
  return new WireError("CORRUPT", `zstd: ${what}`);
}

function isSingleSegment(descriptor: number): boolean {
  return (descriptor & 0x20) !== 0;
}

function dictionaryBytes(descriptor: number): number {
  return [0, 1, 2, 4][descriptor & 3]!;
}

function sizeBytes(descriptor: number): number {
  return descriptor >> 6 === 0 ? (isSingleSegment(descriptor) ? 1 : 0) : 1 << (descriptor >> 6);
}

function windowOf(byte: number): number {
  const base = 2 ** (10 + (byte >> 3));
  return base + (base / 8) * (byte & 7);
}
