// A small file system of its own for a test that fills it: a tmpfs, which takes root to mount.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync, statfsSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { scratch } from "./test-platform.ts";

const PIECE_BYTES = 1024 * 1024;

export class SmallDisk {
  /** A directory on it that is made by whoever uses it. */
  readonly data: string;
  readonly #mount: string;
  readonly #filler: string;
  readonly #unmountAtExit = (): void => void spawnSync("umount", ["-l", this.#mount]);

  readonly #mebibytes: number;

  private constructor(mount: string, mebibytes: number) {
    this.#mount = mount;
    this.#mebibytes = mebibytes;
    this.data = join(mount, "data");
    this.#filler = join(mount, "filler");
  }

  /** @returns undefined: mounting is not permitted here */
  static mounted(mebibytes: number): SmallDisk | undefined {
    const disk = new SmallDisk(scratch(), mebibytes);
    return disk.#tryMount() ? disk : undefined;
  }

  /** Another one, in the place of the one that was unmounted. */
  mountEmpty(): void {
    assert.ok(this.#tryMount(), "what could be mounted once can be again");
  }

  #tryMount(): boolean {
    const args = ["-t", "tmpfs", "-o", `size=${this.#mebibytes}m`, "millrace-test", this.#mount];
    if (spawnSync("mount", args).status !== 0) return false;
    // Before scratch directories are removed, which a mount would prevent.
    process.prependOnceListener("exit", this.#unmountAtExit);
    return true;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#mount);
    return bavail * bsize;
  }

  /** Takes all the room but `leave` bytes. Others go on meanwhile: who tests may also be what lies between. */
  async fill(leave: number): Promise<void> {
    const file = await open(this.#filler, "a");
    try {
      const piece = Buffer.alloc(PIECE_BYTES, 1);
      while (this.freeBytes > leave) await file.write(piece);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
    } finally {
      await file.close();
    }
  }

  /** Gives the room back. */
  clear(): void {
    rmSync(this.#filler, { force: true });
  }

  /** Nobody may use it any more. */
  unmount(): void {
    const { status, stderr } = spawnSync("umount", [this.#mount], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    process.removeListener("exit", this.#unmountAtExit);
  }
}

/** Why disks cannot be filled here; never where every test is promised to run. */
export function missingSmallDisk(): string | false {
  const disk = SmallDisk.mounted(1);
  disk?.unmount();
  if (disk !== undefined) return false;
  assert.notEqual(process.env["CI"], "true", "full disks are tested in CI: mounting a tmpfs takes root");
  return "mounting a small file system is not permitted here";
}
