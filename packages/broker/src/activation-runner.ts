// Performs what the activation machine (holders-activation.ts) decides: asks holders and members, reads and writes the
// list, and begins anew where the machine says so, for a while.
//
//  R1  Each attempt has a stream of its own, and the epoch that the keyspace has then.
//  R2  An attempt is about one route: when the keyspace shows another, it ends as overtaken.
//  R3  Nobody is waited for for ever: who does not answer in time is not to be reached.
//  R4  A primary that is a holder of the newest bytes fences itself, which costs no call; the others only when that is
//      not enough.
//  R5  A route that names one data directory twice (two brokers on copies of one) is not activated: it would be the
//      only holder of what two have.
//  R6  An operator's wish to reset the head is looked at when patience has ended, and not before: who only restarts
//      comes back within it.
//  R7  Who has heard of a later stream of the same epoch listens to none of ours in it. This process has sent no such
//      one, so it is another's mistake: the next attempt gets an epoch of its own, from a revision made for it, rather
//      than to wait until something else makes one.
//  R8  Who loaded the keyspace anew, after a compaction, has the load's revision, which may be above every change below
//      the prefix, and takes our epoch for an old one for as long as nothing changes: a newer epoch is made then, too.
//  R9  Before a reset goes on without anybody of the newest segment, every broker is asked for a life that is later
//      than the list (T4 of later-lives.ts), and has to answer: what it has would be given up.
import { abortScope, WireError, type AbortScope, type Clock, type Logger } from "@millrace/base";
import { EMPTY_LABELS, equivalentRoutes, type LabelSet, type ProcessId } from "@millrace/protocol";
import {
  startActivation,
  stepActivation,
  type ActivationEffect,
  type ActivationInput,
  type ActivationState,
  type HeadReset,
} from "./holders-activation.ts";
import { blocked, copied, notThere } from "./activation-refusals.ts";
import { laterOf, relistedLater } from "./later-lives.ts";
import { comparedLife, refuseDiffering } from "./differing-lives.ts";
import { newestSegment, relisted, voided, type HolderId, type HoldersList } from "./holders-list.ts";
import type { HoldersStore, KnownJournal } from "./holders-store.ts";
import { ACTIVATION_PATIENCE_MS, ACTIVATION_RETRY_MS, BRING_TIMEOUT_MS, FENCE_TIMEOUT_MS } from "./limits.ts";
import { headResetFacts } from "./head-reset-facts.ts";
import { brokerName } from "./journal-table.ts";
import type { HoldAnswer, HolderCalls, HoldRequest, Peer } from "./peer-network.ts";
import type { Resolution } from "./resolver.ts";

/** A data directory, and how to ask the broker that has it. */
export interface Holder {
  readonly id: HolderId;
  readonly peer: Peer;
  readonly calls: HolderCalls;
}

/** The brokers of the cluster as holders. */
export interface HolderDirectory {
  readonly self: HolderId;
  /** Undefined while no live broker announces it. */
  find(id: HolderId): Holder | undefined;
  /** Those of all live brokers. */
  all(): readonly Holder[];
  /** Of a route's members, in its order; undefined for one whose announcement is not there. */
  members(resolution: Resolution): readonly (Holder | "keeps-no-lists" | undefined)[];
  keepsLists(broker: ProcessId): boolean;
}

export interface ActivationPorts {
  readonly lists: HoldersStore;
  readonly holders: HolderDirectory;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether the keyspace here has all that the store had at `revision`. */
  readonly holds: (revision: number) => boolean;
  /** Ascends with every call, for all journals of this process. */
  readonly nextStream: () => number;
}

export interface ActiveRoute {
  readonly epoch: number;
  readonly stream: number;
  readonly isMixed: boolean;
  /** Whether appends may be acknowledged before they are synced. */
  readonly isEarly: boolean;
  /** Everything below counts as acknowledged. */
  readonly confirmed: number;
  readonly list: HoldersList;
  readonly listRevision: number;
}

export type ActivationOutcome =
  | { readonly kind: "active"; readonly active: ActiveRoute }
  /** @param revision with the newer route; read through to it */
  | { readonly kind: "overtaken"; readonly revision: number };

/** Attempts of which somebody says that a later stream is known, before a newer epoch is made (R7). */
const OUTRUN_ATTEMPTS = 3;

