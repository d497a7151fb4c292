// What a broker does for others with its bytes of a journal (durability.md D10, D11): tells what it has, is brought to
// what another one has, and gives its bytes away. It also says who may write to the spool. A shell over the rules of
// route-bound.ts and sealed-bytes.ts.
//
//  K1  Whoever changes bytes has the spool's token, and the binding is looked at again once he has it: what was
//      overtaken while it waited changes nothing.
//  K2  Hidden bytes that a list may have something to say about are judged before anything is written behind them.
//  K3  What is brought is synced when it is answered, and hidden until the primary says that it is confirmed.
//  K4  What was shown is never cut, but where a list is void: who left and came back may have shown what its primary,
//      a broker that keeps no lists, had from it alone. What the others do not have there is set aside, and the member
//      is asked anew (B5 of route-bound.ts): the list would name it for what it has said.
//  K5  Nobody is moved beyond what its source has, or, without a source, what the list promises: whoever may call this,
//      by a mistake too, would have the journal go on there for ever.
//  K6  A bring may end anywhere, and what it leaves has to be all that this member promised, also by a list that is
//      written late: only what is other than its source's goes, and nothing that it has left to the store.
//  K7  Whoever was brought is found again after a restart, though the journal is empty: the list may name it.
//  K8  Between an activation's write of the list and its taking of the spool nobody has the token. Who closes the list
//      then retires what was brought (B6 of route-bound.ts), or the append that follows would stand behind its end.
//  K9  A cut leaves the registers that stood behind what stays, and what is copied has none before all of it is here:
//      who reads this member after a bring that ended half-way is told of no bytes without their registers. Where all
//      go on without those, on a void list, they go.
//  K10 On a void list who is new, or back, begins without leftovers; what the list names it for is none, shown or not.
import { abortScope, assert, WireError, type Clock, type Logger } from "@millrace/base";
import { rollTo, type Spool } from "@millrace/fragments";
import {
  EMPTY_LABELS,
  equalProcessIds,
  equivalentRoutes,
  type Header,
  type LabelSet,
  type Route,
} from "@millrace/protocol";
import { applyVerdict, cutLeftovers, unlisted } from "./applied-verdict.ts";
import { BringSource } from "./bring-source.ts";
import { copyHeld } from "./copy-held.ts";
import { digestOfHeld, heldBytes, readHeldBytes, sureBytes, toldBytes } from "./held-bytes.ts";
import { promisedEnd, type HolderId, type HoldersList } from "./holders-list.ts";
import { KnownEnd, type KnownEndPorts } from "./known-end.ts";
import { isLater } from "./later-lives.ts";
import { REPLICATION_GRACE_MS } from "./limits.ts";
import type { FetchRequest, HoldAnswer, HolderCalls, HoldRequest, Peer } from "./peer-network.ts";
import {
  afterLoad,
  answerBound,
  bind,
  retired,
  routeSeen,
  type Binding,
  type BoundAnswer,
} from "./route-bound.ts";
import { atRest, beginAt } from "./spool-at-rest.ts";
import { SpoolToken, type SpoolLease, type SpoolUser } from "./spool-token.ts";

/** A journal as this broker's keyspace has it. */
export interface JournalView {
  /** Not below what was waited for. */
  readonly revision: number;
  readonly header: Header;
  /** Revision since which this broker has been assigned without a break; 0: it is not. */
  readonly joined: number;
}

export interface HolderPorts extends KnownEndPorts {
  /** Id of this broker's data directory. */
  readonly self: HolderId;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Greatest revision below the root when the keyspace was loaded (B4 of route-bound.ts). */
  readonly loadedAt: number;
  /** @param revision that was waited for */
  readonly view: (journal: string, revision: number) => JournalView;
  /** How another broker's bytes are asked for. */
  readonly holderOf: (peer: Peer) => HolderCalls;
}

/** Under which activation somebody wants the spool. */
export interface SpoolAttempt {
  /** 0: of a primary that keeps no lists. */
  readonly epoch: number;
  readonly stream: number;
}

type BringRequest = Extract<HoldRequest, { readonly wants: "bring" | "level" }>;

