// Fail-over that waits for no lease (durability.md D13), in a cluster whose leases last a minute.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8, WireError } from "@millrace/base";
import { ANY_LABELS, type Route } from "@millrace/protocol";
import { applySpec, journalSpec, preamble } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";

const J = "a/journal";
const LEASE_SECONDS = 60;

async function withCluster(
  zones: readonly string[],
  run: (cluster: TestCluster) => Promise<void>,
): Promise<void> {
  const cluster = await openTestCluster({ zones, leaseSeconds: LEASE_SECONDS });
  try {
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

async function routeOf(cluster: TestCluster, journal = J): Promise<Route> {
  const { journals } = await cluster.members
    .at(-1)!
    .transport.list({ selector: ANY_LABELS, watch: false }, never);
  return journals.find(({ spec }) => spec.name === journal)!.route;
}

async function append(cluster: TestCluster, member: ClusterMember, journal = J): Promise<string> {
  const content = { kind: "bytes", bytes: [utf8("hello")] } as const;
  const appended = member.transport.append(preamble(journal), content, never);
  return cluster.within(
    appended.then(
      ({ status }) => status,
      (error: unknown) => WireError.from(error).code,
    ),
  );
}

/** Makes the journal and appends once. @returns its members, the primary first */
async function begin(cluster: TestCluster, replication = 3, journal = J): Promise<readonly ClusterMember[]> {
  await cluster.within(applySpec(cluster.members[0]!.transport, journalSpec(journal, { replication })));
  await cluster.agenda.advance(1000);
  assert.equal(await append(cluster, cluster.members[0]!, journal), "OK");
  const { members, primary } = await routeOf(cluster, journal);
  const found = members.map(({ suffix }) => cluster.members.find(({ id }) => id.suffix === suffix)!);
  return [found[primary]!, ...found.filter((_, at) => at !== primary)];
}

for (const which of ["primary", "replica"] as const) {
  test(`fail-over: the ${which} is killed, nobody appends -> others have its place within a second and a half`, () =>
    withCluster(["a", "b", "c", "a"], async (cluster) => {
      const members = await begin(cluster);
      const gone = which === "primary" ? members[0]! : members[1]!;
      gone.kill();
      await cluster.agenda.advance(1500);
      const route = await routeOf(cluster);
      assert.equal(route.members.length, 3);
      assert.ok(route.members.every(({ suffix }) => suffix !== gone.id.suffix));
      assert.ok(route.primary >= 0);
      assert.equal(await append(cluster, cluster.members[0]!), "OK");
    }));
}

test("fail-over: the allocator's leader is killed -> the next one leads, its journals go on", () =>
  withCluster(["a", "b", "c", "a"], async (cluster) => {
    await begin(cluster);
    cluster.members[0]!.kill();
    await cluster.agenda.advance(1500);
    const { members } = await routeOf(cluster);
    assert.ok(members.every(({ suffix }) => suffix !== "broker-0"));
    assert.equal(await append(cluster, cluster.members[0]!), "OK");
    await begin(cluster, 3, "b/new");
  }));

test("fail-over: a journal that it alone holds -> waits for the lease", () =>
  withCluster(["a", "b", "c"], async (cluster) => {
    const [gone] = await begin(cluster, 1);
    gone!.kill();
    await cluster.agenda.advance(5000);
    const { members, primary } = await routeOf(cluster);
    assert.deepEqual(members[primary], gone!.id);
  }));

test("fail-over: two at a time -> one is taken out, the other waits for its lease", () =>
  withCluster(["a", "b", "c", "a", "b"], async (cluster) => {
    await begin(cluster);
    const [first, second] = [cluster.members[2]!, cluster.members[3]!];
    first.kill();
    second.kill();
    await cluster.agenda.advance(3000);
    const { kvs } = await cluster.coordination.range(
      { key: "!millrace/refused", end: "!millrace/refusee" },
      never,
    );
    const out = kvs.filter(
      ({ value }) => value.length > 0 && /"kind":"out"/.test(Buffer.from(value).toString()),
    );
    assert.equal(out.length, 1);
  }));

test("fail-over: it listens again while its lease goes on -> it takes journals again", () =>
  withCluster(["a", "b", "c"], async (cluster) => {
    await begin(cluster);
    const away = cluster.members[2]!;
    const served = cluster.network.refuse(away.id);
    await cluster.agenda.advance(2000);
    assert.equal((await routeOf(cluster)).members.length, 2);
    cluster.network.serve(away.id, served!);
    await cluster.agenda.advance(3000);
    assert.equal((await routeOf(cluster)).members.length, 3);
    assert.equal(await append(cluster, cluster.members[0]!), "OK");
  }));
