// A disk for the simulator and for tests: Disk over a medium that can lose power. It runs on an agenda; every choice
// comes from its random. Only faults that the design must survive:
//
//   crash()      power cut: unsynced writes are kept, lost or torn; unsynced entry changes are kept or lost
//   kill()       the process dies; what it wrote stays, synced or not
//   rot          flipped bits in synced bytes
//   capacity     writes that extend a file fail with "full" after the part that fits
//   failMakeDir  one directory is made and its parent is not synced, as when no descriptor is free
//   failSync     one sync fails, and its pages are lost for good (D5)
//   withoutSync  the negative control: syncs do nothing
import type { Random } from "@millrace/base";
import { assertDiskPath } from "./disk-path.ts";
import { DiskError, type Disk, type DiskEntry, type DiskLane, type DiskOp, type DiskSpace } from "./disk.ts";
import {
  copyTree,
  crashTree,
  isMoved,
  settleEntry,
  SimulatedDir,
  SimulatedFile,
  type EntryChange,
  type SimulatedNode,
} from "./simulated-files.ts";

export interface SimulatedDiskOptions {
  /** Puts off `run` by `delayMs`: an agenda's schedule. */
  readonly schedule: (delayMs: number, run: () => void) => void;
  readonly random: Random;
  /** Time that an operation takes; default 0.05 to 0.25 ms. */
  readonly delayMs?: (random: Random, op: DiskOp | undefined, lane: DiskLane | "read") => number;
  readonly capacityBytes?: number;
  readonly withoutSync?: boolean;
  /** Told of every operation, for a trace. */
  readonly onOp?: (line: string) => void;
}

export class SimulatedDisk {
  readonly #options: SimulatedDiskOptions;
  readonly #random: Random;
  readonly root = new SimulatedDir();
  /** In order; see settleEntry. */
  #entryChanges: EntryChange[] = [];
  #session = 0;
  #failSync: ((path: string) => boolean) | undefined;
  #failMakeDir: ((path: string) => boolean) | undefined;
  #failWrite: ((path: string) => boolean) | undefined;
  /** Bytes that fit, all files together. */
  capacityBytes: number;
  /** Syncs of files and directories so far. */
  syncs = 0;

  constructor(options: SimulatedDiskOptions) {
    this.#options = options;
    this.#random = options.random;
    this.capacityBytes = options.capacityBytes ?? Number.MAX_SAFE_INTEGER;
  }

