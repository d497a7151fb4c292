// What one member of a journal's route reads to somebody: metadata of a fragment, its content in chunks, metadata of
// the next one, and so on. Chunks are up to READ_CHUNK_BYTES, more than the protocol's 32736: doors that must send
// smaller ones cut them.
//
//  S3  Local bytes may be released under a reader: it then asks the index again, which knows where they went.
//  S4  What is not on this disk is looked for in the stores: a reader that comes before their first listing waits
//      for it, and is told when it does not come. Until nothing can be missing from listings, a hole at the journal's
//      begin is taken for one as anywhere else, not for what was pruned.
//  S5  Local bytes that rotted are refused, unless a store has the fragment too: then it is read from there.
//  S7  A replica knows of bytes a little later than the primary: what it does not know of, it asks the primary for
//      before it says that there is nothing. A reader that waits is told by the replica, which asks now and then.
//  S8  What is written and not here is lent by whoever has it (read-elsewhere.ts), and a hole is passed over only when
//      it is certain that nobody has; the stores are then listed once more first.
//  S9  Where a journal ends only its primary knows, once it has activated a route in this life: what a restart found is
//      hidden until then. Whoever asks for the end waits for that, and is told when it does not come; who asks just
//      for the head, and does not wait, is told what is known then.
//  S10 What waits for the reader to take it is counted, and small while all readers together hold much (read-hands.ts).
//  S11 What it is told is of one moment: what the index said before others were asked, or a list was read, is no
//      answer for what has come in since.
//  S12 What a restart found is neither a hole nor the end while it is hidden, whatever a store has behind it: who asks
//      for it waits as for the end (S9), and another member is told that it cannot be said.
import { type AbortScope, WireError, type Clock } from "@millrace/base";
import {
  queryIndex,
  readRemoteFragment,
  type FragmentEntry,
  type IndexAnswer,
  type RemoteEntry,
  type RemotePorts,
} from "@millrace/fragments";
import type { Fragment, Header, ReadRequest, ReadResponse } from "@millrace/protocol";
import type { BrokerMetrics } from "./broker-metrics.ts";
import { changeWithin } from "./gate-timeout.ts";
import { hidesByte } from "./held-bytes.ts";
import type { JournalReplica } from "./journal-replica.ts";
import {
  ACTIVATION_PATIENCE_MS,
  FIRST_REFRESH_WAIT_MS,
  READ_CHUNK_BYTES,
  SCARCE_CHUNK_BYTES,
} from "./limits.ts";
import { localFragment } from "./local-fragment.ts";
import type { ReadHands } from "./read-hands.ts";
import type { Elsewhere, FoundBytes } from "./read-elsewhere.ts";
import { signGet } from "./remote-url.ts";

export interface ReadoutPorts {
  readonly clock: Clock;
  readonly remote: RemotePorts;
  readonly metrics: BrokerMetrics;
  readonly hands: ReadHands;
  /** Undefined where there are no others. */
  readonly elsewhere: Elsewhere | undefined;
}

export type Responses = AsyncGenerator<ReadResponse, void, undefined>;

/** Bytes that somebody else has. */
type Answer = IndexAnswer | { readonly kind: "lent"; readonly messages: AsyncIterable<ReadResponse> };

const SIGNED_URL_TTL_MS = 60_000;
/** A blocked reader asks others after this, then after twice as long each time. */
const ASK_MS = { min: 1_000, max: 30_000 } as const;
/** Pause between looks at whether the journal's end is known. */
const END_LOOK_MS = 200;
/** Loans in a row that gave nothing, after which a reader waits before the next. */
const EMPTY_LOANS_MAX = 3;

export class Readout {
  readonly #ports: ReadoutPorts;
  readonly #replica: JournalReplica;
  readonly #request: ReadRequest;
  readonly #scope: AbortScope;
  /** Another member asks: what is not here is its to look for. */
  readonly #isAskedOf: boolean;
  readonly #elsewhere: Elsewhere | undefined;
  #emptyLoans = 0;
  /** Until when it waits for whoever knows the journal's end (S9). */
  #endUntilMs: number | undefined;
  /** End of the spool when the index was last told of it. */
  #newsOf = -1;
  #offset: number;

