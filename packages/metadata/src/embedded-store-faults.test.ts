// The embedded store against a log that refuses, fails and stalls, and over several lives.
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, utf8, WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { StoreOp } from "./coordination.ts";
import { EVERYTHING } from "./key.ts";
import { openEmbeddedStore, type EmbeddedStore, type EmbeddedStoreOptions } from "./embedded-store.ts";
import { MemoryJournal } from "./journal.ts";

const ALL = { key: EVERYTHING, end: EVERYTHING };

interface World {
  readonly agenda: Agenda;
  readonly journal: MemoryJournal;
  start(options?: Partial<EmbeddedStoreOptions>): Promise<EmbeddedStore>;
}

function world(): World {
  const agenda = new Agenda();
  const journal = new MemoryJournal();
  const clock = new SimulatedClock(agenda);
  let life = 0;
  return {
    agenda,
    journal,
    start: (options = {}) => {
      const random = seededRandom(`life ${life++}`);
      return openEmbeddedStore(journal.recover, { clock, random, logger: silentLogger, ...options });
    },
  };
}

const put = (key: string, value = "", lease = 0n): StoreOp => ({
  kind: "put",
  key,
  value: utf8(value),
  lease,
});

async function write(store: EmbeddedStore, ...ops: StoreOp[]): Promise<number> {
  return (await store.txn({ compare: [], success: ops }, never)).header.revision;
}

async function keys(store: EmbeddedStore): Promise<string> {
  return (await store.range(ALL, never)).kvs.map(({ key }) => key).join(" ");
}

function full(): Promise<void> {
  return Promise.reject(new WireError("DISK_FULL", "no space"));
}

test("lives: ids stay, the term rises, state and revision continue", async () => {
  const w = world();
  const one = await w.start();
  await write(one, put("a"));
  const before = one.header;
  await one.close();
  const two = await w.start();
  deepEqual(two.header, { ...before, raftTerm: before.raftTerm + 1n });
  equal(await keys(two), "a");
  equal(await write(two, put("b")), before.revision + 1);
});

test("log: nothing is answered, read or watched before it is synced", async () => {
  const w = world();
  const store = await w.start();
  let release = (): void => {};
  w.journal.onAppend = () => new Promise((resolve) => (release = resolve));
  let isAnswered = false;
  const stop = new AbortController();
  let seen = 0;
  const watching = (async () => {
    for await (const { events } of store.watch(ALL, stop.signal)) seen += events.length;
  })();
  const writing = write(store, put("a")).then(() => (isAnswered = true));
  const reading = store.txn({ compare: [], success: [{ kind: "range", ...ALL }] }, never);
  let isRead = false;
  void reading.then(() => (isRead = true));
  await settle();
  equal(await keys(store), "");
  deepEqual([isAnswered, isRead, seen, store.header.revision], [false, false, 0, 1]);
  release();
  await Promise.all([writing, reading]);
  await settle();
  equal(await keys(store), "a");
  deepEqual([isAnswered, isRead, seen, store.header.revision], [true, true, 1, 2]);
  stop.abort();
  await watching;
});

test("log: refuses -> DISK_FULL, everything undone, unhealthy; space again -> healthy without a restart", async () => {
  const w = world();
  const store = await w.start();
  const lease = await store.grantLease(10, never);
  await write(store, put("a", "1", lease), put("b", "1"));
  const { revision } = store.header;
  w.journal.onAppend = full;
  const compare = [{ target: "version", key: "c", op: "=", version: 0 }] as const;
  const outcomes = await Promise.allSettled([
    write(store, put("a", "2")),
    write(store, { kind: "delete", key: "b" }),
    store.txn({ compare, success: [put("c")] }, never),
    store.txn({ compare, success: [put("c")] }, never),
    store.grantLease(10, never),
    store.revokeLease(lease, never),
    store.txn({ compare: [], success: [{ kind: "range", key: "c" }] }, never),
  ]);
  for (const outcome of outcomes) {
    ok(outcome.status === "rejected");
    equal(WireError.from(outcome.reason).code, "DISK_FULL");
  }
  ok(store.unhealthy()?.includes("no space"));
  equal(await keys(store), "a b");
  deepEqual([store.header.revision, store.leases()], [revision, [lease]]);
  deepEqual(store.leaseStatus(lease).keys, ["a"]);
  w.journal.onAppend = undefined;
  equal(await write(store, put("c")), revision + 1);
  equal(store.unhealthy(), undefined);
  equal(await keys(store), "a b c");
  await store.close();
  equal(await keys(await w.start()), "b c");
});

