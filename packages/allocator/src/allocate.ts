// The loop of a member: the leader solves when the problem changes, and converges; the others wait to become it.
//
//  A1  Nothing waits without bound while there is something to do. A transaction that failed, by its compares or for
//      another reason, is planned again when the mirror has moved, and after a pause if it has not: its answer may be
//      lost, or what overtook it may lie outside of the keyspace, and no change of the keyspace need ever come. After
//      one that succeeded the mirror is read up to it, and if the mirror does not get there soon, the plan is made
//      again all the same: on an old snapshot its compares fail, and nothing happens (C5 of converge.ts).
//  A2  Whoever has nothing to do sleeps until the mirror changes; between looking and sleeping nothing is awaited.
//  A3  A plan that does nothing, though assignments wait for room and for nobody's consistency, is a deadlock of
//      hand-offs: the problem is solved again from where things are now.
//  A4  Passes take a part of the leader's time at most: after each one changes gather for a while.
//  A5  Ends when its own member is exiting and has no assignment left, unless it stays: then it leads, if it does, as
//      long as its key is there, and somebody else decides when it leaves.
import { abortScope, WireError, type Clock, type Gate, type Logger } from "@millrace/base";
import type { CoordinationStore, TxnRequest } from "@millrace/metadata";
import type { AllocatorMetrics } from "./allocator-metrics.ts";
import { converge, type Plan } from "./converge.ts";
import type { AllocatorKeys, ConsistencyRule, MemberEntry, Snapshot } from "./entries.ts";
import {
  FAILURES_TOLD,
  PASS_PAUSE_MAX_MS,
  PASS_PAUSE_RATIO,
  READ_THROUGH_MAX_MS,
  RETRY_MAX_MS,
  RETRY_MIN_MS,
} from "./limits.ts";
import { solve, type Solution } from "./solver.ts";
import { isSameProblem, leaderOf, stateOf, type AllocatorState } from "./state.ts";

/** The keyspace as it is mirrored. */
export interface AllocatorMirror {
  snapshot(): Snapshot;
  /** Members alone: what somebody who does not lead looks at. In key order. */
  members(): readonly MemberEntry[];
  /** Whether the member is assigned an item that exists. */
  hasItems(member: string): boolean;
  /** Opens after each change of the keyspace. */
  readonly changed: Gate;
  waitForRevision(revision: number, signal: AbortSignal): Promise<void>;
}

export interface AllocatorPorts {
  readonly store: CoordinationStore;
  readonly mirror: AllocatorMirror;
  readonly keys: AllocatorKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AllocatorMetrics;
}

export interface AllocatorOptions {
  /** Name of the own member, which is announced. */
  readonly member: string;
  readonly isConsistent: ConsistencyRule;
  readonly valueOfOnly?: (member: MemberEntry) => Uint8Array;
  /** Whether it goes on after its own member is drained (A5). Default false. */
  readonly stays?: boolean;
  /** For tests: called after a pass of this member as the leader that planned nothing. */
  readonly onIdle?: () => void;
}

/**
 * Runs until the own member is drained (A5).
 * @throws {WireError} NOT_FOUND when the own member's key is gone; `signal.reason`
 */
export async function allocate(
  ports: AllocatorPorts,
  options: AllocatorOptions,
  signal: AbortSignal,
): Promise<void> {
  await new AllocateLoop(ports, options).run(signal);
}

class AllocateLoop {
  readonly #ports: AllocatorPorts;
  readonly #options: AllocatorOptions;
  #solved: { readonly state: AllocatorState; readonly desired: Solution } | undefined;
  #failures = 0;
  #saysItDrains = false;
  /** A4 */
  #restUntilMs = 0;

