// Programs of others to measure against: in the folder MILLRACE_PEERS, in ~/.cache/millrace-peers, or on the PATH.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The program's path, or undefined. */
export function findPeer(name: string): string | undefined {
  const { MILLRACE_PEERS, HOME = "/", PATH = "" } = process.env;
  const built = MILLRACE_PEERS ?? join(HOME, ".cache", "millrace-peers");
  return [built, ...PATH.split(delimiter)].map((folder) => join(folder, name)).find(isExecutable);
}

/** @throws {Error} when there is none: ask `missingPeers` first */
export function peer(name: string): string {
  const path = findPeer(name);
  if (path === undefined) throw new Error(`no ${name}`);
  return path;
}

/** Why something cannot be measured here, or undefined. */
export function missingPeers(names: readonly string[]): string | undefined {
  const missing = names.filter((name) => findPeer(name) === undefined);
  return missing.length === 0
    ? undefined
    : `no ${missing.join(", ")}: neither in MILLRACE_PEERS nor on the PATH`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