export class JournalHolder {
  readonly #ports: HolderPorts;
  readonly #spool: Spool;
  readonly #token: SpoolToken;
  #binding: Binding;
  /** Route of whoever has the spool. */
  #userRoute: Route | undefined;
  /** Least offset from which on bytes were given up. */
  #cutAt = Number.POSITIVE_INFINITY;
  /** What that was when this broker was brought, or went on last: while it is, it is a member without a break (D15). */
  #joined = 0;
  /** What it was when this broker said last what it has on a void list (B5 of route-bound.ts). */
  #asked = 0;
  readonly knownEnd: KnownEnd;
  /** Epoch under which this broker was brought last, while nothing was lost since (H8 of holders-activation.ts). */
  #whole = 0;
  /** Epoch of what a restart found, until this broker is brought; else 0. */
  #found: number;
  /** False: a list that names this broker is wrong, or its disk was lost: whoever is brought is found again (K7). */
  isHolder: boolean;

  /** @param found epoch of what a restart found; undefined: nothing was */
  constructor(ports: HolderPorts, spool: Spool, found: number | undefined) {
    this.#ports = ports;
    this.isHolder = found !== undefined;
    this.#found = found ?? 0;
    this.#spool = spool;
    this.#token = new SpoolToken(spool.life.journal, ports.clock, REPLICATION_GRACE_MS);
    this.#binding = afterLoad(ports.loadedAt);
    this.knownEnd = new KnownEnd(ports, spool.life);
  }

