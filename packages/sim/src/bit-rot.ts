// Bits that turn on the disk while no process runs. What follows must be one of two things: the start is refused with
// CORRUPT, naming the file and an offset, or nothing is lost. Rot in the last group of a log cannot be told from a torn
// tail, so it is spared (D2).
import { assert, never, type Random, type WireError } from "@millrace/base";
import { readCheckpoint, scanLog, type Disk } from "@millrace/wal";
import { filesOf, type SimulatedDisk } from "@millrace/wal/testkit";
import type { World } from "./world.ts";

export interface Rot {
  readonly path: string;
  readonly offset: number;
  readonly mask: number;
}

const LOGS = ["log", "coordination/log"] as const;
const ROTS = /^(log|coordination\/log)\/\d+\.seg$|^(coordination|log)\/(checkpoint|snapshot)/;
/** What may stand before the records of a group: its header, and that of its first record. */
const GROUP_HEAD_BYTES = 64;

/** Turns a bit of some file that matters. @returns undefined when there is none */
export async function rotSomewhere(world: World, random: Random): Promise<Rot | undefined> {
  const files = filesOf(world.disk).filter(({ path, bytes }) => ROTS.test(path) && bytes > 0);
  const file = files[random.below(Math.max(1, files.length))];
  if (file === undefined) return undefined;
  const bytes = await sparedFrom(world.disk, file.path, file.bytes);
  if (bytes === 0) return undefined;
  // Most of a segment is zeros that nobody looks at.
  const used = usedBytes(world.disk.read(file.path, 0, bytes));
  const rot = { path: file.path, offset: random.below(Math.max(1, used)), mask: 1 << random.below(8) };
  world.note("rot", `${rot.path} ${rot.offset} ${rot.mask}`);
  turn(world, rot);
  return rot;
}

/** The same bit again: as it was. */
export function turn({ disk }: World, { path, offset, mask }: Rot): void {
  disk.file(path)!.rot(offset, mask);
}

/** A start that was refused has said where the rot is. */
export function checkRefusal(error: WireError, rot: Rot): void {
  const facts = { path: rot.path, offset: rot.offset, message: error.message };
  assert(error.message.startsWith(`${rot.path},`), "a refusal names the rotten file", facts);
  assert(/, offset \d+: /.test(error.message), "a refusal names an offset", facts);
}

/** Bytes of `path` before the last group with records of its log; all of it when that is elsewhere. */
async function sparedFrom(disk: SimulatedDisk, path: string, bytes: number): Promise<number> {
  const log = LOGS.find((dir) => path.startsWith(`${dir}/`) && path.endsWith(".seg"));
  if (log === undefined) return bytes;
  let last = { sequence: 0, path: "", offset: 0 };
  const visit = (_record: Uint8Array, place: typeof last): void => {
    if (place.sequence > last.sequence) last = place;
  };
  const checkpoint = await readCheckpoint(reader(disk), log.split("/")[0]!, "checkpoint");
  await scanLog(reader(disk), log, checkpoint?.position ?? 1, visit, never);
  if (last.path === path) return Math.max(0, last.offset - GROUP_HEAD_BYTES);
  return last.path === "" ? 0 : bytes;
}

function usedBytes(bytes: Uint8Array): number {
  let used = bytes.length;
  while (used > 0 && bytes[used - 1] === 0) used--;
  return used;
}

/** Looks at a disk without taking it over. */
function reader(disk: SimulatedDisk): Disk {
  const unused = (): never => {
    throw new Error("it only reads");
  };
  return {
    read: (path, position, bytes) => Promise.resolve(disk.read(path, position, bytes)),
    list: (path) => Promise.resolve(disk.list(path)),
    run: unused,
    space: unused,
    close: unused,
  };
}
