// Whole clusters of allocators over one store, each with a mirror of its own that lags: members join, leave, drain,
// crash and restart, items come, change and go, transactions fail, are delayed, and lose their answers. What a primary
// does is played: it writes the route to all assignments of its item once all its members are there.
//
// After each transaction of an allocator:
//  I1  an item has as many assignments that hold its content (whose value is not empty) as before, or as many as it
//      wants: nobody removes the last one, and hand-offs never go below the replication;
//  I2  an item has one primary at most;
//  I3  no member that was within its limit is above it;
//  I4  the transaction is within the store's bounds.
// When the faults end, everything converges: every item on as many members as it wants, consistent, packed, and the
// solver has nothing to move. Members that drain have ended.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger, text, utf8, WireError, type Random } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore, KeyspaceEntry, TxnRequest, TxnResponse } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { allocate } from "./allocate.ts";
import { allocatorMetrics } from "./allocator-metrics.ts";
import type { AssignmentEntry, ConsistencyRule, Snapshot } from "./entries.ts";
import { TXN_OPS_MAX } from "./limits.ts";
import { decodeScenario, ScenarioMirror, scenarioKeys, snapshotOf } from "./scenario-keyspace.ts";
import { solve } from "./solver.ts";
import { stateOf } from "./state.ts";

const LEASE_SECONDS = 5;
const SEEDS = 40;

/** What a primary writes: who serves the item. */
function routeOf(all: readonly AssignmentEntry[]): string {
  const primary = all.find(({ slot }) => slot === 0)?.member ?? "";
  return `${all.map(({ member }) => member).join(" ")} by ${primary}`;
}

const agreesOnRoute: ConsistencyRule = (_item, _assignment, all) => {
  const route = routeOf(all);
  return all.every(({ value }) => text(value) === route);
};

interface Process {
  readonly name: string;
  readonly stop: AbortController;
  readonly lease: bigint;
  readonly mirror: ScenarioMirror;
  hasEnded: boolean;
}

class Cluster {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly random: Random;
  readonly store: Awaited<ReturnType<typeof openMemoryStore>>;
  readonly processes = new Map<string, Process>();
  readonly tasks: Promise<void>[] = [];
  readonly failures: unknown[] = [];
  isFaulty = true;
  checked = 0;

  private constructor(random: Random, store: Cluster["store"], agenda: Agenda, clock: SimulatedClock) {
    this.random = random;
    this.store = store;
    this.agenda = agenda;
    this.clock = clock;
  }

  static async open(seed: string): Promise<Cluster> {
    const agenda = new Agenda();
    const clock = new SimulatedClock(agenda);
    const random = seededRandom(seed);
    return new Cluster(random, await openMemoryStore(clock, random.fork("store")), agenda, clock);
  }

