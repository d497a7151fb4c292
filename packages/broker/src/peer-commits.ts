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
//  C6  A failure is for ever: the pipeline is broken, and everything that waits fails with it.
import { assert, WireError, type Clock } from "@millrace/base";
import { RunningSha1 } from "@millrace/fragments";
import {
  newFragment,
  newReplicateRequest,
  ZERO_SHA1,
  type CompressionCodec,
  type Fragment,
  type LabelSet,
  type ProcessId,
  type ReplicateRequest,
} from "@millrace/protocol";
import type { PeerAnswer } from "./append-states.ts";
import {
  CONFIRM_LINGER_MS,
  PEER_CONTENT_BYTES,
  PEER_STAGED_BYTES_MAX,
  PROPOSALS_ASKED_MAX,
} from "./limits.ts";
import type { PeerPipeline } from "./peer-pipeline.ts";

/** Of the fragment that the peers have been told of. */
export interface ProposedFragment {
  readonly journal: string;
  readonly begin: number;
  readonly codec: CompressionCodec;
  readonly registers: LabelSet;
}

export interface PeerCommitsPorts {
  readonly pipeline: PeerPipeline;
  readonly clock: Clock;
  readonly epoch: number;
  readonly stream: number;
  /** Whether a peer is told what is confirmed. */
  readonly keepsLists: (peer: ProcessId) => boolean;
}

type Told = (failure: WireError | undefined) => void;

export class PeerCommits {
  readonly #ports: PeerCommitsPorts;
  readonly #journal: string;
  #begin: number;
  /** End of what was proposed. */
  #end: number;
  #codec: CompressionCodec;
  #registers: LabelSet;
  /** Of the fragment with everything that was sent since. */
  #sums = new RunningSha1();
  /** As at the last proposal, while content of an append that may yet be rolled back was sent. */
  #sumsBefore: RunningSha1 | undefined;
  /** Content sent since the last proposal. */
  #sentBytes = 0;
  /** Of commits that wait for a proposal, and not sent yet. */
  #staged: Uint8Array[] = [];
  #stagedBytes = 0;
  #told: Told[] = [];
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
  #cancelConfirm: (() => void) | undefined;

  /** @param fragment empty: the peers were brought to where it begins */
  constructor(ports: PeerCommitsPorts, { journal, begin, codec, registers }: ProposedFragment) {
    this.#ports = ports;
    this.#journal = journal;
    this.#begin = this.#end = begin;
    this.#codec = codec;
    this.#registers = registers;
  }

