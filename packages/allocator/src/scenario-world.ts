// A coordination store in memory, its mirror, and allocators over them, in simulated time. For tests.
import { MetricsRegistry, never, silentLogger, utf8, type Logger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore, StoreOp, TxnRequest } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { allocate, type AllocatorMirror } from "./allocate.ts";
import { allocatorMetrics } from "./allocator-metrics.ts";
import { saysConsistent, ScenarioMirror, scenarioKeys } from "./scenario-keyspace.ts";
import { leaderOf } from "./state.ts";

type Store = Awaited<ReturnType<typeof openMemoryStore>>;

/** Virtual time in which every scenario must settle. */
const SETTLE_MS = 60_000;

export class ScenarioWorld {
  readonly agenda: Agenda;
  readonly clock: SimulatedClock;
  readonly store: Store;
  readonly mirror: ScenarioMirror;
  readonly #stop = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  private constructor(agenda: Agenda, clock: SimulatedClock, store: Store) {
    this.agenda = agenda;
    this.clock = clock;
    this.store = store;
    this.mirror = new ScenarioMirror(store, clock, silentLogger);
  }

  /** @param values keys below /root/ and their values */
  static async open(values: Readonly<Record<string, string>>): Promise<ScenarioWorld> {
    const agenda = new Agenda();
    const clock = new SimulatedClock(agenda);
    const world = new ScenarioWorld(agenda, clock, await openMemoryStore(clock, seededRandom("scenario")));
    await world.mirror.keyspace.load(0, never);
    world.#watching = world.mirror.keyspace.run(world.#stop.signal);
    await world.put(values);
    return world;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.store.close();
  }

  /** One after the other, so that each has a revision of its own. */
  async put(values: Readonly<Record<string, string>>, lease = 0n): Promise<void> {
    for (const [key, value] of Object.entries(values)) {
      const put: StoreOp = { kind: "put", key: `/root/${key}`, value: utf8(value) };
      await this.#write([lease === 0n ? put : { ...put, lease }]);
    }
  }

  async delete(...keys: readonly string[]): Promise<void> {
    await this.#write(keys.map((key) => ({ kind: "delete", key: `/root/${key}` })));
  }

  /**
   * Lets the leader run until it has nothing to do. When assignments of the value `markWhen` are left then, they are
   * made consistent, and it goes on.
   */
  async serve(markWhen: "" | "no match" = ""): Promise<void> {
    const members = this.mirror.members();
    const member = members[leaderOf(members)]!.name;
    const stop = new AbortController();
    let idleAt = -1;
    const onIdle = (): void => {
      idleAt = this.mirror.keyspace.seenRevision;
    };
    const running = this.start(member, stop.signal, { onIdle });
    for (let marked = -1; marked !== 0;) {
      const revision = (await this.store.range({ key: "/" }, never)).header.revision;
      const isIdle = await this.agenda.runUntil(() => idleAt >= revision, this.agenda.nowMs + SETTLE_MS);
      if (!isIdle) throw new Error(`not idle at revision ${revision}`);
      marked = await this.markConsistent(markWhen);
    }
    stop.abort(new Error("idle"));
    await running.catch((error: unknown) => {
      if (error !== stop.signal.reason) throw error;
    });
  }

  /** An allocator of `member`. */
  start(
    member: string,
    signal: AbortSignal,
    options: {
      readonly onIdle?: () => void;
      readonly store?: CoordinationStore;
      readonly mirror?: AllocatorMirror;
      readonly logger?: Logger;
    } = {},
  ): Promise<void> {
    const { onIdle, store = this.store, mirror = this.mirror, logger = silentLogger } = options;
    const { clock } = this;
    const metrics = allocatorMetrics(new MetricsRegistry());
    const ports = { store, mirror, keys: scenarioKeys, clock, logger, metrics };
    const isConsistent = saysConsistent;
    return allocate(
      ports,
      onIdle === undefined ? { member, isConsistent } : { member, isConsistent, onIdle },
      signal,
    );
  }

  /** Gives assignments of the value `when` the value `consistent`. @returns how many there were */
  async markConsistent(when: "" | "no match" = ""): Promise<number> {
    if (when === "no match") return 0;
    const fresh = this.mirror.snapshot().assignments.filter(({ value }) => value.length === 0);
    const value = utf8("consistent");
    await this.#write(fresh.map(({ key }) => ({ kind: "put", key, value, ignoreLease: true })));
    return fresh.length;
  }

  /** Keys of all assignments, without what they have in common. */
  assigned(): string[] {
    return this.mirror.snapshot().assignments.map(({ key }) => key.slice("/root/assign/".length));
  }

  /** Members of an item, in order. */
  membersOf(item: string): string[] {
    const { assignments } = this.mirror.snapshot();
    return assignments.filter((one) => one.item === item).map(({ member }) => member);
  }

  async #write(ops: readonly StoreOp[]): Promise<void> {
    for (let at = 0; at < ops.length; at += 100) {
      const request: TxnRequest = { compare: [], success: ops.slice(at, at + 100) };
      const { header } = await this.store.txn(request, never);
      await this.mirror.waitForRevision(header.revision, never);
    }
  }
}