  constructor(ports: ReadoutPorts, replica: JournalReplica, request: ReadRequest, scope: AbortScope) {
    this.#ports = ports;
    this.#replica = replica;
    this.#request = request;
    this.#scope = scope;
    this.#offset = request.offset;
    this.#isAskedOf = request.doNotProxy && (request.header?.processId.suffix ?? "") !== "";
    this.#elsewhere = this.#isAskedOf ? undefined : ports.elsewhere;
  }

  async *run(header: Header): Responses {
    const { endOffset } = this.#request;
    let first: { readonly header?: Header } = { header };
    if (this.#offset === -1) await this.#findHead();
    for (;;) {
      const answer = await this.#query();
      if (answer.kind === "not-yet") {
        const { offset, writeHead } = answer;
        yield { status: "OFFSET_NOT_YET_AVAILABLE", ...first, offset, writeHead, fragmentUrl: "" };
        return;
      }
      const messages = answer.kind === "lent" ? this.#lent(answer.messages) : this.#own(answer);
      for await (const message of messages) {
        yield { ...first, ...message };
        first = {};
        if (this.#isEnough(message)) return;
      }
      if (endOffset !== 0 && this.#offset >= endOffset) return;
    }
  }

  /** Nothing is wanted behind this metadata. */
  #isEnough({ offset, fragment }: ReadResponse): boolean {
    if (fragment === undefined) return false;
    const { metadataOnly, endOffset, doNotProxy } = this.#request;
    const isStored = fragment.backingStore !== "";
    return metadataOnly || (isStored && doNotProxy) || (endOffset !== 0 && offset >= endOffset);
  }

  async *#own({ entry, offset, writeHead }: Extract<IndexAnswer, { kind: "found" }>): Responses {
    this.#offset = offset;
    const isRemote = entry.kind === "remote";
    const fragment = isRemote ? entry.fragment : localFragment(this.#replica, entry);
    const fragmentUrl = isRemote ? await signGet(this.#ports.remote, fragment, SIGNED_URL_TTL_MS) : "";
    yield { status: "OK", offset, writeHead, fragment, fragmentUrl };
    yield* this.#content(entry);
  }

  /** S8. Ends with the first message that does not go on where the last one ended. */
  async *#lent(messages: AsyncIterable<ReadResponse>): Responses {
    const { index, spool } = this.#replica;
    const before = this.#offset;
    for await (const { status, offset, fragment, fragmentUrl, content, ...rest } of messages) {
      if (status !== "OK" || offset !== this.#offset) break;
      if (content !== undefined) yield this.#chunk(content.subarray(0, this.#endOf() - offset));
      if (fragment === undefined) continue;
      const writeHead = Math.max(rest.writeHead, spool.end, index.end);
      yield { status, offset, writeHead, fragment, fragmentUrl };
      // Its content is not lent: this member can read the store itself.
      if (fragment.backingStore !== "") yield* this.#remoteContent(fragment, this.#endOf(fragment));
    }
    this.#emptyLoans = this.#offset === before ? this.#emptyLoans + 1 : 0;
  }

  /** Whoever asks for the head means the journal's. S7, S9 */
  async #findHead(): Promise<void> {
    const { journal, index, spool } = this.#replica;
    const { signal } = this.#scope;
    for (;;) {
      const told =
        this.#elsewhere?.hasPrimary(journal) === true
          ? await this.#elsewhere.head(journal, signal)
          : undefined;
      if (await this.#isEndUnknown(told)) continue;
      const head = told === undefined || told.kind === "here" ? 0 : told.writeHead;
      if (told !== undefined) this.#offset = Math.max(head, index.end, spool.end);
      return;
    }
  }

  /**
   * S9. Resolves after a pause when it is worth asking again. @param told what the primary said, if it is another one
   * @throws {WireError} UNAVAILABLE after {@link ACTIVATION_PATIENCE_MS}
   */
  async #isEndUnknown(told: FoundBytes | undefined): Promise<boolean> {
    const { journal, local, index, spool } = this.#replica;
    const { clock, elsewhere } = this.#ports;
    const { signal } = this.#scope;
    if (told !== undefined && told.kind !== "unreachable") return false;
    const isOthers = elsewhere?.hasPrimary(journal) === true;
    // A member that is asked tells what it has itself, unless that is hidden (S12).
    if (isOthers && told === undefined && !hidesByte(spool, this.#offset)) return false;
    // What is hidden here may be acknowledged, by a primary that fell silent before it said so.
    const isWhole = isOthers && local.holder?.whole !== 0 && spool.end >= spool.pendingEnd;
    const isUnknown = await local.holder?.knownEnd.mayLackTail(isWhole, signal);
    if (isUnknown !== true) return false;
    this.#endUntilMs ??= clock.monotonicMs() + (this.#isAskedOf ? 0 : ACTIVATION_PATIENCE_MS);
    if (clock.monotonicMs() >= this.#endUntilMs) {
      // Who lost a journal's newest bytes for good asks for the head that is left (reset-head).
      const isLate = local.holder?.knownEnd.isLate === true;
      if (this.#request.offset === -1 && !this.#request.block && !isLate) return false;
      const text = `where journal ${journal} ends is not known: those that have its newest bytes cannot be reached now`;
      throw new WireError("UNAVAILABLE", text, { facts: { journal } });
    }
    await changeWithin(index.changed, END_LOOK_MS, clock, signal);
    return true;
  }

  /** Waits, when the request says so, until there is something at the offset. */
  async #query(): Promise<Answer> {
    const { index } = this.#replica;
    const { clock } = this.#ports;
    const { block } = this.#request;
    const { signal } = this.#scope;
    const listedByMs = clock.monotonicMs() + (this.#isAskedOf ? 0 : FIRST_REFRESH_WAIT_MS);
    const asking = new Asking(this.#elsewhere, this.#replica, block, this.#emptyLoans, clock);
    for (;;) {
      const answer = this.#ask();
      if (answer.kind === "found" && !this.#isHole()) return answer;
      // Nobody need have what is older than the reader wants.
      if (answer.kind === "not-yet" && this.#offset !== -1) this.#offset = answer.offset;
      const found = await asking.next(this.#offset, this.#request.endOffset, signal);
      if (found?.kind === "here") return { kind: "lent", messages: found.messages };
      if (found?.kind === "listed") continue;
      const isHidden = hidesByte(this.#replica.spool, this.#offset);
      const isUnsure = found === undefined ? isHidden : found.kind === "unreachable";
      if (answer.kind === "found" && !isUnsure) return answer;
      const listingMs = index.isRefreshed ? 0 : listedByMs - clock.monotonicMs();
      if (listingMs > 0) {
        // S4
        await changeWithin(index.changed, listingMs, clock, signal);
        continue;
      }
      const writeHead = Math.max(answer.writeHead, found?.writeHead ?? 0);
      const offset = this.#offset === -1 ? writeHead : this.#offset;
      if (!block && (isHidden || offset >= writeHead) && (await this.#isEndUnknown(found))) continue;
      if (!block && this.#isNews(answer, writeHead)) continue;
      if (!block) return this.#notYet(offset, writeHead);
      // Whoever asked for the head waits where it was when he came.
      this.#offset = offset;
      const jumpAtMs = answer.kind === "not-yet" ? answer.jumpAtMs : undefined;
      const jumpMs = jumpAtMs === undefined ? Number.POSITIVE_INFINITY : jumpAtMs - clock.wallMs();
      const waitMs = Math.min(jumpMs, asking.pauseMs());
      if (waitMs === Number.POSITIVE_INFINITY) await index.changed.next(signal);
      else await changeWithin(index.changed, waitMs, clock, signal);
    }
  }

  /** S11. The first listing has come in meanwhile, or an activation has ended, and told of more. */
  #isNews(answer: IndexAnswer, writeHead: number): boolean {
    const now = this.#ask();
    if (now.kind === "found" && (answer.kind === "not-yet" || !this.#isHole())) return true;
    return now.writeHead > writeHead;
  }

  /** Nothing of the index begins or goes on at the offset. */
  #isHole(): boolean {
    return this.#offset !== -1 && !this.#replica.index.find(this.#offset).found;
  }

  #ask(): IndexAnswer {
    const { index, spool, local } = this.#replica;
    const { beginModTime } = this.#request;
    const query = (): IndexAnswer => {
      const wanted = { offset: this.#offset, beginModTime, head: spool.end };
      return queryIndex(index, wanted, this.#ports.clock.wallMs());
    };
    const answer = query();
    if (answer.kind === "found" || answer.offset >= spool.end) return answer;
    if (spool.end === this.#newsOf) return answer;
    // Spools tell of growth once a batch: what looks like a hole may be news.
    this.#newsOf = spool.end;
    local.refreshLocal();
    return query();
  }

  #notYet(offset: number, writeHead: number): Answer {
    const { index, journal } = this.#replica;
    const isUnknown = offset < writeHead || writeHead === 0;
    if (index.isRefreshed || !isUnknown || this.#isAskedOf) return { kind: "not-yet", offset, writeHead };
    const about =
      this.#offset === -1
        ? `where ${journal} ends is not known here`
        : `offset ${offset} of ${journal} is not on this disk`;
    const message = `${about}, and its stores could not be listed yet`;
    throw new WireError("UNAVAILABLE", message, { facts: { journal, offset, writeHead } });
  }

  /** Where content ends: with `span`, or where the request does. */
  #endOf({ end } = { end: Number.MAX_SAFE_INTEGER }): number {
    const { endOffset } = this.#request;
    return endOffset === 0 ? end : Math.min(end, endOffset);
  }

  /** Content up to the fragment's end as it was asked for, or less when it moved meanwhile. */
  async *#content(entry: FragmentEntry): Responses {
    const end = this.#endOf(entry);
    if (entry.kind === "remote" && this.#replica.index.localAt(this.#offset) === undefined) {
      return yield* this.#remoteContent(entry.fragment, end);
    }
    try {
      yield* this.#localContent(end);
    } catch (error) {
      const stored = error instanceof WireError && error.code === "CORRUPT" ? this.#stored() : undefined;
      if (stored === undefined) throw error;
      yield* this.#remoteContent(stored.fragment, Math.min(end, stored.end)); // S5
    }
  }

  /** The fragment of a store that holds the offset. */
  #stored(): RemoteEntry | undefined {
    const { index } = this.#replica;
    const { index: at, found } = index.find(this.#offset);
    const entry = found ? index.at(at) : undefined;
    return entry?.kind === "remote" ? entry : undefined;
  }

  /** Reads one chunk ahead, so that disk and consumer work at the same time; not while S10 forbids it. */
  async *#localContent(end: number): Responses {
    const { signal } = this.#scope;
    const { hands } = this.#ports;
    let ahead: Promise<Uint8Array | undefined> | undefined;
    while (this.#offset < end) {
      const content = await (ahead ?? this.#readLocal(this.#offset, end));
      signal.throwIfAborted();
      if (content === undefined) return;
      ahead = hands.isFull ? undefined : this.#readLocal(this.#offset + content.length, end);
      // Whoever stops reading never asks for it.
      ahead?.catch(() => undefined);
      yield* this.#handed(content, ahead === undefined ? 1 : 2);
    }
  }

  /** S10. @param times that what is held of it is as long as the content */
  *#handed(content: Uint8Array, times: number): Generator<ReadResponse, void, undefined> {
    const { hands } = this.#ports;
    const bytes = times * content.length;
    hands.take(bytes);
    try {
      yield this.#chunk(content);
    } finally {
      hands.give(bytes);
    }
  }

  /** @returns undefined at `end`, or when the bytes are no longer here (S3) */
  async #readLocal(offset: number, end: number): Promise<Uint8Array | undefined> {
    if (offset >= end) return undefined;
    const chunk = this.#ports.hands.isFull ? SCARCE_CHUNK_BYTES : READ_CHUNK_BYTES;
    const bytes = Math.min(chunk, end - offset);
    try {
      return await this.#replica.spool.read(offset, bytes, this.#scope.signal);
    } catch (error) {
      if (!(error instanceof WireError) || error.code !== "NOT_FOUND") throw error;
      this.#replica.local.refreshLocal();
      return undefined;
    }
  }

  async *#remoteContent(fragment: Fragment, end: number): Responses {
    const { signal } = this.#scope;
    for await (const part of readRemoteFragment(this.#ports.remote, fragment, this.#offset, signal)) {
      const content = part.subarray(0, end - this.#offset);
      for (let at = 0; at < content.length; at += READ_CHUNK_BYTES) {
        yield* this.#handed(content.subarray(at, at + READ_CHUNK_BYTES), 1);
      }
      if (this.#offset >= end) return;
    }
  }

  #chunk(content: Uint8Array): ReadResponse {
    const offset = this.#offset;
    this.#offset += content.length;
    this.#ports.metrics.readBytes.add(content.length);
    return { status: "OK", offset, writeHead: 0, fragmentUrl: "", content };
  }
}

/** When a reader asks others for what is not here, and what of. */
class Asking {
  readonly #elsewhere: Elsewhere | undefined;
  readonly #replica: JournalReplica;
  readonly #isBlocking: boolean;
  readonly #clock: Clock;
  #nextMs: number;
  #pause: number = ASK_MS.min;
  #hasListed = false;
  /** What the last asking has found: nothing. */
  #last: Exclude<FoundBytes, { kind: "here" }> | undefined;

  constructor(
    elsewhere: Elsewhere | undefined,
    replica: JournalReplica,
    isBlocking: boolean,
    emptyLoans: number,
    clock: Clock,
  ) {
    this.#elsewhere = elsewhere;
    this.#replica = replica;
    this.#isBlocking = isBlocking;
    this.#clock = clock;
    this.#nextMs = 0;
    if (emptyLoans < EMPTY_LOANS_MAX) return;
    this.#last = { kind: "unreachable", writeHead: 0 };
    this.#wait();
  }

  /** Until it is worth asking again. */
  pauseMs(): number {
    if (this.#elsewhere === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#nextMs - this.#clock.monotonicMs());
  }

  /**
   * @param end of what is wanted, 0: none
   * @returns undefined when nobody need be asked; `listed`: the stores were listed, and the index may know more
   */
  async next(
    offset: number,
    end: number,
    signal: AbortSignal,
  ): Promise<FoundBytes | { readonly kind: "listed" } | undefined> {
    if (this.#elsewhere === undefined) return undefined;
    const { index, spool, spec, journal, createRevision } = this.#replica;
    const isTail = offset === -1 || offset >= Math.max(index.end, spool.end);
    if (isTail && !this.#elsewhere.hasPrimary(journal)) {
      this.#wait();
      return undefined;
    }
    if (isTail && this.#isBlocking && this.#nextMs === 0) this.#wait(); // S7
    if (this.#clock.monotonicMs() < this.#nextMs) return this.#last;
    this.#wait();
    const isHidden = hidesByte(spool, offset);
    const wanted = { journal, createRevision, codec: spec.fragment.compressionCodec, isTail, isHidden };
    const found = await this.#elsewhere.find(
      { ...wanted, offset, end: nextEnd(this.#replica, offset, end) },
      signal,
    );
    if (found.kind === "here") return found;
    this.#last = found;
    const isWritten = !isTail || found.writeHead > offset;
    if (found.kind === "unreachable" || !isWritten || this.#hasListed) return found;
    this.#hasListed = true;
    const listing = await this.#replica.relist(signal);
    if (listing === "listed") {
      this.#nextMs = 0;
      return { kind: "listed" };
    }
    if (listing === "failed") this.#last = { ...found, kind: "unreachable" };
    return this.#last;
  }

  #wait(): void {
    this.#nextMs = this.#clock.monotonicMs() + this.#pause;
    this.#pause = Math.min(ASK_MS.max, this.#pause * 2);
  }
}

/** Up to where others are asked: where the index begins again, or where the request ends. */
function nextEnd({ index }: JournalReplica, offset: number, end: number): number {
  if (offset === -1) return 0;
  const { index: at } = index.find(offset);
  const begin = at < index.count ? index.at(at).begin : 0;
  if (begin <= offset) return end;
  return end === 0 ? begin : Math.min(begin, end);
}
