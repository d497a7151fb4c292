// A file of read offsets: a JSON object {journal: offset}. Written aside and renamed, so that it is whole or not there.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { UsageError } from "./cli-io.ts";

/** @throws {UsageError} when it is not such a file */
export function readOffsets(path: string): Map<string, number> {
  const bad = (what: string): UsageError =>
    new UsageError(`${path}: ${what}: expected {"journal": offset, …}`);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw bad(error.message);
    throw error;
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw bad("not an object");
  const offsets = new Map<string, number>();
  for (const [journal, offset] of Object.entries(json as Record<string, unknown>)) {
    if (typeof offset !== "number" || !Number.isSafeInteger(offset) || offset < -1) {
      throw bad(`offset ${JSON.stringify(offset)} of ${journal}`);
    }
    offsets.set(journal, offset);
  }
  return offsets;
}

/** Moves the file aside to `<path>.previous`: a run that dies leaves no file that looks current. */
export function retireOffsets(path: string): void {
  renameSync(path, `${path}.previous`);
}

/** Synced when it returns. */
export function writeOffsets(path: string, offsets: ReadonlyMap<string, number>): void {
  const sorted = Object.fromEntries([...offsets].sort(([a], [b]) => (a < b ? -1 : 1)));
  const file = openSync(`${path}.temp`, "w");
  try {
    writeSync(file, `${JSON.stringify(sorted)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.temp`, path);
}
