// Content-Encoding of request bodies. Both bounds, of size and of ratio, are given to the decompressor: a bomb stops
// there and not behind it. Small bodies are decompressed at once, larger ones off the event loop's thread.
import { gunzip, gunzipSync } from "node:zlib";
import { zstdFrames, type ZstdFrame } from "./body-zstd.ts";
import { sizeText } from "@millrace/base";
import { zstdDecompressor, type ZstdDecompress } from "./system-zstd.ts";

export type Encoding = "identity" | "gzip" | "zstd";

export type DecompressOutcome =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** `bound` in words, for the message. */
  | { readonly kind: "tooLarge"; readonly message: string }
  | { readonly kind: "malformed"; readonly message: string };

export interface DecompressBounds {
  readonly bytesMax: number;
  /** Decompressed bytes for each compressed one. */
  readonly ratioMax: number;
  /** So many are allowed whatever the ratio. */
  readonly bytesFree: number;
}

/** A sender that flushes makes a frame of each flush; tiny ones would keep the event loop for seconds. */
const ZSTD_FRAMES_MAX = 1000;
/** Others have their turn after so much. */
const PAUSE_AFTER_BYTES = 1024 * 1024;
/** Decompressing so little takes less than handing it to another thread. */
const AT_ONCE_BYTES_MAX = 8 * 1024;

/** The encoding that a header names; undefined when it is not one of ours. */
export function encodingOf(header: string): Encoding | undefined {
  const name = header.toLowerCase();
  if (name === "" || name === "identity") return "identity";
  if (name === "gzip" || name === "x-gzip") return "gzip";
  return name === "zstd" ? "zstd" : undefined;
}

/** Whether decompressBody() has its outcome when it returns. */
export function isOpenedAtOnce(encoding: Exclude<Encoding, "identity">, bytes: Uint8Array): boolean {
  return encoding === "gzip" && bytes.length <= AT_ONCE_BYTES_MAX;
}

export function decompressBody(
  encoding: Exclude<Encoding, "identity">,
  bytes: Uint8Array,
  bounds: DecompressBounds,
): DecompressOutcome | Promise<DecompressOutcome> {
  const ratioBytes = Math.max(bounds.bytesFree, bytes.length * bounds.ratioMax);
  const limit = Math.min(bounds.bytesMax, ratioBytes);
  const tooLarge: DecompressOutcome = {
    kind: "tooLarge",
    message:
      limit === bounds.bytesMax
        ? `Request body size is over the maximum "${sizeText(limit)}".`
        : `Request body size is over the maximum ${bounds.ratioMax} times its compressed size.`,
  };
  if (encoding === "zstd") return decompressZstd(bytes, limit, tooLarge);
  const options = { maxOutputLength: limit };
  if (!isOpenedAtOnce(encoding, bytes)) {
    return new Promise((resolve) => {
      gunzip(bytes, options, (error, out) => {
        resolve(error === null ? { kind: "bytes", bytes: out } : gzipFailure(error, tooLarge));
      });
    });
  }
  try {
    return { kind: "bytes", bytes: gunzipSync(bytes, options) };
  } catch (error) {
    return gzipFailure(error, tooLarge);
  }
}

function gzipFailure(error: unknown, tooLarge: DecompressOutcome): DecompressOutcome {
  if ((error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE") return tooLarge;
  return { kind: "malformed", message: `Invalid gzip body: ${(error as Error).message}.` };
}

async function decompressZstd(
  bytes: Uint8Array,
  limit: number,
  tooLarge: DecompressOutcome,
): Promise<DecompressOutcome> {
  const frames = zstdFrames(bytes, ZSTD_FRAMES_MAX);
  if (typeof frames === "string") return { kind: "malformed", message: `Invalid zstd body: ${frames}.` };
  const stated = frames.reduce((sum, frame) => sum + (frame.contentBytes ?? 0), 0);
  if (stated > limit) return tooLarge;
  const decompress = await zstdDecompressor();
  const parts: Uint8Array[] = [];
  let total = 0;
  let pausedAt = 0;
  for (const frame of frames) {
    if (frame.isSkippable) continue;
    if (total - pausedAt >= PAUSE_AFTER_BYTES) {
      pausedAt = total;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const content = decompressFrame(decompress, bytes, frame, limit - total);
    if (content === undefined) {
      // A frame that does not say its size fails alike when it has no room and when it is broken.
      return frame.contentBytes === undefined
        ? tooLarge
        : { kind: "malformed", message: "Invalid zstd body." };
    }
    total += content.length;
    parts.push(content);
  }
  return { kind: "bytes", bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts) };
}

/** @returns undefined when it is broken or larger than `room` */
function decompressFrame(
  decompress: ZstdDecompress,
  bytes: Uint8Array,
  frame: ZstdFrame,
  room: number,
): Uint8Array | undefined {
  const size = frame.contentBytes ?? room;
  if (size > room) return undefined;
  try {
    const content = decompress(bytes.subarray(frame.begin, frame.end), size);
    return content.length <= size ? content : undefined;
  } catch {
    return undefined;
  }
}