/** @returns undefined: the head is not to be reset */
export type ResetWish = (signal: AbortSignal) => Promise<HeadReset | undefined>;

/**
 * @param resolve the journal as the keyspace has it now
 * @param first what is to be activated
 * @param wish asked when the journal cannot go on without giving something up
 * @throws {WireError} UNAVAILABLE: who has to answer does not; what aborted `signal`
 */
export async function activateRoute(
  ports: ActivationPorts,
  first: Resolution,
  resolve: () => Resolution,
  signal: AbortSignal,
  wish?: ResetWish,
): Promise<ActivationOutcome> {
  const { clock, logger } = ports;
  let untilMs = clock.monotonicMs() + ACTIVATION_PATIENCE_MS;
  let reset: HeadReset | undefined;
  let isTouched = false;
  for (let count = 0; ; count++) {
    signal.throwIfAborted();
    const resolution = resolve();
    const { header } = resolution;
    const isOver = resolution.status !== "OK" || !resolution.primaryIsSelf;
    if (isOver || !equivalentRoutes(header.route, first.header.route))
      return { kind: "overtaken", revision: header.etcd.revision }; // R2
    const members = ports.holders.members(resolution);
    const missing = members.indexOf(undefined);
    if (missing >= 0) {
      if (clock.monotonicMs() >= untilMs) throw notThere(resolution, missing);
      await clock.sleep(ACTIVATION_RETRY_MS, signal);
      continue;
    }
    const twice = namedTwice(members);
    if (twice !== undefined) throw copied(resolution.item!.spec.name, twice);
    const attempt = new ActivationAttempt(ports, resolution, members, reset, signal);
    const state = await attempt.run();
    if (state.kind === "active") {
      const { list, listRevision, confirmed } = state;
      const { epoch, stream, isMixed } = state.attempt;
      const isEarly = newestSegment(list)?.loose === true;
      return { kind: "active", active: { epoch, stream, isMixed, isEarly, confirmed, list, listRevision } };
    }
    const { journal, newestRevision } = attempt;
    if (newestRevision > header.etcd.revision) {
      // R8
      const isNewer = !ports.holds(newestRevision) || resolve().header.etcd.revision >= newestRevision;
      if (isNewer || isTouched) return { kind: "overtaken", revision: newestRevision };
      isTouched = true;
      await attempt.touch(signal);
      await clock.sleep(ACTIVATION_RETRY_MS, signal);
      continue;
    }
    const failure = attempt.failure ?? blocked(journal, state);
    logger.debug("journal-not-activated", { journal, attempt: count + 1, why: failure.message });
    if (attempt.isOutrun && count >= OUTRUN_ATTEMPTS && !isTouched) {
      isTouched = true;
      await attempt.touch(signal); // R7
    }
    if (clock.monotonicMs() >= untilMs) {
      if (reset !== undefined || !attempt.isStuck) throw failure;
      reset = await wish?.(signal); // R6
      if (reset === undefined) throw failure;
      if (state.kind === "blocked" && state.isGone === true) await attempt.listLater(signal); // R9
      untilMs = clock.monotonicMs() + ACTIVATION_PATIENCE_MS;
    }
    if (state.kind !== "abandoned" || (state.why !== "unmarked" && state.why !== "unlisted"))
      await clock.sleep(ACTIVATION_RETRY_MS * Math.min(count + 1, 10), signal);
  }
}

/** Two brokers of the route that announce the same data directory (R5). */
function namedTwice(
  members: readonly (Holder | "keeps-no-lists" | undefined)[],
): [Holder, Holder] | undefined {
  const seen = new Map<HolderId, Holder>();
  for (const member of members) {
    if (typeof member !== "object") continue;
    const before = seen.get(member.id);
    if (before !== undefined) return [before, member];
    seen.set(member.id, member);
  }
  return undefined;
}

type Final = Extract<ActivationState, { kind: "active" | "blocked" | "abandoned" }>;

class ActivationAttempt {
  /** The last thing that went wrong. */
  failure: WireError | undefined;
  /** Of the headers of those who refused. */
  newestRevision = 0;
  /** Somebody has heard of a later stream of this epoch. */
  isOutrun = false;
  /** There is no list, or none that can be read. */
  #isUnlisted = false;
  readonly #ports: ActivationPorts;
  readonly #resolution: Resolution;
  readonly #scope: AbortScope;
  readonly #registers = new Map<HolderId, LabelSet>();
  readonly #members: readonly Holder[];
  #state: ActivationState;
  #effects: readonly ActivationEffect[];
  #done: ((state: Final) => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;

