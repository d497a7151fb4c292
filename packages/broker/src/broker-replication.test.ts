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

async function withCluster(
  run: (cluster: TestCluster) => Promise<void>,
  zones?: string[],
  spec = SPEC,
): Promise<void> {
  const cluster = await openTestCluster({ leaseSeconds: 5, ...(zones && { zones }) });
  try {
    await cluster.within(applySpec(cluster.members[0]!.transport, spec));
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

test("replication: appends -> each member counts each of them, as their primary does", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    const contents = Array.from({ length: 40 }, (_, i) => `append ${i} `);
    await cluster.within(Promise.all(contents.map((content) => append(primary, content))));
    await cluster.agenda.advance(50);
    const bytes = contents.join("").length;
    for (const { metrics } of cluster.members) {
      const counted = ["commits", "commit_bytes", "rollbacks"].map((name) =>
        metrics.counter(`gazette_spool_${name}_total`, "").value(),
      );
      assert.deepEqual(counted, [40, bytes, 0]);
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

test("replication: the journal is changed at any moment of a route's opening -> the append behind it goes on", () =>
  withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    const slow = cluster.members.find((member) => member !== primary)!;
    cluster.network.wire(slow.id, primary.id).delayMs = 100;
    let expected = "";
    for (let afterMs = 0; afterMs <= 600; afterMs += 50) {
      cluster.network.break(primary.id, slow.id);
      await cluster.agenda.advance(1000);
      const appended = append(primary, ".");
      await cluster.agenda.advance(afterMs);
      const labels = labelSet(["changed", `${afterMs}`]);
      await cluster.within(applySpec(primary.transport, { ...SPEC, labels }));
      assert.equal((await cluster.within(appended)).status, "OK", `after ${afterMs} ms`);
      expected += ".";
    }
    assert.equal(await cluster.within(contentAt(primary)), expected);
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

const EARLY = journalSpec(J, { replication: 3, labels: labelSet(["millrace.dev/ack", "replicated"]) });

const held = ({ spools }: ClusterMember, isHeld: boolean): void => {
  (spools as FakeSpools).isHeld = isHeld;
  if (!isHeld) (spools as FakeSpools).flush();
};

test("level replicated: nobody syncs -> appends are acknowledged, in order, and shown once all have synced", () =>
  withCluster(
    async (cluster) => {
      const primary = await primaryOf(cluster);
      await cluster.within(append(primary, "0"));
      await cluster.agenda.advance(50);
      for (const member of cluster.members) held(member, true);
      for (let i = 1; i < 10; i++) {
        const { status, commit } = await cluster.within(append(primary, `${i}`));
        assert.deepEqual([status, commit?.begin], ["OK", i]);
      }
      await cluster.agenda.advance(50);
      for (const member of cluster.members) assert.equal(await contentAt(member), "0");
      const [last, ...others] = [primary, ...cluster.members.filter((member) => member !== primary)];
      for (const member of others) held(member, false);
      await cluster.agenda.advance(50);
      for (const member of cluster.members) assert.equal(await contentAt(member), "0");
      held(last, false);
      await cluster.agenda.advance(50);
      for (const member of cluster.members) assert.equal(await contentAt(member), "0123456789");
    },
    undefined,
    EARLY,
  ));

test("level replicated: a replica does not answer -> no acknowledgement", () =>
  withCluster(
    async (cluster) => {
      const primary = await primaryOf(cluster);
      await cluster.within(append(primary, "one "));
      const other = cluster.members.find((member) => member !== primary)!;
      cluster.network.cut(primary.id, other.id);
      let isAnswered = false;
      const appended = append(primary, "two").finally(() => (isAnswered = true));
      await cluster.agenda.advance(200);
      assert.equal(isAnswered, false);
      cluster.network.heal(primary.id, other.id);
      assert.equal((await cluster.within(appended)).status, "OK");
    },
    undefined,
    EARLY,
  ));

for (const which of ["primary", "replica"] as const) {
  test(`level replicated: the ${which} dies before it synced, and starts again -> nothing acknowledged is lost`, () =>
    withCluster(
      async (cluster) => {
        const primary = await primaryOf(cluster);
        await cluster.within(append(primary, "one "));
        await cluster.agenda.advance(50);
        const dying = which === "primary" ? primary : cluster.members.find((member) => member !== primary)!;
        held(dying, true);
        assert.equal((await cluster.within(append(primary, "two "))).status, "OK");
        const spools = (dying.spools as FakeSpools).restarted();
        assert.equal(spools.unclaimed()[0]?.end, 4);
        const holder = `holder-${dying.id.suffix.slice("broker-".length)}`;
        dying.kill();
        await cluster.open({ id: dying.id, holder, spools });
        const next = await primaryOf(cluster);
        const { status, commit } = await cluster.within(append(next, "three"));
        assert.deepEqual([status, commit?.begin], ["OK", 8]);
        await cluster.agenda.advance(50);
        for (const member of cluster.members) assert.equal(await contentAt(member), "one two three");
      },
      undefined,
      EARLY,
    ));
}

test("level replicated: the label is taken away -> the next append waits for syncs", () =>
  withCluster(
    async (cluster) => {
      const primary = await primaryOf(cluster);
      await cluster.within(append(primary, "one "));
      await cluster.within(applySpec(primary.transport, SPEC));
      await cluster.within(append(primary, "two "));
      const slow = cluster.members.find((member) => member !== primary)!;
      held(slow, true);
      let isAnswered = false;
      const appended = append(primary, "three").finally(() => (isAnswered = true));
      await cluster.agenda.advance(200);
      assert.equal(isAnswered, false);
      held(slow, false);
      assert.equal((await cluster.within(appended)).status, "OK");
    },
    undefined,
    EARLY,
  ));

test("level replicated: all die, two before they synced -> blocked until the one that has the bytes is back", () =>
  withCluster(
    async (cluster) => {
      const primary = await primaryOf(cluster);
      const route = await cluster.within(append(primary, "one ")).then(({ header }) => header.route);
      await cluster.agenda.advance(50);
      const members = route.members.map((id) => cluster.members.find((one) => one.id.suffix === id.suffix)!);
      const lasting = members.find((member) => member !== primary)!;
      for (const member of members) held(member, member !== lasting);
      assert.equal((await cluster.within(append(primary, "two "))).status, "OK");
      const found = members.map((member) => (member.spools as FakeSpools).restarted());
      const reopen = (member: ClusterMember): Promise<ClusterMember> => {
        const holder = `holder-${member.id.suffix.slice("broker-".length)}`;
        return cluster.open({ id: member.id, holder, spools: found[members.indexOf(member)]! });
      };
      for (const member of members) member.kill();
      for (const member of members) if (member !== lasting) await reopen(member);
      const [outsider] = cluster.members;
      const attempt = (): Promise<string> =>
        append(outsider!, "three").then(
          ({ status }) => status,
          (error: unknown) => WireError.from(error).message,
        );
      await cluster.agenda.advance(8_000);
      assert.match(await cluster.within(attempt()), /brokers with the newest bytes .* can be reached/);
      await reopen(lasting);
      for (let i = 0; i < 20 && (await cluster.within(attempt())) !== "OK"; i++)
        await cluster.agenda.advance(500);
      await cluster.agenda.advance(50);
      assert.match(await contentAt(outsider!), /^one two (three)+$/);
    },
    ["a", "b", "c", "d"],
    EARLY,
  ));

test("replicas have heard of a stream that nobody sent -> the next append gets an epoch of its own", async () => {
  await withCluster(async (cluster) => {
    const primary = await primaryOf(cluster);
    assert.equal((await cluster.within(append(primary, "before"))).status, "OK");
    const { journals } = await cluster.within(
      primary.transport.list({ selector: { include: labelSet(), exclude: labelSet() }, watch: false }, never),
    );
    const { createRevision, route } = journals[0]!;
    const { header } = await cluster.within(append(primary, "again"));
    const epoch = header.etcd.revision;
    for (const { broker, id } of cluster.members) {
      const on = { journal: J, createRevision, epoch, stream: 2 ** 50 };
      const request = { ...on, header: { ...header, route, processId: id }, wants: "fence" } as const;
      const answer = await cluster.within(broker.peers!.hold(request, never));
      assert.equal(answer.kind, "taken");
    }
    assert.equal((await cluster.within(append(primary, "after"))).status, "OK");
  });
});