  /** The primary began an empty fragment. No append is open. */
  rolled(begin: number, codec: CompressionCodec, registers: LabelSet): void {
    const isEmpty = this.#end + this.#sentBytes + this.#stagedBytes === this.#begin;
    if (begin === this.#begin && (!isEmpty || codec === this.#codec)) return;
    this.#propose();
    assert(this.#openBytes === 0, "no append is open when the fragment rolls", { journal: this.#journal });
    this.#begin = this.#end = begin;
    this.#codec = codec;
    this.#registers = registers;
    this.#sums = new RunningSha1();
    this.#send({ proposal: this.#fragment(), registers });
  }

  /** Content of the append that is open; it is kept until it was sent. @returns when the peers take more */
  content(bytes: Uint8Array): Promise<void> | undefined {
    this.#openBytes += bytes.length;
    if (!this.#isOpenSent && this.#openBytes <= PEER_CONTENT_BYTES) {
      this.#open.push(bytes);
      return this.#stagedBytes <= PEER_STAGED_BYTES_MAX ? undefined : this.#lessStaged(); // C5
    }
    if (!this.#isOpenSent) {
      this.#propose(); // C1
      this.#isOpenSent = true;
      this.#sumsBefore = this.#sums.copy();
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
    this.#sums = this.#sumsBefore!;
    this.#sumsBefore = undefined;
    this.#sentBytes = 0;
    this.#send({ proposal: this.#fragment(), registers: this.#registers });
  }

  /**
   * Ends the append that is open, if one is.
   * @param registers after it @param told once, when every peer has answered
   */
  commit(registers: LabelSet, told: Told): void {
    if (this.#isOpenSent) this.#sumsBefore = undefined;
    else this.#stage();
    this.#closeAppend();
    this.#registers = registers;
    this.#told.push(told);
    if (this.#asked >= PROPOSALS_ASKED_MAX || this.#isScheduled) return; // C3
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#asked < PROPOSALS_ASKED_MAX) this.#propose();
    });
  }

  /** Everything below `end` is acknowledged; peers are told with what is sent next, or soon. */
  confirm(end: number): void {
    this.#confirmed = end;
    this.#cancelConfirm ??= this.#ports.clock.after(CONFIRM_LINGER_MS, () => {
      this.#cancelConfirm = undefined;
      if (this.#confirmedSent === this.#confirmed) return;
      const request = this.#request({});
      this.#ports.pipeline.sendWhere((peer) => this.#ports.keepsLists(peer), request);
    });
  }

  /** No timer is left. */
  dispose(): void {
    this.#cancelConfirm?.();
    this.#cancelConfirm = undefined;
  }

  /** Resolves when staged content was sent, or never will be. */
  #lessStaged(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #stage(): void {
    for (const part of this.#open) this.#staged.push(part);
    this.#stagedBytes += this.#openBytes;
  }

  #closeAppend(): void {
    this.#open = [];
    this.#openBytes = 0;
    this.#isOpenSent = false;
  }

  /** One proposal for all commits that wait. */
  #propose(): void {
    const told = this.#told;
    if (told.length === 0) return;
    this.#told = [];
    this.#sendStaged();
    this.#end += this.#sentBytes;
    this.#sentBytes = 0;
    this.#asked++;
    const request = this.#request({
      proposal: this.#fragment(),
      registers: this.#registers,
      acknowledge: true,
    });
    this.#ports.pipeline.ask(
      () => request,
      (answers, failure) => this.#answered(told, answers, failure),
    );
  }

  #answered(told: readonly Told[], answers: readonly PeerAnswer[], broken: WireError | undefined): void {
    this.#asked--;
    const failure = broken ?? refusalOf(answers);
    if (failure !== undefined) this.#ports.pipeline.abandon(failure); // C6
    for (const tell of told) tell(failure);
    if (failure !== undefined) this.#failWaiting(failure);
    else if (!this.#isScheduled) this.#propose();
  }

  #failWaiting(failure: WireError): void {
    const waiting = this.#told;
    this.#told = [];
    this.#clearStaged();
    for (const tell of waiting) tell(failure);
  }

  #clearStaged(): void {
    this.#staged = [];
    this.#stagedBytes = 0;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  /** The content of commits, in messages of some size. */
  #sendStaged(): void {
    const parts = this.#staged;
    if (parts.length === 0) return;
    const bytes = this.#stagedBytes;
    this.#clearStaged();
    if (parts.length === 1) {
      this.#sendContent(parts[0]!);
      return;
    }
    let left = bytes;
    let message = new Uint8Array(Math.min(left, PEER_CONTENT_BYTES));
    let at = 0;
    for (const part of parts) {
      for (let from = 0; from < part.length;) {
        const take = Math.min(part.length - from, message.length - at);
        message.set(part.subarray(from, from + take), at);
        at += take;
        from += take;
        if (at < message.length) continue;
        this.#sendContent(message);
        left -= message.length;
        message = new Uint8Array(Math.min(left, PEER_CONTENT_BYTES));
        at = 0;
      }
    }
  }

  #sendContent(content: Uint8Array): void {
    for (let at = 0; at < content.length; at += CONTENT_MESSAGE_MAX) {
      const piece = content.subarray(at, at + CONTENT_MESSAGE_MAX);
      this.#sums.update(piece);
      this.#send({ content: piece, contentDelta: this.#sentBytes });
      this.#sentBytes += piece.length;
    }
  }

  #fragment(): Fragment {
    const isEmpty = this.#begin === this.#end;
    return newFragment({
      journal: this.#journal,
      begin: this.#begin,
      end: this.#end,
      sum: isEmpty ? ZERO_SHA1 : this.#sums.hex(),
      compressionCodec: this.#codec,
    });
  }

  #send(fields: Partial<ReplicateRequest>): void {
    const request = this.#request(fields);
    this.#ports.pipeline.send(() => request);
  }

  #request(fields: Partial<ReplicateRequest>): ReplicateRequest {
    const { epoch, stream } = this.#ports;
    const confirmed = this.#confirmed === this.#confirmedSent ? 0 : this.#confirmed;
    this.#confirmedSent = this.#confirmed;
    return newReplicateRequest({ ...fields, epoch, stream, confirmed });
  }
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
