import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, utf8, WireError, type Clock } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore } from "./coordination.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { openSession, type Session } from "./session.ts";
import { openMemoryStore } from "./testkit.ts";

interface World {
  readonly agenda: Agenda;
  readonly store: EmbeddedStore;
  readonly lost: string[];
  /**
   * @param heldUpMs by how much the session's own clock is ahead of its timers
   * @param sleptMs what the wall clock alone tells
   */
  open(store?: CoordinationStore, heldUpMs?: () => number, sleptMs?: () => number): Promise<Session>;
  value(key: string): Promise<string | undefined>;
}

async function world(): Promise<World> {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = await openMemoryStore(clock, seededRandom("session"));
  const lost: string[] = [];
  return {
    agenda,
    store,
    lost,
    open: (used = store, heldUpMs = () => 0, sleptMs = () => 0) => {
      const onLost = (reason: WireError): void => void lost.push(`${reason.message} at ${agenda.nowMs}`);
      const own: Clock = {
        wallMs: () => clock.wallMs() + heldUpMs() + sleptMs(),
        monotonicMs: () => clock.monotonicMs() + heldUpMs(),
        sleep: (ms, signal) => clock.sleep(ms, signal),
        after: (ms, run) => clock.after(ms, run),
      };
      const lease = { ttlSeconds: 9, setting: "etcd.lease" };
      return openSession({ store: used, clock: own, logger: silentLogger, ...lease, onLost }, never);
    },
    value: async (key) => {
      const { kvs } = await store.range({ key }, never);
      return kvs[0] === undefined ? undefined : Buffer.from(kvs[0].value).toString();
    },
  };
}

/** The store, but renewals fail with `error` while `isFailing()`. */
function unreachable(store: EmbeddedStore, isFailing: () => boolean): CoordinationStore {
  return {
    range: store.range.bind(store),
    txn: store.txn.bind(store),
    watch: store.watch.bind(store),
    grantLease: store.grantLease.bind(store),
    keepAlive: (lease, signal) =>
      isFailing()
        ? Promise.reject(new WireError("UNAVAILABLE", "no leader"))
        : store.keepAlive(lease, signal),
    revokeLease: store.revokeLease.bind(store),
    compact: store.compact.bind(store),
  };
}

/** The store, but renewals are never answered. */
function mute(store: EmbeddedStore): CoordinationStore {
  return {
    ...unreachable(store, () => false),
    keepAlive: (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      }),
  };
}

test("session: renewed -> its keys live on; closed -> they go, and nobody is told of a loss", async () => {
  const w = await world();
  const session = await w.open();
  const revision = await session.announce("member", utf8("1"), never);
  equal(revision, w.store.header.revision);
  await w.agenda.advance(60_000);
  equal(await w.value("member"), "1");
  await session.close(never);
  equal(await w.value("member"), undefined);
  deepEqual([w.lost, session.isLost, session.isLate, session.signal.aborted], [[], false, false, true]);
  await w.agenda.advance(60_000);
  equal(session.isLate, true);
  await session.close(never);
});

test("announce: again -> the revision of the first time; under another owner -> waits until that is gone", async () => {
  const w = await world();
  const one = await w.open();
  const revision = await one.announce("member", utf8("one"), never);
  equal(await one.announce("member", utf8("one"), never), revision);
  const two = await w.open();
  let announced = 0;
  const announcing = two.announce("member", utf8("two"), never).then((revision) => (announced = revision));
  await w.agenda.advance(25_000);
  equal(announced, 0);
  await one.close(never);
  // Each second, since it began to wait.
  await w.agenda.advance(999);
  equal(announced, 0);
  await w.agenda.advance(1);
  equal(await announcing, announced);
  equal(await w.value("member"), "two");
  const gone = new AbortController();
  const hopeless = (await w.open()).announce("member", utf8("three"), gone.signal);
  await settle();
  gone.abort(new Error("gone"));
  await rejects(hopeless, /gone/);
});

test("update: keeps the lease, and fails when somebody else has written", async () => {
  const w = await world();
  const session = await w.open();
  const revision = await session.announce("member", utf8("1"), never);
  const updated = await session.update("member", utf8("2"), revision, never);
  deepEqual(w.store.leaseStatus(session.lease).keys, ["member"]);
  await rejects(session.update("member", utf8("3"), revision, never), {
    code: "ETCD_TRANSACTION_FAILED",
    message: `key modified or deleted externally (expected revision ${revision})`,
  });
  equal(await w.value("member"), "2");
  await w.store.txn({ compare: [], success: [{ kind: "delete", key: "member" }] }, never);
  await rejects(session.update("member", utf8("3"), updated, never), { code: "ETCD_TRANSACTION_FAILED" });
});

test("announce: the lease has ended -> says so, and is worth another try", async () => {
  const w = await world();
  const session = await w.open();
  await w.store.revokeLease(session.lease, never);
  await rejects(session.announce("member", utf8("1"), never), {
    code: "UNAVAILABLE",
    message: /^not announced: its lease \(etcd\.lease, 9 s\).*lease not found$/,
  });
  await session.close(never);
});

test("lost: revoked by others -> told once, at the next renewal", async () => {
  const w = await world();
  const session = await w.open();
  await w.store.revokeLease(session.lease, never);
  await w.agenda.advance(20_000);
  equal(w.lost.length, 1);
  match(
    w.lost[0]!,
    /^unable to keep member lease alive: its lease \(etcd\.lease, 9 s\) would have lasted for 6\.0 s yet.* at 3000$/,
  );
  deepEqual([session.isLost, session.signal.aborted], [true, true]);
  await session.close(never);
});