  /** The disk for one life of a process: after crash, kill or the next open its operations never end. */
  open(): Disk {
    const session = ++this.#session;
    const alive = (): boolean => session === this.#session;
    const later = (op: DiskOp | undefined, lane: DiskLane | "read", run: () => void): void =>
      this.#options.schedule(this.#delayMs(op, lane), () => {
        if (alive()) run();
      });
    return new SimulatedDiskSession(this, later);
  }

  /** Power is cut. */
  crash(): void {
    this.#session++;
    for (const change of this.#entryChanges) if (this.#random.below(2) === 0) settleEntry(change);
    this.#entryChanges = [];
    crashTree(this.root, this.#random);
    this.#options.onOp?.("crash");
  }

  /** A copy of what is durable, for {@link putBack}. */
  copy(): SimulatedDir {
    return copyTree(this.root);
  }

  /** An operator replaces everything by a copy; no process may use the disk. */
  putBack(copy: SimulatedDir): void {
    this.#session++;
    this.#entryChanges = [];
    const { live, durable } = copyTree(copy);
    this.root.live = live;
    this.root.durable = durable;
  }

  /** The process dies; the kernel lives on. */
  kill(): void {
    this.#session++;
    this.#options.onOp?.("kill");
  }

  /** The next sync of a path that `matches` fails. */
  failSync(matches: (path: string) => boolean): void {
    this.#failSync = matches;
  }

  /** The next make-dir that makes a path that `matches` fails behind that, before the parent is synced. */
  failMakeDir(matches: (path: string) => boolean): void {
    this.#failMakeDir = matches;
  }

  /** The next write to a path that `matches` fails as if the disk were full, after half of it. */
  failWrite(matches: (path: string) => boolean): void {
    this.#failWrite = matches;
  }

  get usedBytes(): number {
    return bytesBelow(this.root);
  }

  /** The file at `path`; undefined when there is none. */
  file(path: string): SimulatedFile | undefined {
    const node = this.#find(path);
    return node?.kind === "file" ? node : undefined;
  }

  /** Performs one operation now. @throws {DiskError} */
  perform(op: DiskOp, lane: DiskLane): void {
    this.#options.onOp?.(`${lane} ${describe(op)}`);
    switch (op.kind) {
      case "write":
        return this.#write(op.path, op.position, op.bytes);
      case "sync":
        return this.#sync(op.path);
      case "make-dir":
        return this.#makeDir(op.path);
      case "sync-dir":
        return this.#syncDir(this.#dir(op.path), op.path);
      case "rename":
        return this.#rename(op.from, op.to);
      case "remove":
        return this.#remove(op.path);
      case "truncate":
        return this.#existing(op.path).truncate(op.bytes);
    }
  }

  read(path: string, position: number, bytes: number): Uint8Array {
    return this.#existing(path).read(position, bytes);
  }

  list(path: string): DiskEntry[] {
    const dir = path === "" ? this.root : this.#find(path);
    if (dir?.kind !== "dir") return [];
    const entries = [...dir.live].map(([name, node]): DiskEntry => {
      return { name, kind: node.kind, bytes: node.kind === "file" ? node.length : 0 };
    });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #delayMs(op: DiskOp | undefined, lane: DiskLane | "read"): number {
    const { delayMs } = this.#options;
    return delayMs === undefined ? 0.05 + this.#random.below(200) / 1000 : delayMs(this.#random, op, lane);
  }

  #write(path: string, position: number, bytes: Uint8Array): void {
    const { dir, name } = this.#parent(path);
    let file = dir.live.get(name);
    if (file === undefined) {
      file = new SimulatedFile();
      dir.live.set(name, file);
      this.#entryChanges.push({ kind: "link", dir, name, node: file });
    }
    if (file.kind !== "file") throw new DiskError("io", path, `write ${path}: is a directory`);
    const grows = Math.max(0, position + bytes.length - file.length);
    const bounded = grows > 0 && this.capacityBytes < Number.MAX_SAFE_INTEGER;
    const free = bounded ? this.capacityBytes - this.usedBytes : grows;
    const refused = this.#failWrite?.(path) ?? false;
    if (refused) this.#failWrite = undefined;
    if (!refused && grows <= free) return file.write(position, bytes);
    const fits = refused ? bytes.length >> 1 : Math.max(0, bytes.length - grows + Math.max(0, free));
    if (fits > 0) file.write(position, bytes.subarray(0, fits));
    throw new DiskError(
      "full",
      path,
      `write ${path}: no space left (${fits} of ${bytes.length} bytes written)`,
    );
  }

  #sync(path: string): void {
    const file = this.#existing(path);
    this.#beginSync(path, () => file.dropChanges());
    if (this.#options.withoutSync !== true) file.sync();
  }

  #syncDir(dir: SimulatedDir, path: string): void {
    this.#beginSync(path, () => undefined);
    if (this.#options.withoutSync === true) return;
    const settled = this.#entryChanges.filter((change) => change.dir === dir);
    for (const change of settled) settleEntry(change);
    this.#entryChanges = this.#entryChanges.filter(
      (change) => change.dir !== dir && !settled.some((later) => isMoved(change, later)),
    );
  }

  #beginSync(path: string, onFailure: () => void): void {
    this.syncs++;
    if (this.#failSync?.(path) !== true) return;
    this.#failSync = undefined;
    onFailure();
    throw new DiskError("sync-failed", path, `sync ${path}: input/output error`);
  }

  #makeDir(path: string): void {
    let dir = this.root;
    let parent = "";
    for (const name of path.split("/")) {
      const made = parent === "" ? name : `${parent}/${name}`;
      let node = dir.live.get(name);
      if (node === undefined) {
        node = new SimulatedDir();
        dir.live.set(name, node);
        this.#entryChanges.push({ kind: "link", dir, name, node });
      }
      if (node.kind !== "dir") throw new DiskError("io", path, `mkdir ${path}: a file is in the way`);
      if (this.#failMakeDir?.(made) === true) {
        this.#failMakeDir = undefined;
        throw new DiskError("io", parent, `open ${parent}: too many open files`);
      }
      this.#syncDir(dir, parent);
      dir = node;
      parent = made;
    }
  }

  #rename(fromPath: string, toPath: string): void {
    const { dir: from, name: fromName } = this.#parent(fromPath);
    const { dir, name } = this.#parent(toPath);
    const node = from.live.get(fromName);
    if (node === undefined) throw missing(fromPath, "rename");
    const taken = dir.live.get(name);
    if (taken?.kind === "dir")
      throw new DiskError("io", toPath, `rename ${fromPath}: ${toPath} is a directory`);
    from.live.delete(fromName);
    dir.live.set(name, node);
    this.#entryChanges.push({ kind: "rename", from, fromName, dir, name, node });
  }

  #remove(path: string): void {
    const at = this.#find(path);
    if (at === undefined) return;
    if (at.kind === "dir" && at.live.size > 0) throw new DiskError("io", path, `remove ${path}: not empty`);
    const { dir, name } = this.#parent(path);
    dir.live.delete(name);
    this.#entryChanges.push({ kind: "unlink", dir, name, node: at });
  }

  #existing(path: string): SimulatedFile {
    const file = this.file(path);
    if (file === undefined) throw missing(path, "open");
    return file;
  }

  #dir(path: string): SimulatedDir {
    const node = path === "" ? this.root : this.#find(path);
    if (node?.kind !== "dir") throw missing(path, "open");
    return node;
  }

  #parent(path: string): { dir: SimulatedDir; name: string } {
    const cut = path.lastIndexOf("/");
    return { dir: this.#dir(cut < 0 ? "" : path.slice(0, cut)), name: path.slice(cut + 1) };
  }

  #find(path: string): SimulatedNode | undefined {
    let node: SimulatedNode | undefined = this.root;
    for (const name of path.split("/")) {
      if (node?.kind !== "dir") return undefined;
      node = node.live.get(name);
    }
    return node;
  }
}

