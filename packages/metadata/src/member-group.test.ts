// Groups and leased keys where the store or the process fails, on simulated time.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, utf8, WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore } from "./coordination.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { LeasedKeys } from "./leased-keys.ts";
import { MemberGroup, wholeShare } from "./member-group.ts";
import { openSession } from "./session.ts";
import { tryLock } from "./leased-lock.ts";
import { openMemoryStore } from "./testkit.ts";

interface Fault {
  /** Nothing is answered, as for a process that is cut off. */
  isAway: boolean;
  /** Transactions that are made, but whose answers are lost. */
  answersLost: number;
}

interface World {
  readonly agenda: Agenda;
  readonly clock: SimulatedClock;
  readonly store: EmbeddedStore;
  member(id: string): Promise<Member>;
}

interface Member {
  readonly group: MemberGroup;
  readonly leases: LeasedKeys;
  readonly fault: Fault;
  readonly changes: string[];
  stop(): Promise<void>;
}

async function world(): Promise<World> {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = await openMemoryStore(clock, seededRandom("group"));
  return {
    agenda,
    clock,
    store,
    member: async (id) => {
      const fault: Fault = { isAway: false, answersLost: 0 };
      const ports = { store: faulty(store, fault), clock, logger: silentLogger };
      const leases = new LeasedKeys({ ...ports, ttlSeconds: 5, setting: "distribution.ttl" });
      const group = new MemberGroup({ ...ports, prefix: "g/", id, value: utf8(id), leases });
      const changes: string[] = [];
      group.observe(
        () => void changes.push(`${group.members.join("+")} ${group.owns("work") ? "mine" : "-"}`),
      );
      await group.load(never);
      const stopping = new AbortController();
      const running = Promise.all([leases.run(stopping.signal), group.run(stopping.signal)]);
      return {
        group,
        leases,
        fault,
        changes,
        stop: async () => {
          stopping.abort(new Error("stopped"));
          for (let isDone = false; !isDone;) {
            void running.then(() => (isDone = true));
            await agenda.advance(100);
          }
        },
      };
    },
  };
}

function faulty(store: EmbeddedStore, fault: Fault): CoordinationStore {
  const reached = async <T>(call: () => Promise<T>): Promise<T> => {
    if (fault.isAway) throw new WireError("UNAVAILABLE", "cut off");
    return call();
  };
  return {
    range: (request, signal) => reached(() => store.range(request, signal)),
    txn: async (request, signal) => {
      const response = await reached(() => store.txn(request, signal));
      if (fault.answersLost === 0) return response;
      fault.answersLost--;
      throw new WireError("OUTCOME_UNKNOWN", "the answer was lost");
    },
    watch: (request, signal) => store.watch(request, signal),
    grantLease: (ttl, signal) => reached(() => store.grantLease(ttl, signal)),
    keepAlive: (lease, signal) => reached(() => store.keepAlive(lease, signal)),
    revokeLease: (lease, signal) => reached(() => store.revokeLease(lease, signal)),
    compact: (revision, signal) => store.compact(revision, signal),
  };
}

test("group: starts -> joins after its grouping time, told once; stops -> gone at once", async () => {
  const w = await world();
  const a = await w.member("a");
  await w.agenda.advance(199);
  deepEqual([a.changes, a.group.owns("work")], [[], false]);
  await w.agenda.advance(2);
  deepEqual([a.changes, a.group.owns("work")], [["a mine"], true]);
  await a.stop();
  deepEqual([a.group.owns("work"), w.store.header.revision > 0], [false, true]);
  equal((await w.store.range({ key: "g/a" }, never)).count, 0);
});

test("group: several come within the grouping time -> one change", async () => {
  const w = await world();
  const a = await w.member("a");
  await w.agenda.advance(1000);
  for (const id of ["b", "c", "d"]) {
    await w.member(id);
    await w.agenda.advance(50);
  }
  await w.agenda.advance(1000);
  deepEqual(
    a.changes.map((change) => change.split(" ")[0]),
    ["a", "a+b+c+d"],
  );
});

test("group: cut off past its lease -> owns nothing before another does; comes back when it is reached", async () => {
  const w = await world();
  const [a, b] = [await w.member("a"), await w.member("b")];
  await w.agenda.advance(1000);
  const mine = ["1", "2", "3", "4", "5", "6", "7", "8"].filter((key) => a.group.owns(key));
  ok(mine.length > 0);
  a.fault.isAway = true;
  for (let i = 0; i < 200; i++) {
    await w.agenda.advance(50);
    for (const key of mine) ok(!(a.group.owns(key) && b.group.owns(key)), `two owners after ${i * 50} ms`);
  }
  deepEqual(
    mine.map((key) => b.group.owns(key)),
    mine.map(() => true),
  );
  equal(a.leases.lease, undefined);
  a.fault.isAway = false;
  await w.agenda.advance(5000);
  deepEqual(
    mine.map((key) => [a.group.owns(key), b.group.owns(key)]),
    mine.map(() => [true, false]),
  );
});

test("group: paused past its lease -> owns nothing once it has asked, and joins again under a new lease", async () => {
  const w = await world();
  const a = await w.member("a");
  await w.agenda.advance(1000);
  const { lease } = a.leases;
  // Its process is stopped and the store's is not: what ends its lease meanwhile.
  await w.store.revokeLease(lease!, never);
  w.agenda.stall(20_000);
  await w.agenda.advance(300);
  deepEqual(a.changes.slice(0, 2), ["a mine", " -"]);
  await w.agenda.advance(10_000);
  equal(a.changes.at(-1), "a mine");
  ok(a.leases.lease !== lease);
});

test("leased keys: answers are lost -> put again, never twice beside each other", async () => {
  const w = await world();
  const a = await w.member("a");
  a.fault.answersLost = 3;
  const key = a.leases.hold("k", utf8("1"));
  await w.agenda.advance(10_000);
  const { kvs } = await w.store.range({ key: "k" }, never);
  deepEqual([kvs[0]!.lease, key.isTaken], [a.leases.lease, false]);
  equal(a.group.owns("work"), true);
});

test("leased keys: the store is away when the process stops -> it ends all the same", async () => {
  const w = await world();
  const a = await w.member("a");
  await w.agenda.advance(1000);
  a.fault.isAway = true;
  await a.stop();
  equal(a.group.owns("work"), false);
  await w.agenda.advance(6000);
  equal((await w.store.range({ key: "g/a" }, never)).count, 0);
});

test("lock: the answer of a try is lost -> it is this holder's all the same", async () => {
  const w = await world();
  const fault: Fault = { isAway: false, answersLost: 0 };
  const store = faulty(w.store, fault);
  const onLost = (): void => undefined;
  const session = await openSession(
    { store, clock: w.clock, logger: silentLogger, ttlSeconds: 5, onLost },
    never,
  );
  fault.answersLost = 1;
  const outcome = await tryLock(store, session, { key: "lock", value: utf8("try 1") }, never);
  ok(outcome.kind === "locked");
  const { succeeded } = await w.store.txn({ compare: [outcome.lock.guard], success: [] }, never);
  equal(succeeded, true);
  const closing = session.close(never);
  await settle();
  await closing;
});

test("group: a process that is alone -> owns everything without a lease", () => {
  const share = wholeShare("a");
  deepEqual([share.members, share.owns("anything")], [["a"], true]);
});
