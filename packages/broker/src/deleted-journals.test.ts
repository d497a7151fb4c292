// What becomes of bytes that brokers have of a journal which is deleted, and perhaps made again under its name.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { concatBytes, Gate, never, silentLogger, text, utf8, waitUntil, WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import { append } from "@millrace/client";
import type { Persister } from "@millrace/fragments";
import { deleteChange } from "@millrace/protocol";
import { memoryStore } from "@millrace/stores/testkit";
import { applySpec, journalSpec, readAll, readRequest } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";
import { JournalHolder } from "./journal-holder.ts";
import { LocalJournals } from "./local-journal.ts";

const J = "a/journal";

async function write(cluster: TestCluster, content: string): Promise<void> {
  const { transport } = cluster.members[0]!;
  const ports = { transport, clock: cluster.clock, logger: silentLogger };
  await cluster.within(append(ports, J, [utf8(content)], { patienceMs: 30_000 }, never), 60_000);
}

async function remove(cluster: TestCluster): Promise<void> {
  const changes = [deleteChange(J, -1)];
  const { status } = await cluster.within(cluster.members[0]!.transport.apply({ changes }, never));
  assert.equal(status, "OK");
}

test("journal made again while its earlier life was being opened -> that one ends, not the new one", async () => {
  const spools = new FakeSpools();
  const claim = spools.claim.bind(spools);
  const gate = new Gate();
  let isFree = false;
  spools.claim = async (...args) => {
    await waitUntil(gate, () => isFree, never);
    return claim(...args);
  };
  const persister = { open: () => ({ close: () => undefined }) } as unknown as Persister;
  const clock = new SimulatedClock(new Agenda());
  const journals = new LocalJournals({ spools, persister, clock, logger: silentLogger });
  const spec = journalSpec(J);
  const first = journals.openOnce({ journal: J, createRevision: 5, epoch: 6 }, spec);
  const now = { createRevision: undefined as number | undefined };
  const ending = journals.endOthers(J, () => now.createRevision);
  await settle();
  const second = journals.openOnce({ journal: J, createRevision: 9, epoch: 10 }, spec);
  now.createRevision = 9;
  isFree = true;
  gate.open();
  await ending;
  assert.deepEqual([(await first).isOver, (await second).isOver], [true, false]);
  assert.equal(journals.get({ journal: J, createRevision: 9 }), await second);
});

const removedBy = ({ spools }: ClusterMember): number => (spools as FakeSpools).removed.length;

for (const isMadeAgain of [false, true]) {
  const after = isMadeAgain ? " and made again" : "";
  test(`journal deleted${after}, a broker that left it could not persist it -> nothing of it is stored`, async () => {
    const storeClock = new SimulatedClock(new Agenda());
    const store = memoryStore({ url: "s3://bucket/", clock: storeClock, random: seededRandom("store") });
    let isAway = true;
    store.script = (operation, path) =>
      isAway && operation === "put" && path.startsWith(J) ? "unavailable" : "none";
    const cluster = await openTestCluster({ zones: ["a", "b"], stores: { open: () => store } });
    try {
      const { fragment } = journalSpec(J);
      const spec = journalSpec(J, { replication: 2, fragment: { ...fragment, stores: ["s3://bucket/"] } });
      const [{ transport }] = cluster.members as [ClusterMember];
      await cluster.within(applySpec(transport, spec));
      await cluster.agenda.advance(3000);
      await write(cluster, "before");
      await cluster.within(applySpec(transport, { ...spec, replication: 1 }));
      await cluster.agenda.advance(10_000);
      await remove(cluster);
      await cluster.agenda.advance(1000);
      assert.deepEqual(cluster.members.map(removedBy), [1, 1]);
      if (isMadeAgain) {
        await cluster.within(applySpec(transport, { ...spec, replication: 1 }));
        await cluster.agenda.advance(3000);
        await write(cluster, "now");
      }
      isAway = false;
      await cluster.agenda.advance(20 * 60_000);
      const stored: string[] = [];
      for await (const { path } of store.list(J, never)) {
        const parts: Uint8Array[] = [];
        for await (const part of store.get(path, {}, never)) parts.push(part);
        stored.push(text(concatBytes(parts)));
      }
      assert.deepEqual(
        stored.filter((content) => content !== "now"),
        [],
      );
      if (!isMadeAgain) return;
      for (const member of cluster.members) {
        const read = cluster.within(readAll(member.transport, readRequest(J), never));
        assert.equal(text(await read), "now");
      }
    } finally {
      await cluster.close();
    }
  });
}

test("journal deleted while others have its spool, or wait for it -> they are refused, and it goes", async () => {
  const holders = new Set<JournalHolder>();
  const hold = Reflect.get(JournalHolder.prototype, "hold");
  type HoldArguments = Parameters<JournalHolder["hold"]>;
  const seen = mock.method(
    JournalHolder.prototype,
    "hold",
    function (this: JournalHolder, ...args: HoldArguments) {
      holders.add(this);
      return hold.apply(this, args);
    },
  );
  const cluster = await openTestCluster({ zones: ["a", "b"] });
  try {
    const { fragment } = journalSpec(J);
    const spec = journalSpec(J, { replication: 2, fragment: { ...fragment, stores: [] } });
    await cluster.within(applySpec(cluster.members[0]!.transport, spec));
    await cluster.agenda.advance(3000);
    await write(cluster, "before");
    assert.equal(holders.size, 2);
    const gate = new Gate();
    let isFree = false;
    const outcomes: Promise<string>[] = [];
    const work = async (holder: JournalHolder, what: string): Promise<string> => {
      try {
        // It goes on for a while when it is told to let go.
        await holder.retire(() => waitUntil(gate, () => isFree, never), never);
        return what;
      } catch (error) {
        return WireError.from(error).code;
      }
    };
    for (const holder of holders) outcomes.push(work(holder, "had it"));
    await cluster.agenda.advance(5000);
    await remove(cluster);
    await cluster.agenda.advance(5000);
    // Behind whoever forgets the journal.
    for (const holder of holders) outcomes.push(work(holder, "got it"));
    await cluster.agenda.advance(1000);
    assert.deepEqual(cluster.members.map(removedBy), [0, 0]);
    isFree = true;
    gate.open();
    await cluster.agenda.advance(1000);
    assert.deepEqual(await Promise.all(outcomes), ["had it", "had it", "NOT_FOUND", "NOT_FOUND"]);
    assert.deepEqual(cluster.members.map(removedBy), [1, 1]);
    await cluster.within(applySpec(cluster.members[0]!.transport, spec));
    await cluster.agenda.advance(3000);
    await write(cluster, "now");
    const read = cluster.within(readAll(cluster.members[1]!.transport, readRequest(J), never));
    assert.equal(text(await read), "now");
  } finally {
    seen.mock.restore();
    await cluster.close();
  }
});