test("log: fails -> OUTCOME_UNKNOWN, then nothing is taken; a restart shows what is there", async () => {
  const w = world();
  const store = await w.start();
  await write(store, put("a"));
  w.journal.onAppend = () => Promise.reject(new Error("EIO"));
  await rejects(write(store, put("b")), { code: "OUTCOME_UNKNOWN" });
  w.journal.onAppend = undefined;
  await rejects(write(store, put("c")), { code: "UNAVAILABLE" });
  await rejects(store.grantLease(5, never), { code: "UNAVAILABLE" });
  ok(store.unhealthy()?.includes("EIO"));
  equal(await keys(store), "a");
  await store.close();
  equal(await keys(await w.start()), "a");
});

test("log: a caller who goes away learns that the outcome is unknown; the write goes on", async () => {
  const w = world();
  const store = await w.start();
  let release = (): void => {};
  w.journal.onAppend = () => new Promise((resolve) => (release = resolve));
  const gone = new AbortController();
  const writing = store.txn({ compare: [], success: [put("a")] }, gone.signal);
  await settle();
  gone.abort();
  await rejects(writing, { code: "OUTCOME_UNKNOWN" });
  release();
  await settle();
  equal(await keys(store), "a");
});

test("leases (D16): the process's own end with its life, others get their full time again", async () => {
  const w = world();
  const one = await w.start();
  const own = await one.grantLease(1000, never);
  const other = await one.grantRemoteLease(0n, 10, never);
  await write(one, put("own", "", own), put("other", "", other), put("none"));
  await w.agenda.advance(6000);
  const { revision } = one.header;
  // Killed: nothing was closed.
  const two = await w.start();
  equal(await keys(two), "none other");
  equal(two.header.revision, revision + 1);
  await w.agenda.advance(6000);
  equal(await keys(two), "none other");
  await w.agenda.advance(6000);
  equal(await keys(two), "none");
});

test("leases (D16): killed again while it recovers -> the same, and only once", async () => {
  const w = world();
  const one = await w.start();
  await write(one, put("own", "", await one.grantLease(1000, never)));
  const { revision } = one.header;
  w.journal.onAppend = () => Promise.reject(new Error("killed"));
  await rejects(w.start(), { code: "OUTCOME_UNKNOWN" });
  w.journal.onAppend = undefined;
  for (let life = 0; life < 3; life++) {
    const store = await w.start();
    equal(await keys(store), "");
    equal(store.header.revision, revision + 1);
  }
});

test("leases (D16): after a pause every lease has its full time again", async () => {
  const w = world();
  // A paused process is one whose timers come late.
  let lateMs = 0;
  const clock = new SimulatedClock(w.agenda);
  const paused = {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => clock.monotonicMs(),
    sleep: clock.sleep.bind(clock),
    after: (ms: number, run: () => void) => clock.after(ms + lateMs, run),
  };
  const store = await w.start({ clock: paused });
  const short = await store.grantLease(5, never);
  const long = await store.grantRemoteLease(0n, 20, never);
  await write(store, put("short", "", short), put("long", "", long));
  lateMs = 60_000;
  await w.agenda.advance(500);
  lateMs = 0;
  await w.agenda.advance(60_500);
  equal(await keys(store), "long short");
  equal(store.leaseStatus(long).remainingSeconds, 20);
  await w.agenda.advance(4000);
  equal(await store.keepAlive(short, never), 5);
  await w.agenda.advance(6000);
  equal(await keys(store), "long");
});

