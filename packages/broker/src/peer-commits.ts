// What the primary tells its peers of appends: their content, and proposals that many of them share.
//
//   staged ──► sent ──► proposed ──► answered          content of one append, then commits of several in one proposal
//
//  C1  Peers see the content in the order in which it stands in the journal, and between two proposals only what the
//      second one is about.
//  C2  Content is kept back until its append is whole, unless it is large: what is rolled back was mostly never sent.
//  C3  While ASKED_MAX proposals are unanswered, commits wait for the next one: the slower the peers, the more appends
//      share a proposal. A barrier asks as a commit does: a primary that was overtaken must not answer it.
//  C4  Outcomes come in the order of the commits, never within the call of `commit`.
//  C5  Content that waits for its turn is bounded: whoever adds to it waits.
//  C6  Together, the appends of a proposal stay below what a spool writes straight to its file.
//  C7  On a pipeline whose peers answer early, an outcome is that all have it synced; that all have it is told before.
//  C8  A failure is for ever: the pipeline is broken, and everything that waits fails with it.
//  C9  What is confirmed goes with whatever is sent next. Peers of a journal at rest are told by themselves soon; where
//      appends follow each other the timer is for the last of them, and comes later.
//  C10 A proposal changes registers with its last append at most: a replica that is cut within it knows what stood
//      there.
import { assert, concatBytes, WireError, type Clock, type Histogram } from "@millrace/base";
import {
  emptyReplication,
  equalLabelSets,
  newFragment,
  ZERO_SHA1,
  type CompressionCodec,
  type LabelSet,
  type ProcessId,
  type ReplicateRequest,
} from "@millrace/protocol";
import type { PeerAnswer } from "./append-states.ts";
import {
  CONFIRM_BUSY_MS,
  CONFIRM_LINGER_MS,
  PEER_CONTENT_BYTES,
  PEER_STAGED_BYTES_MAX,
  PROPOSALS_ASKED_MAX,
} from "./limits.ts";
import type { PeerPipeline } from "./peer-pipeline.ts";
import {
  CommitWording,
  FragmentWording,
  type ProposalWording,
  type ProposedRange,
} from "./proposal-wording.ts";
import { SharedTimer, type Waiter } from "./shared-timer.ts";
import type { UnsyncedCommits } from "./unsynced-commits.ts";

/** Of the fragment that the peers have been told of. */
export interface ProposedFragment {
  readonly journal: string;
  readonly begin: number;
  readonly codec: CompressionCodec;
  readonly registers: LabelSet;
}

/** C9, for all journals of a broker. */
export class ConfirmTimers {
  readonly rest: SharedTimer;
  readonly busy: SharedTimer;

  constructor(clock: Clock) {
    this.rest = new SharedTimer(clock, CONFIRM_LINGER_MS);
    this.busy = new SharedTimer(clock, CONFIRM_BUSY_MS);
  }
}

export interface PeerCommitsPorts {
  readonly pipeline: PeerPipeline;
  readonly clock: Clock;
  readonly confirming: ConfirmTimers;
  readonly epoch: number;
  readonly stream: number;
  /** Whether a peer is told what is confirmed. */
  readonly keepsLists: (peer: ProcessId) => boolean;
  /** Where peers answer early (C7). */
  readonly unsynced?: UnsyncedCommits | undefined;
  /** Of each proposal, until its last answer. */
  readonly seconds: Pick<Histogram, "observe">;
}

type Told = (failure: WireError | undefined) => void;

const NOBODY = (): void => undefined;

/** An append that is whole and waits for its proposal. */
interface Whole {
  /** Not sent yet. */
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  /** After it. */
  readonly registers: LabelSet;
  readonly told: Told;
  readonly early: () => void;
}

export class PeerCommits implements Waiter {
  readonly #ports: PeerCommitsPorts;
  readonly #journal: string;
  readonly #wording: ProposalWording;
  #begin: number;
  /** End of what was proposed. */
  #end: number;
  #codec: CompressionCodec;
  #registers: LabelSet;
  /** Content sent since the last proposal. */
  #sentBytes = 0;
  /** In their order. */
  #whole: Whole[] = [];
  #wholeBytes = 0;
  /** Of the append that is open. */
  #open: Uint8Array[] = [];
  #openBytes = 0;
  #isOpenSent = false;
  #asked = 0;
  /** Who waits until less is staged. */
  #waiting: (() => void)[] = [];
  #isScheduled = false;
  #confirmed = 0;
  #confirmedSent = 0;
  /** Since when peers are to be told. */
  #unsentMs = 0;
  /** A timer will look. */
  #isWatched = false;
  /** The last time it looked, nothing was left to tell. */
  #isBusy = false;
  #isDisposed = false;

