// A store on a simulated disk, with clients, watchers and a ledger: whatever was acknowledged or seen once must stand
// there for ever. For the simulation tests of this package.
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  abortScope,
  MetricsRegistry,
  never,
  silentLogger,
  text,
  utf8,
  WireError,
  type AbortScope,
  type Clock,
  type Random,
} from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { SimulatedDisk } from "@millrace/wal/testkit";
import type { StoreEvent, StoreHeader, StoreOp } from "./coordination.ts";
import { openDurableStore } from "./durable-store.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { EVERYTHING } from "./key.ts";

const ALL = { key: EVERYTHING, end: EVERYTHING };
const KEYS = ["a", "a/1", "a/2", "b", "b/1", "c"] as const;
const WAIT_MS = 60_000;

export interface Life {
  readonly store: EmbeddedStore;
  readonly scope: AbortScope;
  /** Set when the log has failed: the process is to end (D5). */
  fatal: WireError | undefined;
}

export class StoreWorld {
  readonly agenda = new Agenda();
  readonly disk: SimulatedDisk;
  readonly random: Random;
  readonly #tuning: { historyRevisionsMax: number; checkpointLogBytes: number; segmentBytes: number };
  /** What each revision changed, as somebody saw it: `key=value` and `key-`, sorted. */
  readonly #history = new Map<number, string>();
  /** Everything up to here is in #history. */
  #known = 1;
  #identity: Pick<StoreHeader, "clusterId" | "memberId"> | undefined;
  #raftTerm = 0n;
  #lives = 0;
  #values = 0;
  readonly #remoteLeases = new Set<bigint>();
  /** Outcomes of transactions, to see that a scenario tests what it means to. */
  readonly outcomes = new Map<string, number>();

