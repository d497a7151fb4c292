// Paths of the Disk port: relative, '/'-separated, of plain components.
import { assert } from "@millrace/base";

/** @throws {InvariantError} unless `path` stays below the root: names from outside must never choose a path */
export function assertDiskPath(path: string): void {
  for (const name of path.split("/")) {
    const plain = name !== "" && name !== "." && name !== ".." && !name.includes("\0");
    assert(plain, "a disk path has plain components", { path });
  }
}
