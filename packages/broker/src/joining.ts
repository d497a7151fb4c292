// A broker that joined journals, in the background (durability.md D14): it copies what others have of them and no store
// does; and as a primary it writes that the members of the route hold it, once every one of them has it. So those who
// had it before may leave, and what they had survives them.
//
//   route changes ──► due ──► copying, piece by piece ──► all has come ──► taken over, by the primary ──► nothing older
//                      ▲              │ nobody gives it        │ not with all members      (or it is in the store)
//                      └──────────────┴────── later ───────────┘
//
//  C1  A piece counts once it is synced here as a whole, and is what the holder's disk has (Spool.adopt). A restart
//      goes on behind what has come.
//  C2  Nothing is copied that the list, read before each piece, does not say an older segment's holder has; nothing at
//      a time when the journal is not assigned here.
//  C3  Members take over what all of them have shown to be equal, if the list and the assignments are still as they
//      were before they were asked.
//  C4  Copies give way: a few journals at a time, and so many bytes a second. While a journal has stores these have a
//      moment first: mostly they catch up.
//  C5  Fewer members than the journal asks for take nothing over from more: who is away has it, too.
import { createHash } from "node:crypto";
import { abortScope, WireError, type Clock, type Counter, type Gauge, type Logger } from "@millrace/base";
import type { Holder, HolderDirectory } from "./activation-runner.ts";
import { digestOfHeld } from "./held-bytes.ts";
import { heldByOthers, newestSegment, takenOver, type HolderId, type Range } from "./holders-list.ts";
import type { HoldersStore, ReadHolders } from "./holders-store.ts";
import { piecesOf, storedTo, wantedCopies, type WantedCopy } from "./joining-plan.ts";
import {
  COPY_BYTES_PER_SECOND,
  COPY_PIECE_BYTES,
  COPY_PIECE_BYTES_MIN,
  FETCH_STALL_MS,
  JOIN_GRACE_MS,
  JOIN_LOOK_MS,
  JOIN_RETRY_MS_MAX,
  JOINS_AT_ONCE,
  PIECE_DIGEST_MS,
} from "./limits.ts";
import type { JournalTable } from "./journal-table.ts";
import type { LocalJournal } from "./local-journal.ts";

export type JoinedJournal = Pick<LocalJournal, "spool" | "spec" | "index">;

export interface JoiningPorts {
  readonly keyspace: { readonly table: Pick<JournalTable, "assignments" | "item"> };
  readonly lists: Pick<HoldersStore, "read" | "write">;
  readonly holders: Pick<HolderDirectory, "self" | "find">;
  readonly journals: () => Iterable<JoinedJournal>;
  /** Whether the journal is assigned to this broker. */
  readonly isMember: (journal: string) => boolean;
  readonly isPrimary: (journal: string) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: { readonly copyWantedBytes: Gauge; readonly copiedBytes: Counter };
}

export interface JoiningProgress {
  /** Journals of which something is to be copied here. */
  readonly journals: number;
  /** What was found to be missing of them, at the last look. */
  readonly wantedBytes: number;
  /** Since the start. */
  readonly copiedBytes: number;
}

export const NOTHING_TO_JOIN: JoiningProgress = { journals: 0, wantedBytes: 0, copiedBytes: 0 };

/** What is known of a journal with older segments. */
interface Due {
  /** Assignments that were looked at. */
  readonly seen: string;
  readonly state: "waiting" | "done";
  /** When these assignments were first looked at. */
  readonly sinceMs: number;
  /** Looks in a row that brought nothing. */
  readonly vain: number;
  readonly nextMs: number;
  readonly wantedBytes: number;
}

const NOTHING_DUE: Due = {
  seen: "",
  state: "waiting",
  sinceMs: 0,
  vain: 0,
  nextMs: 0,
  wantedBytes: 0,
};

export class Joining {
  readonly #ports: JoiningPorts;
  readonly #due = new WeakMap<JoinedJournal, Due>();
  #progress = NOTHING_TO_JOIN;
  /** When the bytes that were asked for last have had their time (C4). */
  #pacedToMs = 0;

