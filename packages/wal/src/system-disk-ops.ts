// Executes disk operations with synchronous calls, on a thread of its own (D7). Files stay open in a small cache.
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DiskError, type DiskErrorKind, type DiskOp } from "./disk.ts";

const FILE_MODE = 0o640;
const DIR_MODE = 0o750;

/** Directories that a run made, or found, by the parent whose sync they wait for; parents first. */
type Made = Map<string, Set<string>>;

export class DiskOps {
  readonly #root: string;
  #openFilesMax: number;
  /** In order of last use, oldest first. */
  readonly #files = new Map<string, number>();
  /** Directories whose entry in their parent this process has synced. */
  readonly #durableDirs = new Set<string>([""]);

  /** @param openFilesMax kept open at once; fewer when the system has no more */
  constructor(root: string, openFilesMax: number) {
    this.#root = root;
    this.#openFilesMax = openFilesMax;
  }

  /** Performs `ops` in order and stops at the first failure. @throws {DiskError} */
  perform(ops: readonly DiskOp[]): void {
    const made: Made = new Map();
    for (const op of ops) {
      // Neighbouring make-dir ops share the sync of their parent.
      if (op.kind !== "make-dir") this.#syncParents(made);
      this.#perform(op, made);
    }
    this.#syncParents(made);
  }

  /** Forgets what is known of `path` and what is below it: it was renamed or removed, maybe by another thread. */
  forget(path: string): void {
    const isThere = (known: string): boolean => known === path || known.startsWith(`${path}/`);
    for (const [cached, file] of this.#files) {
      if (!isThere(cached)) continue;
      this.#files.delete(cached);
      closeSync(file);
    }
    for (const dir of this.#durableDirs) if (isThere(dir)) this.#durableDirs.delete(dir);
  }

  close(): void {
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }

  #perform(op: DiskOp, made: Made): void {
    switch (op.kind) {
      case "write":
        return this.#write(op.path, op.position, op.bytes);
      case "sync":
        return this.#sync(op.path);
      case "make-dir":
        return this.#makeDir(op.path, made);
      case "sync-dir":
        return this.#syncDir(op.path);
      case "rename":
        return attempt(op.from, "rename", () => {
          this.forget(op.from);
          this.forget(op.to);
          renameSync(this.#at(op.from), this.#at(op.to));
        });
      case "remove":
        return this.#remove(op.path);
      case "truncate":
        return attempt(op.path, "truncate", () => ftruncateSync(this.#open(op.path, false), op.bytes));
    }
  }

  #write(path: string, position: number, bytes: Uint8Array): void {
    attempt(path, "write", () => {
      const file = this.#open(path, true);
      let done = 0;
      while (done < bytes.length) done += writeSync(file, bytes, done, bytes.length - done, position + done);
    });
  }

  #sync(path: string): void {
    const file = attempt(path, "open", () => this.#open(path, false));
    attempt(path, "sync", () => fdatasyncSync(file), "sync-failed");
  }

  #syncDir(path: string): void {
    const dir = attempt(path, "open", () =>
      openSync(this.#at(path), constants.O_RDONLY | constants.O_DIRECTORY),
    );
    try {
      attempt(path, "sync", () => fsyncSync(dir), "sync-failed");
    } finally {
      closeSync(dir);
    }
  }

  #makeDir(path: string, made: Made): void {
    let dir = "";
    for (const name of path.split("/")) {
      const parent = dir;
      dir = dir === "" ? name : `${dir}/${name}`;
      if (this.#durableDirs.has(dir)) continue;
      attempt(dir, "mkdir", () => {
        try {
          mkdirSync(this.#at(dir), { mode: DIR_MODE });
        } catch (error) {
          if (codeOf(error) !== "EEXIST") throw error;
        }
      });
      // Also when it was there: an earlier process may have died between making and syncing it, or this one failed.
      const siblings = made.get(parent) ?? new Set();
      made.set(parent, siblings.add(dir));
    }
  }

  /** Only what was synced counts as durable: after a failure all of it is made and synced again. */
  #syncParents(made: Made): void {
    for (const [parent, dirs] of made) {
      this.#syncDir(parent);
      for (const dir of dirs) this.#durableDirs.add(dir);
    }
    made.clear();
  }

  #remove(path: string): void {
    attempt(path, "remove", () => {
      this.forget(path);
      try {
        unlinkSync(this.#at(path));
      } catch (error) {
        const code = codeOf(error);
        if (code === "ENOENT") return;
        if (code !== "EISDIR" && code !== "EPERM") throw error;
        rmdirSync(this.#at(path));
      }
    });
  }

  #open(path: string, create: boolean): number {
    const cached = this.#files.get(path);
    if (cached !== undefined) {
      this.#files.delete(path);
      this.#files.set(path, cached);
      return cached;
    }
    const flags = constants.O_RDWR | (create ? constants.O_CREAT : 0);
    let file: number;
    try {
      file = openSync(this.#at(path), flags, FILE_MODE);
    } catch (error) {
      const code = codeOf(error);
      if ((code !== "EMFILE" && code !== "ENFILE") || this.#files.size === 0) throw error;
      // Others need descriptors too: keep fewer from now on.
      this.#openFilesMax = Math.max(1, this.#files.size >> 1);
      this.#closeOldest(this.#files.size >> 1);
      file = openSync(this.#at(path), flags, FILE_MODE);
    }
    this.#files.set(path, file);
    this.#closeOldest(this.#openFilesMax);
    return file;
  }

  #closeOldest(kept: number): void {
    for (const [path, file] of this.#files) {
      if (this.#files.size <= kept) return;
      this.#files.delete(path);
      closeSync(file);
    }
  }

  #at(path: string): string {
    return join(this.#root, path);
  }
}

function attempt<T>(path: string, what: string, run: () => T, failure?: DiskErrorKind): T {
  try {
    return run();
  } catch (error) {
    throw diskErrorOf(path, what, error, failure);
  }
}

/** The DiskError that a failed call of node:fs means. @param failure overrides the kind, for syncs (D5) */
export function diskErrorOf(path: string, what: string, error: unknown, failure?: DiskErrorKind): DiskError {
  if (error instanceof DiskError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new DiskError(failure ?? kindOf(codeOf(error)), path, `${what} ${path}: ${message}`, error);
}

function kindOf(code: string | undefined): DiskErrorKind {
  if (code === "ENOSPC" || code === "EDQUOT") return "full";
  if (code === "ENOENT" || code === "ENOTDIR") return "missing";
  return "io";
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