test("lost: the store is away -> tried until the lease must have ended, not longer", async () => {
  const w = await world();
  let isAway = false;
  const session = await w.open(unreachable(w.store, () => isAway));
  await w.agenda.advance(3500);
  isAway = true;
  await w.agenda.advance(7000);
  deepEqual(w.lost, []);
  isAway = false;
  await w.agenda.advance(10_000);
  deepEqual([w.lost, session.isLost], [[], false]);
  isAway = true;
  await w.agenda.advance(30_000);
  equal(w.lost.length, 1);
  match(w.lost[0]!, /its lease \(etcd\.lease, 9 s\) ended 0\.\d s ago: no renewal was answered in time: /);
});

test("lost: the store says nothing any more -> when the lease ends, whatever a request may take", async () => {
  const w = await world();
  const session = await w.open(mute(w.store));
  await w.agenda.advance(8999);
  equal(session.isLost, false);
  await w.agenda.advance(1);
  equal(session.isLost, true);
  match(w.lost.join(), /no renewal was answered in time: no answer before the lease ended at 9000$/);
});

test("lost: a renewal fails just before the lease ends, and the next one is not answered -> when it ends", async () => {
  const w = await world();
  const failing = unreachable(w.store, () => true);
  const silent = mute(w.store);
  const session = await w.open({
    ...failing,
    keepAlive: (lease, signal) => (w.agenda.nowMs < 8850 ? failing : silent).keepAlive(lease, signal),
  });
  await w.agenda.advance(8999);
  equal(session.isLost, false);
  await w.agenda.advance(2);
  equal(session.isLost, true);
});

test("lost: held up past its lease, and the store says nothing -> it is not waited for long", async () => {
  const w = await world();
  let behindMs = 0;
  const session = await w.open(mute(w.store), () => behindMs);
  await w.agenda.advance(2000);
  behindMs = 60_000;
  await w.agenda.advance(2900);
  equal(session.isLost, false);
  await w.agenda.advance(200);
  equal(session.isLost, true);
  // Also when it was held up while it waited for the answer.
  const other = await world();
  let otherMs = 0;
  const asked = await other.open(mute(other.store), () => otherMs);
  await other.agenda.advance(8000);
  otherMs = 60_000;
  await other.agenda.advance(2900);
  equal(asked.isLost, false);
  await other.agenda.advance(200);
  equal(asked.isLost, true);
});

test("lost: the process was held up past its lease -> says by how much it was late", async () => {
  const w = await world();
  let behindMs = 0;
  const session = await w.open(w.store, () => behindMs);
  await w.agenda.advance(1000);
  const lease = "its lease (etcd.lease, 9 s)";
  equal(session.account, `${lease} would have lasted for 8.0 s yet, and was not ended here`);
  behindMs = 12_000;
  const late =
    "this process has not asked for its renewal, 10.0 s after it was to: it, or its machine, was held up";
  equal(session.account, `${lease} ended 4.0 s ago: ${late}`);
  await session.close(never);
});

test("session: the machine slept past the lease -> it is late, though the monotonic clock stood still", async () => {
  const sleeper = await world();
  let sleptMs = 0;
  const session = await sleeper.open(undefined, undefined, () => sleptMs);
  equal(session.isLate, false);
  sleptMs = 3_600_000;
  equal(session.isLate, true);
  await sleeper.agenda.advance(3000);
  equal(session.isLate, false);
});

test("session: late, and asked whether it lives -> renewed at once; not late -> nobody is asked", async () => {
  const w = await world();
  let [asked, aheadMs] = [0, 0];
  let isAway = false;
  const counted: CoordinationStore = {
    ...unreachable(w.store, () => isAway),
    keepAlive: (lease, signal) => {
      asked++;
      return unreachable(w.store, () => isAway).keepAlive(lease, signal);
    },
  };
  const session = await w.open(counted, undefined, () => aheadMs);
  await w.agenda.advance(1000);
  equal(await session.isAlive(never), true);
  equal(asked, 0);
  aheadMs += 3_600_000;
  const both = Promise.all([session.isAlive(never), session.isAlive(never)]);
  await w.agenda.advance(1);
  deepEqual([await both, asked, session.isLate], [[true, true], 1, false]);
  await w.agenda.advance(2990);
  equal(asked, 1, "the next one is a third of the lease behind it");
  await w.agenda.advance(20);
  equal(asked, 2);
  isAway = true;
  aheadMs += 3_600_000;
  const lost = session.isAlive(never);
  await w.agenda.advance(1);
  deepEqual([await lost, w.lost.length, session.isLost], [false, 1, true]);
});

test("session: asked whether it lives, nobody answers -> as long as who asks waits; closed -> no", async () => {
  const w = await world();
  let aheadMs = 0;
  const session = await w.open(mute(w.store), undefined, () => aheadMs);
  aheadMs += 3_600_000;
  const impatient = new AbortController();
  const refused = rejects(session.isAlive(impatient.signal), /enough/);
  const waiting = session.isAlive(never);
  await w.agenda.advance(1);
  impatient.abort(new Error("enough"));
  await refused;
  await session.close(never);
  equal(await waiting, false);
});
