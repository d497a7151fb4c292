// A replica's side of one Replicate stream: content and proposals of the primary into the journal's spool, answers in
// the order of what they answer.
//
//   P1  A commit is answered OK once it is synced here; whether it may be seen is not this stream's to say. On a stream
//       that is early it is answered once the log has taken it, unless answers before it are owed, and told again when
//       it is synced.
//   P2  An answer follows those before it: everything that is answered waits for its turn in the spool.
//   P3  What was sent and not proposed is taken back when the stream ends.
//   P4  A primary that keeps lists proposes commits: the journal's end and the checksum of the content. They continue
//       what the stream began with, or the stream is broken.
import { assert, WireError } from "@millrace/base";
import { RunningSha1, type Spool, type SpoolAppend } from "@millrace/fragments";
import {
  EMPTY_LABELS,
  equalLabelSets,
  newFragment,
  newReplicateResponse,
  validateReplicateRequest,
  ZERO_SHA1,
  type CompressionCodec,
  type Fragment,
  type LabelSet,
  type ReplicateRequest,
  type ReplicateResponse,
} from "@millrace/protocol";
import { crc32c } from "@millrace/wal";
import { countRollback, type SpoolCounts } from "./broker-metrics.ts";
import { decideProposal, emptyFragment } from "./replicate-decision.ts";

/** What a stream is, and who counts what comes over it. */
export interface ReplicaSpoolOptions {
  readonly codec: CompressionCodec;
  /** The primary keeps lists. */
  readonly takesCommits: boolean;
  readonly counts: SpoolCounts;
}

const OK = newReplicateResponse({ status: "OK" });

export interface ReplicaSpoolHooks {
  answer(response: ReplicateResponse): void;
  /** The stream cannot go on; told once. */
  failed(error: WireError): void;
}

/** Of a stream whose commits are answered before they are synced. */
export interface EarlyReplicaHooks {
  /** Everything below is synced. */
  synced(end: number): void;
  /** What was answered may not be here. */
  lost(): void;
}

export class ReplicaSpool {
  readonly #spool: Spool;
  readonly #hooks: ReplicaSpoolHooks;
  /** P4 */
  readonly #takesCommits: boolean;
  readonly #counts: SpoolCounts;
  readonly #early: EarlyReplicaHooks | undefined;
  /** Answers that wait for a sync. */
  #owed = 0;
  #fragment: Fragment;
  #registers: LabelSet;
  /** Of the fragment, and with the content since. */
  #sums = new RunningSha1();
  #nextSums: RunningSha1 | undefined;
  /** Of the content since the last commit (P4). */
  #checksum = 0;
  #append: SpoolAppend | undefined;
  #isOver = false;

  /**
   * The stream has the spool to itself. What the spool has is completed: a proposal that continues it would need the
   * sum of bytes that this stream has not seen, and an empty fragment tells the primary where to begin.
   */
  constructor(
    spool: Spool,
    { codec, takesCommits, counts }: ReplicaSpoolOptions,
    hooks: ReplicaSpoolHooks,
    early?: EarlyReplicaHooks,
  ) {
    this.#spool = spool;
    this.#takesCommits = takesCommits;
    this.#counts = counts;
    this.#hooks = hooks;
    this.#early = early;
    const at = spool.pendingEnd;
    if (at > spool.begin) spool.roll(at);
    const { journal } = spool.life;
    this.#fragment = newFragment({ journal, begin: at, end: at, sum: ZERO_SHA1, compressionCodec: codec });
    this.#registers = spool.pendingRegisters;
  }

