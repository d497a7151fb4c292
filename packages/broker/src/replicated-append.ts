// An append of which the log's outcome and the peers' are awaited, and what becomes of those that a broken pipeline
// leaves behind.
//
//   waiting ──► ended                  ended: acknowledged, or failed; told once
//      └──► in limbo ──► ended         the log has it, or may get it, and some peer did not answer
//
//  L1  An append in limbo is acknowledged when a later activation counts it as acknowledged: every member of the route
//      has its bytes then, and nobody has given up ours in between. Else its outcome is unknown. Where the members are
//      too few to acknowledge anything (D15), it waits for more.
//  L2  Nobody waits in limbo for longer than LIMBO_MS.
import { WireError, type Clock } from "@millrace/base";
import type { CommitOutcome } from "@millrace/fragments";
import { LIMBO_MS } from "./limits.ts";

export interface ReplicatedAppendHooks {
  /** Its peers are not awaited any more. */
  settled(): void;
  inLimbo(append: ReplicatedAppend): void;
  ended(outcome: CommitOutcome): void;
}

export class ReplicatedAppend {
  readonly #end: number;
  readonly #hooks: ReplicatedAppendHooks;
  #own: CommitOutcome | undefined;
  #hasPeers = false;
  #failure: WireError | undefined;
  #isOver = false;

  /** @param end of its bytes */
  constructor(end: number, hooks: ReplicatedAppendHooks) {
    this.#end = end;
    this.#hooks = hooks;
  }

  /** Neither has it an outcome, nor is it in limbo. */
  get isWaiting(): boolean {
    return !this.#isOver && this.#failure === undefined;
  }

  /** Of the log. */
  onOwn(outcome: CommitOutcome): void {
    this.#own = outcome;
    if (this.#hasPeers || outcome.kind !== "acknowledged") this.#finish(outcome);
  }

  onPeers(failure: WireError | undefined): void {
    if (this.#isOver) return;
    if (failure === undefined) {
      this.#hasPeers = true;
      if (this.#own !== undefined) this.#finish(this.#own);
      return;
    }
    this.#failure = failure;
    this.#hooks.settled();
    this.#hooks.inLimbo(this);
  }

  /** L1. @param confirmed what counts as acknowledged @param cutAt from where on bytes were given up */
  isAdopted(confirmed: number, cutAt: number): boolean {
    return this.#own?.kind === "acknowledged" && this.#end <= Math.min(confirmed, cutAt);
  }

  /** Leaves limbo: every member has it. */
  adopt(): void {
    if (this.#own !== undefined) this.#finish(this.#own);
  }

  /** Leaves limbo with what led there. */
  fail(): void {
    const cause = this.#failure;
    if (cause === undefined) return;
    // Whoever repeats it may append it twice, whatever the failure itself would allow.
    const error = new WireError("OUTCOME_UNKNOWN", cause.message, { cause, facts: cause.facts });
    this.#finish({ kind: "unknown", error });
  }

  #finish(outcome: CommitOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#failure === undefined) this.#hooks.settled();
    this.#hooks.ended(outcome);
  }
}

/** The appends of a journal that are in limbo, in their order. */
export class Limbo {
  readonly #clock: Clock;
  #appends: ReplicatedAppend[] = [];
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#appends.length === 0;
  }

  add(append: ReplicatedAppend): void {
    this.#appends.push(append);
    this.#cancel ??= this.#clock.after(LIMBO_MS, () => this.fail()); // L2
  }

  /** @param isEnough whether the route has enough members to acknowledge anything */
  activated(confirmed: number, cutAt: number, isEnough: boolean): void {
    const adopted = this.#appends.filter((append) => append.isAdopted(confirmed, cutAt));
    const lost = this.#appends.filter((append) => !adopted.includes(append));
    this.#appends = isEnough ? [] : adopted;
    if (this.#appends.length === 0) this.#stopWaiting();
    for (const append of lost) append.fail();
    if (isEnough) for (const append of adopted) append.adopt();
  }

  fail(): void {
    this.#stopWaiting();
    for (const append of this.#appends.splice(0)) append.fail();
  }

  #stopWaiting(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
