// A small file that is replaced as a whole: two generations, so that a torn or rotten one leaves the one before.
//
//   offset  size
//        0     4  magic "MRCP"
//        4     4  CRC-32C of bytes 8..40+length
//        8     2  version of this layout, 1
//       10     2  version of the payload, the owner's
//       12     4  length of the payload
//       16     8  generation: 1, 2, 3, …
//       24     8  position: the log is covered below this sequence
//       32     8  zero
//       40        payload
//
// Little-endian. Generation g stands in `<name>.<g mod 2>`: written beside it, synced, renamed, directory synced.
import { assert, WireError } from "@millrace/base";
import { crc32c } from "./crc32c.ts";
import type { Disk, DiskLane } from "./disk.ts";
import { getU64, setU64, viewOf } from "./little-endian.ts";

const MAGIC = 0x5043524d;
const VERSION = 1;
const HEADER_BYTES = 40;
/** Far above what any number of journals takes; a longer file is not ours. */
const FILE_BYTES_MAX = 1024 * 1024 * 1024;
const READ_BYTES = 4 * 1024 * 1024;

export interface Checkpoint {
  readonly generation: number;
  /** The owner has synced what groups below this sequence say. */
  readonly position: number;
  readonly payloadVersion: number;
  readonly payload: Uint8Array;
}

export interface FoundCheckpoint extends Checkpoint {
  /** The file of another generation that is not readable: it may have been the newer one. */
  readonly passedOver: string | undefined;
}

export type CheckpointOutcome =
  | { readonly kind: "checkpoint"; readonly checkpoint: Checkpoint }
  | { readonly kind: "newer"; readonly version: number }
  | { readonly kind: "invalid" };

export function encodeCheckpoint({ generation, position, payloadVersion, payload }: Checkpoint): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint16(8, VERSION, true);
  view.setUint16(10, payloadVersion, true);
  view.setUint32(12, payload.length, true);
  setU64(view, 16, generation);
  setU64(view, 24, position);
  bytes.set(payload, HEADER_BYTES);
  view.setUint32(4, crc32c(bytes.subarray(8)), true);
  return bytes;
}

export function decodeCheckpoint(bytes: Uint8Array): CheckpointOutcome {
  if (bytes.length < HEADER_BYTES) return { kind: "invalid" };
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== crc32c(bytes.subarray(8))) {
    return { kind: "invalid" };
  }
  const version = view.getUint16(8, true);
  if (version !== VERSION) return { kind: "newer", version };
  if (view.getUint32(12, true) !== bytes.length - HEADER_BYTES || getU64(view, 32) !== 0)
    return { kind: "invalid" };
  return {
    kind: "checkpoint",
    checkpoint: {
      generation: getU64(view, 16),
      position: getU64(view, 24),
      payloadVersion: view.getUint16(10, true),
      payload: bytes.subarray(HEADER_BYTES),
    },
  };
}

/**
 * The newest readable generation; undefined when there is none at all.
 * @throws {WireError} CORRUPT when there are files and none of them is readable
 */
export async function readCheckpoint(
  disk: Disk,
  dir: string,
  name: string,
): Promise<FoundCheckpoint | undefined> {
  const present = new Map((await disk.list(dir)).map((entry) => [entry.name, entry.bytes]));
  let newest: Checkpoint | undefined;
  const broken: string[] = [];
  for (const slot of [`${name}.0`, `${name}.1`]) {
    const bytes = present.get(slot);
    if (bytes === undefined) continue;
    const path = `${dir}/${slot}`;
    const outcome = bytes > FILE_BYTES_MAX ? INVALID : decodeCheckpoint(await readWhole(disk, path, bytes));
    if (outcome.kind === "newer") {
      throw new WireError(
        "CORRUPT",
        `${path}: checkpoint format ${outcome.version} is newer than this program`,
      );
    }
    if (outcome.kind === "invalid") broken.push(path);
    else if (newest === undefined || outcome.checkpoint.generation > newest.generation)
      newest = outcome.checkpoint;
  }
  if (newest === undefined && broken.length > 0) {
    throw new WireError("CORRUPT", `${broken.join(" and ")}, offset 0: no checkpoint is readable`, {
      facts: { path: broken[0], offset: 0 },
    });
  }
  return newest === undefined ? undefined : { ...newest, passedOver: broken[0] };
}

const INVALID: CheckpointOutcome = { kind: "invalid" };

/** Writes `checkpoint`; durable when it resolves. The generation before it stays as it is. */
export async function writeCheckpoint(
  disk: Disk,
  lane: DiskLane,
  dir: string,
  name: string,
  checkpoint: Checkpoint,
): Promise<void> {
  assert(checkpoint.generation >= 1, "generations count from 1", { generation: checkpoint.generation });
  const path = `${dir}/${name}.new`;
  await disk.run(lane, [
    { kind: "remove", path },
    { kind: "write", path, position: 0, bytes: encodeCheckpoint(checkpoint) },
    { kind: "sync", path },
    { kind: "rename", from: path, to: `${dir}/${name}.${checkpoint.generation % 2}` },
    { kind: "sync-dir", path: dir },
  ]);
}

async function readWhole(disk: Disk, path: string, bytes: number): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  while (at < bytes) {
    const chunk = await disk.read(path, at, Math.min(READ_BYTES, bytes - at));
    if (chunk.length === 0) break;
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.subarray(0, at);
}
