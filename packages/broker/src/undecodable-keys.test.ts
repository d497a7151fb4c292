// Keys in the coordination store whose values nobody can decode, written over those of a cluster that runs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8 } from "@millrace/base";
import { prefixRange } from "@millrace/metadata";
import {
  assignmentsPrefix,
  decodeAssignmentValue,
  decodeMemberValue,
  memberKey,
  membersPrefix,
  type AppendResponse,
} from "@millrace/protocol";
import { applySpec, journalSpec, preamble } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { drainWhile } from "./drain.ts";

const ROOT = "/gazette/cluster";
const J = "a/journal";
/** Until whoever has something to put right has done so. */
const SETTLE_MS = 5_000;

async function withCluster(run: (cluster: TestCluster) => Promise<void>): Promise<void> {
  const cluster = await openTestCluster({ leaseSeconds: 4 });
  try {
    await make(cluster, J);
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

async function make(cluster: TestCluster, journal: string): Promise<void> {
  await cluster.within(applySpec(cluster.members[0]!.transport, journalSpec(journal, { replication: 3 })));
  assert.equal((await append(cluster, cluster.members[0]!, journal)).status, "OK");
}

function append(cluster: TestCluster, { transport }: ClusterMember, journal = J): Promise<AppendResponse> {
  const content = { kind: "bytes", bytes: [utf8("x")] } as const;
  return cluster.within(transport.append(preamble(journal), content, never));
}

/** Their values below `prefix`, in key order. */
async function values({ coordination }: TestCluster, prefix: string): Promise<readonly Uint8Array[]> {
  const { kvs } = await coordination.range({ ...prefixRange(prefix) }, never);
  return kvs.map(({ value }) => value);
}

/** Puts garbage at every key below `prefix`, under the lease that it has. */
async function corrupt({ coordination }: TestCluster, prefix: string): Promise<number> {
  const { kvs } = await coordination.range({ ...prefixRange(prefix) }, never);
  const value = utf8("garbage");
  const success = kvs.map(({ key }) => ({ kind: "put", key, value, ignoreLease: true }) as const);
  await coordination.txn({ compare: [], success }, never);
  return kvs.length;
}

function undecodable({ members }: TestCluster): readonly number[] {
  return members.map(({ broker }) => broker.undecodableKeys());
}

test("undecodable keys: all assignments of a journal -> its primary stores its route in them again", async () => {
  await withCluster(async (cluster) => {
    const prefix = assignmentsPrefix(ROOT, J);
    assert.equal(await corrupt(cluster, prefix), 3);
    await cluster.agenda.advance(SETTLE_MS);
    const routes = (await values(cluster, prefix)).map(decodeAssignmentValue);
    assert.deepEqual(
      routes.map(({ members }) => members.length),
      [3, 3, 3],
    );
    assert.deepEqual(undecodable(cluster), [0, 0, 0]);
    const newcomer = await cluster.open({ zone: "d" });
    for (const member of [newcomer, cluster.members[0]!])
      assert.equal((await append(cluster, member)).status, "OK");
  });
});

test("undecodable keys: of assignments, and a broker starts -> appends there and anywhere", async () => {
  await withCluster(async (cluster) => {
    const prefix = assignmentsPrefix(ROOT, J);
    const { header } = await append(cluster, cluster.members[0]!);
    const primary = header.route.members[header.route.primary]!;
    // Its primary is gone before it has seen it, and a newcomer knows no other values.
    cluster.members.find(({ id }) => id.suffix === primary.suffix)!.kill();
    await corrupt(cluster, prefix);
    const newcomer = await cluster.open({ zone: "d" });
    for (const member of [newcomer, ...cluster.members])
      assert.equal((await append(cluster, member)).status, "OK");
    await cluster.agenda.advance(SETTLE_MS);
    const routes = (await values(cluster, prefix)).map(decodeAssignmentValue);
    assert.deepEqual(
      routes.map(({ members }) => members.length),
      [3, 3, 3],
    );
    assert.deepEqual(undecodable(cluster), [0, 0, 0]);
  });
});

test("undecodable keys: of members -> each puts its own again, and journals go on being assigned", async () => {
  await withCluster(async (cluster) => {
    assert.equal(await corrupt(cluster, membersPrefix(ROOT)), 3);
    const newcomer = await cluster.open({ zone: "d" });
    await make(cluster, "another/journal");
    await cluster.agenda.advance(SETTLE_MS);
    assert.deepEqual(undecodable(cluster), [0, 0, 0, 0]);
    assert.equal((await append(cluster, newcomer)).status, "OK");
    for (const { id } of cluster.members) {
      const { kvs } = await cluster.coordination.range({ key: memberKey(ROOT, id) }, never);
      assert.deepEqual(decodeMemberValue(id, kvs[0]!.value).id, id);
      assert.notEqual(kvs[0]!.lease, 0n, "under its lease");
    }
  });
});

test("undecodable keys: of a member that is being drained -> it announces that it leaves, and leaves", async () => {
  await withCluster(async (cluster) => {
    await cluster.open({ zone: "d" });
    const [first] = cluster.members;
    const key = memberKey(ROOT, first!.id);
    // Without its lease, as a tool that does not know of leases puts it.
    await cluster.coordination.txn(
      { compare: [], success: [{ kind: "put", key, value: utf8("garbage") }] },
      never,
    );
    assert.equal(await cluster.within(drainWhile(first!.broker.drain, never)), "drained");
    await first!.close();
    assert.deepEqual((await cluster.coordination.range({ key }, never)).kvs, []);
    assert.equal((await append(cluster, cluster.members[0]!)).status, "OK");
  });
});
