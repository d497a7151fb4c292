// A broker whose data directory is new where another one was: its volume may not be mounted.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, text, utf8, type Logger } from "@millrace/base";
import { append } from "@millrace/client";
import { prefixRange } from "@millrace/metadata";
import { memberKey } from "@millrace/protocol";
import { applySpec, journalSpec, readAll, readRequest } from "./broker-testkit.ts";
import { DEFAULT_ROOT } from "./broker.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import type { HolderPlace } from "./directory-start.ts";
import type { FakeSpools } from "./fake-spools.ts";
import { refuseReplacement } from "./former-directories.ts";

const J = "a/journal";
const ID = { zone: "a", suffix: "node" };
const OTHER = { zone: "a", suffix: "other" };
const PLACE: HolderPlace = { host: "host", path: "/disk/data", mount: "/disk", mayReplace: false };
const REFUSED = new RegExp(
  String.raw`^data directory \S+ is new, on what is mounted at \S+; expected is first, which broker a#node had ` +
    String.raw`\(/disk/data of host, on what is mounted at /disk\): .* bytes of journals: a/journal\. ` +
    "Mount its volume, .*--new-data allow",
);
const PLACES = `!millrace/directory-places#${DEFAULT_ROOT}#`;

interface Lost {
  readonly cluster: TestCluster;
  readonly spools: FakeSpools;
  /** Brokers that have the journal, too. */
  readonly others: readonly ClusterMember[];
}

/** A broker that had a journal, and is gone. @param zones of others that have it, too */
async function withLost(zones: readonly string[], run: (lost: Lost) => Promise<void>): Promise<void> {
  const cluster = await openTestCluster({ zones: [] });
  try {
    const first = await cluster.open({ id: ID, holder: "first", holderPlace: PLACE });
    const others: ClusterMember[] = [];
    for (const zone of zones) others.push(await cluster.open({ zone, holder: `disk of ${zone}` }));
    const { fragment } = journalSpec(J);
    const replication = zones.length + 1;
    const spec = journalSpec(J, { replication, fragment: { ...fragment, stores: [] } });
    await cluster.within(applySpec(first.transport, spec));
    await cluster.agenda.advance(5000);
    const ports = { transport: first.transport, clock: cluster.clock, logger: silentLogger };
    await cluster.within(append(ports, J, [utf8("kept")], { patienceMs: 20_000 }, never));
    first.kill();
    await run({ cluster, spools: first.spools as FakeSpools, others });
  } finally {
    await cluster.close();
  }
}

interface Newcomer extends Partial<HolderPlace> {
  readonly id?: typeof ID;
  readonly holder?: string;
  readonly spools?: FakeSpools;
}

function newcomer(cluster: TestCluster, as: Newcomer = {}): Promise<ClusterMember> {
  const { id = ID, holder = "second", spools, ...place } = as;
  const holderPlace = { ...PLACE, ...place };
  return cluster.open({ id, holder, holderPlace, ...(spools && { spools }) });
}

for (const [what, as] of [
  ["of the same broker at the same place", {}],
  ["of the same broker elsewhere", { host: "elsewhere", path: "/data", mount: "/" }],
  ["of another broker at the same path, on another file system", { id: OTHER, mount: "/" }],
] as const) {
  test(`new data directory ${what}, another one alone has bytes -> refused, and nothing is announced`, async () => {
    await withLost([], async ({ cluster }) => {
      // Once more, since the first start has left its traces.
      for (let start = 0; start < 2; start++) {
        await assert.rejects(newcomer(cluster, as), { code: "CONFLICT", message: REFUSED });
        const { id = ID } = as as Newcomer;
        const { kvs } = await cluster.coordination.range({ key: memberKey(DEFAULT_ROOT, id) }, never);
        assert.deepEqual(kvs, []);
      }
    });
  });
}

for (const [what, as] of [
  ["of another broker on a new disk at the same path", { id: OTHER }],
  ["of another broker at another path", { id: OTHER, path: "/disk/other", mount: "/" }],
  ["of another broker on another host", { id: OTHER, host: "elsewhere", mount: "/" }],
  ["that somebody has said takes the other one's place", { mayReplace: true }],
] as const) {
  test(`new data directory ${what} -> taken`, async () => {
    await withLost([], async ({ cluster }) => {
      await newcomer(cluster, as);
      assert.equal(cluster.members.length, 1);
    });
  });
}