  #spawn(task: Promise<void>, stop: AbortSignal): void {
    this.tasks.push(
      task.catch((error: unknown) => {
        if (!stop.aborted) this.failures.push(error);
      }),
    );
  }

  /** A process that announces itself and allocates until it is drained or stopped. */
  async join(name: string, limit: number): Promise<void> {
    const lease = await this.store.grantLease(LEASE_SECONDS, never);
    const stop = new AbortController();
    const key = `/root/members/${name}`;
    const value = utf8(JSON.stringify({ R: limit }));
    const free = { target: "version", key, op: "=", version: 0 } as const;
    const { succeeded } = await this.store.txn(
      { compare: [free], success: [{ kind: "put", key, value, lease }] },
      never,
    );
    if (!succeeded) return; // its predecessor's lease has not ended
    const mirror = new ScenarioMirror(this.store, this.clock, silentLogger, this.random.below(120));
    const process: Process = { name, stop, lease, mirror, hasEnded: false };
    this.processes.set(name, process);
    await mirror.keyspace.load(0, never);
    this.#spawn(mirror.keyspace.run(stop.signal), stop.signal);
    this.#spawn(this.#keepAlive(process), stop.signal);
    this.#spawn(this.#play(process), stop.signal);
    const metrics = allocatorMetrics(new MetricsRegistry());
    const store = this.#faulty();
    const ports = { store, mirror, keys: scenarioKeys, clock: this.clock, logger: silentLogger, metrics };
    const running = allocate(ports, { member: name, isConsistent: agreesOnRoute }, stop.signal);
    this.#spawn(
      running.then(() => this.#leave(process)),
      stop.signal,
    );
  }

  /** The lease runs out by itself. */
  crash({ name, stop }: Process): void {
    stop.abort(new Error("crashed"));
    this.processes.delete(name);
  }

  async #leave(process: Process): Promise<void> {
    process.hasEnded = true;
    process.stop.abort(new Error("drained"));
    this.processes.delete(process.name);
    await this.store.revokeLease(process.lease, never);
  }

  async #keepAlive({ lease, stop }: Process): Promise<void> {
    for (;;) {
      await this.clock.sleep((LEASE_SECONDS * 1000) / 3, stop.signal);
      await this.store.keepAlive(lease, never);
    }
  }

  /** Plays the primaries of this process: after a while they have synchronized their replicas, and say so. */
  async #play({ name, mirror, stop }: Process): Promise<void> {
    for (;;) {
      await this.clock.sleep(10 + this.random.below(200), stop.signal);
      const { assignments } = mirror.snapshot();
      for (const id of new Set(assignments.map(({ item }) => item))) {
        const all = assignments.filter(({ item }) => item === id);
        const route = routeOf(all);
        const isMine = all.some(({ member, slot }) => slot === 0 && member === name);
        if (!isMine || all.every(({ value }) => text(value) === route)) continue;
        if (!all.every(({ member }) => this.processes.has(member))) continue; // it cannot be reached
        await this.store.txn(
          {
            compare: all.map(({ key, modRevision }) => ({
              target: "mod",
              key,
              op: "=",
              revision: modRevision,
            })),
            success: all.map(({ key }) => ({ kind: "put", key, value: utf8(route), ignoreLease: true })),
          },
          never,
        );
      }
    }
  }

  /** What an allocator sees of the store. */
  #faulty(): CoordinationStore {
    const { store } = this;
    return {
      range: (request, signal) => store.range(request, signal),
      watch: (request, signal) => store.watch(request, signal),
      grantLease: (ttl, signal) => store.grantLease(ttl, signal),
      keepAlive: (lease, signal) => store.keepAlive(lease, signal),
      revokeLease: (lease, signal) => store.revokeLease(lease, signal),
      compact: (revision, signal) => store.compact(revision, signal),
      txn: async (request, signal) => {
        const fate = this.isFaulty ? this.random.below(10) : 9;
        if (this.isFaulty) await this.clock.sleep(this.random.below(60), signal);
        if (fate === 0) throw new WireError("UNAVAILABLE", "it never arrived");
        const response = await store.txn(request, signal);
        await this.#check(request, response).catch((error: unknown) => this.failures.push(error));
        if (this.isFaulty) await this.clock.sleep(this.random.below(60), signal);
        if (fate === 1) throw new WireError("OUTCOME_UNKNOWN", "its answer is lost");
        if (fate === 2 && !response.succeeded) throw new WireError("UNAVAILABLE", "its answer is lost");
        return response;
      },
    };
  }

  async #check({ compare, success }: TxnRequest, { succeeded, header }: TxnResponse): Promise<void> {
    ok(compare.length <= TXN_OPS_MAX && success.length <= TXN_OPS_MAX); // I4
    if (!succeeded) return;
    this.checked++;
    const before = await this.at(header.revision - 1);
    const after = await this.at(header.revision);
    for (const { id, replication } of before.items) {
      const held = holdersOf(before, id);
      const left = holdersOf(after, id);
      ok(left >= Math.min(held, replication), `${id}: ${held} -> ${left} of ${replication}`); // I1
      const primaries = after.assignments.filter(({ item, slot }) => item === id && slot === 0);
      ok(primaries.length <= 1, `${id}: primaries ${primaries.map(({ key }) => key).join(" ")}`); // I2
    }
    for (const { name, limit } of after.members) {
      const most = Math.max(limit, loadOf(before, name));
      ok(loadOf(after, name) <= most, `${name}: ${loadOf(after, name)} of ${limit}`); // I3
    }
  }

  async at(revision: number): Promise<Snapshot> {
    const { kvs } = await this.store.range({ key: "/root/", end: "/root0", revision }, never);
    const entries: KeyspaceEntry<Exclude<ReturnType<typeof decodeScenario>, Error>>[] = [];
    for (const kv of kvs) {
      const value = decodeScenario(kv.key, kv.value);
      if (!(value instanceof Error)) entries.push({ ...kv, value });
    }
    return snapshotOf(entries, revision);
  }

  async now(): Promise<Snapshot> {
    const { header } = await this.store.range({ key: "/" }, never);
    return this.at(header.revision);
  }

  async put(key: string, value: string | undefined): Promise<void> {
    const op = { key: `/root/${key}` };
    const success =
      value === undefined
        ? { kind: "delete" as const, ...op }
        : { kind: "put" as const, ...op, value: utf8(value) };
    await this.store.txn({ compare: [], success: [success] }, never);
  }

  async drain({ name }: Process): Promise<void> {
    const key = `/root/members/${name}`;
    const success = [{ kind: "put", key, value: utf8('{"R":20,"E":true}'), ignoreLease: true }] as const;
    await this.store.txn({ compare: [{ target: "version", key, op: ">", version: 0 }], success }, never);
  }

  async close(): Promise<void> {
    for (const process of this.processes.values()) process.stop.abort(new Error("over"));
    await this.agenda.advance(1000);
    await Promise.all(this.tasks);
    await this.store.close();
  }
}