  get #journal(): string {
    return this.#spool.life.journal;
  }

  /** The keyspace shows another route than before, at `revision` (D12). */
  routeSeen(revision: number): void {
    this.#binding = routeSeen(this.#binding, revision);
    const { route } = this.#ports.view(this.#journal, revision).header;
    this.knownEnd.routeSeen(route);
    if (this.#userRoute === undefined) return;
    if (!hasPrimaryOf(this.#userRoute, route)) this.#token.evict();
  }

  /**
   * Waits for the spool, to write on a route that this broker was brought for.
   * @throws {WireError} UNAVAILABLE when a newer attempt is known; what aborted `signal`
   */
  async takeSpool(user: SpoolUser, attempt: SpoolAttempt, signal: AbortSignal): Promise<SpoolLease> {
    this.#mayAppend(attempt);
    const { route } = this.#ports.view(this.#journal, attempt.epoch).header;
    const lease = await this.#take(user, route, signal);
    try {
      this.#mayAppend(attempt);
      return lease;
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  /** Waits for the spool: the journal leaves this broker. Whoever writes to it has a moment to end. */
  takeLast(signal: AbortSignal): Promise<SpoolLease> {
    return this.#take({ evict: () => undefined }, undefined, signal);
  }

  /** The journal was deleted: resolves when nobody has the spool, and nobody will. */
  end(): Promise<void> {
    return this.#token.end();
  }

  /** Changes whenever somebody else may write, or nobody. */
  get bound(): Binding {
    return this.#binding;
  }

  /** Epoch under which this broker was brought last, with nothing lost since; else 0. */
  get whole(): number {
    return this.#whole;
  }

  /** What another broker's {@link SpoolAttempt} of an append would be answered now. */
  answerAppend({ epoch, stream }: SpoolAttempt): BoundAnswer {
    if (epoch === 0) return "take";
    const { revision } = this.#ports.view(this.#journal, epoch);
    // Whoever asks has compared the routes.
    const view = { revision, isSameRoute: true };
    return answerBound(this.#binding, view, { epoch, stream, wants: "append" });
  }

  /** @throws {WireError} UNAVAILABLE; of the spool; what aborted `signal` */
  async hold(request: HoldRequest, signal: AbortSignal): Promise<HoldAnswer> {
    const refusal = this.#refusal(request);
    if (refusal !== undefined) return refusal;
    // K1
    return this.#withSpool(
      request.header.route,
      async (evicted) => this.#refusal(request) ?? this.#held(request, evicted),
      signal,
    );
  }

  /**
   * Nobody appends here any more before the route was activated anew (K8). `work` has the spool meanwhile, with nothing
   * under way in it; it ends when somebody else wants it. @throws what `work` throws; what aborted `signal`
   */
  retire<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const retiring = async (evicted: AbortSignal): Promise<T> => {
      await atRest(this.#spool);
      this.#binding = retired(this.#binding);
      return work(evicted);
    };
    return this.#withSpool(undefined, retiring, signal);
  }

  fetch({ begin, end }: FetchRequest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return readHeldBytes(this.#spool, { begin, end }, signal);
  }

  async digest({ begin, end }: FetchRequest, signal: AbortSignal): Promise<string> {
    if (end > this.#spool.syncedEnd)
      throw new WireError("NOT_FOUND", `journal ${this.#journal} does not reach ${end} here`);
    return digestOfHeld(this.#spool, { begin, end }, signal);
  }

  /**
   * A broker that keeps no lists writes behind what is here: whatever a restart found goes to quarantine, but for what
   * the list, which is void, names this member for (K10). Whoever calls has the spool. @throws as {@link hold}
   */
  async goOn(signal: AbortSignal): Promise<void> {
    const { joined } = this.#ports.view(this.#journal, 0);
    await atRest(this.#spool);
    if (joined === 0 || joined !== this.#joined) await this.#cutLeftovers(signal);
    else await this.#cutUntold();
    this.#joined = joined;
  }

  /** Lets the list judge what is hidden here: nobody brings who is not a member any more. @throws as {@link hold} */
  async judge(signal: AbortSignal): Promise<void> {
    const lease = await this.takeLast(signal);
    try {
      await atRest(this.#spool);
      await this.#judge(signal, undefined, this.#found);
    } finally {
      lease.release();
    }
  }

  #cutLeftovers(signal: AbortSignal): Promise<void> {
    return cutLeftovers(this.#spool, this.#ports, (begin) => this.#cut(begin), signal);
  }

  /** K9 */
  async #cutUntold(): Promise<void> {
    const { end } = toldBytes(this.#spool).held;
    if (end < this.#spool.syncedEnd) await this.#cut(end);
  }

  /** The log has refused what others were told is here. */
  lostBytes(): void {
    this.#whole = 0;
  }

  /** Least offset from which on bytes were given up since this was asked last; Infinity: none were. */
  takeCut(): number {
    const cutAt = this.#cutAt;
    this.#cutAt = Number.POSITIVE_INFINITY;
    return cutAt;
  }

  #cut(begin: number, registers?: LabelSet): Promise<void> {
    this.#cutAt = Math.min(this.#cutAt, begin);
    return this.#spool.cut(begin, registers);
  }

  #mayAppend(attempt: SpoolAttempt): void {
    const answer = this.answerAppend(attempt);
    if (answer === "take") return;
    throw new WireError("UNAVAILABLE", `journal ${this.#journal}: ${answer}, a newer attempt is known`, {
      facts: { journal: this.#journal, answer },
    });
  }

  async #take(user: SpoolUser, route: Route | undefined, signal: AbortSignal): Promise<SpoolLease> {
    const other = this.#userRoute;
    // On the same route whoever asks is newer; where its primary has left nobody ends by himself.
    if (other && route && (equivalentRoutes(other, route) || !hasPrimaryOf(other, route)))
      this.#token.evict();
    const lease = await this.#token.take(user, signal);
    this.#userRoute = route;
    return {
      release: () => {
        this.#userRoute = undefined;
        lease.release();
      },
    };
  }

  /** @param work its signal aborts, too, when somebody else is to have the spool */
  async #withSpool<T>(
    route: Route | undefined,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const evicted = abortScope(signal);
    try {
      const lease = await this.#take({ evict: (reason) => evicted.abort(reason) }, route, signal);
      try {
        return await work(evicted.signal);
      } finally {
        lease.release();
      }
    } finally {
      evicted.dispose();
    }
  }

  #refusal(request: HoldRequest): HoldAnswer | undefined {
    const { epoch, stream, wants } = request;
    const { revision, header } = this.#ports.view(this.#journal, epoch);
    const view = { revision, isSameRoute: equivalentRoutes(header.route, request.header.route) };
    const bound = { epoch, stream, wants: wants === "ask" ? "fence" : wants } as const;
    const answer = answerBound(this.#binding, view, bound);
    assert(answer !== "wait", "the keyspace was waited for", { epoch, revision });
    return answer === "take" ? undefined : { kind: "refused", why: answer, header };
  }

  async #held(request: HoldRequest, signal: AbortSignal): Promise<HoldAnswer> {
    const { epoch, stream } = request;
    this.knownEnd.forget();
    this.#binding = bind(this.#binding, { epoch, stream, wants: "fence" });
    await atRest(this.#spool);
    switch (request.wants) {
      case "fence":
        return this.#taken();
      case "ask":
        return this.#presented();
      case "bring":
      case "level": {
        const isDone = await (request.wants === "bring"
          ? this.#bring(request, signal)
          : this.#level(request, signal));
        // K1: a route that was seen meanwhile is not gone below.
        const refusal = this.#refusal(request);
        if (refusal !== undefined) return refusal;
        const { header } = this.#ports.view(this.#journal, epoch);
        if (!isDone) return { kind: "refused", why: "different", header };
        this.#binding = bind(this.#binding, { epoch, stream, wants: request.wants });
        this.#whole = epoch;
        this.#found = 0;
        this.isHolder = true;
        this.#joined = this.#ports.view(this.#journal, epoch).joined;
        return this.#taken();
      }
    }
  }

  #taken(): HoldAnswer {
    const spool = this.#spool;
    const sure = sureBytes(spool);
    return { kind: "taken", ...toldBytes(spool), sure, whole: this.#whole, found: this.#found };
  }

  /** On a void list what a restart found counts for nothing, but for what is known to be acknowledged. */
  #presented(): HoldAnswer {
    const spool = this.#spool;
    const { joined } = this.#ports.view(this.#journal, 0);
    const goesOn = joined !== 0 && joined === this.#joined;
    this.#asked = joined;
    const { held, registers } = toldBytes(spool);
    return {
      kind: "taken",
      held: goesOn ? held : { base: 0, confirmed: 0, end: 0 },
      // Who has nothing to be gone on from is not asked for those behind what it had.
      registers: goesOn ? registers : EMPTY_LABELS,
      sure: sureBytes(spool),
      whole: this.#whole,
    };
  }

  /** @returns whether this broker has now what the source has in [begin, end), and nothing behind it */
  async #bring(request: BringRequest, signal: AbortSignal): Promise<boolean> {
    const spool = this.#spool;
    const { begin, end, registers } = request;
    const source = this.#sourceOf(request);
    await this.#checkReach(request, signal); // K5
    const isJudged = source !== undefined || request.source === undefined;
    const list = isJudged ? await this.#judge(signal, source && begin) : undefined; // K2, K6
    if (end < spool.end) {
      // K4. One that was claimed where its journal was suspended may stand further, and has nothing to be cut.
      if ((spool.held().at(-1)?.end ?? 0) > end) return false;
      await beginAt(spool, spool.pendingEnd, registers);
      return true;
    }
    spool.hide(spool.end);
    const from = Math.max(begin, spool.end);
    // K6
    const both = { begin: Math.max(from, heldBytes(spool).base), end: Math.min(spool.syncedEnd, end) };
    // H10 of holders-activation.ts: what cannot be compared is nobody's, and the source has left it to the store.
    if (list?.segments.at(-1)?.relisted === true && spool.end < Math.min(both.begin, spool.syncedEnd)) {
      await this.#cut(spool.end);
      both.end = Math.min(both.end, spool.syncedEnd);
    }
    if (source !== undefined && both.begin < both.end) {
      const equal = await source.sameUntil(both, signal);
      if (equal < both.end) await this.#cut(equal); // K9
    }
    if (spool.syncedEnd > end) await this.#cut(end, registers);
    if (spool.syncedEnd < from) await rollTo(spool, from, "unknown");
    if (spool.syncedEnd < end) {
      if (source === undefined) throw new WireError("INVALID_ARGUMENT", `nobody has [${begin}, ${end})`);
      const range = { begin: spool.syncedEnd, end };
      await copyHeld(spool, (scope) => source.fetch(range, scope), range, this.#ports.clock, signal);
    }
    await beginAt(spool, end, registers);
    spool.confirm(begin);
    return true;
  }

  /** @throws {WireError} INVALID_ARGUMENT (K5); of the source, or the store */
  async #checkReach(request: BringRequest, signal: AbortSignal): Promise<void> {
    const { begin, end } = request;
    const spool = this.#spool;
    const source = this.#sourceOf(request);
    // What is copied is there.
    if (end <= spool.syncedEnd || (source !== undefined && Math.max(begin, spool.syncedEnd) < end)) return;
    if (source !== undefined) {
      await source.checkReach(end, signal);
      return;
    }
    const { list } = await this.#ports.lists.read(this.#journal, spool.life.createRevision, signal);
    if (request.source === undefined && end <= promisedEnd(list)) return;
    const text = `nobody says that journal ${this.#journal} reaches ${end}`;
    throw new WireError("INVALID_ARGUMENT", text, { facts: { journal: this.#journal, end } });
  }

  /**
   * Lets the list judge what is hidden; what is left of it stands in the segment that goes on.
   * @param epoch of what is here, where an older list is not believed
   */
  async #judge(signal: AbortSignal, comparedFrom?: number, epoch = 0): Promise<HoldersList | undefined> {
    const spool = this.#spool;
    const { self, loadedAt } = this.#ports;
    if (spool.end === spool.syncedEnd) return undefined;
    const read = await this.#ports.lists.read(this.#journal, spool.life.createRevision, signal);
    const { list, listRevision } = read;
    if (list?.tail.kind === "void")
      throw new WireError("UNAVAILABLE", `the list of holders of ${this.#journal} is void`);
    if (list === undefined) throw unlisted(this.#journal);
    if (isLater({ list, listRevision }, { self, epoch, loadedAt })) return list; // T2 of later-lives.ts
    await applyVerdict(spool, list, this.#ports, { cut: (begin) => this.#cut(begin), comparedFrom });
    return list;
  }

  /** As {@link #bring} on a void list, where nothing is replaced and all go on at the largest end (D15). */
  async #level(request: BringRequest, signal: AbortSignal): Promise<boolean> {
    const spool = this.#spool;
    const { end: head, registers } = request;
    const { joined } = this.#ports.view(this.#journal, 0);
    if (joined !== this.#asked) return false; // B5
    const goesOn = joined !== 0 && joined === this.#joined;
    const source = this.#sourceOf(request);
    await this.#checkReach(request, signal); // K5
    if (goesOn) await this.#cutUntold();
    else {
      await this.#cutLeftovers(signal);
      const same = await source?.sameTailUntil(head, signal);
      if (await this.#setAside(Math.min(head, same ?? head))) return false; // K4
    }
    if (head < spool.syncedEnd) return false; // B5
    const last = spool.held().at(-1);
    if (last?.end === head && (await source?.isSameTail(last, signal)) === false) return false;
    spool.hide(spool.end);
    await beginAt(spool, head, registers);
    return true;
  }

  /**
   * Forgets what stands from `begin` on, though it was shown: quarantine has it, and the route goes on without.
   * @returns whether there was any
   */
  async #setAside(begin: number): Promise<boolean> {
    const spool = this.#spool;
    if (begin >= spool.syncedEnd) return false;
    const facts = { journal: this.#journal, begin, end: spool.syncedEnd };
    this.#ports.logger.warn("shown-bytes-set-aside", facts);
    if (begin < spool.end) spool.hide(begin);
    await this.#cut(begin);
    return true;
  }

  /** Undefined when nobody else has to be asked. */
  #sourceOf({ source }: BringRequest): BringSource | undefined {
    if (source === undefined || equalProcessIds(source.id, this.#ports.id)) return undefined;
    return new BringSource(this.#spool, this.#ports.holderOf(source));
  }
}

/** Whether the primary of `before` is still one of the members. */
function hasPrimaryOf(before: Route, { members }: Route): boolean {
  const primary = before.members[before.primary];
  return primary !== undefined && members.some((member) => equalProcessIds(member, primary));
}
