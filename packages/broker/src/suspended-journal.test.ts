// A journal that is suspended to one replica: whose bytes it needs once the store has all of them (K5 of
// holders-upkeep.ts, K8 of journal-holder.ts).
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Gate, never, text, utf8, waitUntil, WireError } from "@millrace/base";
import { getJournal } from "@millrace/client";
import { newAppendRequest, type AppendSuspend } from "@millrace/protocol";
import { applySpec, journalSpec, readAll, readRequest } from "./broker-testkit.ts";
import { DEFAULT_ROOT, type BrokerOptions } from "./broker.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { decodeHolders, holdersKey } from "./holders-codec.ts";
import { newestSegment, type HoldersList } from "./holders-list.ts";
import { JournalHolder } from "./journal-holder.ts";

const J = "a/journal";

class Fixture {
  readonly cluster: TestCluster;

  constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  appending(at: ClusterMember, suspend: AppendSuspend, content = ""): Promise<string> {
    const bytes = content === "" ? [] : [utf8(content)];
    const request = newAppendRequest({ journal: J, suspend });
    return at.transport.append(request, { kind: "bytes", bytes }, never).then(({ status }) => status);
  }

  append(at: ClusterMember, suspend: AppendSuspend, content = ""): Promise<string> {
    return this.cluster.within(this.appending(at, suspend, content));
  }

  async list(): Promise<HoldersList> {
    const { kvs } = await this.cluster.coordination.range({ key: holdersKey(DEFAULT_ROOT, J) }, never);
    return decodeHolders(kvs[0]!.value).list;
  }

  /** How often the list was written. */
  async writes(): Promise<number> {
    const { kvs } = await this.cluster.coordination.range({ key: holdersKey(DEFAULT_ROOT, J) }, never);
    return kvs[0]!.version;
  }

  /** Of a route of one member. */
  async primary(): Promise<ClusterMember> {
    const [any] = this.cluster.members;
    const { route } = await this.cluster.within(getJournal(any!.transport, J, never));
    assert.equal(route.members.length, 1);
    return this.cluster.members.find(({ id }) => id.suffix === route.members[0]!.suffix)!;
  }

  async untilClosed(): Promise<void> {
    for (let seconds = 0; (await this.list()).tail.kind !== "closed"; seconds++) {
      assert.ok(seconds < 300, "the list is closed");
      await this.cluster.agenda.advance(1000);
    }
  }
}

/** @param run with a journal of five bytes, suspended to one of its replicas */
async function suspended(
  run: (fixture: Fixture) => Promise<void>,
  { replication = 2, ...options }: Partial<BrokerOptions> & { readonly replication?: number } = {},
): Promise<void> {
  const cluster = await openTestCluster({ zones: ["a", "b", "c"], ...options });
  const fixture = new Fixture(cluster);
  try {
    const [first] = cluster.members;
    const { fragment } = journalSpec(J);
    const stored = { ...fragment, stores: ["s3://bucket/"] };
    await cluster.within(applySpec(first!.transport, journalSpec(J, { replication, fragment: stored })));
    await cluster.agenda.advance(1000);
    assert.equal(await fixture.append(first!, "SUSPEND_RESUME", "hello"), "OK");
    assert.equal(await fixture.append(first!, "SUSPEND_NOW"), "SUSPENDED");
    await run(fixture);
  } finally {
    await cluster.close();
  }
}

test("suspended to one replica, all in the store: its broker dies -> others go on behind what there was", async () => {
  await suspended(async (fixture) => {
    const { cluster } = fixture;
    await fixture.untilClosed();
    const { tail, segments } = await fixture.list();
    assert.deepEqual([tail.kind === "closed" && tail.end, segments], [5, []]);
    const lost = await fixture.primary();
    lost.kill();
    const [other] = cluster.members;
    await cluster.agenda.advance(20_000);
    assert.equal(await fixture.append(other!, "SUSPEND_RESUME", " and more"), "OK");
    const content = await cluster.within(readAll(other!.transport, readRequest(J), never));
    assert.equal(text(content), "hello and more");
  });
});

