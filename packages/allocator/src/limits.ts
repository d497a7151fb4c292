// Bounds of the allocator, each with its reason.

/** Members of one item: far above any use; it keeps an item's checkpoint below a transaction's bounds. */
export const REPLICATION_MAX = 30;
/** Assignments that one checkpoint removes: foreign writers may have left any number. */
export const REMOVALS_PER_CHECKPOINT_MAX = 32;
/** Operations, and compares, of one transaction: etcd's default (D26). */
export const TXN_OPS_MAX = 128;
/** Slots from here on are packed though other items change hands: each replacement takes the next one. */
export const SLOT_PACKED_AT_ONCE = 2 * REPLICATION_MAX;
/** Wait after the first failure in a row; each further one doubles it. */
export const RETRY_MIN_MS = 20;
export const RETRY_MAX_MS = 1000;
/**
 * How much longer than a pass of the leader the pause after it is: while a thousand journals change hands, each of them
 * opens the mirror's gate a few times, and a pass looks at all of them.
 */
export const PASS_PAUSE_RATIO = 4;
export const PASS_PAUSE_MAX_MS = 250;
/** How long the mirror may take to show what was written before the allocator looks again without it. */
export const READ_THROUGH_MAX_MS = 1000;
/** Rounds of improvement of one solution: the second finds nothing left, in all but odd cases. */
export const SOLVER_ROUNDS_MAX = 8;
/** Passes in a row whose compares may fail before that is a warning: others change the keyspace all the time. */
export const FAILURES_TOLD = 5;
