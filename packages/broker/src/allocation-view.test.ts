import assert from "node:assert/strict";
import { test } from "node:test";
import type { AssignmentEntry, ItemEntry } from "@millrace/allocator";
import { never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { StoreOp } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { assignmentKey, encodeJournalSpec, encodeRoute, itemKey, type Route } from "@millrace/protocol";
import { AllocationView } from "./allocation-view.ts";
import { storesRoute } from "./broker-allocation.ts";
import { BrokerKeyspace } from "./broker-keyspace.ts";
import { journalSpec } from "./broker-testkit.ts";

const ROOT = "/gazette/cluster";
const MEMBERS = ["broker-one", "broker-two", "broker-three"].map((suffix) => ({ zone: "a", suffix }));

for (const seed of ["one", "two", "three"]) {
  test(`allocation view: any changes, few or many at a time, seed ${seed} -> as a view made anew`, async () => {
    const clock = new SimulatedClock(new Agenda());
    const random = seededRandom(seed);
    const store = await openMemoryStore(clock, random.fork("store"));
    const keyspace = new BrokerKeyspace({ coordination: store, clock, logger: silentLogger }, ROOT, 0);
    await keyspace.load(0, never);
    const stop = new AbortController();
    const running = keyspace.run(stop.signal);
    const made = (): AllocationView =>
      new AllocationView(
        keyspace,
        ({ spec }) => spec.replication,
        () => false,
      );
    const view = made();
    const change = (): StoreOp => {
      const name = `a/journal-${random.below(150)}`;
      const replication = 1 + random.below(3);
      const item = itemKey(ROOT, name);
      const member = MEMBERS[random.below(3)]!;
      const key = assignmentKey(ROOT, { item: name, member, slot: random.below(2) });
      const ops: readonly StoreOp[] = [
        { kind: "put", key: item, value: encodeJournalSpec(journalSpec(name, { replication })) },
        { kind: "delete", key: item },
        { kind: "put", key, value: new Uint8Array(0) },
        { kind: "delete", key },
      ];
      return ops[random.below(4)]!;
    };
    for (let round = 0; round < 60; round++) {
      // One transaction may not touch a key twice.
      const count = round % 20 === 19 ? 400 : 1 + random.below(4);
      for (let at = 0; at < count; at++) await store.txn({ compare: [], success: [change()] }, never);
      await settle();
      const { items, assignments } = view.snapshot();
      const fresh = made().snapshot();
      assert.deepEqual(items, fresh.items);
      const inOrder = (all: readonly AssignmentEntry[]): readonly AssignmentEntry[] =>
        all.toSorted((a, b) => (a.key < b.key ? -1 : 1));
      assert.deepEqual(inOrder(assignments), inOrder(fresh.assignments));
      const names = items.map(({ id }) => id);
      assert.deepEqual(names, names.toSorted());
      assert.deepEqual(names, keyspace.table.names(""));
    }
    stop.abort(new Error("the test is over"));
    await running;
    await store.close();
  });
}

test("allocation view: a spec that cannot be decoded -> no item, and its assignments are not dead", async () => {
  const clock = new SimulatedClock(new Agenda());
  const store = await openMemoryStore(clock, seededRandom("undecodable"));
  const ports = { coordination: store, clock, logger: silentLogger };
  const write = (...success: readonly StoreOp[]): Promise<unknown> =>
    store.txn({ compare: [], success }, never);
  const key = itemKey(ROOT, "a/journal");
  const assignment = assignmentKey(ROOT, { item: "a/journal", member: MEMBERS[0]!, slot: 0 });
  await write(
    { kind: "put", key, value: new TextEncoder().encode("garbage") },
    { kind: "put", key: assignment, value: new Uint8Array(0) },
  );
  const keyspace = new BrokerKeyspace(ports, ROOT, 0);
  await keyspace.load(0, never);
  const stop = new AbortController();
  const running = keyspace.run(stop.signal);
  const view = new AllocationView(
    keyspace,
    ({ spec }) => spec.replication,
    () => false,
  );
  const seen = (): readonly number[] => {
    const { items, assignments } = view.snapshot();
    return [items.length, assignments.length, keyspace.undecodable];
  };
  assert.deepEqual(seen(), [0, 0, 1]);
  let wakes = 0;
  const wake = async (): Promise<void> => {
    const woken = keyspace.changed.next(never).then(() => void wakes++);
    await settle();
    return woken;
  };
  void wake();
  await write({ kind: "delete", key });
  await settle();
  assert.deepEqual(
    [...seen(), wakes],
    [0, 1, 0, 1],
    "gone: its assignments are dead, and whoever waits is told",
  );
  void wake();
  await write({ kind: "put", key, value: encodeJournalSpec(journalSpec("a/journal", { replication: 1 })) });
  await settle();
  assert.deepEqual([...seen(), wakes], [1, 1, 0, 2], "a sound one: its assignments are its own");
  stop.abort(new Error("the test is over"));
  await running;
  await store.close();
});

test("assignments: the stored route is the current one -> consistent; another one, or none -> not", () => {
  const [one, two] = [MEMBERS[0]!, MEMBERS[1]!];
  const item: ItemEntry = { key: "i", id: "i", replication: 2, modRevision: 1 };
  const entry = (at: 0 | 1, slot: number, route: Partial<Route> | undefined): AssignmentEntry => {
    const empty = { members: [], primary: -1, endpoints: [] };
    const value = route === undefined ? new Uint8Array(0) : encodeRoute({ ...empty, ...route });
    const member = `a#${MEMBERS[at]!.suffix}`;
    return { key: `i#${member}#${slot}`, item: "i", member, slot, value, modRevision: 1, lease: 0n };
  };
  const both = { members: [one, two], primary: 1 };
  const says = (first: AssignmentEntry, ...others: readonly AssignmentEntry[]): boolean =>
    storesRoute(item, first, [first, ...others]);
  assert.equal(says(entry(0, 1, both), entry(1, 0, undefined)), true);
  assert.equal(says(entry(0, 1, undefined), entry(1, 0, both)), false);
  assert.equal(says(entry(0, 0, both), entry(1, 1, both)), false, "another primary");
  assert.equal(says(entry(0, 0, { members: [one], primary: 0 }), entry(1, 1, undefined)), false, "one came");
  assert.equal(says(entry(0, 0, { members: [one], primary: 0 })), true);
});
