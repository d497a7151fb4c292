// Compression of fragments in stores (gazette-broker.md 6.3): streams in, streams out, memory bounded by one block.
// Reading demands the exact length that the fragment's name promises: a longer or shorter content is CORRUPT, so a
// decompression bomb ends at the length of the fragment, and a cut-off object never passes for a whole one.
import { WireError } from "@millrace/base";
import type { CompressionCodec } from "@millrace/protocol";
import { gunzipInline, gunzipOnPool, gzipInline, gzipOnPool } from "./codec-gzip.ts";
import { StreamReader } from "./codec-reader.ts";
import { snappyFrames, unsnappyFrames } from "./codec-snappy.ts";
import { unzstd, zstd } from "./codec-zstd.ts";

export type ByteStream = AsyncIterable<Uint8Array>;

/** Loads what zstd needs. Codecs do it themselves when first used; a simulation does it before it starts. */
export { prepareZstd as prepareCodecs } from "./codec-zstd-engine.ts";

export interface Codecs {
  /** @throws {WireError} INVALID_ARGUMENT for the codec INVALID */
  compress(codec: CompressionCodec, content: ByteStream): ByteStream;
  /**
   * @param bytes exact length of the content
   * @throws {WireError} CORRUPT: `stored` is cut off, malformed or of another length. What `stored` throws passes.
   */
  decompress(codec: CompressionCodec, stored: ByteStream, bytes: number): ByteStream;
}

/** zlib works on the process's thread pool: for production. */
export const pooledCodecs: Codecs = {
  compress: (codec, content) => compressWith(gzipOnPool, "pool", codec, content),
  decompress: (codec, stored, bytes) => exactly(bytes, decompressWith(gunzipOnPool, "pool", codec, stored)),
};

/**
 * The same formats, computed at once on the caller's thread: for simulation, where the thread pool would bring in real
 * time. gzip holds a whole object in memory. zstd must have been prepared (see prepareCodecs).
 */
export const inlineCodecs: Codecs = {
  compress: (codec, content) => compressWith(gzipInline, "inline", codec, content),
  decompress: (codec, stored, bytes) =>
    exactly(
      bytes,
      decompressWith((source) => gunzipInline(source, bytes), "inline", codec, stored),
    ),
};

type Work = "pool" | "inline";
type Step = (source: ByteStream) => ByteStream;

function compressWith(gzip: Step, work: Work, codec: CompressionCodec, content: ByteStream): ByteStream {
  switch (codec) {
    case "NONE":
      return content;
    case "GZIP":
    case "GZIP_OFFLOAD_DECOMPRESSION":
      return gzip(content);
    case "ZSTANDARD":
      return zstd(content, work);
    case "SNAPPY":
      return snappyFrames(content);
    case "INVALID":
      throw invalidCodec();
  }
}

function decompressWith(gunzip: Step, work: Work, codec: CompressionCodec, stored: ByteStream): ByteStream {
  switch (codec) {
    case "NONE":
      return stored;
    case "GZIP":
      return gunzip(stored);
    case "GZIP_OFFLOAD_DECOMPRESSION":
      return perhapsGunzip(gunzip, stored);
    case "ZSTANDARD":
      return unzstd(stored, work);
    case "SNAPPY":
      return unsnappyFrames(stored);
    case "INVALID":
      throw invalidCodec();
  }
}

/**
 * Some stores decompress what was put with content encoding gzip, others give it as it is: the magic tells. Content
 * that itself begins like a gzip stream, read from a store that decompresses, is taken for compressed: CORRUPT.
 */
async function* perhapsGunzip(gunzip: Step, stored: ByteStream): AsyncGenerator<Uint8Array> {
  const source = new StreamReader(stored);
  try {
    const [a, b, c] = await source.peek(3);
    yield* a === 0x1f && b === 0x8b && c === 0x08 ? gunzip(source.rest()) : source.rest();
  } finally {
    await source.close();
  }
}

async function* exactly(bytes: number, content: ByteStream): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of content) {
    seen += chunk.length;
    if (seen > bytes) {
      throw new WireError("CORRUPT", `content of more than ${bytes} bytes; expected exactly ${bytes}`);
    }
    if (chunk.length > 0) yield chunk;
  }
  if (seen < bytes) throw new WireError("CORRUPT", `content of ${seen} bytes; expected exactly ${bytes}`);
}

function invalidCodec(): WireError {
  return new WireError("INVALID_ARGUMENT", "invalid value (INVALID)");
}