  constructor(seed: string, disk: { readonly withoutSync?: boolean } = {}) {
    this.random = seededRandom(seed);
    this.#tuning = {
      historyRevisionsMax: 20 + this.random.below(200),
      checkpointLogBytes: 2000 + this.random.below(20_000),
      segmentBytes: 32_768 << this.random.below(3),
    };
    const schedule = (delayMs: number, run: () => void): void => void this.agenda.schedule(delayMs, run);
    this.disk = new SimulatedDisk({ ...disk, schedule, random: this.random.fork("disk") });
  }

  /** Starts a process; undefined when `during` (a power cut, say) came first. @throws what opening throws */
  async begin(during?: () => void): Promise<Life | undefined> {
    this.disk.kill();
    const scope = abortScope(never);
    const life: { store?: EmbeddedStore; scope: AbortScope; fatal: WireError | undefined } = {
      scope,
      fatal: undefined,
    };
    let failure: unknown;
    openDurableStore({
      disk: this.disk.open(),
      dir: "coordination",
      clock: mortalClock(this.agenda, scope.signal),
      random: seededRandom(`${this.random.u32()} life ${this.#lives++}`),
      logger: silentLogger,
      metrics: new MetricsRegistry(),
      onFatal: (error) => {
        life.fatal = error;
      },
      log: {
        segmentBytes: this.#tuning.segmentBytes,
        firstSegmentBytes: 16_384,
        groupBytesMax: 12_000,
      },
      historyRevisionsMax: this.#tuning.historyRevisionsMax,
      checkpointLogBytes: this.#tuning.checkpointLogBytes,
    }).then(
      (store) => (life.store = store),
      (error: unknown) => (failure = error),
    );
    const isDone = (): boolean => life.store !== undefined || failure !== undefined;
    if (during !== undefined) {
      for (let steps = this.random.below(60); steps > 0 && !isDone(); steps--) {
        await this.agenda.step(this.agenda.nowMs + WAIT_MS);
      }
      scope.abort(new Error("killed"));
      during();
      return undefined;
    }
    ok(await this.agenda.runUntil(isDone, this.agenda.nowMs + WAIT_MS), "opening ends");
    if (failure !== undefined) throw failure as Error;
    return life as Life;
  }

  /** Ends a life at this very moment. */
  end(life: Life, how: () => void): void {
    life.scope.abort(new Error("killed"));
    how();
  }

  /** Looks at a store that has just been opened: it must continue what was seen before. */
  async examine(life: Life): Promise<void> {
    const { store } = life;
    const { clusterId, memberId, revision, raftTerm } = store.header;
    this.#identity ??= { clusterId, memberId };
    deepEqual({ clusterId, memberId }, this.#identity);
    ok(raftTerm > this.#raftTerm, "the term rises");
    this.#raftTerm = raftTerm;
    ok(revision >= this.#known, `revision ${revision} >= ${this.#known}, which was seen`);
    for (const lease of store.leases())
      ok(this.#remoteLeases.has(lease), "only others' leases live on (D16)");
    await this.#see(store, this.#known + 1);
    // What was seen earlier, as far as it is kept, has not become something else.
    await this.#see(store, Math.max(2, this.#known - 40)).catch((error: unknown) => {
      equal(WireError.from(error).code, "COMPACTED");
    });
    equal(await this.#state(store), this.#expectedState());
  }

  /** Starts a watcher that notes all it sees, and `clients` that write until the life ends. */
  work(life: Life, clients: number): void {
    const { store, scope } = life;
    void this.#follow(store, scope.signal);
    for (let i = 0; i < clients; i++) void this.#client(store, scope.signal);
  }

  /** What the ledger holds must be what the store shows, once it is at rest. */
  async checkState(store: EmbeddedStore): Promise<void> {
    equal(await this.#state(store), this.#expectedState());
  }

  get known(): number {
    return this.#known;
  }

  async #client(store: EmbeddedStore, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#request(store, signal);
        this.#count("ok");
      } catch (thrown) {
        if (signal.aborted) return;
        const { code } = WireError.from(thrown);
        this.#count(code);
        if (code === "UNAVAILABLE") return;
        if (code === "DISK_FULL" || code === "OUTCOME_UNKNOWN") await this.#pause(20);
      }
      if (this.random.below(4) === 0) await this.#pause(this.random.below(10));
    }
  }

  async #request(store: EmbeddedStore, signal: AbortSignal): Promise<void> {
    const draw = this.random.below(40);
    if (draw === 0) return store.checkpoint();
    if (draw === 1)
      return store.compact(store.header.revision - this.random.below(10), signal).catch(ignoreCompacted);
    if (draw === 2) {
      const lease = BigInt(1 + this.#remoteLeases.size);
      this.#remoteLeases.add(lease);
      return void (await store.grantRemoteLease(lease, 1000, signal));
    }
    if (draw === 3) return void (await store.grantLease(1000, signal));
    if (draw === 4) {
      const leases = store.leases();
      if (leases.length === 0) return;
      return store.revokeLease(leases[this.random.below(leases.length)]!, signal).catch(ignoreMissing);
    }
    await this.#txn(store, signal);
  }

  async #txn(store: EmbeddedStore, signal: AbortSignal): Promise<void> {
    const ops: StoreOp[] = [];
    const leases = store.leases();
    const used = new Set<string>();
    for (let i = this.random.below(3); i >= 0; i--) {
      const key = KEYS[this.random.below(KEYS.length)]!;
      if (used.has(key)) continue;
      used.add(key);
      if (this.random.below(5) === 0) ops.push({ kind: "delete", key });
      else {
        const filler = "x".repeat(this.random.below(400));
        const lease = this.random.below(4) === 0 ? leases[this.random.below(leases.length + 1)] : undefined;
        ops.push({ kind: "put", key, value: utf8(`${++this.#values}${filler}`), lease: lease ?? 0n });
      }
    }
    const before = store.header.revision;
    const { header, results } = await store
      .txn({ compare: [], success: ops }, signal)
      .catch(ignoreMissingLease);
    if (header === undefined) return;
    const effects = ops.flatMap((op, i) => {
      if (op.kind === "put") return [`${op.key}=${text(op.value)}`];
      const result = results[i]!;
      return result.kind === "delete" && result.deleted > 0 ? [`${op.key}-`] : [];
    });
    if (effects.length > 0)
      this.#note(header.revision, effects); // acknowledged
    else ok(header.revision >= before);
  }

  async #follow(store: EmbeddedStore, signal: AbortSignal): Promise<void> {
    const request = { ...ALL, fromRevision: this.#known + 1 };
    try {
      for await (const { events } of store.watch(request, signal)) this.#noteAll(events);
    } catch (error) {
      equal(WireError.from(error).code, "UNAVAILABLE"); // the store was closed
    }
  }

  /** Reads what the store's history has from `from` to its newest revision. */
  async #see(store: EmbeddedStore, from: number): Promise<void> {
    const last = store.header.revision;
    if (from > last) return;
    const stop = new AbortController();
    const request = { ...ALL, fromRevision: from, progress: true };
    for await (const { header, events } of store.watch(request, stop.signal)) {
      this.#noteAll(events);
      if (header.revision >= last) stop.abort();
    }
  }

  #noteAll(events: readonly StoreEvent[]): void {
    const revisions = new Map<number, string[]>();
    for (const { kind, kv } of events) {
      const effect = kind === "put" ? `${kv.key}=${text(kv.value)}` : `${kv.key}-`;
      revisions.set(kv.modRevision, [...(revisions.get(kv.modRevision) ?? []), effect]);
    }
    for (const [revision, effects] of revisions) this.#note(revision, effects);
  }

  #note(revision: number, effects: readonly string[]): void {
    const content = effects.toSorted().join(" ");
    equal(content, this.#history.get(revision) ?? content, `revision ${revision} has one content`);
    this.#history.set(revision, content);
    while (this.#history.has(this.#known + 1)) this.#known++;
  }

  async #state(store: EmbeddedStore): Promise<string> {
    const { kvs } = await store.range(ALL, never);
    return kvs.map(({ key, value }) => `${key}=${text(value)}`).join(" ");
  }

  #expectedState(): string {
    equal(this.#known, this.#history.size + 1, "every revision was seen");
    const state = new Map<string, string>();
    for (let revision = 2; revision <= this.#known; revision++) {
      for (const effect of this.#history.get(revision)!.split(" ")) {
        const [key] = effect.split(/[=-]/) as [string];
        if (effect === `${key}-`) state.delete(key);
        else state.set(key, effect);
      }
    }
    return [...state.keys()]
      .toSorted()
      .map((key) => state.get(key))
      .join(" ");
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.agenda.schedule(ms, resolve));
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}

/** A clock whose timers die with their process. */
function mortalClock(agenda: Agenda, life: AbortSignal): Clock {
  const clock = new SimulatedClock(agenda);
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    after: (ms, run) =>
      clock.after(ms, () => {
        if (!life.aborted) run();
      }),
  };
}

function ignoreCompacted(error: unknown): void {
  if (WireError.from(error).code !== "COMPACTED") throw error;
}

function ignoreMissing(error: unknown): void {
  if (WireError.from(error).code !== "NOT_FOUND") throw error;
}

/** A lease may end between the look at it and its use. */
function ignoreMissingLease(error: unknown): { header: undefined; results: [] } {
  ignoreMissing(error);
  return { header: undefined, results: [] };
}
