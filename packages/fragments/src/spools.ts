// The broker's local bytes: one log shared by all journals and one spool per journal (durability.md D1-D6, D9, D17).
// These are the types that the broker sees; durable-spools.ts is the implementation over a Disk.
import type { WireError } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import type { AsideFragment, Released } from "./quarantine-release.ts";
import type { RegisterMarks, RegistersChange } from "./spool-registers.ts";
import type { StoreMark } from "./spool-image.ts";

/** Which life of a journal: a journal deleted and created again has another create revision (D1). */
export interface JournalLife {
  readonly journal: string;
  readonly createRevision: number;
  /** Revision of the route under which bytes are committed; carried in the log for D10. */
  readonly epoch: number;
}

/** A span of acknowledged bytes that is on this disk. `closed`: no longer grows, may be persisted. */
export interface LocalFragment {
  readonly begin: number;
  readonly end: number;
  /** SHA-1 of the bytes, 40 hex digits; computed when asked for a fragment that still grows. Empty: they are unread. */
  sum(): string;
  readonly closed: boolean;
  /** Wall time of its first append, Unix ms. */
  readonly firstAppendMs: number;
}

export type CommitOutcome =
  | { readonly kind: "acknowledged"; readonly begin: number; readonly end: number }
  /** Nothing of it was or will be visible: DISK_FULL, OVERLOADED, SHUTTING_DOWN, UNAVAILABLE (the log has failed). */
  | { readonly kind: "refused"; readonly error: WireError }
  /** OUTCOME_UNKNOWN: the log failed under it (D5). A restart may or may not show it; answer that nobody knows. */
  | { readonly kind: "unknown"; readonly error: WireError };

/** One append being written. Between open and commit/rollback no other append of the spool is open. */
export interface SpoolAppend {
  /** Where its first byte stands if it commits. */
  readonly begin: number;
  /** Bytes written so far. */
  readonly bytes: number;
  /**
   * SHA-1 (hex) of this append's own bytes; of nothing: da39a3ee5e6b4b0d3255bfef95601890afd80709. To be asked before
   * commit or rollback. @throws {WireError} when an append before it failed: then it can only be refused
   */
  sum(): string;
  /**
   * Adds bytes. `chunk` is copied before it returns or resolves. Returns at once while the append is small; from
   * 256 KiB on (D3) bytes go straight to the spool file and it may wait for room. Rejects with DISK_FULL, UNAVAILABLE,
   * SHUTTING_DOWN, or the reason of `signal`; then roll back.
   */
  write(chunk: Uint8Array, signal: AbortSignal): Promise<void> | void;
  /**
   * Ends the append: its bytes and `registers` (the whole new set, or that nobody knows it) become durable together.
   * The next append may open at once; outcomes are reported in order, exactly once each, never before `commit` has
   * returned, and after the bytes became visible (D9). When one is not acknowledged, neither are those committed behind
   * it.
   * @returns whether it was taken: false when it is refused for certain
   */
  commit(registers: RegistersChange, onOutcome: (outcome: CommitOutcome) => void): boolean;
  /** Forgets the bytes. Those that reached the spool file are overwritten or quarantined, never served. */
  rollback(): void;
}

