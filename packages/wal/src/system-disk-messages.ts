// What the main thread and a lane's thread say to each other.
import type { DiskErrorKind, DiskOp } from "./disk.ts";

export interface LaneSetup {
  readonly root: string;
  readonly openFilesMax: number;
  /** Counts what was posted: the thread sleeps on it with Atomics.wait, which wakes faster than an event loop. */
  readonly posted: Int32Array;
}

export type LaneRequest =
  | { readonly kind: "run"; readonly id: number; readonly ops: readonly DiskOp[] }
  /** Another lane renamed or removed these paths. */
  | { readonly kind: "forget"; readonly paths: readonly string[] }
  | { readonly kind: "close" };

export interface LaneReply {
  readonly id: number;
  readonly failure:
    { readonly kind: DiskErrorKind; readonly path: string; readonly message: string } | undefined;
}