  constructor(
    ports: ActivationPorts,
    resolution: Resolution,
    all: readonly (Holder | "keeps-no-lists" | undefined)[],
    reset: HeadReset | undefined,
    signal: AbortSignal,
  ) {
    this.#ports = ports;
    this.#resolution = resolution;
    this.#scope = abortScope(signal);
    this.#members = all.filter((member) => typeof member === "object");
    const attempt = {
      epoch: resolution.header.etcd.revision,
      stream: ports.nextStream(),
      self: ports.holders.self,
      members: this.#members.map(({ id }) => id),
      isMixed: this.#members.length < all.length,
      isEarly: resolution.isEarly,
      reset,
    };
    [this.#state, this.#effects] = startActivation(attempt);
  }

  get journal(): string {
    return this.#resolution.item!.spec.name;
  }

  /** Waiting alone may not help. */
  get isStuck(): boolean {
    return this.#state.kind === "blocked" || this.#isUnlisted;
  }

  /** @throws what aborted the signal */
  async run(): Promise<Final> {
    const { signal } = this.#scope;
    const onAbort = (): void => this.#failed?.(signal.reason);
    try {
      return await new Promise<Final>((resolve, reject) => {
        this.#done = resolve;
        this.#failed = reject;
        signal.addEventListener("abort", onAbort, { once: true });
        this.#perform(this.#effects);
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#done = this.#failed = undefined;
      this.#scope.abort(new WireError("UNAVAILABLE", "the attempt is over"));
      this.#scope.dispose();
    }
  }

  #input(input: ActivationInput): void {
    if (this.#done === undefined || this.#state.kind === "abandoned") return;
    try {
      const before = this.#state;
      const [state, effects] = stepActivation(before, input);
      this.#state = state;
      if (state.kind === "active" && before.kind === "recording") this.#sayGivenUp(before);
      if (state.kind === "active" || state.kind === "blocked") this.#done(state);
      else if (state.kind === "abandoned") void this.#abandoned(state);
      else this.#perform(effects);
    } catch (error) {
      this.#failed?.(error);
    }
  }

  #perform(effects: readonly ActivationEffect[]): void {
    const { self } = this.#ports.holders;
    const own = effects.find((effect) => effect.kind === "fence" && effect.member === self);
    const others = effects.filter((effect) => effect !== own);
    if (own === undefined) for (const effect of others) this.#performOne(effect, []);
    else this.#performOne(own, others); // R4
  }

  /** @param otherwise what is done when that was not enough */
  #performOne(effect: ActivationEffect, otherwise: readonly ActivationEffect[]): void {
    this.#effect(effect).then(
      (input) => {
        this.#input(input);
        if (this.#state.kind === "fencing") for (const other of otherwise) this.#performOne(other, []);
      },
      (error: unknown) => this.#failed?.(error),
    );
  }

  #effect(effect: ActivationEffect): Promise<ActivationInput> {
    switch (effect.kind) {
      case "read-list":
        return this.#readList();
      case "fence":
        return this.#fence(effect.member);
      case "ask":
        return this.#ask(effect.member);
      case "bring":
        return this.#bring(effect);
      case "write-list":
        return this.#writeList(effect.next, effect.listRevision);
    }
  }

  async #readList(): Promise<ActivationInput> {
    const { item } = this.#resolution;
    const { lists } = this.#ports;
    const read = await lists.tryRead(this.journal, item!.createRevision, this.#scope.signal);
    const { refusal, list, listRevision, readAt } = read;
    this.#isUnlisted = list === undefined;
    if (refusal === undefined) return { kind: "list-read", list, listRevision, readAt };
    this.failure = new WireError("UNAVAILABLE", refusal.message, { cause: refusal });
    return { kind: "list-read", list: "unreadable", listRevision, readAt };
  }

