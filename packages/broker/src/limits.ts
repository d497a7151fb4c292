// Bounds of the broker, each with its reason.

/** Appends that wait for one journal's pipeline. More are refused: they would only grow the wait. */
export const APPEND_QUEUE_ITEMS_MAX = 4096;
/** Bytes of whole appends that wait for one journal's pipeline: half a second of a fast disk. */
export const APPEND_QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes waiting for the shared log above which an append waits for room before it opens. */
export const LOG_QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/**
 * Content of one read response. Four times as large as feels natural, because over HTTP a chunk of 128 KiB costs twice
 * the CPU a byte; a reader that lags holds two of them. Doors whose protocol wants 32 KiB cut them.
 */
export const READ_CHUNK_BYTES = 512 * 1024;
/** What all readers of a broker may have in hand, read and not taken by their clients: 250 that lag. */
export const READS_HELD_BYTES_MAX = 256 * 1024 * 1024;
/** Content of one response beyond that: one message of the protocol. */
export const SCARCE_CHUNK_BYTES = 32_736;
/** How long an append waits for a primary that the allocator is about to assign. */
export const ASSIGNMENT_WAIT_MS = 5_000;
/** How long an append that nobody saw is offered to whoever is the journal's primary: above the time of a fail-over. */
export const REROUTE_MS = 5_000;
/** How long a call to a broker that has left the keyspace may still be answered. */
export const PEER_GONE_GRACE_MS = 1_000;
/** A listing of stores that began less than this ago is not made again for a reader that misses something. */
export const RELIST_MS = 1_000;
/** Between looks at how far members are behind each other. */
export const LAG_INTERVAL_MS = 5_000;
/** How long a broker that is asked to read has for its first answer before another one is asked. */
export const PEER_ANSWER_MS = 2_000;
/** How long one that did not answer in it is asked last: several times as long, so that few reads wait. */
export const PEER_SILENCE_MS = 5 * PEER_ANSWER_MS;
/** Timers hold no more milliseconds than this, 24 days. */
export const TIMER_MS_MAX = 2 ** 31 - 1;
/** Default life of the broker's session. */
export const LEASE_SECONDS = 20;
/** Between zero-byte appends that close fragments at their flush interval. */
export const PULSE_INTERVAL_MS = 60_000;
/** Pulses without a change of route after which an idle journal may be suspended. */
export const QUIET_PULSES_BEFORE_SUSPEND = 15;
/** Time that one pulse may take. */
export const PULSE_TIMEOUT_MS = 60_000;
/** Bytes a second that a client must sustain while others wait for the journal. */
export const MIN_APPEND_RATE = 65_536;
/**
 * What whole appends of a journal wait, all in all, for clients whose appends were begun and are not whole: two
 * clients that fall silent, one after the other.
 */
export const PATIENCE_MS_MAX = 2_000;
/** What an append that is not whole finds of it when it begins: the silence that its own client may have. */
export const PATIENCE_MS_MIN = 1_000;
/** So much of the time it grows again: the rest is for those who are whole. */
export const PATIENCE_SHARE = 1 / 4;
/** Times the least rate (1 MiB/s, unless that is set) at which a client needs none of it: what links of today have. */
export const PATIENT_RATES = 16;
/** Bytes of one journal that only this disk has, from which on a failing store stops its appends. */
export const STORE_BACKLOG_BYTES_MAX = 1024 ** 3;
/**
 * How long a reader waits for the first listing of a journal's stores when its offset is not on this disk, and an
 * append, counted from the journal's opening, because it must know where the journal ends.
 */
export const FIRST_REFRESH_WAIT_MS = 10_000;
/** How long a journal that is no longer served here waits for the append that writes to it. */
export const CLOSE_GRACE_MS = 10_000;
/**
 * Bytes of one append's stream that wait for the machine before its sender is stopped; as many are collected before the
 * append begins, so that a slow client holds no journal. A quarter of a MiB: what is larger goes straight to a file.
 */
export const FEED_BYTES_MAX = 256 * 1024;
/** The same for its chunks, since one of a byte costs a hundred: of 256 bytes and more each, the bytes decide. */
export const FEED_ITEMS_MAX = 1024;
/** A journal's list of holders: far below what a transaction may have, since one may carry many. */
export const HOLDERS_BYTES_MAX = 64 * 1024;
/** Segments of a list: each is a change of route that neither the store nor its members have made up for. */
export const HOLDERS_SEGMENTS_MAX = 256;
/** Members of one segment. */
export const HOLDERS_MEMBERS_MAX = 32;
export const HOLDER_ID_CHARS_MAX = 64;
/**
 * How long an append over gRPC waits for its stream to be whole before it begins all the same: somebody may wait for a
 * refusal before he sends. Clients send small appends within a fraction of a millisecond.
 */
export const APPEND_LINGER_MS = 10;
/** Content of one read response over gRPC, as the protocol has it: 32 KiB with its frame. */
export const GRPC_READ_CHUNK_BYTES = 32_736;
/** Journals of one message of a listing, as the protocol has it. */
export const LIST_MESSAGE_JOURNALS = 25;
/** How often appends are looked at whose token ends. */
export const EXPIRY_SWEEP_MS = 1_000;
/** How long an append waits for a route to be activated before it is refused; clients try again. */
export const ACTIVATION_PATIENCE_MS = 5_000;
/** Pause between attempts, times their number. */
export const ACTIVATION_RETRY_MS = 20;
/** Longer than a replica gives a stream of an older route to end by itself. */
export const FENCE_TIMEOUT_MS = 3_000;
/** A member copies what it lacks of the newest segment: some GiB at most. */
export const BRING_TIMEOUT_MS = 120_000;
/** Content of an append that is kept back until the append is whole, and of one message to a peer. */
export const PEER_CONTENT_BYTES = 256 * 1024;
/** Content of appends that waits to be sent to the peers of a journal, before the next append has to wait. */
export const PEER_STAGED_BYTES_MAX = 8 * 1024 * 1024;
/**
 * How long an append whose peers did not answer waits for its journal's route to be activated again. In the drain of a
 * broker with a thousand journals those with such appends come first; where a replica has no room, nothing is activated
 * before somebody makes some.
 */
