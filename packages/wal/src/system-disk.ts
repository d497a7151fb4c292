// The real disk: a directory, two threads for what changes it (D7), the platform's I/O pool for reads.
import type { Dirent } from "node:fs";
import { mkdir, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Disk, DiskEntry, DiskLane, DiskOp, DiskSpace } from "./disk.ts";
import { assertDiskPath } from "./disk-path.ts";
import { SystemDiskLane } from "./system-disk-lane.ts";
import { codeOf, diskErrorOf } from "./system-disk-ops.ts";
import { SystemDiskReader } from "./system-disk-reader.ts";

/** Opens the directory `root`, which is created when missing. */
export async function openSystemDisk(root: string): Promise<Disk> {
  await mkdir(root, { recursive: true, mode: 0o750 });
  return new SystemDisk(root);
}

class SystemDisk implements Disk {
  readonly #root: string;
  readonly #lanes: Readonly<Record<DiskLane, SystemDiskLane>>;
  readonly #reader: SystemDiskReader;

  constructor(root: string) {
    this.#root = root;
    this.#lanes = { log: new SystemDiskLane(root, "log"), bulk: new SystemDiskLane(root, "bulk") };
    this.#reader = new SystemDiskReader(root);
  }

  run(lane: DiskLane, ops: readonly DiskOp[]): Promise<void> {
    let moved: string[] | undefined;
    for (const op of ops) {
      if (op.kind === "rename") {
        assertDiskPath(op.from);
        assertDiskPath(op.to);
        (moved ??= []).push(op.from, op.to);
      } else {
        if (op.kind !== "sync-dir" || op.path !== "") assertDiskPath(op.path);
        if (op.kind === "remove") (moved ??= []).push(op.path);
      }
    }
    const running = this.#lanes[lane].run(ops);
    if (moved === undefined) return running;
    const paths = moved;
    // Before the caller goes on: whatever it asks for next must not meet a file that is open under its old name.
    return running.finally(() => {
      this.#lanes[lane === "log" ? "bulk" : "log"].forget(paths);
      for (const path of paths) this.#reader.forget(path);
    });
  }

  read(path: string, position: number, bytes: number): Promise<Uint8Array> {
    assertDiskPath(path);
    return this.#reader.read(path, position, bytes);
  }

  async list(dir: string): Promise<readonly DiskEntry[]> {
    if (dir !== "") assertDiskPath(dir);
    const at = join(this.#root, dir);
    let found: Dirent[];
    try {
      found = await readdir(at, { withFileTypes: true });
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw diskErrorOf(dir, "list", error);
    }
    const entries = await Promise.all(found.map((entry) => entryOf(dir, at, entry)));
    return entries.filter((entry) => entry !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async space(): Promise<DiskSpace> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#root);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    } catch (error) {
      throw diskErrorOf("", "statfs", error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#lanes.log.close(), this.#lanes.bulk.close(), this.#reader.close()]);
  }
}

/** @returns undefined when it went away since the directory was read: that says nothing of the other entries */
async function entryOf(dir: string, at: string, entry: Dirent): Promise<DiskEntry | undefined> {
  const { name } = entry;
  if (entry.isDirectory()) return { name, kind: "dir", bytes: 0 };
  try {
    return { name, kind: "file", bytes: (await stat(join(at, name))).size };
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw diskErrorOf(dir, "list", error);
  }
}