  constructor(ports: JoiningPorts) {
    this.#ports = ports;
  }

  get progress(): JoiningProgress {
    return this.#progress;
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    for (;;) {
      await clock.sleep(JOIN_LOOK_MS, signal);
      const due = [...this.#ports.journals()].filter((journal) => this.#isDue(journal));
      const work = async (): Promise<void> => {
        for (let next = due.shift(); next !== undefined; next = due.shift()) await this.#look(next, signal);
      };
      await Promise.all(Array.from({ length: Math.min(JOINS_AT_ONCE, due.length) }, work));
      this.#report();
    }
  }

  #isDue(journal: JoinedJournal): boolean {
    const { name } = journal.spec;
    if (!this.#ports.isMember(name)) {
      this.#due.delete(journal);
      return false;
    }
    const known = this.#due.get(journal);
    if (known === undefined || known.seen !== this.#seenOf(name)) return true;
    return known.state === "waiting" && this.#ports.clock.monotonicMs() >= known.nextMs;
  }

  #seenOf(journal: string): string {
    const { table } = this.#ports.keyspace;
    return [
      this.#ports.isPrimary(journal),
      ...table.assignments(journal).map(({ modRevision }) => modRevision),
    ].join(" ");
  }

  async #look(journal: JoinedJournal, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#ports;
    const { name } = journal.spec;
    const seen = this.#seenOf(name);
    const known = this.#due.get(journal);
    const isSame = known?.seen === seen;
    const sinceMs = isSame ? known.sinceMs : clock.monotonicMs();
    const graceMs = journal.spec.fragment.stores.length === 0 ? 0 : JOIN_GRACE_MS; // C4
    let vain = isSame ? known.vain + 1 : 0;
    let state: Due["state"] = "waiting";
    try {
      if (clock.monotonicMs() >= sinceMs + graceMs) {
        const joined = await this.#join(journal, signal);
        state = joined.state;
        if (joined.isMore) vain = 0;
      } else vain = 0;
    } catch (error) {
      signal.throwIfAborted();
      logger.info("journal-copy-waits", { journal: name, why: WireError.from(error).message });
    }
    const waitMs = Math.min(JOIN_LOOK_MS * 2 ** Math.min(vain, 10), JOIN_RETRY_MS_MAX);
    const wantedBytes = this.#due.get(journal)?.wantedBytes ?? 0;
    const nextMs = clock.monotonicMs() + waitMs;
    const left = state === "done" ? 0 : wantedBytes;
    this.#due.set(journal, { seen, state, sinceMs, vain, nextMs, wantedBytes: left });
  }

  /** @returns `done` when nothing is left to do until the route changes; whether something was done now */
  async #join(
    journal: JoinedJournal,
    signal: AbortSignal,
  ): Promise<{ readonly state: Due["state"]; readonly isMore: boolean }> {
    const { lists, holders, isMember, isPrimary } = this.#ports;
    const { spool } = journal;
    const { journal: name, createRevision } = spool.life;
    for (let isMore = false; ; isMore = true) {
      signal.throwIfAborted();
      const waiting = { state: "waiting", isMore } as const;
      if (!isMember(name)) return waiting; // C2
      const assignments = this.#ports.keyspace.table.assignments(name);
      const read = await lists.read(name, createRevision, signal);
      const { list } = read;
      if (list === undefined || list.tail.kind === "void") return { state: "done", isMore };
      // Until the route is activated the list is that of another one.
      if (newestSegment(list)?.members.includes(holders.self) !== true) return waiting;
      if (heldByOthers(list).length === 0) return { state: "done", isMore };
      const wanted = wantedCopies(list, holders.self, spool.held(), storedOf(journal.index));
      this.#found(journal, wanted);
      if (wanted.length > 0) await this.#copyPiece(journal, wanted, signal);
      else if (!isPrimary(name) || !(await this.#takeOver(journal, read, assignments, signal)))
        return waiting;
    }
  }

  #found(journal: JoinedJournal, wanted: readonly WantedCopy[]): void {
    const wantedBytes = wanted.reduce((sum, { begin, end }) => sum + end - begin, 0);
    const known = this.#due.get(journal) ?? NOTHING_DUE;
    this.#due.set(journal, { ...known, wantedBytes });
    this.#report();
  }

  #report(): void {
    let [journals, wantedBytes] = [0, 0];
    for (const journal of this.#ports.journals()) {
      const bytes = this.#due.get(journal)?.wantedBytes ?? 0;
      if (bytes > 0) journals++;
      wantedBytes += bytes;
    }
    this.#progress = { ...this.#progress, journals, wantedBytes };
    this.#ports.metrics.copyWantedBytes.set(wantedBytes);
  }

  /** Copies something of what is wanted. @throws {WireError} when nobody gives any of it */
  async #copyPiece(
    journal: JoinedJournal,
    wanted: readonly WantedCopy[],
    signal: AbortSignal,
  ): Promise<void> {
    let failure = new WireError("UNAVAILABLE", "no broker is here that has it");
    for (const { begin, end, holders } of wanted) {
      for (const id of holders) {
        const holder = this.#ports.holders.find(id);
        if (holder === undefined) continue;
        // A holder may have let go of a part: whoever asks for all of a range is refused then.
        for (let bytes = Math.min(end - begin, COPY_PIECE_BYTES); ; bytes = Math.floor(bytes / 4)) {
          try {
            await this.#copy(journal, { begin, end: begin + bytes }, holder, signal);
            return;
          } catch (error) {
            signal.throwIfAborted();
            failure = WireError.from(error);
            if (failure.code !== "NOT_FOUND" || bytes / 4 < COPY_PIECE_BYTES_MIN) break;
          }
        }
      }
    }
    throw failure;
  }

  async #copy({ spool }: JoinedJournal, range: Range, holder: Holder, signal: AbortSignal): Promise<void> {
    await spool.adopt(range, this.#content(spool, range, holder, signal), signal); // C1
    const bytes = range.end - range.begin;
    this.#progress = { ...this.#progress, copiedBytes: this.#progress.copiedBytes + bytes };
    this.#ports.metrics.copiedBytes.add(bytes);
    const { journal } = spool.life;
    this.#ports.logger.info("journal-bytes-copied", { journal, ...range, from: holder.id });
  }

  /** A holder's bytes; throws at the end if they are not all of them, or not what its disk has. */
  async *#content(
    { life }: JoinedJournal["spool"],
    { begin, end }: Range,
    { calls }: Holder,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { journal, createRevision } = life;
    const request = { journal, createRevision, begin, end };
    const hash = createHash("sha256");
    let at = begin;
    const guard = new Guard(this.#ports.clock, signal);
    try {
      guard.within(FETCH_STALL_MS);
      for await (const chunk of calls.fetch(request, guard.signal)) {
        guard.calm();
        hash.update(chunk);
        at += chunk.length;
        await this.#pace(chunk.length, signal);
        yield chunk;
        guard.within(FETCH_STALL_MS);
      }
      if (at !== end)
        throw new WireError("UNAVAILABLE", `the holder sent ${at - begin} bytes of ${end - begin}`);
      guard.within(PIECE_DIGEST_MS);
      const theirs = await calls.digest(request, guard.signal);
      if (theirs !== hash.digest("hex"))
        throw new WireError(
          "CORRUPT",
          `what came of [${begin}, ${end}) of ${journal} is not what the holder has`,
        );
    } catch (error) {
      throw guard.signal.aborted && !signal.aborted ? WireError.from(guard.signal.reason) : error;
    } finally {
      guard.end();
    }
  }

  /** C4 */
  async #pace(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const waitMs = Math.max(0, this.#pacedToMs - nowMs);
    this.#pacedToMs = Math.max(this.#pacedToMs, nowMs) + (bytes / COPY_BYTES_PER_SECOND) * 1000;
    if (waitMs > 0) await clock.sleep(waitMs, signal);
  }

  /** @returns whether the list has changed */
  async #takeOver(
    { spool, spec, index }: JoinedJournal,
    { list, listRevision }: ReadHolders,
    assignments: ReturnType<JournalTable["assignments"]>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { keyspace, lists, logger } = this.#ports;
    const { createRevision } = spool.life;
    const item = keyspace.table.item(spec.name);
    if (item?.createRevision !== createRevision) return false;
    const { members } = newestSegment(list!)!;
    const stored = storedOf(index);
    for (const older of heldByOthers(list!)) {
      const { end } = older.range;
      const begin = storedTo(older.range.begin, stored);
      const isFewer = members.length < Math.min(older.members.length, item.spec.replication); // C5
      if (begin >= end || isFewer) continue; // J2
      // From the end on: what was copied first says nothing of the rest.
      let isWithAll = true;
      for (const piece of piecesOf({ begin, end }, COPY_PIECE_BYTES).toReversed())
        isWithAll &&= await this.#isWithAll(spool, members, piece, signal);
      if (!isWithAll) continue;
      const known = { journal: spec.name, createRevision, itemKey: item.key, assignments };
      const { kind } = await lists.write(known, takenOver(list!, older.index, begin), listRevision, signal); // C3
      if (kind !== "done") return false;
      logger.info("journal-bytes-taken-over", {
        journal: spec.name,
        begin,
        end,
        members: members.join(", "),
      });
      return true;
    }
    return false;
  }

  /** @throws {WireError} of a member that cannot be asked; CORRUPT when one has other bytes */
  async #isWithAll(
    spool: JoinedJournal["spool"],
    members: readonly HolderId[],
    range: Range,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { journal, createRevision } = spool.life;
    const { holders } = this.#ports;
    const asked = members.filter((id) => id !== holders.self).map((id) => ({ id, holder: holders.find(id) }));
    // Before anybody is asked: nobody would wait for the others.
    const missing = asked.find(({ holder }) => holder === undefined);
    if (missing !== undefined) throw new WireError("UNAVAILABLE", `member ${missing.id} is not here`);
    const guard = new Guard(this.#ports.clock, signal);
    try {
      guard.within(PIECE_DIGEST_MS);
      const request = { journal, createRevision, ...range };
      const sums = [
        digestOfHeld(spool, range, guard.signal),
        ...asked.map(({ holder }) => holder!.calls.digest(request, guard.signal)),
      ];
      const [first, ...others] = await Promise.all(sums);
      if (others.every((sum) => sum === first)) return true;
      const { begin, end } = range;
      const facts = { journal, begin, end, members: members.join(", ") };
      this.#ports.logger.error("members-differ", facts);
      throw new WireError("CORRUPT", `members have other bytes in [${begin}, ${end}) of ${journal}`, {
        facts,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (WireError.from(error).code === "NOT_FOUND") return false;
      throw error;
    } finally {
      guard.end();
    }
  }
}

/** What the journal's stores show, ascending. */
function storedOf(index: JoinedJournal["index"]): readonly Range[] {
  return [...index.entries()].flatMap(({ kind, begin, end }) => (kind === "remote" ? [{ begin, end }] : []));
}

/** A signal that aborts when an answer takes too long. */
class Guard {
  readonly #clock: Clock;
  readonly #scope: ReturnType<typeof abortScope>;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#scope = abortScope(signal);
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  within(ms: number): void {
    this.calm();
    this.#cancel = this.#clock.after(ms, () =>
      this.#scope.abort(new WireError("UNAVAILABLE", `no answer in ${ms} ms`)),
    );
  }

  calm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  end(): void {
    this.calm();
    this.#scope.abort(new WireError("UNAVAILABLE", "nobody waits for it any more"));
    this.#scope.dispose();
  }
}