export const LIMBO_MS = 10_000;
/**
 * Proposals that may be unanswered. Syncs are shared in the logs of all sides; with two of them the appends of a
 * journal waited a second time: 64 clients on 8 journals got a fifth less done in a CPU second.
 */
export const PROPOSALS_ASKED_MAX = 8;
/** How long peers wait to be told what is confirmed when nothing else is sent to them. */
export const CONFIRM_LINGER_MS = 5;
/** The same while appends follow each other, and the next one tells it: at 5 ms brokers woke for each of them. */
export const CONFIRM_BUSY_MS = 25;
/** How long a pipeline that closes waits for the answers of its peers. */
export const PIPELINE_CLOSE_MS = 2_000;
/** Journals with a new route that are pulsed at the same time. */
export const PULSES_AT_ONCE = 8;
/** Until a pulse is tried again that failed. */
export const PULSE_RETRY_MS = 1_000;
/** How long whoever writes to a spool may go on when another waits for it: an append that is under way ends in it. */
export const REPLICATION_GRACE_MS = 1_000;
/**
 * Messages of one Replicate stream that wait for the spool, beyond which its primary is stopped. Far above what shares
 * one proposal: what the primary says of confirmed bytes must get through while a write waits for just that.
 */
export const REPLICATE_QUEUE_BYTES_MAX = 8 * 1024 * 1024;
/** Content of one message of a fetch. */
export const FETCH_CHUNK_BYTES = 256 * 1024;
/** How long whoever copies from a broker waits for its next chunk. */
export const FETCH_STALL_MS = 5_000;
/** What is copied from another broker is committed in pieces of this size at most. */
export const COPY_COMMIT_BYTES = 128 * 1024;
/** Copied bytes that are not synced yet. */
export const COPY_AHEAD_BYTES = 8 * 1024 * 1024;
/** Content of one message of a fetch between brokers. */
export const FETCH_MESSAGE_BYTES = 256 * 1024;
/** Between attempts to reach a broker that refused connections. */
export const PROBE_INTERVAL_MS = 200;
/** How long it is tried: its lease has ended by then, and whoever comes back is asked by others anyway. */
export const PROBE_FOR_MS = 60_000;
/** Pause between looks at what a broker that drains waits for. */
export const DRAIN_LOOK_MS = 1_000;
/** Least pause between looks at what is assigned, which changes with each journal. */
export const DRAIN_LINGER_MS = 100;
/** Names of journals that a progress report has. */
export const DRAIN_NAMES_MAX = 20;
/** Names of journals in the words of one. */
export const DRAIN_WORDS_MAX = 5;
/** How long a broker that closes brings to their stores what it alone has. */
export const LAST_PERSIST_MS = 10_000;
/** Between looks of the one who decides about a member that is gone, when nothing changes. */
export const FAIL_OVER_LOOK_MS = 1_000;
export const FAIL_OVER_RETRY_MS = 100;
/** Assignments of one transaction, each with two compares: of 128 operations at most (D26). */
export const TAKEN_AT_ONCE = 60;
/** Members that each one asks whether they are there: two have to agree that one is not. */
export const NEIGHBOURS = 3;
/** A fifth of the second and a half in which a journal should be writable again. */
export const NEIGHBOUR_PROBE_MS = 300;
/** Between looks for bytes of which lists need not say any longer who holds them. */
export const UPKEEP_INTERVAL_MS = 2_000;
/** The same, while the broker drains and somebody waits for it. */
export const DRAIN_UPKEEP_MS = 250;
/** Lists that are looked at together: their reads share a request. */
export const UPKEEPS_AT_ONCE = 128;
/** Journals of others, of which this disk has something, whose stores one look lists. */
export const UPKEEP_LISTINGS_AT_ONCE = 16;
/** Of those, how many one look opens that a restart found. */
export const FOUND_OPENED_AT_ONCE = 64;
/** Between looks at journals that this broker joined, and whose older bytes others may have. */
export const JOIN_LOOK_MS = 2_000;
/** Longest pause after copies of a journal have failed. */
export const JOIN_RETRY_MS_MAX = 60_000;
/** Journals whose older bytes are copied at the same time. */
export const JOINS_AT_ONCE = 4;
/** Bytes a second of all copies of a broker: a quarter of what a slow disk takes. */
export const COPY_BYTES_PER_SECOND = 32 * 1024 * 1024;
/** What is copied as one fragment; a restart begins it again. */
export const COPY_PIECE_BYTES = 64 * 1024 * 1024;
/** A holder that does not have as much as this is not asked for less. */
export const COPY_PIECE_BYTES_MIN = 64 * 1024;
/** How long a broker may take to sum such a piece. */
export const PIECE_DIGEST_MS = 30_000;
/** How long the stores of a journal that changed hands have to catch up before older bytes are copied. */
export const JOIN_GRACE_MS = 10_000;
/** Between looks whether the store still has the token of the data directory. */
export const DIRECTORY_LOOK_MS = 10_000;
/** After so many of them the token is renewed: a copy of a running broker's directory may lack what came since. */
export const LOOKS_PER_TOKEN = 6;
/** Before the own member's key, which nobody can decode, is put again after that has failed. */
export const MEMBER_KEY_RETRY_MS = 1_000;