test("leases: an end that the full disk refuses comes when there is space", async () => {
  const w = world();
  const store = await w.start();
  await write(store, put("a", "", await store.grantLease(2, never)));
  w.journal.onAppend = full;
  await w.agenda.advance(5000);
  equal(await keys(store), "a");
  w.journal.onAppend = undefined;
  await w.agenda.advance(1000);
  equal(await keys(store), "");
});

test("leases: a wanted id that exists -> CONFLICT", async () => {
  const w = world();
  const store = await w.start();
  equal(await store.grantRemoteLease(77n, 10, never), 77n);
  await rejects(store.grantRemoteLease(77n, 10, never), { code: "CONFLICT" });
  deepEqual(store.leaseStatus(77n), {
    lease: 77n,
    ttlSeconds: 10,
    remainingSeconds: 10,
    owner: "remote",
    keys: [],
  });
});

test("history: bounded by revisions, by age and by bytes", async () => {
  const byRevisions = await world().start({ historyRevisionsMax: 100 });
  for (let i = 0; i < 500; i++) await write(byRevisions, put("a"));
  await settle();
  const oldest = byRevisions.header.revision - 130;
  await rejects(byRevisions.range({ ...ALL, revision: oldest }, never), { code: "COMPACTED" });
  await byRevisions.range({ ...ALL, revision: byRevisions.header.revision - 99 }, never);

  const w = world();
  const byAge = await w.start({ historyMs: 60_000 });
  const first = await write(byAge, put("a", "1"));
  await write(byAge, put("a", "2"));
  await w.agenda.advance(50_000);
  await byAge.range({ ...ALL, revision: first }, never);
  await w.agenda.advance(20_000);
  await rejects(byAge.range({ ...ALL, revision: first }, never), { code: "COMPACTED" });
  equal(await keys(byAge), "a");

  const byBytes = await world().start({ historyBytesMax: 100_000 });
  const early = await write(byBytes, put("a"));
  for (let i = 0; i < 30; i++) await write(byBytes, put("a", "x".repeat(10_000)));
  await settle();
  await rejects(byBytes.range({ ...ALL, revision: early }, never), { code: "COMPACTED" });
});

test("checkpoints: the log stays short, lives continue, also behind the newest checkpoint", async () => {
  const w = world();
  const one = await w.start({ checkpointLogBytes: 10_000 });
  for (let i = 0; i < 1000; i++) await write(one, put(`k${i % 50}`, "x".repeat(100)));
  await settle();
  ok(w.journal.tailBytes < 60_000, String(w.journal.tailBytes));
  const before = await one.range(ALL, never);
  const { revision } = one.header;
  const two = await w.start();
  deepEqual((await two.range(ALL, never)).kvs, before.kvs);
  deepEqual((await two.range({ ...ALL, revision: revision - 5 }, never)).count, 50);
});

test("checkpoints: written while the store goes on, with transactions that are refused meanwhile", async () => {
  const w = world();
  const one = await w.start();
  for (let i = 0; i < 300; i++) await write(one, put(`k${i}`, "x".repeat(2000)));
  const lease = await one.grantLease(50, never);
  const writing = one.checkpoint();
  const refused = write(one, put("refused"));
  const outcome = Promise.allSettled([refused, one.revokeLease(lease, never)]);
  w.journal.onAppend = full;
  await outcome;
  w.journal.onAppend = undefined;
  const later = write(one, put("later"));
  await Promise.all([writing, later]);
  const two = await w.start();
  equal((await keys(two)).includes("refused"), false);
  equal((await two.range(ALL, never)).count, 301);
});

test("close: what was accepted is settled, later requests are refused, watches end", async () => {
  const w = world();
  const store = await w.start();
  const watching = (async () => {
    for await (const batch of store.watch({ key: "none" }, never)) void batch;
  })();
  const writing = write(store, put("a"));
  await Promise.all([store.close(), writing, rejects(watching, { code: "UNAVAILABLE" })]);
  await rejects(write(store, put("b")), { code: "UNAVAILABLE" });
});
