// Cuts a body into the parts of an upload. One part is in memory at a time, and bytes are copied: whoever gives the
// body may use its memory again.
import { WireError } from "@millrace/base";
import type { UploadPart } from "./remote-driver.ts";

const MIB = 2 ** 20;
/** Bytes of a part: small, since a persister has 32 uploads at a time; S3 takes none below 5 MiB. */
const PART_BYTES = 8 * MIB;
/** Parts grow, so that the 10,000 that S3 takes make every object that it takes: the 1001st has twice the size. */
const PARTS_OF_ONE_SIZE = 1000;
const FIRST_BYTES = 64 * 1024;

export type PartBytes = (index: number) => number;

export const partBytes: PartBytes = (index) => PART_BYTES * 2 ** Math.floor(index / PARTS_OF_ONE_SIZE);

/**
 * The parts of `body`, at least one; only the last, which is known as such, may be empty or short. Their bytes are
 * valid until the next is asked for. The last comes only when the length is right.
 * @param bytes length that the body must have, if known
 * @throws {WireError} INVALID_ARGUMENT when it has another; what `body` throws; `signal.reason`
 */
export async function* partsOf(
  body: AsyncIterable<Uint8Array>,
  bytes: number | undefined,
  signal: AbortSignal,
  sizeOf: PartBytes = partBytes,
): AsyncGenerator<UploadPart> {
  let index = 0;
  let begin = 0;
  let sizeMax = sizeOf(0);
  let memory = new Uint8Array(Math.min(bytes ?? FIRST_BYTES, sizeMax));
  let used = 0;
  for await (const chunk of body) {
    signal.throwIfAborted();
    if (bytes !== undefined && begin + used + chunk.length > bytes) {
      throw wrongLength(begin + used + chunk.length, bytes);
    }
    for (let at = 0; at < chunk.length;) {
      if (used === sizeMax) {
        yield { index, begin, bytes: memory.subarray(0, used), isLast: false };
        begin += used;
        used = 0;
        sizeMax = sizeOf(++index);
      }
      const taken = Math.min(chunk.length - at, sizeMax - used);
      memory = grown(memory, used, used + taken, sizeMax);
      memory.set(chunk.subarray(at, at + taken), used);
      used += taken;
      at += taken;
    }
  }
  signal.throwIfAborted();
  if (bytes !== undefined && begin + used !== bytes) throw wrongLength(begin + used, bytes);
  yield { index, begin, bytes: memory.subarray(0, used), isLast: true };
}

function grown(
  memory: Uint8Array<ArrayBuffer>,
  used: number,
  needed: number,
  max: number,
): Uint8Array<ArrayBuffer> {
  if (needed <= memory.length) return memory;
  const larger = new Uint8Array(Math.min(max, Math.max(needed, 2 * memory.length)));
  larger.set(memory.subarray(0, used));
  return larger;
}

function wrongLength(bytes: number, expected: number): WireError {
  return new WireError("INVALID_ARGUMENT", `body of ${bytes} bytes or more; expected exactly ${expected}`);
}
