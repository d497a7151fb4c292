// The disk as a port. The real one runs on threads of its own with synchronous calls (D7); the simulated one keeps a
// synced and an unsynced image. Paths are relative to the disk's root, '/'-separated, without '.' or '..' components.

/** `log`: the commit path, nothing slow may run there. `bulk`: spool syncs, checkpoints, preallocation, big writes. */
export type DiskLane = "log" | "bulk";

export type DiskOp =
  /** Writes at `position`; the file is created when missing (its directory must exist). Not durable until synced. */
  | { readonly kind: "write"; readonly path: string; readonly position: number; readonly bytes: Uint8Array }
  /** fdatasync. */
  | { readonly kind: "sync"; readonly path: string }
  /** Makes directories up to `path`, durable when it resolves. */
  | { readonly kind: "make-dir"; readonly path: string }
  /** fsync of a directory: creations, renames and removals in it become durable. */
  | { readonly kind: "sync-dir"; readonly path: string }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  /** Removes a file or an empty directory; a missing one is fine. */
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "truncate"; readonly path: string; readonly bytes: number };

export interface DiskSpace {
  /** Bytes that may still be written. */
  readonly freeBytes: number;
  /** What the file system holds when it is empty. */
  readonly totalBytes: number;
}

export interface DiskEntry {
  readonly name: string;
  readonly kind: "file" | "dir";
  /** Length of a file in bytes, 0 for a directory. */
  readonly bytes: number;
}

/**
 * Failures are {@link DiskError}s. Ops of one `run` happen in order and stop at the first failure; runs of one lane
 * happen in the order of their calls; lanes do not order each other.
 */
export interface Disk {
  run(lane: DiskLane, ops: readonly DiskOp[]): Promise<void>;
  /** Up to `bytes` bytes from `position`: shorter only at the end of the file. */
  read(path: string, position: number, bytes: number): Promise<Uint8Array>;
  /** Entries sorted by name; none when the directory is missing. */
  list(dir: string): Promise<readonly DiskEntry[]>;
  space(): Promise<DiskSpace>;
  /** Waits for what was started, closes files and ends the threads. */
  close(): Promise<void>;
}

export type DiskErrorKind = "full" | "missing" | "sync-failed" | "io";

export class DiskError extends Error {
  readonly kind: DiskErrorKind;
  readonly path: string;
  constructor(kind: DiskErrorKind, path: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "DiskError";
    this.kind = kind;
    this.path = path;
  }
}
