// Snappy's framing format (framing_format.txt of google/snappy), which Gazette's fragments are in:
//   chunk := type(1) length(3, little endian) body
//   0xff stream identifier "sNaPpY", first, and again where streams were joined
//   0x00 compressed: masked CRC-32C of the content (4, little endian), block      0x01 the same, not compressed
//   0x80..0xfe skipped   0x02..0x7f refused.  Content of a chunk: at most 65,536 bytes
import { concatBytes, equalBytes, utf8, WireError } from "@millrace/base";
import { crc32c } from "@millrace/wal";
import { snappyCompress, snappyUncompress } from "./codec-snappy-block.ts";
import { StreamReader } from "./codec-reader.ts";

const CONTENT_BYTES_MAX = 65_536;
/** Of a compressed chunk's body: what the format allows a block of 65,536 bytes to grow to, and the checksum. */
const BODY_BYTES_MAX = 4 + 32 + CONTENT_BYTES_MAX + Math.floor(CONTENT_BYTES_MAX / 6);
const IDENTIFIER = utf8("sNaPpY");
const COMPRESSED = 0x00;
const UNCOMPRESSED = 0x01;
const STREAM = 0xff;

export async function* snappyFrames(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = new StreamReader(content);
  try {
    yield chunkOf(STREAM, [IDENTIFIER]);
    for (;;) {
      const part = await source.read(CONTENT_BYTES_MAX);
      if (part.length === 0) return;
      yield dataChunk(part);
    }
  } finally {
    await source.close();
  }
}

export async function* unsnappyFrames(stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = new StreamReader(stored);
  let identified = false;
  try {
    for (;;) {
      const head = await source.read(4);
      if (head.length === 0) return;
      if (head.length < 4) throw corrupt("unexpected EOF in a chunk's header");
      const type = head[0]!;
      const bytes = head[1]! | (head[2]! << 8) | (head[3]! << 16);
      if (!identified && type !== STREAM) throw corrupt("no stream identifier");
      if (type >= 0x80 && type !== STREAM) {
        await source.skip(bytes, "snappy: unexpected EOF in a skipped chunk");
        continue;
      }
      if (type > UNCOMPRESSED && type !== STREAM) throw corrupt(`reserved chunk type ${type}`);
      const bytesMax = type === STREAM ? IDENTIFIER.length : BODY_BYTES_MAX;
      if (bytes > bytesMax) throw corrupt(`a chunk of ${bytes} bytes (at most ${bytesMax})`);
      const body = await source.read(bytes);
      if (body.length < bytes) throw corrupt("unexpected EOF in a chunk");
      if (type !== STREAM) yield contentOf(type, body);
      else if (!equalBytes(body, IDENTIFIER)) throw corrupt("wrong stream identifier");
      identified = true;
    }
  } finally {
    await source.close();
  }
}

function dataChunk(content: Uint8Array): Uint8Array {
  const sum = new Uint8Array(4);
  new DataView(sum.buffer).setUint32(0, maskedCrc(content), true);
  const block = snappyCompress(content);
  // As other writers do: a block that saves less than an eighth is not worth decompressing.
  return block.length < content.length - (content.length >> 3)
    ? chunkOf(COMPRESSED, [sum, block])
    : chunkOf(UNCOMPRESSED, [sum, content]);
}

function chunkOf(type: number, body: readonly Uint8Array[]): Uint8Array {
  const bytes = body.reduce((total, part) => total + part.length, 0);
  return concatBytes([Uint8Array.of(type, bytes & 0xff, (bytes >> 8) & 0xff, bytes >> 16), ...body]);
}

function contentOf(type: number, body: Uint8Array): Uint8Array {
  if (body.length < 4) throw corrupt(`a chunk of ${body.length} bytes (at least 4)`);
  const data = body.subarray(4);
  const content = type === COMPRESSED ? snappyUncompress(data, CONTENT_BYTES_MAX) : data;
  if (content.length > CONTENT_BYTES_MAX) {
    throw corrupt(`a chunk's content of ${content.length} bytes (at most ${CONTENT_BYTES_MAX})`);
  }
  const sum = new DataView(body.buffer, body.byteOffset, 4).getUint32(0, true);
  if (maskedCrc(content) !== sum) throw corrupt("a chunk's checksum does not match");
  return content;
}

/** The format rotates and offsets the CRC, so that a CRC stored in the content does not disturb it. */
function maskedCrc(content: Uint8Array): number {
  const crc = crc32c(content);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function corrupt(what: string): WireError {
  return new WireError("CORRUPT", `snappy: ${what}`);
}