test("suspended to one replica, resumed, and again: it takes appends, and the list is closed behind each", async () => {
  for (const replication of [1, 2]) {
    await suspended(
      async (fixture) => {
        for (const end of [6, 7]) {
          await fixture.untilClosed();
          assert.equal(await fixture.append(await fixture.primary(), "SUSPEND_RESUME", "!"), "OK");
          assert.equal(newestSegment(await fixture.list())?.begin, end - 1, "its members are needed");
          await fixture.cluster.agenda.advance(10_000);
          assert.equal((await fixture.list()).tail.kind, "held", "it is not suspended");
          assert.equal(await fixture.append(fixture.cluster.members[0]!, "SUSPEND_NOW"), "SUSPENDED");
        }
        await fixture.untilClosed();
        const { tail } = await fixture.list();
        assert.equal(tail.kind === "closed" && tail.end, 7);
      },
      { replication },
    );
  }
});

test("suspended to one replica: a broker that suspends idle journals -> the list is written no more", async () => {
  await suspended(
    async (fixture) => {
      await fixture.untilClosed();
      await fixture.cluster.agenda.advance(60_000);
      const before = await fixture.writes();
      await fixture.cluster.agenda.advance(30 * 60_000);
      assert.equal(await fixture.writes(), before);
    },
    { autoSuspend: () => true },
  );
});

/** Upkeep closes the list between an activation's write of it and its taking of the spool. @returns the list then */
async function closedMeanwhile(): Promise<HoldersList> {
  let list: HoldersList | undefined;
  await suspended(
    async (fixture) => {
      const { cluster } = fixture;
      await fixture.untilClosed();
      const primary = await fixture.primary();
      const released = new Gate();
      let [isWaiting, isHeld] = [false, true];
      const held = mock.method(
        JournalHolder.prototype,
        "takeSpool",
        async function (this: JournalHolder, ...given: Parameters<JournalHolder["takeSpool"]>) {
          isWaiting = true;
          await waitUntil(released, () => !isHeld, never);
          return this.takeSpool(...given);
        },
      );
      try {
        const append = fixture.appending(primary, "SUSPEND_RESUME", "!");
        await cluster.agenda.runUntil(() => isWaiting, cluster.agenda.nowMs + 1000);
        assert.equal((await fixture.list()).tail.kind, "held", "the activation has written it");
        await fixture.untilClosed();
        held.mock.restore();
        isHeld = false;
        released.open();
        assert.equal(await cluster.within(append), "OK");
        list = await fixture.list();
      } finally {
        held.mock.restore();
      }
    },
    { replication: 1 },
  );
  return list!;
}

test("the list is closed before an activation has the spool -> the append waits for another activation", async () => {
  const list = await closedMeanwhile();
  assert.equal(newestSegment(list)?.begin, 5);
});

test("the same, control: nothing is retired -> the append stands behind the end of a closed list", async () => {
  const unretired = mock.method(JournalHolder.prototype, "retire", async function <
    T,
  >(this: JournalHolder, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) {
    const lease = await this.takeLast(signal);
    return work(signal).finally(() => lease.release());
  });
  try {
    const { tail } = await closedMeanwhile();
    assert.equal(tail.kind === "closed" && tail.end, 5);
  } finally {
    unretired.mock.restore();
  }
});

test("suspended when its new broker has not copied it yet -> it has content, and stays with that broker", async () => {
  const cluster = await openTestCluster({ zones: ["a", "b"] });
  const fixture = new Fixture(cluster);
  // Nothing is copied while the former broker does not give its bytes away.
  const kept = mock.method(JournalHolder.prototype, "fetch", () => {
    throw new WireError("UNAVAILABLE", "not now");
  });
  try {
    const [any] = cluster.members;
    await cluster.within(applySpec(any!.transport, journalSpec(J, { replication: 1 })));
    await cluster.agenda.advance(1000);
    assert.equal(await fixture.append(any!, "SUSPEND_RESUME", "hello"), "OK");
    const leaving = await fixture.primary();
    leaving.broker.drain.begin();
    for (let i = 0; (await fixture.primary()) === leaving; i++) {
      assert.ok(i < 60, "another broker has it");
      await cluster.agenda.advance(1000);
    }
    assert.equal(await fixture.append(await fixture.primary(), "SUSPEND_NOW"), "SUSPENDED");
    const { spec, route } = await cluster.within(getJournal(any!.transport, J, never));
    assert.deepEqual([spec.suspend, route.members.length], [{ level: "PARTIAL", offset: 5 }, 1]);
  } finally {
    kept.mock.restore();
    await cluster.close();
  }
});
