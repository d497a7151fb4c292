// What the main thread and a lane's thread say to each other. Requests are numbered, and performed in their order.
//
//  L1  The log's own run, a write and the sync of the same file, stands in shared memory: as a message it took a third
//      of what the lane costs. Its file and its memory are told by a message once, and have numbers from then on.
//  L2  Every other request is a message, posted before its number is.
//  L3  What is done is a number in shared memory too, on which the main thread waits; failures are messages, posted
//      before the number.
import type { DiskErrorKind, DiskOp } from "./disk.ts";

export interface LaneSetup {
  readonly root: string;
  readonly openFilesMax: number;
  readonly memory: SharedArrayBuffer;
}

export type LaneRequest =
  | { readonly kind: "run"; readonly ops: readonly DiskOp[] }
  /** Another lane renamed or removed these paths. */
  | { readonly kind: "forget"; readonly paths: readonly string[] }
  /** They get the next numbers (L1). */
  | { readonly kind: "learn"; readonly path: string }
  | { readonly kind: "learn-memory"; readonly memory: SharedArrayBuffer }
  /** All numbers are void. */
  | { readonly kind: "unlearn" }
  | { readonly kind: "close" };

export interface LaneFailure {
  readonly id: number;
  readonly kind: DiskErrorKind;
  readonly path: string;
  readonly message: string;
}

/** Where what stands in the shared memory. Numbers of requests go round. */
export const POSTED = 0;
export const DONE = 1;
export const FAILED = 2;
/** L1: whether a request stands here (the thread takes it out), its number, and what it says. */
export const IN_SLOT = 3;
export const SLOT_ID = 4;
export const SLOT_FILE = 5;
export const SLOT_MEMORY = 6;
export const SLOT_BEGIN = 7;
export const SLOT_LENGTH = 8;
const WORDS = 10;

export interface LaneMemory {
  readonly words: Int32Array;
  /** Of the slot's write. */
  readonly position: Float64Array;
}

export function newLaneMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * WORDS + 8);
}

export function laneMemory(memory: SharedArrayBuffer): LaneMemory {
  return { words: new Int32Array(memory, 0, WORDS), position: new Float64Array(memory, 4 * WORDS, 1) };
}

/** The number after `id`. */
export function nextId(id: number): number {
  return (id + 1) | 0;
}
