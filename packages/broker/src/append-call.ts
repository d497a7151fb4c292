// The shell of one append: feeds the machine (append-fsm.ts) and performs its effects. Everything that can be done at
// once is done at once: an append of whole bytes to an idle journal goes from its call to the commit in one turn, and
// costs one promise.
//
//  C1  An effect that takes time is stale when the machine went on without it; its result is then dropped.
//  C2  While a write is in progress nothing else happens to the append: what comes is kept until the write has ended.
//      It ends at once when nobody wants the append, or it waits for what needs the pipeline (append-write.ts).
//  C3  An operator's reset of the head is an append of nothing that leaves suspension as it is: `journals reset-head`
//      sends that, of gazctl too, and no other client does. It waits for nobody, since it may mend what others wait
//      for, and says where it believes the journal to end; 0, which is no offset elsewhere, is the
//      head of a journal of which nothing is known.
import { WireError } from "@millrace/base";
import type { AppendContent } from "@millrace/client";
import type { SpoolAppend } from "@millrace/fragments";
import type { LabelSet, AppendPreamble, AppendResponse, Fragment, Header, Route } from "@millrace/protocol";
import { resumeOffset } from "@millrace/protocol";
import { forgetAbort, onAbort, type Abortable } from "./abort-listeners.ts";
import { AppendFeed } from "./append-feed.ts";
import { startAppend, stepAppend } from "./append-fsm.ts";
import { outcomeUnknown } from "./append-stream.ts";
import { writeChunk, type ChunkWrite } from "./append-write.ts";
import type { AppendCaller, AppendPorts, Lifetime, RunningAppend } from "./append-ports.ts";
import { AppendProxy } from "./append-proxy.ts";
import type {
  AppendEffect,
  AppendInput,
  AppendState,
  ContentStanding,
  FactsWanted,
} from "./append-states.ts";
import { countRollback } from "./broker-metrics.ts";
import { ContentSource } from "./content-source.ts";
import type { HeadReset } from "./holders-activation.ts";
import type { PipelineUser } from "./append-queue.ts";
import type { JournalReplica } from "./journal-replica.ts";
import { LOG_QUEUE_BYTES_MAX } from "./limits.ts";
import type { Resolution } from "./resolver.ts";

/** Each the same object every time: that is cheaper. */
const LEVEL_LABELS = { synced: { level: "synced" }, replicated: { level: "replicated" } } as const;
const APPEND_LABELS = { operation: "Append" } as const;

/** What performing gives: an input now, later, or nothing. */
type Performed = AppendInput | Promise<AppendInput | undefined> | "pending" | undefined;

export class AppendCall implements PipelineUser, Abortable {
  /** Of its content, when it began to wait. */
  waitingBytes = 0;
  readonly goesFirst: boolean;
  readonly #ports: AppendPorts;
  readonly #request: AppendPreamble;
  readonly #isSummed: boolean;
  readonly #content: ContentSource;
  readonly #lifetime: Lifetime;
  readonly #caller: AppendCaller;
  readonly #startedMs: number;
  readonly #first: readonly AppendEffect[];
  #state: AppendState;
  /** Rises when the machine goes on, so that late results are known (C1). */
  #generation = 0;
  #resolution: Resolution | undefined;
  #held: JournalReplica | undefined;
  #queuedAt: JournalReplica | undefined;
  #append: SpoolAppend | undefined;
  #proxy: AppendProxy | undefined;
  #outcome: AppendInput | undefined;
  #awaitsOutcome = false;
  /** Ends the write that is in progress (C2). */
  #writing: ChunkWrite | undefined;
  #kept: AppendInput[] = [];