test("the data directory is there again -> its bytes are, too", async () => {
  await withLost([], async ({ cluster, spools }) => {
    await assert.rejects(newcomer(cluster), { code: "CONFLICT" });
    const back = await newcomer(cluster, { holder: "first", spools: spools.restarted() });
    await cluster.agenda.advance(5000);
    const content = cluster.within(readAll(back.transport, readRequest(J), never));
    assert.equal(text(await content), "kept");
  });
});

test("new data directory, another broker has all that the one before had -> taken", async () => {
  await withLost(["b"], async ({ cluster }) => {
    await newcomer(cluster);
    assert.equal(cluster.members.length, 2);
  });
});

test("new data directory, the other holder is away -> refused until it is back", async () => {
  await withLost(["b"], async ({ cluster, others }) => {
    const [other] = others as readonly [ClusterMember];
    const { id, spools } = other;
    other.kill();
    await cluster.agenda.advance(60_000);
    await assert.rejects(newcomer(cluster), { code: "CONFLICT", message: REFUSED });
    await cluster.open({ id, holder: "disk of b", spools: (spools as FakeSpools).restarted() });
    await newcomer(cluster);
    assert.equal(cluster.members.length, 2);
  });
});

test("the data directory has moved to another broker and place -> nobody misses it where it was", async () => {
  await withLost([], async ({ cluster, spools }) => {
    const moved = { id: OTHER, host: "elsewhere", holder: "first", spools: spools.restarted() };
    await newcomer(cluster, moved);
    await newcomer(cluster);
    assert.equal(cluster.members.length, 2);
  });
});

test("the data directory moves while a newcomer waits for its lease -> the newcomer is taken", async () => {
  await withLost([], async ({ cluster, spools }) => {
    const waiting = newcomer(cluster);
    const moved = { id: OTHER, host: "elsewhere", holder: "first", spools: spools.restarted() };
    await Promise.allSettled([waiting, newcomer(cluster, moved)]);
    // Whoever comes first to the lease's end is in, and a newcomer that was refused comes again.
    await waiting.catch(() => newcomer(cluster));
    assert.equal(cluster.members.length, 2);
  });
});

test("the journal is no more -> a new data directory is taken, and nobody knows the other one any longer", async () => {
  await withLost([], async ({ cluster }) => {
    const other = await newcomer(cluster, { id: OTHER, path: "/else" });
    const changes = [{ expectModRevision: -1, delete: J }];
    const { status } = await cluster.within(other.transport.apply({ changes }, never));
    assert.equal(status, "OK");
    await newcomer(cluster, { holder: "third" });
    const { kvs } = await cluster.coordination.range(prefixRange(PLACES), never);
    assert.deepEqual(
      kvs.map(({ key, value }) => [key.slice(PLACES.length), text(value)]),
      [
        ["second", '{"broker":"a#other","host":"host","path":"/else","mount":"/disk"}'],
        ["third", '{"broker":"a#node","host":"host","path":"/disk/data","mount":"/disk"}'],
      ],
    );
  });
});

test("new data directory that is taken, named by lists -> said; unreadable records -> passed over", async () => {
  await withLost(["b"], async ({ cluster }) => {
    const said: unknown[] = [];
    const logger: Logger = { ...silentLogger, warn: (event, fields) => void said.push([event, fields]) };
    const { coordination } = cluster;
    const success = ["{", '{"broker":"a#node"}', "null"].map((json, i) => {
      return { kind: "put", key: `${PLACES}foreign-${i}`, value: utf8(json) } as const;
    });
    await coordination.txn({ compare: [], success }, never);
    const own = { root: DEFAULT_ROOT, broker: ID, place: PLACE, directory: "second" };
    const rule = { mayReplace: true, onInUse: () => assert.fail("nobody is waited for") };
    await refuseReplacement({ coordination, clock: cluster.clock, logger }, own, rule, never);
    const fields = { path: PLACE.path, directory: "second", former: "first", missed: [] };
    assert.deepEqual(said, [["data-directory-replaced", fields]]);
  });
});
