// Programs of others that tests drive: real servers and tools, in the folder that MILLRACE_PEERS names, or on the PATH.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * The program's path; `missing` is the reason for a skip. CI=true promises every program that is not optional: there is
 * no skip then, and `path` leads nowhere.
 */
export interface PeerProgram {
  readonly path: string;
  readonly missing: string | false;
}

export function peerProgram(name: string, { isOptional = false } = {}): PeerProgram {
  const peers = process.env["MILLRACE_PEERS"];
  const folders = [...(peers === undefined ? [] : [peers]), ...(process.env["PATH"] ?? "").split(delimiter)];
  const path = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (path !== undefined) return { path, missing: false };
  const reason = `no ${name}: not in the folder MILLRACE_PEERS, nor on the PATH`;
  const isPromised = !isOptional && process.env["CI"] === "true";
  return { path: join(peers ?? "", name), missing: isPromised ? false : reason };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
