// Who compresses and decompresses zstd: node:zlib where it can (Node >= 22.15), else a WASM build of the library, which
// works on whole frames only. Frames that it cannot take, because they are long or do not say how long they are,
// go through the decoder in codec-zstd-decoder.ts.
import type { Transform } from "node:stream";
import * as zlib from "node:zlib";
import { compress, decompress, init } from "@bokuweb/zstd-wasm";
import { streamError } from "./codec-gzip.ts";
import { corrupt } from "./codec-zstd-frame.ts";

interface NativeZstd {
  createZstdCompress(): Transform;
  createZstdDecompress(): Transform;
}

/** zlib's zstd, where this Node has it. Its decompressor stops silently after one frame: give it one at a time. */
export const nativeZstd: NativeZstd | undefined = hasZstd(zlib) ? zlib : undefined;

const LEVEL = 3;
let ready: Promise<void> | undefined;
let isReady = false;

/** Resolves when {@link compressFrame} and {@link decompressFrame} may be called. */
export function prepareZstd(): Promise<void> {
  ready ??= init().then(() => {
    isReady = true;
  });
  return ready;
}

/** Like {@link prepareZstd}, but without waiting for a promise when there is nothing to wait for. */
export function zstdReady(): Promise<void> | undefined {
  return isReady ? undefined : prepareZstd();
}

/** One frame that says its content size. */
export function compressFrame(content: Uint8Array): Uint8Array {
  return compress(content, LEVEL);
}

/** @param frame one whole frame, which says that its content has `bytes` bytes. @throws {WireError} CORRUPT */
export function decompressFrame(frame: Uint8Array, bytes: number): Uint8Array {
  let content: Uint8Array;
  try {
    content = decompress(frame);
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("Failed to compress"))
      throw corrupt("malformed frame");
    throw streamError(error);
  }
  if (content.length !== bytes) throw corrupt(`a frame of ${content.length} bytes announces ${bytes}`);
  return content;
}

function hasZstd(candidate: object): candidate is NativeZstd {
  return "createZstdDecompress" in candidate && "createZstdCompress" in candidate;
}