type Later = (op: DiskOp | undefined, lane: DiskLane | "read", run: () => void) => void;

/** One life of a process with the disk: two lanes, each in order. */
class SimulatedDiskSession implements Disk {
  readonly #disk: SimulatedDisk;
  readonly #later: Later;
  readonly #lanes: Record<DiskLane, Promise<void>> = { log: Promise.resolve(), bulk: Promise.resolve() };
  #closed = false;

  constructor(disk: SimulatedDisk, later: Later) {
    this.#disk = disk;
    this.#later = later;
  }

  run(lane: DiskLane, ops: readonly DiskOp[]): Promise<void> {
    for (const op of ops) {
      if (op.kind === "rename") assertDiskPath(op.to);
      if (op.kind !== "sync-dir" || op.path !== "") assertDiskPath(op.kind === "rename" ? op.from : op.path);
    }
    if (this.#closed) return Promise.reject(new DiskError("io", "", "the disk is closed"));
    const run = this.#lanes[lane].then(async () => {
      for (const op of ops) await this.#soon(op, lane, () => this.#disk.perform(op, lane));
    });
    this.#lanes[lane] = run.catch(() => undefined);
    return run;
  }

  read(path: string, position: number, bytes: number): Promise<Uint8Array> {
    assertDiskPath(path);
    return this.#soon(undefined, "read", () => this.#disk.read(path, position, bytes));
  }

  list(dir: string): Promise<readonly DiskEntry[]> {
    return this.#soon(undefined, "read", () => this.#disk.list(dir));
  }

  space(): Promise<DiskSpace> {
    return this.#soon(undefined, "read", () => {
      const { capacityBytes: totalBytes, usedBytes } = this.#disk;
      return { freeBytes: Math.max(0, totalBytes - usedBytes), totalBytes };
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#lanes.log, this.#lanes.bulk]);
  }

  #soon<T>(op: DiskOp | undefined, lane: DiskLane | "read", run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#later(op, lane, () => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      });
    });
  }
}

/** A disk in memory whose operations end at once. */
export function memoryDisk(random: Random): SimulatedDisk {
  return new SimulatedDisk({ random, schedule: (_delayMs, run) => queueMicrotask(run), delayMs: () => 0 });
}

/** Every file below a disk's root with its length, ascending by path. */
export function filesOf(disk: SimulatedDisk): { path: string; bytes: number }[] {
  const found: { path: string; bytes: number }[] = [];
  const visit = (dir: SimulatedDir, prefix: string): void => {
    for (const [name, node] of dir.live) {
      if (node.kind === "dir") visit(node, `${prefix}${name}/`);
      else found.push({ path: `${prefix}${name}`, bytes: node.length });
    }
  };
  visit(disk.root, "");
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function bytesBelow(dir: SimulatedDir): number {
  let bytes = 0;
  for (const node of dir.live.values()) bytes += node.kind === "file" ? node.length : bytesBelow(node);
  return bytes;
}

function missing(path: string, what: string): DiskError {
  return new DiskError("missing", path, `${what} ${path}: no such file or directory`);
}

function describe(op: DiskOp): string {
  if (op.kind === "rename") return `rename ${op.from} ${op.to}`;
  if (op.kind === "write") return `write ${op.path} ${op.position}+${op.bytes.length}`;
  if (op.kind === "truncate") return `truncate ${op.path} ${op.bytes}`;
  return `${op.kind} ${op.path}`;
}
