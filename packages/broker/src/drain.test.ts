import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Gate, never, silentLogger, WireError } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import { ANY_LABELS, deleteChange, type ListedJournal } from "@millrace/protocol";
import { applySpec, journalSpec } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { Drain, drainWhile, type DrainPorts } from "./drain.ts";
import { encodeHolders, holdersKey } from "./holders-codec.ts";
import { ask, openTestGateway } from "./http-testkit.ts";
import { DEFAULT_ROOT } from "./broker.ts";

const J = "a/journal";

async function listed(cluster: TestCluster): Promise<readonly ListedJournal[]> {
  return (await cluster.members[0]!.transport.list({ selector: ANY_LABELS, watch: false }, never)).journals;
}

/** A list that says that `member` holds the first ten bytes. */
async function nameHolder(store: CoordinationStore, member: ClusterMember, journal = J): Promise<void> {
  const segment = { epoch: 1, begin: 0, members: [`holder-${member.id.suffix.slice(-1)}`] };
  const value = encodeHolders({ createRevision: 1, list: { segments: [segment], tail: { kind: "held" } } })!;
  const key = holdersKey(DEFAULT_ROOT, journal);
  await store.txn({ compare: [], success: [{ kind: "put", key, value }] }, never);
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

describe("drain", () => {
  test("nothing is assigned and nothing held -> it announces that it exits, and is drained", () =>
    withCluster(["a", "b"], async (cluster) => {
      const [leaving, other] = [cluster.members[0]!, cluster.members[1]!];
      assert.deepEqual(leaving.broker.health(), []);
      assert.equal(await cluster.within(drainWhile(leaving.broker.drain, never)), "drained");
      assert.deepEqual(leaving.broker.health(), ["the broker is drained"]);
      // Whatever comes goes to the others, though the one that is drained leads.
      await cluster.within(applySpec(other.transport, journalSpec(J)));
      await cluster.agenda.advance(1000);
      const [journal] = await listed(cluster);
      assert.deepEqual(journal?.route.members, [other.id]);
      assert.equal(leaving.broker.drain.progress.assigned, 0);
    }));

  test("etcd takes no announcement -> tried again and told once; with nothing to leave it is drained", () =>
    withCluster(["a", "b"], async ({ agenda, clock }) => {
      const told: string[] = [];
      let held = ["a/journal"];
      let [attempts, assigned] = [0, 1];
      const self = { holder: "holder-0", id: { zone: "a", suffix: "one" }, exiting: false };
      const ports = {
        session: {
          update: () => {
            attempts++;
            return Promise.reject(new WireError("DISK_FULL", "etcdserver: mvcc: database space exceeded"));
          },
        },
        keyspace: {
          root: "/x",
          changed: new Gate(),
          table: { member: () => ({ spec: self, modRevision: 1 }) },
        },
        self,
        lists: { namedBy: () => Promise.resolve(held) },
        view: () => assert.fail("the others' room is not known before it has announced itself"),
        assigned: () => assigned,
        backlogBytes: () => 0,
        hurry: () => undefined,
        waiting: { set: () => undefined },
        clock,
        logger: { ...silentLogger, warn: (name: string) => void told.push(name) },
      } as unknown as DrainPorts;
      const drain = new Drain(ports);
      const stop = new AbortController();
      const running = drain.run(stop.signal).catch(() => undefined);
      let outcome = "none";
      void drain.outcome(never).then((found) => (outcome = found));
      await agenda.advance(10_000);
      assert.equal(outcome, "none");
      assigned = 0;
      await agenda.advance(5000);
      assert.match(
        drain.progress.waitsFor.join("; "),
        /etcd to take .*space exceeded.*; 1 journal with bytes/,
      );
      assert.ok(attempts > 2);
      held = [];
      await agenda.advance(5000);
      assert.equal(drain.progress.state, "drained");
      assert.deepEqual(told, ["drain-not-announced"]);
      stop.abort(new Error("over"));
      await running;
    }));

  test("a list of holders names it -> waits and says so, until the list does not, or it is forced", () =>
    withCluster(["a", "b"], async (cluster) => {
      const leaving = cluster.members[0]!;
      const { drain } = leaving.broker;
      await nameHolder(cluster.coordination, leaving);
      await nameHolder(cluster.coordination, cluster.members[1]!, "b/other");
      drain.begin();
      await cluster.agenda.advance(5000);
      const { state, held, heldJournals, waitsFor } = drain.progress;
      assert.deepEqual([state, held, heldJournals], ["draining", 1, [J]]);
      assert.deepEqual(waitsFor, [
        "1 journal with bytes here that no store, and not all of its brokers, have",
      ]);
      assert.match(leaving.broker.health()[0]!, /^the broker drains; 1 journal with bytes here/);
      const key = holdersKey(DEFAULT_ROOT, J);
      await cluster.coordination.txn({ compare: [], success: [{ kind: "delete", key }] }, never);
      await cluster.agenda.advance(2000);
      assert.equal(drain.progress.state, "drained");

      const second = cluster.members[1]!;
      const outcome = drainWhile(second.broker.drain, never);
      await cluster.agenda.advance(5000);
      second.broker.drain.force();
      assert.equal(await cluster.within(outcome), "forced");
      assert.deepEqual(second.broker.drain.progress.heldJournals, ["b/other"]);
    }));

  test("a list that nobody can read -> counts as one that names it", () =>
    withCluster(["a", "b"], async (cluster) => {
      const key = holdersKey(DEFAULT_ROOT, J);
      const value = new Uint8Array([1, 2, 3]);
      await cluster.coordination.txn({ compare: [], success: [{ kind: "put", key, value }] }, never);
      cluster.members[0]!.broker.drain.begin();
      await cluster.agenda.advance(3000);
      assert.equal(cluster.members[0]!.broker.drain.progress.held, 1);
    }));

  test("the others have no room for its journals -> who restarts it goes on without", () =>
    withCluster(["a", "b"], async (cluster) => {
      await cluster.within(applySpec(cluster.members[0]!.transport, journalSpec(J, { replication: 2 })));
      await cluster.agenda.advance(1000);
      assert.equal((await listed(cluster))[0]?.route.members.length, 2);
      const { drain } = cluster.members[0]!.broker;
      assert.equal(await cluster.within(drainWhile(drain, never)), "no-room");
      const { state, waitsFor } = drain.progress;
      assert.deepEqual(
        [state, waitsFor],
        ["draining", ["1 journal assigned here", "a/journal needs 2 brokers"]],
      );
      // Room comes, and the drain ends after all.
      await cluster.within(cluster.members[1]!.transport.apply({ changes: [deleteChange(J, -1)] }, never));
      await cluster.agenda.advance(3000);
      assert.equal(drain.progress.state, "drained");
    }));

  test("drained, and the others have no room any more -> it drains again, and says what it waits for", () =>
    withCluster(["a", "b"], async (cluster) => {
      const [{ broker }, other] = [cluster.members[0]!, cluster.members[1]!];
      assert.equal(await cluster.within(drainWhile(broker.drain, never)), "drained");
      await cluster.within(applySpec(other.transport, journalSpec(J, { replication: 2 })));
      await cluster.agenda.advance(3000);
      const { state, assigned, withoutRoom } = broker.drain.progress;
      assert.deepEqual([state, assigned, withoutRoom], ["draining", 1, 1]);
      assert.match(broker.health()[0]!, /^the broker drains; 1 journal assigned here/);
      assert.equal(await cluster.within(drainWhile(broker.drain, never)), "no-room");
      await cluster.within(other.transport.apply({ changes: [deleteChange(J, -1)] }, never));
      await cluster.agenda.advance(5000);
      assert.equal(broker.drain.progress.state, "drained");
    }));

  test("it is ended from outside -> says what it leaves, and the outcome is that it was forced", () =>
    withCluster(["a", "b"], async (cluster) => {
      await nameHolder(cluster.coordination, cluster.members[0]!);
      const hurry = new AbortController();
      const outcome = drainWhile(cluster.members[0]!.broker.drain, hurry.signal);
      await cluster.agenda.advance(3000);
      hurry.abort(new Error("the second signal"));
      assert.equal(await outcome, "forced");
    }));

  test("over HTTP: begun, reported, forced; nonsense and a broker alone are refused", () =>
    withCluster(["a", "b"], async (cluster) => {
      const member = cluster.members[0]!;
      const { drain } = member.broker;
      await nameHolder(cluster.coordination, member);
      const gateway = await openTestGateway(member, { drain: () => drain });
      const alone = await openTestGateway(member, {
        drain: () => ({ canLeave: false, progress: drain.progress, begin: () => {}, force: () => {} }),
      });
      try {
        const call = async (method: string, body?: string): Promise<unknown[]> => {
          const options = body === undefined ? { method } : { method, body };
          const answer = await ask(gateway.port, "/v1/brokers/drain", options);
          const { state, held, isForced } = JSON.parse(answer.body) as Record<string, unknown>;
          return [answer.status, state, held, isForced];
        };
        assert.deepEqual(await call("GET"), [200, "serving", 0, false]);
        for (const body of ["[]", "{", '{"froce":true}', '{"force":1}']) {
          assert.equal((await call("POST", body))[0], 400, body);
        }
        assert.equal(drain.progress.state, "serving");
        assert.deepEqual(await call("POST"), [200, "draining", 0, false]);
        await cluster.agenda.advance(3000);
        assert.deepEqual(await call("GET"), [200, "draining", 1, false]);
        assert.deepEqual(await call("POST", '{"force":true}'), [200, "draining", 1, true]);
        assert.equal((await call("PUT"))[0], 501);
        assert.equal((await ask(alone.port, "/v1/brokers/drain", { method: "POST" })).status, 409);
      } finally {
        await gateway.close();
        await alone.close();
      }
    }));
});
