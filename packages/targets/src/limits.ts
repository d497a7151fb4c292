// How much a target does at once and how long it waits, each with its reason.

/** Places and logins that are kept open; another one is opened anew. An idle one has no session. */
export const TARGETS_OPEN_MAX = 256;
/** Loads and questions at the same time on one connection's target; others wait. A database has few such places. */
export const SESSIONS_MAX = 4;
/** An idle session is closed after this: firewalls forget connections, and the next load may be in hours. */
export const SESSION_IDLE_MS = 10_000;
/** From the first packet to an authenticated session. */
export const CONNECT_MS = 10_000;
/** A load or a question, whole; shorter than the importer's patience, so that the target's own reason is told. */
export const CALL_MS = 12 * 60_000;
/** Waiting for another importer of the same partition, or for somebody's lock on the table. */
export const LOCK_MS = 60_000;
/** A transaction whose client says nothing is given up by the server, so that its locks do not outlive the client. */
export const IDLE_IN_TRANSACTION_MS = 60_000;
/** Looking whether a commit of unknown outcome has happened. */
export const LOOK_AGAIN_MS = 10_000;
/** Of a text that rows are sent in; larger when one row is. */
export const CHUNK_BYTES = 256 * 1024;
/** Differences between a mapping and a table that a refusal names; there may be a hundred. */
export const DIFFERENCES_NAMED_MAX = 5;

/** An insert into ClickHouse ends with the row that reaches so many bytes: it is held here whole, to be sent again. */
export const INSERT_BYTES = 8 * 1024 * 1024;
/** Of one insert, while nobody knows what became of it; the importer tries again later. */
export const INSERT_ATTEMPTS = 3;
export const INSERT_PAUSE_MS = 200;
/** One request to ClickHouse. */
export const REQUEST_MS = 60_000;
/** An answer about a table: names and types of its columns, or ends of its partitions. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
