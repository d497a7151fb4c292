import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { never, silentLogger, utf8, WireError } from "@millrace/base";
import type { MemberEntry, Snapshot } from "@millrace/allocator";
import { applySpec, journalSpec, preamble } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { drainWhile } from "./drain.ts";
import { roomFor } from "./drain-room.ts";

const WIDE = "orders/events";
const STORED = ["s3://bucket/"];

async function put(cluster: TestCluster, journal: string): Promise<string> {
  const content = { kind: "bytes", bytes: [utf8("hello")] } as const;
  const { transport } = cluster.members.at(-1)!;
  const appended = transport.append(preamble(journal), content, never).then(
    ({ status }) => status,
    (error: unknown) => WireError.from(error).message,
  );
  return cluster.within(appended);
}

async function apply(
  cluster: TestCluster,
  name: string,
  replication: number,
  stores: readonly string[] = [],
) {
  const { fragment } = journalSpec(name);
  const spec = journalSpec(name, { replication, fragment: { ...fragment, stores } });
  await cluster.within(applySpec(cluster.members[0]!.transport, spec));
  await cluster.agenda.advance(1000);
}

async function primaryOf(cluster: TestCluster, journal: string): Promise<ClusterMember> {
  const { transport } = cluster.members[0]!;
  const read = transport.list(
    { selector: { include: { labels: [] }, exclude: { labels: [] } }, watch: false },
    never,
  );
  const found = (await cluster.within(read)).journals.find(({ spec }) => spec.name === journal)!;
  const { members, primary } = found.route;
  return cluster.members.find(({ id }) => id.suffix === members[primary]!.suffix)!;
}

async function withCluster(
  zones: readonly string[],
  run: (cluster: TestCluster) => Promise<void>,
): Promise<void> {
  const cluster = await openTestCluster({ zones });
  try {
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

describe("drain: where not all can be handed over", () => {
  test("one journal needs three brokers -> the others have everything else before it ends, with their bytes", () =>
    withCluster(["a", "b", "c"], async (cluster) => {
      await apply(cluster, WIDE, 3);
      for (const [name, replication] of [
        ["solo/nostore", 1],
        ["duo/nostore", 2],
      ] as const)
        await apply(cluster, name, replication);
      for (const name of [WIDE, "solo/nostore", "duo/nostore"]) assert.equal(await put(cluster, name), "OK");
      const leaving = await primaryOf(cluster, "solo/nostore");
      assert.equal(await cluster.within(drainWhile(leaving.broker.drain, never)), "no-room");
      const { assigned, needs, onlyHere, waitsFor } = leaving.broker.drain.progress;
      assert.deepEqual([assigned, needs, onlyHere], [1, [{ journal: WIDE, brokers: 3 }], 0]);
      assert.deepEqual(waitsFor, ["1 journal assigned here", `${WIDE} needs 3 brokers`]);
      leaving.kill();
      await cluster.agenda.advance(90_000);
      for (const name of ["solo/nostore", "duo/nostore"]) assert.equal(await put(cluster, name), "OK", name);
    }));

  test("the others are full, and it alone has bytes -> waits, names them, until it is forced", async () => {
    const cluster = await openTestCluster({ zones: ["a"] });
    try {
      await apply(cluster, "solo/nostore", 1);
      await apply(cluster, "solo/stored", 1, STORED);
      await cluster.open({ zone: "b", journalLimit: 0 });
      for (const name of ["solo/nostore", "solo/stored"]) assert.equal(await put(cluster, name), "OK");
      const { drain } = cluster.members[0]!.broker;
      let outcome = "none";
      const over = drainWhile(drain, never).then((found) => (outcome = found));
      await cluster.agenda.advance(60_000);
      assert.equal(outcome, "none");
      assert.deepEqual(drain.progress.waitsFor, [
        "2 journals assigned here",
        "the other brokers have no room for 2 journals",
        "2 journals with bytes that no other broker has: solo/nostore, solo/stored",
      ]);
      drain.force();
      await cluster.within(over);
      assert.equal(outcome, "forced");
    } finally {
      await cluster.close();
    }
  });

  test("the last of all -> ends; what has a store is there, the rest is named", async () => {
    const cluster = await openTestCluster({ zones: [] });
    const told: unknown[] = [];
    const warn = (event: string, facts?: object): void => {
      if (event === "bytes-stay-behind") told.push(facts);
    };
    try {
      const last = await cluster.open({ logger: { ...silentLogger, warn } });
      for (const [name, stores] of [
        ["solo/nostore", []],
        ["solo/stored", STORED],
        ["solo/empty", []],
      ] as const)
        await apply(cluster, name, 1, stores);
      for (const name of ["solo/nostore", "solo/stored"]) assert.equal(await put(cluster, name), "OK");
      assert.equal(await cluster.within(drainWhile(last.broker.drain, never)), "no-room");
      assert.deepEqual(last.broker.drain.progress.onlyHereJournals, ["solo/nostore", "solo/stored"]);
      await last.close();
      assert.deepEqual(told, [{ count: 1, journals: ["solo/nostore"] }]);
    } finally {
      await cluster.close();
    }
  });

  test("a broker of Gazette's leads -> hands over nothing while one journal wants as many brokers as there are", () => {
    const member = (name: string, at: number): MemberEntry => {
      const common = { key: name, name, zone: "z", limit: 9, createRevision: at, modRevision: at, lease: 1n };
      return { ...common, exiting: name === "z#ours", isOut: false };
    };
    const item = (id: string, replication: number) => ({ key: id, id, replication, modRevision: 1 });
    const assigned = (id: string, name: string, slot: number) => ({
      ...{ key: `${id}#${name}#${slot}`, item: id, member: name, slot },
      ...{ value: new Uint8Array(), modRevision: 1, lease: 1n },
    });
    const snapshot: Snapshot = {
      revision: 1,
      members: ["z#first", "z#ours"].map(member),
      items: [item("one", 1), item("two", 2)],
      assignments: [
        assigned("one", "z#ours", 0),
        assigned("two", "z#first", 1),
        assigned("two", "z#ours", 0),
      ],
    };
    const needs = [{ journal: "two", brokers: 2 }];
    const room = (isOurs: boolean): unknown =>
      roomFor(snapshot, "z#ours", (name) => isOurs || name === "z#ours");
    assert.deepEqual(room(true), { withoutRoom: 1, needs, isGazettes: false });
    assert.deepEqual(room(false), { withoutRoom: 2, needs, isGazettes: true });
  });
});
