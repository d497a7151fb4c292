// A replica's side of one Replicate stream: content and proposals of the primary into the journal's spool, answers in
// the order of what they answer.
//
//   P1  A commit is answered OK once it is synced here; whether it may be seen is not this stream's to say.
//   P2  An answer follows those before it: everything that is answered waits for its turn in the spool.
//   P3  What was sent and not proposed is taken back when the stream ends.
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
import { decideProposal, emptyFragment } from "./replicate-decision.ts";

export interface ReplicaSpoolHooks {
  answer(response: ReplicateResponse): void;
  /** The stream cannot go on; told once. */
  failed(error: WireError): void;
}

export class ReplicaSpool {
  readonly #spool: Spool;
  readonly #hooks: ReplicaSpoolHooks;
  #fragment: Fragment;
  #registers: LabelSet;
  /** Of the fragment, and with the content since. */
  #sums = new RunningSha1();
  #nextSums: RunningSha1 | undefined;
  #append: SpoolAppend | undefined;
  #isOver = false;

  /**
   * The stream has the spool to itself. What the spool has is completed: a proposal that continues it would need the
   * sum of bytes that this stream has not seen, and an empty fragment tells the primary where to begin.
   */
  constructor(spool: Spool, codec: CompressionCodec, hooks: ReplicaSpoolHooks) {
    this.#spool = spool;
    this.#hooks = hooks;
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
    if (request.proposal === undefined) return this.#content(request, signal);
    this.#propose(request.proposal, request.registers ?? EMPTY_LABELS, request.acknowledge);
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

  #content({ content, contentDelta }: ReplicateRequest, signal: AbortSignal): Promise<void> | void {
    const bytes = content!;
    const delta = this.#append?.bytes ?? 0;
    if (contentDelta !== delta) {
      throw new WireError("INVALID_ARGUMENT", `invalid ContentDelta (${contentDelta}; expected ${delta})`);
    }
    this.#append ??= this.#spool.openAppend(false);
    this.#nextSums ??= this.#sums.copy();
    this.#nextSums.update(bytes);
    return this.#append.write(bytes, signal);
  }

  #propose(proposal: Fragment, registers: LabelSet, acknowledge: boolean): void {
    const view = {
      fragment: this.#fragment,
      registers: this.#registers,
      delta: this.#append?.bytes ?? 0,
      nextSum: () => this.#nextSums!.hex(),
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
      if (acknowledge) this.#inTurn(newReplicateResponse({ status: "OK" }));
      return;
    }
    this.#commit(proposal, registers, acknowledge);
  }

  #commit(proposal: Fragment, registers: LabelSet, acknowledge: boolean): void {
    const changed = equalLabelSets(registers, this.#registers) ? undefined : registers;
    const append = this.#append!;
    this.#append = undefined;
    this.#sums = this.#nextSums!;
    this.#nextSums = undefined;
    this.#fragment = proposal;
    this.#registers = registers;
    this.#end(append, changed, acknowledge ? newReplicateResponse({ status: "OK" }) : undefined);
  }

  #mismatch(acknowledge: boolean): void {
    if (!acknowledge) {
      throw new WireError("INVALID_ARGUMENT", "no ack requested but status != OK: PROPOSAL_MISMATCH");
    }
    this.#inTurn({ status: "PROPOSAL_MISMATCH", fragment: this.#fragment, registers: this.#registers });
  }

  /** An append without bytes is answered after what was handed over before it, rolls among that (P2). */
  #inTurn(response: ReplicateResponse): void {
    // Content that a mismatch leaves open keeps its place: only one append of a spool is open.
    this.#takeBack();
    this.#end(this.#spool.openAppend(false), undefined, response);
  }

  #end(append: SpoolAppend, registers: LabelSet | undefined, response: ReplicateResponse | undefined): void {
    append.commit(registers, (outcome) => {
      if (outcome.kind !== "acknowledged") this.#fail(outcome.error);
      else if (response !== undefined && !this.#isOver) this.#hooks.answer(response);
    });
  }

  #takeBack(): void {
    this.#append?.rollback();
    this.#append = undefined;
    this.#nextSums = undefined;
  }

  #fail(error: WireError): void {
    if (this.#isOver) return;
    this.end();
    this.#hooks.failed(error);
  }
}
