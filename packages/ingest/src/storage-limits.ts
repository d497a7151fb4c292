// Bounds of slices and files, each with its reason. They follow from one another: D26 is kept by construction.

/** Operations of one transaction of the coordination store (D26, etcd's default); its compares count alike. */
export const TXN_OPS_MAX = 128;
/** Bytes of one transaction (D26, etcd's default). */
export const TXN_BYTES_MAX = 1.5 * 1024 * 1024;

/**
 * Partitions that share a file. A file's rotation closes and opens a slice of each and changes two files: 2 × 24 + 2
 * operations. A sink with more partitions has more lanes, each with files of its own.
 */
export const LANE_PARTITIONS = 24;
/** A slice is not rotated within a file that has this many: the file has to be. */
export const FILE_SLICES_MAX = 100;
/**
 * Slices of a file at most: rotations stop at FILE_SLICES_MAX, and partitions that are created later add one each. The
 * end of its import changes all of them and the file: 125 operations.
 */
export const FILE_SLICES_BOUND = FILE_SLICES_MAX + LANE_PARTITIONS;
/** Sink versions whose rows one slice may hold, each in an object of its own; the next one ends the slice. */
export const SLICE_VERSIONS_MAX = 8;

/** Closed files of a lane that may wait for their import before rotation waits too (the original's job limit). */
export const WAITING_FILES = 2;
/** The same where the open file is full: beyond it nothing is staged, and rows wait in their journals. */
export const WAITING_FILES_MAX = 4;
/** Closed slices of a partition that may wait for their upload before the next is closed. */
export const WAITING_SLICES_MAX = 2;

/** Bytes of rows after which a slice is closed, whatever its conditions say: they are held in memory until uploaded. */
export const SLICE_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes of rows held by all partitions of a reader before it stops reading and asks for rotation. */
export const HELD_BYTES_MAX = 128 * 1024 * 1024;
/** Memory for the keys of all partitions of a reader: a dozen partitions with as many keys as count. */
export const KEY_BYTES_MAX = 256 * 1024 * 1024;
/** Memory that a reader keeps for the next rows: about what two slices at their bound take. */
export const POOL_KEPT_BYTES_MAX = 32 * 1024 * 1024;

/** Imported files of a sink that are kept, and for how long (D27): whichever ends first. */
export const IMPORTED_FILES_KEPT = 30;
export const IMPORTED_FILES_KEPT_MS = 3_600_000;
/**
 * Fragments of partition journals that are imported go when older than this, or when a sink's exceed the bytes
 * (D27).
 */
export const FRAGMENTS_KEPT_MS = 24 * 3_600_000;
export const FRAGMENTS_KEPT_BYTES = 2 * 1024 ** 3;

/** Lane of partition `n`. */
export function laneOf(n: number): number {
  return Math.floor(n / LANE_PARTITIONS);
}