const holdersOf = ({ assignments }: Snapshot, id: string): number =>
  assignments.filter(({ item, value }) => item === id && value.length > 0).length;

const loadOf = ({ items, assignments }: Snapshot, name: string): number => {
  const alive = new Set(items.map(({ id }) => id));
  return assignments.filter(({ item, member }) => member === name && alive.has(item)).length;
};

const isSettled = (snapshot: Snapshot): boolean => {
  const state = stateOf(snapshot);
  const { added, removed, placed } = solve(state);
  return (
    added + removed === 0 &&
    placed === state.itemSlots &&
    state.dead.length === 0 &&
    state.items.every((item, at) => {
      const all = state.assignments.slice(state.begin[at], state.begin[at + 1]);
      const slots = all.map(({ slot }) => slot).sort((a, b) => a - b);
      return slots.every((slot, i) => slot === i) && all.every((one) => agreesOnRoute(item, one, all));
    })
  );
};

async function disturb(cluster: Cluster): Promise<void> {
  const { random, processes } = cluster;
  const some = [...processes.values()][random.below(Math.max(1, processes.size))];
  const name = `z${random.below(3)}#m${random.below(4)}`;
  switch (random.below(9)) {
    case 0:
    case 1:
      return cluster.join(name, 5 + random.below(30));
    case 2:
      if (some !== undefined && processes.size > 1) cluster.crash(some);
      return;
    case 3:
      return some === undefined ? undefined : cluster.drain(some);
    case 4:
      return cluster.put(`items/i${random.below(25)}`, undefined);
    default:
      return cluster.put(`items/i${random.below(25)}`, `{"R":${random.below(4)}}`);
  }
}

async function simulate(seed: string): Promise<Cluster> {
  const cluster = await Cluster.open(seed);
  const { random, agenda } = cluster;
  for (let at = 0; at < 3; at++) await cluster.join(`z${at}#m0`, 20);
  for (let at = 0; at < 15; at++) await cluster.put(`items/i${at}`, `{"R":${random.below(4)}}`);
  for (let step = 0; step < 60; step++) {
    await disturb(cluster);
    await agenda.advance(random.below(2000));
  }
  cluster.isFaulty = false;
  for (let at = 0; at < 4; at++) await cluster.join(`z${at % 3}#last${at}`, 100);
  const limitMs = agenda.nowMs + 120_000;
  let snapshot = await cluster.now();
  while (!isSettled(snapshot) || snapshot.members.some(({ exiting }) => exiting)) {
    ok(agenda.nowMs < limitMs, `seed ${seed} does not settle`);
    await agenda.advance(500);
    deepEqual(cluster.failures, [], `seed ${seed}`);
    snapshot = await cluster.now();
  }
  await cluster.close();
  deepEqual(cluster.failures, [], `seed ${seed}`);
  return cluster;
}

test("a cluster under faults -> keeps what it has at every step, and settles when they end", async () => {
  let checked = 0;
  for (let seed = 0; seed < SEEDS; seed++) checked += (await simulate(`allocator ${seed}`)).checked;
  ok(checked > 50 * SEEDS, `${checked} transactions were checked`);
});

test("a rolling restart without pauses -> every member drains and comes back, nothing waits for a change", async () => {
  const cluster = await Cluster.open("rolling");
  const names = ["z0#a", "z1#b", "z2#c", "z0#d"];
  for (const name of names) await cluster.join(name, 100);
  for (let at = 0; at < 60; at++) await cluster.put(`items/i${at}`, '{"R":3}');
  const { agenda } = cluster;
  await agenda.advance(30_000);
  const beginMs = agenda.nowMs;
  for (const name of names) {
    const process = cluster.processes.get(name)!;
    await cluster.drain(process);
    ok(await agenda.runUntil(() => process.hasEnded, agenda.nowMs + 30_000), `${name} drains`);
    await agenda.advance(1);
    await cluster.join(name, 100);
    equal(cluster.processes.has(name), true);
  }
  ok(agenda.nowMs - beginMs < 60_000);
  await agenda.advance(30_000);
  ok(isSettled(await cluster.now()));
  await cluster.close();
  deepEqual(cluster.failures, []);
});
