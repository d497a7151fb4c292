// gzip through node:zlib. Readers accept concatenated members (RFC 1952), as batching writers make them.
import { Readable, pipeline, type Transform } from "node:stream";
import { createGunzip, createGzip, gunzipSync, gzipSync } from "node:zlib";
import { WireError } from "@millrace/base";

type ByteStream = AsyncIterable<Uint8Array>;

/** What an inline decompression may hold of an object. */
const INLINE_BYTES_MAX = 64 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

export function gzipOnPool(content: ByteStream): ByteStream {
  return through(() => createGzip({ chunkSize: CHUNK_BYTES }), content);
}

export function gunzipOnPool(stored: ByteStream): ByteStream {
  return through(() => createGunzip({ chunkSize: CHUNK_BYTES }), stored);
}

export async function* gzipInline(content: ByteStream): AsyncGenerator<Uint8Array> {
  yield gzipSync(await collect(content));
}

/** @param bytes of the content at most; more is an error of the caller's length check */
export async function* gunzipInline(stored: ByteStream, bytes: number): AsyncGenerator<Uint8Array> {
  const all = await collect(stored);
  if (all.length === 0) return;
  try {
    yield gunzipSync(all, { maxOutputLength: Math.max(1, Math.min(bytes + 1, INLINE_BYTES_MAX)) });
  } catch (error) {
    throw streamError(error);
  }
}

/**
 * Runs `source` through a Node transform, with its backpressure. A consumer that stops early releases the source; what
 * the source throws passes through; what the transform throws is CORRUPT.
 */
export async function* through(make: () => Transform, source: ByteStream): AsyncGenerator<Uint8Array> {
  const transform = make();
  let sourceError: { readonly thrown: unknown } | undefined;
  const readable = Readable.from(
    withoutEmpty(source, (thrown) => {
      sourceError = { thrown };
    }),
    { objectMode: false },
  );
  const done = new Promise<void>((resolve) => {
    pipeline(readable, transform, () => resolve());
  });
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } catch (error) {
    throw sourceError === undefined ? streamError(error) : sourceError.thrown;
  } finally {
    transform.destroy();
    await done;
  }
}

/** The WireError for what zlib threw. */
export function streamError(error: unknown): unknown {
  if (error instanceof WireError || !(error instanceof Error) || !("code" in error)) return error;
  const code = String(error.code);
  if (!/^(?:Z_|ZSTD_|ERR_BUFFER_TOO_LARGE)/.test(code)) return error;
  return new WireError("CORRUPT", `decompression failed: ${error.message}`, { cause: error });
}

async function* withoutEmpty(
  source: ByteStream,
  onError: (thrown: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    // An empty chunk stalls a Readable in byte mode.
    for await (const chunk of source) if (chunk.length > 0) yield chunk;
  } catch (thrown) {
    onError(thrown);
    throw thrown;
  }
}

async function collect(source: ByteStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of source) {
    bytes += part.length;
    if (bytes > INLINE_BYTES_MAX) {
      throw new WireError("TOO_LARGE", `inline gzip of more than ${INLINE_BYTES_MAX} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}