  #sayGivenUp(state: Extract<ActivationState, { kind: "recording" }>): void {
    const facts = headResetFacts(this.journal, state);
    if (facts !== undefined) this.#ports.logger.warn("journal-head-reset", { ...facts });
  }

  async #fence(member: HolderId): Promise<ActivationInput> {
    const holder = this.#ports.holders.find(member);
    const answer = await this.#hold(holder, { wants: "fence" }, FENCE_TIMEOUT_MS);
    if (answer === undefined) return { kind: "unreachable", member, isGone: holder === undefined };
    if (answer.kind === "refused") return this.#refused(member, answer);
    const { held } = answer;
    const least = this.#leastHeld();
    if (held.end < Math.max(least, held.confirmed, held.base)) {
      // It has lost what it promised to have.
      const facts = { journal: this.journal, holder: member, end: held.end, promised: least };
      this.#ports.logger.error("holder-lacks-bytes", facts);
      this.failure = new WireError("UNAVAILABLE", `holder ${member} of journal ${this.journal} lacks bytes`, {
        facts,
      });
      return { kind: "unreachable", member, isGone: true };
    }
    const isUnsure = !this.#learn(member, answer.registers);
    return { kind: "fenced", member, held, whole: answer.whole, isUnsure };
  }

  /** @returns whether the member knows its registers (H11 of holders-activation.ts) */
  #learn(member: HolderId, registers: LabelSet | undefined): boolean {
    if (registers !== undefined) this.#registers.set(member, registers);
    else {
      const text = `holder ${member} of journal ${this.journal} does not know its registers`;
      this.failure = new WireError("UNAVAILABLE", text, { facts: { journal: this.journal, holder: member } });
    }
    return registers !== undefined;
  }

  #leastHeld(): number {
    const state = this.#state;
    const list = state.kind === "fencing" ? state.list : undefined;
    return (list && newestSegment(list))?.begin ?? 0;
  }

  async #ask(member: HolderId): Promise<ActivationInput> {
    const answer = await this.#hold(this.#member(member), { wants: "ask" }, FENCE_TIMEOUT_MS);
    if (answer === undefined) return { kind: "unreachable", member };
    if (answer.kind === "refused") return this.#refused(member, answer);
    if (!this.#learn(member, answer.registers)) return { kind: "unreachable", member };
    return { kind: "presented", member, end: answer.held.end, sure: answer.sure };
  }

  async #bring(effect: Extract<ActivationEffect, { kind: "bring" }>): Promise<ActivationInput> {
    const { member, begin, end } = effect;
    const { holders } = this.#ports;
    const isVoid = this.#state.kind === "bringing" && this.#state.list?.tail.kind === "void";
    const copied = effect.source === undefined ? EMPTY_LABELS : this.#registers.get(effect.source);
    const request = {
      wants: isVoid ? ("level" as const) : ("bring" as const),
      begin,
      end,
      source: effect.source === undefined ? undefined : holders.find(effect.source)?.peer,
      registers: effect.registers ?? copied ?? EMPTY_LABELS,
    };
    const answer = await this.#hold(this.#member(member), request, BRING_TIMEOUT_MS);
    if (answer === undefined) return { kind: "unreachable", member };
    if (answer.kind === "refused") return this.#refused(member, answer);
    return { kind: "brought", member, base: answer.held.base };
  }

  async #writeList(next: HoldersList, listRevision: number): Promise<ActivationInput> {
    const { lists } = this.#ports;
    const written = await lists.write(this.#known(), next, listRevision, this.#scope.signal);
    const revision = written.kind === "unknown" ? 0 : written.revision;
    return { kind: "list-written", outcome: written.kind, listRevision: revision };
  }

  /** Before anything is committed on a route with a broker that keeps no lists (D15). */
  async #abandoned(state: Extract<ActivationState, { kind: "abandoned" }>): Promise<void> {
    try {
      if (state.why === "unmarked") {
        const { lists } = this.#ports;
        const { signal } = this.#scope;
        const known = this.#known();
        const { list, listRevision } = await lists.read(this.journal, known.createRevision, signal);
        await lists.write(known, voided(list, 0), listRevision, signal);
      } else if (state.why === "unlisted") await this.#listAnew(state.attempt);
      this.#done?.(state);
    } catch (error) {
      this.#failed?.(error);
    }
  }

  /** H9 */
  async #listAnew({ epoch, members, isMixed }: ActivationState["attempt"]): Promise<void> {
    const { lists, logger } = this.#ports;
    const { signal } = this.#scope;
    const known = this.#known();
    const { journal, createRevision } = known;
    const { list, listRevision } = await lists.tryRead(journal, createRevision, signal);
    if (list !== undefined) return;
    const { kind } = await lists.write(known, relisted(epoch, members, isMixed), listRevision, signal);
    logger.warn("journal-list-reset", { journal, members: members.join(", "), outcome: kind });
  }

  /** R9. @throws {WireError} UNAVAILABLE: a broker does not answer; CONFLICT; of the store; what aborted `signal` */
  async listLater(signal: AbortSignal): Promise<void> {
    const { lists, holders, logger } = this.#ports;
    const known = this.#known();
    const { journal, createRevision } = known;
    const asked = holders.all().map(async (holder) => {
      const answer = await this.#hold(holder, { wants: "fence" }, FENCE_TIMEOUT_MS, signal);
      if (answer === undefined) throw this.failure!;
      return answer.kind === "taken" ? [comparedLife(holder, answer, known, signal)] : [];
    });
    const answers = (await Promise.all(asked)).flat();
    const { list, listRevision } = await lists.read(journal, createRevision, signal);
    if (list !== undefined) await refuseDiffering(journal, laterOf(list, answers));
    const next = list && relistedLater(list, this.#state.attempt.epoch, answers);
    if (next === undefined) return;
    const { kind: outcome } = await lists.write(known, next, listRevision, signal);
    logger.warn("journal-list-reset", { journal, members: newestSegment(next)!.members.join(", "), outcome });
  }

  /** R7 */
  async touch(signal: AbortSignal): Promise<void> {
    const { lists, holders, logger } = this.#ports;
    const { assignments, header } = this.#resolution;
    const { zone, suffix } = header.route.members[header.route.primary]!;
    const own = assignments.find(({ member }) => member.zone === zone && member.suffix === suffix);
    if (own === undefined) return;
    const { kind } = await lists.touch(this.journal, own, signal);
    logger.warn("journal-stream-outrun", { journal: this.journal, holder: holders.self, outcome: kind });
  }

  #known(): KnownJournal {
    const { item, assignments } = this.#resolution;
    return { journal: this.journal, createRevision: item!.createRevision, itemKey: item!.key, assignments };
  }

  #member(id: HolderId): Holder | undefined {
    return this.#members.find((member) => member.id === id);
  }

  /** @returns undefined when it cannot be reached, or does not answer in time (R3) */
  async #hold(
    holder: Holder | undefined,
    wants: Wanted,
    timeoutMs: number,
    signal: AbortSignal = this.#scope.signal,
  ): Promise<HoldAnswer | undefined> {
    if (holder === undefined) return undefined;
    const { item, header } = this.#resolution;
    const { epoch, stream } = this.#state.attempt;
    const { createRevision } = item!;
    const on = { journal: this.journal, createRevision, epoch, stream };
    const request: HoldRequest = { ...on, header: { ...header, processId: holder.peer.id }, ...wants };
    const scope = abortScope(signal);
    const cancel = this.#ports.clock.after(timeoutMs, () =>
      scope.abort(new WireError("UNAVAILABLE", `no answer in ${timeoutMs} ms`)),
    );
    try {
      return await holder.calls.hold(request, scope.signal);
    } catch (error) {
      signal.throwIfAborted();
      const { message } = WireError.from(error);
      const text = `${wants.wants} ${brokerName(holder.peer.id)}: ${message}`;
      this.failure = new WireError("UNAVAILABLE", `journal ${this.journal}: ${text}`, { cause: error });
      return undefined;
    } finally {
      cancel();
      scope.dispose();
    }
  }

  #refused(member: HolderId, { why, header }: Extract<HoldAnswer, { kind: "refused" }>): ActivationInput {
    const text = `holder ${member} of journal ${this.journal} refuses: ${why}`;
    this.failure = new WireError("UNAVAILABLE", text, { facts: { journal: this.journal, holder: member } });
    if (why === "not-held") return { kind: "unreachable", member, isGone: true };
    if (why === "different") return { kind: "unreachable", member };
    if (why === "WRONG_STREAM") this.isOutrun = true;
    if (why === "WRONG_ROUTE") this.newestRevision = Math.max(this.newestRevision, header.etcd.revision);
    return { kind: "refused", member };
  }
}

type Wanted =
  | { readonly wants: "fence" | "ask" }
  | {
      readonly wants: "bring" | "level";
      readonly begin: number;
      readonly end: number;
      readonly source: Peer | undefined;
      readonly registers: LabelSet;
    };
