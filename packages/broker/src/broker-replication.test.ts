// Three brokers in one test: what is acknowledged is synced on all members of a route, and goes on with the next one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8, WireError } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import { labelSet, type AppendPreamble, type AppendResponse } from "@millrace/protocol";
import { applySpec, journalSpec, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import type { FakeSpools } from "./fake-spools.ts";

const J = "a/journal";
const SPEC = journalSpec(J, { replication: 3 });

function append(
  { transport }: { transport: JournalTransport },
  content: string,
  fields: Partial<AppendPreamble> = {},
): Promise<AppendResponse> {
  return transport.append(preamble(J, fields), { kind: "bytes", bytes: [utf8(content)] }, never);
}

/** The cluster's primary of the journal, once its route has three members. */
async function primaryOf(cluster: TestCluster, members = 3): Promise<ClusterMember> {
  for (let i = 0; i < 200; i++) {
    const { journals } = await cluster.members[0]!.transport.list(
      { selector: { include: labelSet(), exclude: labelSet() }, watch: false },
      never,
    );
    const route = journals[0]?.route;
    const id = route?.members[route.primary];
    const found = cluster.members.find((member) => member.id.suffix === id?.suffix);
    if (found !== undefined && route!.members.length === members) return found;
    await cluster.agenda.advance(100);
  }
  throw new Error("the journal has no primary");
}

const contentAt = ({ transport }: ClusterMember): Promise<string> =>
  readAll(transport, readRequest(J), never).then(text);

const spooled = ({ spools }: ClusterMember): string => {
  const spool = (spools as FakeSpools).spools.get(J)!;
  return spool
    .fragments()
    .map(({ begin, end }) => `${begin}-${end}`)
    .join(" ");
};

async function withCluster(run: (cluster: TestCluster) => Promise<void>, zones?: string[]): Promise<void> {
  const cluster = await openTestCluster({ leaseSeconds: 5, ...(zones && { zones }) });
  try {
    await cluster.within(applySpec(cluster.members[0]!.transport, SPEC));
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

test("replication: an append is on all three before it is acknowledged, and readable at each", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    for (const content of ["one ", "two ", "three"]) {
      const { status } = await cluster.within(append(primary, content));
      assert.equal(status, "OK");
    }
    await cluster.agenda.advance(50);
    for (const member of cluster.members) {
      assert.equal(spooled(member), "0-13");
      assert.equal(await contentAt(member), "one two three");
    }
  }));

test("replication: a replica that does not sync -> no answer, nothing is shown; then it goes on", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    await cluster.within(append(primary, "one "));
    const slow = cluster.members.find((member) => member !== primary)!;
    (slow.spools as FakeSpools).isHeld = true;
    let answered: AppendResponse | undefined;
    const appended = append(primary, "two").then((response) => (answered = response));
    await cluster.agenda.advance(200);
    assert.equal(answered, undefined);
    for (const member of cluster.members) assert.equal(await contentAt(member), "one ");
    (slow.spools as FakeSpools).isHeld = false;
    (slow.spools as FakeSpools).flush();
    await cluster.within(appended);
    assert.equal(await contentAt(primary), "one two");
  }));

test("replication: the primary is killed -> another has all that was acknowledged, and goes on", () =>
  withCluster(
    async (cluster) => {
      const primary = await primaryOf(cluster);
      await cluster.within(append(primary, "one ", { unionRegisters: labelSet(["author", "a"]) }));
      primary.kill();
      await cluster.agenda.advance(8_000);
      const next = await primaryOf(cluster);
      const { status, commit, registers } = await cluster.within(append(next, "two"));
      assert.deepEqual([status, commit?.begin], ["OK", 4]);
      assert.deepEqual(registers, labelSet(["author", "a"]));
      await cluster.agenda.advance(50);
      assert.equal(await contentAt(next), "one two");
    },
    ["a", "b", "c", "a"],
  ));

test("replication: a connection has broken -> the next append activates the route again", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    await cluster.within(append(primary, "one "));
    const other = cluster.members.find((member) => member !== primary)!;
    cluster.network.break(primary.id, other.id);
    for (const content of ["two ", "three"]) {
      const { status } = await cluster.within(append(primary, content));
      assert.equal(status, "OK");
    }
    await cluster.agenda.advance(50);
    for (const member of cluster.members) assert.equal(await contentAt(member), "one two three");
  }));

test("replication: a connection breaks under an append -> it is acknowledged once the route is activated again", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    await cluster.within(append(primary, "one "));
    const slow = cluster.members.find((member) => member !== primary)!;
    const spools = slow.spools as FakeSpools;
    spools.isHeld = true;
    const appended = append(primary, "two", { unionRegisters: labelSet(["author", "b"]) });
    await cluster.agenda.advance(50);
    cluster.network.break(primary.id, slow.id);
    spools.isHeld = false;
    spools.flush();
    const { status, commit } = await cluster.within(appended);
    assert.deepEqual([status, commit?.begin, commit?.end], ["OK", 4, 7]);
    await cluster.agenda.advance(50);
    for (const member of cluster.members) assert.equal(await contentAt(member), "one two");
    const { registers } = await cluster.within(append(primary, "!"));
    assert.deepEqual(registers, labelSet(["author", "b"]));
  }));

test("replication: a connection breaks and nobody comes back -> the outcome is unknown, after a while", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    await cluster.within(append(primary, "one "));
    const slow = cluster.members.find((member) => member !== primary)!;
    (slow.spools as FakeSpools).isHeld = true;
    const appended = append(primary, "two").then(
      () => "acknowledged",
      (error: unknown) => WireError.from(error).message,
    );
    await cluster.agenda.advance(50);
    cluster.network.cut(primary.id, slow.id);
    cluster.network.break(primary.id, slow.id);
    assert.match(await cluster.within(appended), /recv from zone:/);
    cluster.network.heal(primary.id, slow.id);
    (slow.spools as FakeSpools).isHeld = false;
    (slow.spools as FakeSpools).flush();
  }));

test("replication: streams come of age -> others take their place, no append fails, and both are counted", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    await cluster.within(append(primary, "0"));
    const opened = (): number => cluster.network.calls.filter((call) => call.endsWith("hold bring")).length;
    const before = opened();
    cluster.network.streamMs = 1000;
    let expected = "0";
    for (let i = 1; i < 50; i++) {
      const part = `${i % 10}`;
      expected += part;
      const both = [append(primary, part), cluster.agenda.advance(100)] as const;
      assert.equal((await cluster.within(both[0])).status, "OK");
      await both[1];
    }
    assert.ok(opened() - before >= 2 * 4, `${opened() - before} members were brought`);
    for (const member of cluster.members) assert.equal(await contentAt(member), expected);
    const replica = cluster.members.find((member) => member !== primary)!;
    const counted = /gazette_journal_server_(started|completed)_totals\{operation="Replicate"[^\n]*/g;
    const lines = replica.metrics.render().match(counted) ?? [];
    assert.deepEqual(
      lines.map((line) => line.replace(/ \d+$/, "")),
      [
        'gazette_journal_server_started_totals{operation="Replicate"}',
        'gazette_journal_server_completed_totals{operation="Replicate",status="ok"}',
      ],
    );
    assert.match(primary.metrics.render(), /millrace_broker_replication_seconds_count [1-9]/);
  }));