export interface Spool {
  readonly life: JournalLife;
  /** Begin of the fragment that the next append goes into, if everything that was handed over succeeds. */
  readonly begin: number;
  /** End of what is acknowledged: the write head as far as this disk knows. */
  readonly end: number;
  /** End of what this disk has synced: what lies beyond `end` is hidden until others have it too (D9). */
  readonly syncedEnd: number;
  /** End if everything that was handed to commit succeeds: where the next append begins. */
  readonly pendingEnd: number;
  /** Registers if everything handed to commit succeeds. */
  readonly pendingRegisters: LabelSet;
  /** Behind what is synced; where they are not known, the last that were. */
  readonly registers: LabelSet;
  /** Which registers stood behind which bytes that were not shown before. */
  readonly marks: Pick<RegisterMarks, "at" | "knownUpTo">;
  /** An append of fewer bytes is written at once: it waits for nothing that is hidden or pending. */
  readonly directBytesMin: number;
  /** Wall time of the first append of the fragment that begins at `begin`, or undefined while it is empty. */
  readonly firstAppendMs: number | undefined;
  /**
   * @param isSummed whether `sum` will be asked for. Default: true
   * @throws InvariantError when an append is open already
   */
  openAppend(isSummed?: boolean): SpoolAppend;
  /**
   * Closes the current fragment (when not empty) and starts an empty one at `begin` >= pendingEnd. Durable before any
   * later commit of this spool is acknowledged. `registers`: adopted as a whole when given. A roll whose record, or a
   * commit before it, is refused is forgotten: `begin` and `pendingEnd` then say where the spool stands.
   */
  roll(begin: number, registers?: RegistersChange): void;
  /**
   * From now on bytes are shown up to where `confirm` says, whatever is synced; outcomes still say what is synced. At
   * or beyond `syncedEnd`: only what comes is hidden. Below `end` (0: everything): bytes of an earlier route that wait
   * for judgement (D11). Nothing may have been shown since they were.
   */
  hide(from: number): void;
  /** Bytes below `end` are acknowledged by all who have to have them. Infinity: nobody else has to. */
  confirm(end: number): void;
  /**
   * Forgets what is synced and hidden at and behind `begin`, and goes on from there: others never had it, or have other
   * bytes there (D10). It goes to quarantine. No append may be open or begin until it resolves.
   * @param begin end <= begin <= syncedEnd
   * @param registers as they were there. Default: what is known of that, which may be nothing
   * @throws {WireError} DISK_FULL, OVERLOADED, UNAVAILABLE, SHUTTING_DOWN: nothing was forgotten; OUTCOME_UNKNOWN
   */
  cut(begin: number, registers?: LabelSet): Promise<void>;
  /** Fragments with bytes on this disk that were not released, ascending, none overlapping; the last may still grow. */
  fragments(): readonly LocalFragment[];
  /**
   * Acknowledged bytes from `offset`: at least 1 and at most `maxBytes`, all of one fragment. Memory first, then the
   * file, every byte of which is checked before it is given out.
   * @throws {WireError} NOT_FOUND unless `offset` lies in a local fragment; CORRUPT with the facts `path` and `offset`
   * (in the file); UNAVAILABLE, SHUTTING_DOWN
   */
  read(offset: number, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
  /**
   * As {@link read}, hidden bytes too: for brokers that have to have them as well (D10), and nobody else.
   * @throws {WireError} as {@link read}
   */
  readHeld(offset: number, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
  /** What lies on this disk and was not released, ascending and apart, hidden bytes too. */
  held(): readonly { readonly begin: number; readonly end: number }[];
  /**
   * Takes in bytes that others have, as a closed fragment: from `range.begin` up to where `content` ends. It counts
   * once all of it is synced and logged, and not before; none of it is kept in memory. One at a time. `content` throws
   * at its end if what it gave is not what it should be.
   * @param range acknowledged, below the open fragment, and nothing of it is on this disk
   * @returns where the fragment ends
   * @throws {WireError} CONFLICT when the range is not so; what `content` throws; NOT_FOUND, DISK_FULL, OVERLOADED,
   * UNAVAILABLE, SHUTTING_DOWN: nothing was taken in; OUTCOME_UNKNOWN; what aborted `signal`
   */
  adopt(
    range: { readonly begin: number; readonly end: number },
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<number>;
  /** Frees a closed fragment that the store has confirmed (D18): its file goes once the log has the release. */
  release(fragment: { begin: number; end: number }): void;
  /** Called after acknowledgements, rolls and releases; at most once a batch. Returns a function that unsubscribes. */
  onChange(listener: () => void): () => void;
  /** Forgets the journal (it was deleted), when nothing of it is pending: logged, then its files are removed. */
  remove(): void;
}

/** A life that recovery found. */
export interface FoundLife extends JournalLife {
  /** Where its bytes on this disk begin; its end when there are none. */
  readonly base: number;
  readonly end: number;
}

export interface Spools {
  /**
   * The spool of a journal's life; the same one when it is claimed again. What recovery found of the same life is
   * continued; another life's bytes go to quarantine (D1). `atLeast`: a head known from elsewhere (suspend offset); a
   * spool whose end is below starts empty there.
   * @throws {WireError} CORRUPT when the journal's bytes are not what the log has the sum of; DISK_FULL, UNAVAILABLE
   */
  claim(life: JournalLife, atLeast: number): Promise<Spool>;
  /** Journals found by recovery and not claimed yet. */
  unclaimed(): readonly FoundLife[];
  /**
   * Forgets one of those as {@link Spool.remove} does, or moves its files to quarantine. Its bytes are not looked at:
   * they may be rotten. A claim of the same life is refused until they are gone, and begins anew.
   */
  discard(life: JournalLife, how: { readonly quarantine: boolean }): void;
  /**
   * Removes from quarantine what is there of a life and `isStored` (docs/adr/0012).
   * @throws {WireError} of the disk, and what `isStored` throws: what was removed before stays removed
   */
  releaseAside(
    life: Pick<JournalLife, "journal" | "createRevision">,
    isStored: (fragment: AsideFragment) => Promise<boolean>,
  ): Promise<Released>;
  /** Newest wall time that recovery found, Unix ms: this process may have begun with another one. */
  readonly newestMs: number | undefined;
  /** Of the coordination store whose journals these are; undefined when there is none yet. */
  readonly mark: StoreMark | undefined;
  /** Resolves when the mark is durable. @throws {WireError} DISK_FULL, OVERLOADED, OUTCOME_UNKNOWN, SHUTTING_DOWN */
  setMark(mark: StoreMark): Promise<void>;
  /** Bytes waiting for the log; appends should wait while it is above the bound. */
  readonly queuedBytes: number;
  /** Resolves when an append may be opened; rejects with DISK_FULL while space is low, or when `signal` aborts. */
  room(signal: AbortSignal): Promise<void>;
  /** What stands against serving: a full disk, a stuck or failed log; undefined when healthy. For /readyz. */
  unhealthy(): string | undefined;
  /** Waits for what was committed, syncs, writes a checkpoint and closes the log. */
  close(): Promise<void>;
}
