import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { StoreOp } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { assignmentKey } from "@millrace/protocol";
import { BrokerKeyspace } from "./broker-keyspace.ts";

const ROOT = "/gazette/cluster";
const J = "a/journal";
const SELF = { zone: "a", suffix: "self" };
const OTHER = { zone: "b", suffix: "other" };
const DELAY_MS = 30;

const keyOf = (slot: number, member = SELF): string => assignmentKey(ROOT, { item: J, member, slot });
const put = (slot: number, member = SELF): StoreOp => ({
  kind: "put",
  key: keyOf(slot, member),
  value: new Uint8Array(0),
});
const end = (slot: number): StoreOp => ({ kind: "delete", key: keyOf(slot) });

/** What becomes of an assignment to slot 1, each in a revision of its own. */
const CASES: readonly {
  readonly what: string;
  readonly revisions: readonly (readonly StoreOp[])[];
  readonly goesOn: boolean;
}[] = [
  { what: "its route is stored", revisions: [[put(1)]], goesOn: true },
  { what: "another slot in one revision", revisions: [[end(1), put(0)]], goesOn: true },
  { what: "another slot before the first one ends", revisions: [[put(0)], [end(1)]], goesOn: true },
  { what: "it ends, then another slot", revisions: [[end(1)], [put(0)]], goesOn: false },
  { what: "it ends, then the same slot", revisions: [[end(1)], [put(1)]], goesOn: false },
  { what: "another member's goes on", revisions: [[end(1), put(1, OTHER)], [put(0)]], goesOn: false },
];

for (const { what, revisions, goesOn } of CASES) {
  for (const delayMs of [0, DELAY_MS]) {
    const how = delayMs === 0 ? "updates of their own" : "one update";
    test(`assignment: ${what}, in ${how} -> ${goesOn ? "no break" : "a break"}`, async () => {
      const agenda = new Agenda();
      const clock = new SimulatedClock(agenda);
      const store = await openMemoryStore(clock, seededRandom("table"));
      const write = async (success: readonly StoreOp[]): Promise<number> =>
        (await store.txn({ compare: [], success }, never)).header.revision;
      const keyspace = new BrokerKeyspace(
        { coordination: store, clock, logger: silentLogger },
        ROOT,
        delayMs,
      );
      const since = (): readonly number[] =>
        keyspace.table
          .assignments(J)
          .filter(({ member }) => member.suffix === SELF.suffix)
          .map((own) => own.since);
      let revision = await write([put(1)]);
      await keyspace.load(0, never);
      const stop = new AbortController();
      const running = keyspace.run(stop.signal);
      assert.deepEqual(since(), [revision]);
      const first = revision;
      for (const ops of revisions) {
        await settle();
        revision = await write(ops);
      }
      await settle();
      await agenda.advance(delayMs);
      assert.ok(keyspace.holds(revision));
      assert.deepEqual(since(), [goesOn ? first : revision]);
      stop.abort(new Error("the test is over"));
      await running;
      await store.close();
    });
  }
}

test("assignment: another slot while the watch was away -> a break: nobody saw when one ended", async () => {
  const clock = new SimulatedClock(new Agenda());
  const store = await openMemoryStore(clock, seededRandom("table"));
  const keyspace = new BrokerKeyspace({ coordination: store, clock, logger: silentLogger }, ROOT, 0);
  await store.txn({ compare: [], success: [put(1)] }, never);
  await keyspace.load(0, never);
  const { header } = await store.txn({ compare: [], success: [end(1), put(0)] }, never);
  await keyspace.load(0, never);
  assert.deepEqual(
    keyspace.table.assignments(J).map(({ slot, since }) => [slot, since]),
    [[0, header.revision]],
  );
  await store.close();
});
