// Where a data directory is, as a later start may find it again: host, path, and the mount that the path is on, by
// which a volume that is not mounted shows.
import { realpathSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";

export interface Place {
  readonly host: string;
  readonly path: string;
  readonly mount: string;
}

/** @param path absolute, of a directory that is there */
export function placeOf(path: string): Place {
  return { host: hostname(), path, mount: mountOf(realpathSync(path)) };
}

/** The topmost directory that is on the same file system. */
function mountOf(path: string): string {
  const { dev } = statSync(path);
  for (let at = path; ;) {
    const parent = dirname(at);
    if (parent === at || statSync(parent).dev !== dev) return at;
    at = parent;
  }
}