  private constructor(
    ports: AppendPorts,
    request: AppendPreamble,
    content: AppendContent | AppendFeed,
    lifetime: Lifetime,
    caller: AppendCaller,
  ) {
    this.#ports = ports;
    this.#request = request;
    this.#content = new ContentSource(content, ports.clock);
    this.#isSummed = content instanceof AppendFeed || content.kind !== "bytes" || content.isUnsummed !== true;
    this.goesFirst = request.suspend === "SUSPEND_KEEP";
    this.#lifetime = lifetime;
    this.#caller = caller;
    this.#startedMs = ports.meter.start();
    [this.#state, this.#first] = startAppend(request);
  }

  /** @throws nothing: refusals and failures reject */
  static run(
    ports: AppendPorts,
    request: AppendPreamble,
    content: AppendContent,
    signal: AbortSignal,
  ): Promise<AppendResponse> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const caller: AppendCaller = {
        answered: (response) => {
          forgetAbort(signal, call);
          resolve(response);
        },
        failed: (error) => {
          forgetAbort(signal, call);
          reject(error);
        },
      };
      const call = new AppendCall(ports, request, content, { signal }, caller);
      onAbort(signal, call);
      call.#perform(call.#first, 0);
    });
  }

  /**
   * For doors, which have a callback for everything: neither a promise nor a signal for an append that needs no
   * waiting. `caller` may hear before this returns.
   * @param lifetime aborts with the caller's call, which besides tells {@link RunningAppend.aborted}
   */
  static start(
    ports: AppendPorts,
    request: AppendPreamble,
    feed: AppendFeed,
    lifetime: Lifetime,
    caller: AppendCaller,
  ): RunningAppend {
    const call = new AppendCall(ports, request, feed, lifetime, caller);
    call.#perform(call.#first, 0);
    return call;
  }

  get isUnfinished(): boolean {
    return this.#content.isUnfinished;
  }

  get needsPatience(): boolean {
    return this.#content.isUnfinished && this.#content.standing === "enough";
  }

  get awaitsClient(): boolean {
    return this.#state.kind === "gathering" || this.#content.isAwaited;
  }

  wanted(): void {
    if (this.#state.kind === "gathering") this.#input({ kind: "wanted" });
    else this.#content.wanted();
  }

  granted(route: Route | undefined): void {
    const replica = this.#queuedAt!;
    this.#queuedAt = undefined;
    this.#held = replica;
    this.#input({ kind: "pipeline-acquired", route });
  }

  invalidated(): void {
    this.#queuedAt = undefined;
    this.#input({ kind: "invalidated" });
  }

  aborted(error: Error): void {
    const isPassedOn = this.#state.kind === "proxying" && this.#content.isPassedOn;
    this.#input({ kind: "cancelled", error: isPassedOn ? outcomeUnknown(error) : error });
  }

  stalled(reason: Error): void {
    this.#writing?.stop(reason);
  }

  evicted(error: Error): void {
    this.#input({ kind: "evicted", error });
  }

  #input(first: AppendInput): void {
    if (this.#writing !== undefined) {
      this.#kept.push(first); // C2
      if (first.kind === "cancelled" || first.kind === "evicted") this.#writing.stop(first.error);
      return;
    }
    if (this.#state.kind === "finished" || this.#state.kind === "failed") return;
    const [state, effects] = stepAppend(this.#state, first);
    // What merely notes something goes on waiting for what it waits for.
    if (state.kind !== this.#state.kind || (state !== this.#state && effects.length > 0)) {
      this.#generation++;
      this.#leaveQueue();
    }
    this.#state = state;
    this.#perform(effects, 0);
  }

  /** Performs `effects` from `at` on, and goes on with what they give until something takes time or all is done. */
  #perform(effects: readonly AppendEffect[], at: number): void {
    for (;;) {
      let input: AppendInput | undefined;
      for (; at < effects.length && input === undefined; at++) {
        const done = this.#begin(effects[at]!);
        if (done === "pending") return;
        if (done instanceof Promise) {
          this.#await(done, effects, at + 1);
          return;
        }
        input = done;
      }
      if (input === undefined) break;
      const [state, next] = stepAppend(this.#state, input);
      if (state !== this.#state) this.#generation++;
      this.#state = state;
      effects = next;
      at = 0;
    }
    this.#finish();
  }

  #await(done: Promise<AppendInput | undefined>, effects: readonly AppendEffect[], at: number): void {
    const generation = this.#generation;
    done.then(
      (input) => {
        if (generation !== this.#generation) return; // C1
        if (input !== undefined) this.#input(input);
        else this.#perform(effects, at);
        this.#drainKept();
      },
      (error: unknown) => {
        if (generation !== this.#generation) return;
        this.#input({ kind: "effect-failed", error: errorOf(error) });
        this.#drainKept();
      },
    );
  }

  #drainKept(): void {
    while (this.#writing === undefined && this.#kept.length > 0) this.#input(this.#kept.shift()!);
  }

  /** An effect that throws has failed. */
  #begin(effect: AppendEffect): Performed {
    try {
      return this.#effect(effect);
    } catch (error) {
      return { kind: "effect-failed", error: errorOf(error) };
    }
  }

  #effect(effect: AppendEffect): Performed {
    switch (effect.kind) {
      case "resolve":
        return this.#resolve(effect.minRevision);
      case "resolve-changed":
        return this.#resolveChanged();
      case "acquire-pipeline":
        return this.#acquire();
      case "release-pipeline":
        return this.#release(effect.route);
      case "open-pipeline":
        return this.#openPipeline();
      case "sync":
        return this.#held!.sync(this.#resolution!, effect.rollTo, effect.registers, effect.first);
      case "update-assignments":
        return this.#transaction(this.#ports.updateAssignments(this.#resolution!, this.#lifetime.signal));
      case "update-suspend":
        return this.#transaction(
          this.#ports.updateSuspend(this.#resolution!, effect.suspend, this.#lifetime.signal),
        );
      case "gather-facts":
        return this.#gatherFacts(effect.wanted);
      case "gather-content":
        return this.#gatherContent(effect.least, effect.isTimed);
      case "open-append":
        return this.#openAppend(effect.rollTo);
      case "receive":
        return this.#content.next(this.#held!);
      case "write-chunk":
        return this.#write();
      case "commit":
        return this.#commitAppend(effect.registers);
      case "barrier":
        return this.#commitAppend(undefined);
      case "rollback":
        return this.#rollback();
      case "await-acknowledgement":
        return this.#awaitAcknowledgement();
      case "lift-rate-limit":
        this.#content.liftRateLimit();
        return undefined;
      case "proxy":
        return this.#pass(effect.header);
    }
  }

  #pass(header: Header): Performed {
    const { proxy } = this.#ports;
    if (proxy === undefined) {
      throw new WireError("NOT_PRIMARY", `journal ${this.#request.journal} is served by another broker`);
    }
    this.#ports.metrics.proxied.add(1, APPEND_LABELS);
    this.#proxy ??= new AppendProxy(proxy, this.#request, this.#content);
    return this.#proxy.pass(header, this.#lifetime.signal);
  }

  #resolve(minRevision: number): Performed {
    const found = this.#ports.resolve(this.#request, minRevision, this.#lifetime);
    if (!(found instanceof Promise)) return this.#resolved(found);
    return found.then((resolution) => this.#resolved(resolution));
  }

  #resolveChanged(): Performed {
    const { signal } = this.#lifetime;
    return this.#ports.changed(this.#resolution!, signal).then(async () => {
      const resolution = await this.#ports.resolve(this.#request, 0, this.#lifetime);
      return this.#resolved(resolution);
    });
  }

  #resolved(resolution: Resolution): AppendInput {
    this.#resolution = resolution;
    return { kind: "resolved", resolution };
  }

  #acquire(): Performed {
    const replica = this.#resolution!.localReplica!;
    this.waitingBytes = this.#content.waitingBytes;
    const got = replica.acquire(this);
    if (got === "gone") return { kind: "invalidated" };
    if (got === "queued") {
      this.#queuedAt = replica;
      return "pending";
    }
    this.#held = replica;
    return { kind: "pipeline-acquired", route: got.route };
  }

  #release(route: Route | undefined): undefined {
    const replica = this.#held!;
    this.#held = undefined;
    replica.release(this, route);
    return undefined;
  }

  #leaveQueue(): void {
    this.#queuedAt?.leave(this);
    this.#queuedAt = undefined;
  }

  #openPipeline(): Performed {
    const replica = this.#held!;
    const wish = async (signal: AbortSignal): Promise<HeadReset | undefined> => {
      if (!this.#content.isNothing) return undefined;
      const atLeast = resumeOffset(replica.spec) ?? 0;
      const knownEnd = Math.max(await replica.knownEnd(signal), atLeast);
      return { offset: this.#request.offset, knownEnd };
    };
    const isReset = this.#request.suspend === "SUSPEND_KEEP"; // C3
    const opening = replica.openPipeline(this.#resolution!, this.#lifetime, isReset ? wish : undefined);
    if (opening === undefined) return { kind: "pipeline-opened" };
    return opening.then((outcome): AppendInput =>
      outcome.kind === "opened" ? { kind: "pipeline-opened" } : outcome,
    );
  }

  #transaction(done: Promise<number>): Performed {
    return done.then((revision): AppendInput => ({ kind: "transaction-done", revision }));
  }

  #gatherFacts(wanted: FactsWanted): Performed {
    const replica = this.#held!;
    const facts = (): AppendInput => ({
      kind: "facts-gathered",
      facts: replica.facts(),
      content: this.#content.standing,
    });
    if (wanted === "now") return facts();
    if (wanted === "with-holders") {
      return replica
        .replication!.isHeldElsewhere(this.#lifetime.signal)
        .then((isHeldElsewhere): AppendInput => {
          const { standing } = this.#content;
          return {
            kind: "facts-gathered",
            facts: { ...replica.facts(), isHeldElsewhere },
            content: standing,
          };
        });
    }
    if (wanted === "after-store-check") return replica.nextStoreCheck(this.#lifetime.signal).then(facts);
    return replica.nextListing(this.#lifetime.signal).then(facts);
  }

  #gatherContent(least: ContentStanding, isTimed: boolean): Performed {
    if (!isTimed && this.#held!.hasWaiters) return { kind: "wanted" };
    const { minRate } = this.#resolution!.localReplica!;
    const gathered = this.#content.gathered(least, isTimed ? minRate : 0);
    if (gathered === undefined) return { kind: "content-gathered" };
    return gathered.then((): AppendInput => ({ kind: "content-gathered" }));
  }

  #openAppend(rollTo: number): Performed {
    const { spools } = this.#ports;
    if (spools.queuedBytes <= LOG_QUEUE_BYTES_MAX && spools.unhealthy() === undefined)
      return this.#open(rollTo);
    const generation = this.#generation;
    return spools
      .room(this.#lifetime.signal)
      .then(() => (generation === this.#generation ? this.#open(rollTo) : undefined));
  }

  #open(rollTo: number): AppendInput {
    const replica = this.#held!;
    replica.roll(rollTo);
    this.#append = replica.spool.openAppend(this.#isSummed);
    return { kind: "append-opened" };
  }

  #write(): Performed {
    const writing = writeChunk(this.#append!, this.#held!, this.#content.chunk);
    if (writing === undefined) return undefined;
    this.#writing = writing;
    return writing.ended.finally(() => (this.#writing = undefined)).then(() => undefined);
  }

  #commitAppend(registers: LabelSet | undefined): undefined {
    const append = this.#append!;
    const { bytes } = append;
    const commit = this.#commitOf(append);
    const { clock, metrics } = this.#ports;
    const wholeMs = clock.monotonicMs();
    const labels = LEVEL_LABELS[this.#resolution!.level];
    this.#held!.commit(append, registers, (outcome) => {
      if (outcome.kind === "acknowledged") {
        if (bytes > 0) {
          metrics.acknowledgementSeconds.observe((clock.monotonicMs() - wholeMs) / 1000, labels);
          metrics.commits.add();
          metrics.commitBytes.add(bytes);
        }
        this.#outcome = { kind: "acknowledged", commit };
      } else {
        this.#outcome = { kind: "effect-failed", error: outcome.error };
      }
      if (this.#awaitsOutcome) this.#input(this.#outcome);
    });
    return undefined;
  }

  /** The client's own span. Of no bytes the sum is that of nothing, not zero. */
  #commitOf(append: SpoolAppend): Fragment {
    const { journal, spec } = this.#held!;
    return {
      journal,
      begin: append.begin,
      end: append.begin + append.bytes,
      sum: this.#isSummed ? append.sum() : "",
      compressionCodec: spec.fragment.compressionCodec,
      backingStore: "",
      modTime: 0,
      pathPostfix: "",
    };
  }

  #rollback(): undefined {
    const append = this.#append!;
    countRollback(this.#ports.metrics, append.bytes);
    append.rollback();
    this.#held!.replication?.commits?.rollback();
    this.#content.abandon();
    return undefined;
  }

  #awaitAcknowledgement(): Performed {
    if (this.#outcome !== undefined) return this.#outcome;
    this.#awaitsOutcome = true;
    return "pending";
  }

  #finish(): void {
    const state = this.#state;
    if (state.kind !== "finished" && state.kind !== "failed") return;
    this.#proxy?.end();
    this.#content.abandon();
    const { clock, meter, metrics } = this.#ports;
    metrics.appendSeconds.observe((clock.monotonicMs() - this.#startedMs) / 1000);
    if (state.kind === "finished") {
      meter.end(state.response.status);
      this.#caller.answered(state.response);
    } else {
      meter.end(state.error instanceof WireError ? state.error : "cancelled");
      this.#caller.failed(state.error);
    }
  }
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : WireError.from(thrown);
}