  constructor(ports: AllocatorPorts, options: AllocatorOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { mirror, clock } = this.#ports;
    for (;;) {
      const restMs = this.#restUntilMs - clock.monotonicMs();
      if (restMs > 0) await clock.sleep(restMs, signal);
      const members = mirror.members();
      const self = members.findIndex(({ name }) => name === this.#options.member);
      if (self < 0) throw new WireError("NOT_FOUND", "member key not found in Etcd");
      if (this.#isDrained(members[self]!)) return;
      if (leaderOf(members) === self) await this.#lead(self, signal);
      else await mirror.changed.next(signal);
      signal.throwIfAborted();
    }
  }

  #isDrained(self: MemberEntry): boolean {
    if (!self.exiting || this.#options.stays === true) return false;
    if (!this.#ports.mirror.hasItems(self.name)) return true;
    if (!this.#saysItDrains) this.#ports.logger.info("allocator-drains", { member: self.name });
    this.#saysItDrains = true;
    return false;
  }

  /** One pass as the leader, and the wait after it. */
  async #lead(leader: number, signal: AbortSignal): Promise<void> {
    const { mirror, keys, logger, clock } = this.#ports;
    const startMs = clock.monotonicMs();
    const state = stateOf(mirror.snapshot());
    const plan = converge(state, this.#desiredFor(state), { ...this.#options, keys, leader });
    const endMs = clock.monotonicMs();
    this.#restUntilMs = endMs + Math.min(PASS_PAUSE_MAX_MS, PASS_PAUSE_RATIO * (endMs - startMs));
    if (plan.txns.length > 0) {
      await this.#perform(plan, signal);
    } else if (plan.blocked > 0 && plan.waiting === 0 && this.#solved?.state !== state) {
      logger.warn("allocator-deadlock", { blocked: plan.blocked, revision: state.revision });
      this.#solved = undefined; // A3
    } else {
      const changed = mirror.changed.next(signal); // A2
      this.#options.onIdle?.();
      await changed;
    }
  }

  #desiredFor(state: AllocatorState): Solution {
    const solved = this.#solved;
    if (solved !== undefined && isSameProblem(solved.state, state)) return solved.desired;
    const { clock, logger, metrics } = this.#ports;
    const startMs = clock.monotonicMs();
    const desired = solve(state);
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    this.#solved = { state, desired };
    metrics.solveSeconds.observe(seconds);
    metrics.slots.set(state.itemSlots);
    metrics.items.set(state.items.length);
    metrics.members.set(state.members.length);
    const { placed, added, removed, inOneZone, aboveShare } = desired;
    const { revision, itemSlots, memberSlots } = state;
    const facts = {
      revision,
      itemSlots,
      memberSlots,
      placed,
      added,
      removed,
      inOneZone,
      aboveShare,
      seconds,
    };
    logger.info("allocator-solved", facts);
    if (placed < itemSlots) logger.warn("allocator-short-of-members", { unattainable: itemSlots - placed });
    return desired;
  }

  async #perform(plan: Plan, signal: AbortSignal): Promise<void> {
    const { clock, logger, metrics, mirror } = this.#ports;
    const scope = abortScope(signal);
    const changed = mirror.changed.next(scope.signal).catch(() => undefined);
    try {
      const { revision, error } = await this.#send(plan.txns, signal);
      signal.throwIfAborted();
      if (error === undefined) {
        this.#failures = 0;
        metrics.converges.add();
        metrics.added.add(plan.added);
        metrics.removed.add(plan.removed);
        metrics.packed.add(plan.moved);
        for (const { key, member } of plan.lost) logger.warn("assignment-of-missing-member", { key, member });
        await atMost(READ_THROUGH_MAX_MS, (end) => mirror.waitForRevision(revision, end), clock, signal);
        return;
      }
      const waitMs = Math.min(RETRY_MIN_MS * 2 ** this.#failures++, RETRY_MAX_MS);
      this.#sayFailed(error, waitMs);
      const cancel = clock.after(waitMs, () => scope.abort(new Error("the pause is over"))); // A1
      await changed;
      cancel();
    } finally {
      scope.abort(new Error("the pass is over"));
      scope.dispose();
    }
  }

  /** That the keyspace has moved on is no warning, unless no pass gets through; only a bug needs its stack. */
  #sayFailed(error: WireError, waitMs: number): void {
    const { code, message } = error;
    const isPassing = code === "ETCD_TRANSACTION_FAILED" && this.#failures < FAILURES_TOLD;
    const why = code === "INTERNAL" ? { error } : { code, message };
    const facts = { ...why, failures: this.#failures, waitMs };
    this.#ports.logger[isPassing ? "info" : "warn"]("allocator-converge-failed", facts);
  }

  /** Sends transactions up to the first that fails. */
  async #send(
    txns: readonly TxnRequest[],
    signal: AbortSignal,
  ): Promise<{ readonly revision: number; readonly error?: WireError }> {
    let revision = 0;
    try {
      for (const txn of txns) {
        const { succeeded, header } = await this.#ports.store.txn(txn, signal);
        if (!succeeded) {
          return {
            revision,
            error: new WireError("ETCD_TRANSACTION_FAILED", "what was compared has changed"),
          };
        }
        revision = header.revision;
      }
      return { revision };
    } catch (thrown) {
      return { revision, error: WireError.from(thrown) };
    }
  }
}

/** Waits for `wait`, `ms` at most. */
async function atMost(
  ms: number,
  wait: (signal: AbortSignal) => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const scope = abortScope(signal);
  const cancel = clock.after(ms, () => scope.abort(new WireError("UNAVAILABLE", `not in ${ms} ms`)));
  try {
    await wait(scope.signal);
  } catch (error) {
    if (signal.aborted || !scope.signal.aborted) throw error;
  } finally {
    cancel();
    scope.dispose();
  }
}
