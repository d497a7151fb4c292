// How much the warehouse's process does at once.

/** Queries of users that run; more of them only share the same cores and memory. */
export const QUERIES_MAX = 4;
/** Queries that wait; the next one is refused. */
export const QUERIES_WAITING_MAX = 64;
/**
 * Threads that the engine's calls and reads of files run on. A running query holds one to its end, so there must be
 * more than queries: loads, checks and probes would otherwise stand still for as long as the queries take.
 */
export const POOL_THREADS = QUERIES_MAX + 8;