  /**
   * Takes the next message; the one after it waits for what is returned.
   * @throws {WireError} INVALID_ARGUMENT, or of the spool: the stream is over
   */
  receive(request: ReplicateRequest, signal: AbortSignal): Promise<void> | void {
    assert(!this.#isOver, "a stream that is over receives nothing");
    validateReplicateRequest(request);
    if (request.proposal !== undefined) this.#propose(request.proposal, request);
    else if (request.acknowledge) return this.#commitWith(request, signal);
    else if (request.rollback) this.#takeBack();
    else return this.#content(request.content!, request.contentDelta, signal);
  }

  /** Nothing more is received: gives the spool back. What was asked is still answered. */
  close(): void {
    this.#takeBack();
  }

  /** The stream is over, in whatever way. */
  end(): void {
    this.#isOver = true;
    this.#takeBack();
  }

  #content(bytes: Uint8Array, contentDelta: number, signal: AbortSignal): Promise<void> | void {
    const delta = this.#append?.bytes ?? 0;
    if (contentDelta !== delta) {
      throw new WireError("INVALID_ARGUMENT", `invalid ContentDelta (${contentDelta}; expected ${delta})`);
    }
    this.#append ??= this.#spool.openAppend(false);
    if (this.#takesCommits) this.#checksum = crc32c(bytes, this.#checksum);
    else {
      this.#nextSums ??= this.#sums.copy();
      this.#nextSums.update(bytes);
    }
    return this.#append.write(bytes, signal);
  }

  /** P4 @throws {WireError} INVALID_ARGUMENT */
  #commitWith(request: ReplicateRequest, signal: AbortSignal): Promise<void> | void {
    const { content, contentDelta } = request;
    if (!this.#takesCommits) {
      throw new WireError("INVALID_ARGUMENT", "unexpected Commit on a stream that began without an Epoch");
    }
    const written = content === undefined ? undefined : this.#content(content, contentDelta, signal);
    if (written === undefined) return this.#commitTo(request);
    return written.then(() => {
      if (!this.#isOver) this.#commitTo(request);
    });
  }

  /** @throws {WireError} INVALID_ARGUMENT */
  #commitTo(request: ReplicateRequest): void {
    const { commit, checksum, registers = this.#registers } = request;
    const delta = this.#append?.bytes ?? 0;
    const end = this.#fragment.end + delta;
    const isOfNothing = delta === 0 && !equalLabelSets(registers, this.#registers);
    if (commit !== end || checksum !== this.#checksum || isOfNothing) {
      throw new WireError(
        "INVALID_ARGUMENT",
        `invalid Commit (${commit} with checksum ${checksum} and ${delta} bytes of content; ` +
          `expected ${end} with checksum ${this.#checksum})`,
      );
    }
    if (delta === 0) this.#inTurn(OK);
    else this.#commit({ ...this.#fragment, end }, registers, request);
  }

  #propose(proposal: Fragment, request: ReplicateRequest): void {
    const { registers = EMPTY_LABELS, acknowledge } = request;
    const view = {
      fragment: this.#fragment,
      registers: this.#registers,
      delta: this.#append?.bytes ?? 0,
      nextSum: () => this.#nextSums?.hex() ?? "",
    };
    const { roll, outcome } = decideProposal(view, proposal, registers);
    if (roll !== undefined) {
      this.#takeBack();
      this.#spool.roll(roll.begin, roll.registers);
      this.#fragment = emptyFragment(this.#fragment, proposal);
      this.#registers = roll.registers ?? this.#registers;
      this.#sums = new RunningSha1();
    }
    if (outcome === "mismatch") return this.#mismatch(acknowledge);
    if (outcome === "roll-back") {
      this.#takeBack();
      if (acknowledge) this.#inTurn(OK);
      return;
    }
    this.#commit(proposal, registers, request);
  }

  #commit(proposal: Fragment, registers: LabelSet, { acknowledge, appends }: ReplicateRequest): void {
    const changed = equalLabelSets(registers, this.#registers) ? undefined : registers;
    const append = this.#append!;
    this.#append = undefined;
    this.#checksum = 0;
    this.#sums = this.#nextSums ?? this.#sums;
    this.#nextSums = undefined;
    this.#fragment = proposal;
    this.#registers = registers;
    const response = acknowledge ? OK : undefined;
    if (this.#early === undefined) this.#end(append, changed, response, appends);
    else this.#endEarly(this.#early, append, changed, response, appends);
  }

  /** As many appends as the primary says, each of a byte at least. */
  #count(appends: number, bytes: number): void {
    if (bytes === 0) return;
    this.#counts.commits.add(Math.min(Math.max(appends, 1), bytes));
    this.#counts.commitBytes.add(bytes);
  }

  #endEarly(
    early: EarlyReplicaHooks,
    append: SpoolAppend,
    registers: LabelSet | undefined,
    response: ReplicateResponse | undefined,
    appends: number,
  ): void {
    const { bytes } = append;
    const end = append.begin + bytes;
    let isOwed = response !== undefined;
    const mayAnswer = this.#owed === 0;
    if (isOwed) this.#owed++;
    const answer = (): void => {
      if (!isOwed) return;
      isOwed = false;
      this.#owed--;
      if (!this.#isOver) this.#hooks.answer(response!);
    };
    const isTaken = append.commit(registers, (outcome) => {
      if (outcome.kind !== "acknowledged") {
        early.lost();
        this.#fail(outcome.error);
        return;
      }
      this.#count(appends, bytes);
      answer();
      if (!this.#isOver) early.synced(end);
    });
    if (isTaken && mayAnswer) answer();
  }

  #mismatch(acknowledge: boolean): void {
    if (!acknowledge) {
      throw new WireError("INVALID_ARGUMENT", "no ack requested but status != OK: PROPOSAL_MISMATCH");
    }
    const [fragment, registers] = [this.#fragment, this.#registers];
    this.#inTurn(newReplicateResponse({ status: "PROPOSAL_MISMATCH", fragment, registers }));
  }

  /** An append without bytes is answered after what was handed over before it, rolls among that (P2). */
  #inTurn(response: ReplicateResponse): void {
    // Content that a mismatch leaves open keeps its place: only one append of a spool is open.
    this.#takeBack();
    this.#end(this.#spool.openAppend(false), undefined, response, 0);
  }

  #end(
    append: SpoolAppend,
    registers: LabelSet | undefined,
    response: ReplicateResponse | undefined,
    appends: number,
  ): void {
    const { bytes } = append;
    if (response !== undefined) this.#owed++;
    append.commit(registers, (outcome) => {
      if (response !== undefined) this.#owed--;
      if (outcome.kind !== "acknowledged") {
        this.#fail(outcome.error);
        return;
      }
      this.#count(appends, bytes);
      if (response !== undefined && !this.#isOver) this.#hooks.answer(response);
    });
  }

  #takeBack(): void {
    countRollback(this.#counts, this.#append?.bytes ?? 0);
    this.#append?.rollback();
    this.#append = undefined;
    this.#nextSums = undefined;
    this.#checksum = 0;
  }

  #fail(error: WireError): void {
    if (this.#isOver) return;
    this.end();
    this.#hooks.failed(error);
  }
}
