// Bit rot for the simulator: flips bits of a synced byte, but never in the newest group of a log, which no later group
// covers yet: rot there cannot be told from a torn tail (D2).
import type { Random } from "@millrace/base";
import { decodeGroup, GROUP_HEADER_BYTES, type Group } from "./group-codec.ts";
import { parseLogFile } from "./log-files.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from "./segment-codec.ts";
import { filesOf, type SimulatedDisk } from "./simulated-disk.ts";

export interface Rot {
  readonly path: string;
  readonly offset: number;
  /** Flips the same bits again. */
  undo(): void;
}

/**
 * Flips one to eight bits of a random byte of a random file that `matches`. Call it after crash(), when everything on
 * the disk is synced.
 * @returns undefined when there is no such byte
 */
export function rotSomewhere(
  disk: SimulatedDisk,
  random: Random,
  matches: (path: string) => boolean,
): Rot | undefined {
  const files = filesOf(disk).filter(({ path, bytes }) => bytes > 0 && matches(path));
  if (files.length === 0) return undefined;
  const { path, bytes } = files[random.below(files.length)]!;
  const offset = random.below(bytes);
  const spared = newestGroups(disk).find((group) => group.path === path);
  if (spared !== undefined && offset >= spared.begin && offset < spared.end) return undefined;
  const mask = 1 + random.below(255);
  const flip = (): void => disk.file(path)!.rot(offset, mask);
  flip();
  return { path, offset, undo: flip };
}

/** Where the newest group of each log on the disk stands. */
function newestGroups(disk: SimulatedDisk): { path: string; begin: number; end: number }[] {
  const newest = new Map<string, { path: string; group: Group }>();
  for (const { path, bytes } of filesOf(disk)) {
    const cut = path.lastIndexOf("/");
    const dir = path.slice(0, Math.max(0, cut));
    if (parseLogFile(path.slice(cut + 1)).kind !== "segment") continue;
    const group = lastGroup(disk.file(path)!.read(0, bytes));
    const before = newest.get(dir)?.group.sequence ?? 0;
    if (group !== undefined && group.sequence >= before) newest.set(dir, { path, group });
  }
  return [...newest.values()].map(({ path, group }) => {
    return { path, begin: group.begin - GROUP_HEADER_BYTES, end: group.end };
  });
}

function lastGroup(bytes: Uint8Array): Group | undefined {
  const outcome = decodeSegmentHeader(bytes);
  if (outcome.kind !== "header") return undefined;
  let last: Group | undefined;
  for (let at = SEGMENT_HEADER_BYTES; ; at = last.end) {
    const next = decodeGroup(bytes, at, outcome.header);
    if (next.kind !== "group") return last;
    last = next.group;
  }
}