  /** @param fragment empty: the peers were brought to where it begins */
  constructor(ports: PeerCommitsPorts, { journal, begin, codec, registers }: ProposedFragment) {
    this.#ports = ports;
    this.#journal = journal;
    this.#begin = this.#end = begin;
    this.#codec = codec;
    this.#registers = registers;
    this.#wording = ports.epoch > 0 ? new CommitWording(registers) : new FragmentWording();
  }

  /** The primary began an empty fragment. No append is open. */
  rolled(begin: number, codec: CompressionCodec, registers: LabelSet): void {
    const isEmpty = this.#end === this.#begin && this.#sentBytes + this.#wholeBytes === 0;
    if (begin === this.#begin && (!isEmpty || codec === this.#codec)) return;
    this.#proposeAll();
    assert(this.#openBytes === 0, "no append is open when the fragment rolls", { journal: this.#journal });
    this.#begin = this.#end = begin;
    this.#codec = codec;
    this.#registers = registers;
    this.#wording.rolled();
    const empty = { journal: this.#journal, begin, end: begin, sum: ZERO_SHA1, compressionCodec: codec };
    const request = this.#request();
    request.proposal = newFragment(empty);
    request.registers = registers;
    this.#send(request);
  }

  /** Content of the append that is open; it is kept until it was sent. @returns when the peers take more */
  content(bytes: Uint8Array): Promise<void> | undefined {
    this.#openBytes += bytes.length;
    if (!this.#isOpenSent && this.#openBytes <= PEER_CONTENT_BYTES) {
      this.#open.push(bytes);
      return this.#wholeBytes <= PEER_STAGED_BYTES_MAX ? undefined : this.#lessWaiting(); // C5
    }
    if (!this.#isOpenSent) {
      this.#proposeAll(); // C1
      this.#isOpenSent = true;
      this.#wording.mark();
      for (const part of this.#open) this.#sendContent(part);
      this.#open = [];
    }
    this.#sendContent(bytes);
    return this.#ports.pipeline.room();
  }

  /** Takes back the append that is open. */
  rollback(): void {
    const wasSent = this.#isOpenSent;
    this.#closeAppend();
    if (!wasSent) return;
    this.#sentBytes = 0;
    const request = this.#request();
    this.#wording.rollback(request, this.#range(), this.#registers);
    this.#send(request);
  }

  /**
   * Ends the append that is open, if one is.
   * @param registers after it @param told once, when every peer has it synced
   * @param early when every peer has it, where they say so before they have it synced
   */
  commit(registers: LabelSet, told: Told, early: () => void = NOBODY): void {
    if (this.#isOpenSent) this.#wording.keep();
    this.#whole.push({ parts: this.#open, bytes: this.#openBytes, registers, told, early });
    this.#wholeBytes += this.#openBytes;
    this.#closeAppend();
    if (this.#asked >= PROPOSALS_ASKED_MAX || this.#isScheduled) return; // C3
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#asked < PROPOSALS_ASKED_MAX) this.#propose();
    });
  }

  /** Everything below `end` is acknowledged; peers are told with what is sent next, or soon (C9). */
  confirm(end: number): void {
    if (this.#confirmed === this.#confirmedSent) this.#unsentMs = this.#ports.clock.monotonicMs();
    this.#confirmed = end;
    if (!this.#isWatched) this.#watch();
  }

  /** C9 */
  due(): void {
    this.#isWatched = false;
    if (this.#isDisposed) return;
    this.#isBusy = this.#confirmedSent === this.#confirmed;
    if (this.#isBusy) return;
    if (this.#ports.clock.monotonicMs() - this.#unsentMs < CONFIRM_LINGER_MS) {
      this.#watch();
      return;
    }
    const request = this.#request();
    this.#ports.pipeline.sendWhere((peer) => this.#ports.keepsLists(peer), request);
  }

  /** Nothing more is told by itself, nor waits for room. */
  dispose(): void {
    this.#isDisposed = true;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  #watch(): void {
    const { rest, busy } = this.#ports.confirming;
    this.#isWatched = true;
    (this.#isBusy ? busy : rest).add(this);
  }

  /** Resolves when less waits, or nothing will be sent any more. */
  #lessWaiting(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #closeAppend(): void {
    this.#open = [];
    this.#openBytes = 0;
    this.#isOpenSent = false;
  }

  #proposeAll(): void {
    while (this.#whole.length > 0) this.#propose();
  }

  /** One proposal for as many of those that wait as it may have. */
  #propose(): void {
    const some = this.#takeWhole();
    if (some.length === 0) return;
    const begin = this.#end;
    const contentDelta = this.#sentBytes;
    const content = this.#sendParts(some);
    this.#registers = some.at(-1)!.registers;
    this.#end += this.#sentBytes;
    this.#sentBytes = 0;
    this.#asked++;
    const askedMs = this.#ports.clock.monotonicMs();
    const request = this.#request();
    request.acknowledge = true;
    this.#wording.propose(request, this.#range(), this.#registers);
    const appends = some.length === 1 ? 1 : some.filter(({ bytes }) => bytes > 0).length;
    if (appends > 1) request.appends = appends;
    if (content !== undefined) {
      request.content = content;
      request.contentDelta = contentDelta;
    }
    this.#ports.pipeline.ask(
      () => request,
      (answers, failure) => {
        this.#ports.seconds.observe((this.#ports.clock.monotonicMs() - askedMs) / 1000);
        this.#answered(some, begin, answers, failure);
      },
    );
  }

  /** C6: with more bytes than that, replicas would write what they take as one large append. */
  #takeWhole(): readonly Whole[] {
    let count = 0;
    let bytes = 0;
    for (const whole of this.#whole) {
      if (count > 0 && bytes + whole.bytes >= PEER_CONTENT_BYTES) break;
      bytes += whole.bytes;
      count++;
      if (!equalLabelSets(whole.registers, this.#registers)) break; // C10
    }
    const some = this.#whole.splice(0, count);
    this.#wholeBytes -= bytes;
    for (const resume of this.#waiting.splice(0)) resume();
    return some;
  }

  /** @param begin of the first of them */
  #answered(
    some: readonly Whole[],
    begin: number,
    answers: readonly PeerAnswer[],
    broken: WireError | undefined,
  ): void {
    this.#asked--;
    const failure = broken ?? refusalOf(answers);
    if (failure !== undefined) this.#ports.pipeline.abandon(failure); // C8
    const { unsynced } = this.#ports;
    if (failure === undefined && unsynced !== undefined) waitForSync(unsynced, some, begin);
    else for (const { told } of some) told(failure);
    if (failure !== undefined) this.#failWaiting(failure);
    else if (!this.#isScheduled) this.#propose();
  }

  #failWaiting(failure: WireError): void {
    const waiting = this.#whole;
    this.#whole = [];
    this.#wholeBytes = 0;
    for (const resume of this.#waiting.splice(0)) resume();
    for (const { told } of waiting) told(failure);
  }

  /** The content of appends, in one message where it may be. @returns what is left for the proposal */
  #sendParts(some: readonly Whole[]): Uint8Array | undefined {
    const parts = some.length === 1 ? some[0]!.parts : some.flatMap((whole) => whole.parts);
    if (parts.length === 0) return undefined;
    const content = parts.length === 1 ? parts[0]! : concatBytes(parts);
    if (!this.#wording.isWhole || content.length > CONTENT_MESSAGE_MAX) {
      this.#sendContent(content);
      return undefined;
    }
    this.#wording.content(content);
    this.#sentBytes += content.length;
    return content;
  }

  #sendContent(content: Uint8Array): void {
    for (let at = 0; at < content.length; at += CONTENT_MESSAGE_MAX) {
      const piece = content.subarray(at, at + CONTENT_MESSAGE_MAX);
      this.#wording.content(piece);
      const request = this.#request();
      request.content = piece;
      request.contentDelta = this.#sentBytes;
      this.#send(request);
      this.#sentBytes += piece.length;
    }
  }

  #range(): ProposedRange {
    return { journal: this.#journal, begin: this.#begin, end: this.#end, codec: this.#codec };
  }

  #send(request: ReplicateRequest): void {
    this.#ports.pipeline.send(() => request);
  }

  /** With what is on its way to be confirmed. */
  #request(): ReturnType<typeof emptyReplication> {
    const request = emptyReplication();
    request.epoch = this.#ports.epoch;
    request.stream = this.#ports.stream;
    request.confirmed = this.#confirmed === this.#confirmedSent ? 0 : this.#confirmed;
    this.#confirmedSent = this.#confirmed;
    return request;
  }
}

/** C7. What has no bytes is answered in its turn: everything before it is synced by then. */
function waitForSync(unsynced: UnsyncedCommits, some: readonly Whole[], begin: number): void {
  let end = begin;
  for (const { bytes, told, early } of some) {
    end += bytes;
    early();
    unsynced.add(end, told);
  }
  if (end === begin) unsynced.synced(end);
}

/** Messages stay below what brokers of the protocol take, 4 MiB. */
const CONTENT_MESSAGE_MAX = 1024 * 1024;

function refusalOf(answers: readonly PeerAnswer[]): WireError | undefined {
  for (const answer of answers) {
    if (answer.kind === "answered" && answer.status === "OK") continue;
    const { zone, suffix } = answer.peer;
    const why = answer.kind === "broken" ? answer.reason : `unexpected !OK response: ${answer.status}`;
    return new WireError("UNAVAILABLE", `recv from zone:"${zone}" suffix:"${suffix}": ${why}`);
  }
  return undefined;
}
