// The client's decisions, on simulated time against members that do what a test says.
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, utf8, WireError, type Code } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { builder, encode } from "@millrace/protobuf";
import type { TxnResponse } from "./coordination.ts";
import { AUTH } from "./etcd-api/auth.ts";
import { CLUSTER, MAINTENANCE } from "./etcd-api/cluster.ts";
import { KV } from "./etcd-api/kv.ts";
import { LEASE } from "./etcd-api/lease.ts";
import { WATCH, watchResponse, type WatchRequest } from "./etcd-api/watch.ts";
import { answering, fakeChannel, memberOf, type FakeCall, type FakeMember } from "./etcd-fake-testkit.ts";
import { ETCD_DEFAULTS, type EtcdSettings } from "./etcd-options.ts";
import { openEtcdStore, type EtcdStore } from "./etcd-store.ts";

const header = { clusterId: 1n, memberId: 2n, revision: 10, raftTerm: 3n };
const members = answering(CLUSTER.memberList, () => ({ header, members: [] }));
const ranges = answering(KV.range, () => ({ header, kvs: [], more: false, count: 7 }));
const txns = answering(KV.txn, ({ success }) => ({
  header,
  succeeded: true,
  responses: success.map(({ requestPut }) => (requestPut ? { responsePut: { header } } : {})),
}));

class World {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  /** What the present members do, by host. */
  readonly members: Record<string, FakeMember>;
  /** `host method` of each message that a member got. */
  readonly got: string[] = [];

  constructor(members: Record<string, FakeMember>) {
    this.members = members;
  }

  async open(settings: Partial<EtcdSettings> = {}): Promise<EtcdStore> {
    const endpoints = Object.keys(this.members).map((host) => `http://${host}:1`);
    const connect = (address: string) =>
      fakeChannel(this.clock, (call, bytes) => {
        const host = /\/\/(\w+):/.exec(address)?.[1] ?? "";
        this.got.push(`${host} ${call.path.split("/").at(-1)}`);
        this.members[host]!(call, bytes);
      });
    const ports = { clock: this.clock, random: seededRandom("etcd"), logger: silentLogger, connect };
    return this.run(openEtcdStore({ ...ETCD_DEFAULTS, syncMs: 0, endpoints, ...settings }, ports, never));
  }

  /** Lets time pass until `work` is over. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const over = (): void => void (isOver = true);
    work.then(over, over);
    await this.agenda.runUntil(() => isOver, this.agenda.nowMs + 3_600_000);
    equal(isOver, true, "it hangs");
    return work;
  }

  async refused(work: Promise<unknown>, code: Code, text = /./): Promise<void> {
    await rejects(this.run(work), (error: unknown) => {
      if (!(error instanceof WireError)) throw error;
      equal(error.code, code, error.message);
      match(error.message, text);
      return true;
    });
  }
}

function put(store: EtcdStore, signal = never): Promise<TxnResponse> {
  return store.txn({ compare: [], success: [{ kind: "put", key: "k", value: utf8("v") }] }, signal);
}

function read(store: EtcdStore, signal = never) {
  return store.range({ key: "k" }, signal);
}

/** A member that ends these calls in this way, and else does what `otherwise` does. */
function ending(
  path: string,
  [code, message, maybeProcessed]: readonly [string, string, boolean],
  otherwise: FakeMember,
): FakeMember {
  return (call, bytes) => {
    if (call.path === path) call.end(code, message, maybeProcessed);
    else otherwise(call, bytes);
  };
}

const healthy = memberOf(members, ranges, txns);
const REFUSED = ["UNAVAILABLE", "connection refused", false] as const;
const LOST = ["UNAVAILABLE", "connection lost", true] as const;

test("a member that cannot be reached -> the next one, for reads and writes", async () => {
  const world = new World({ a: healthy, b: healthy });
  const store = await world.open();
  world.members["a"] = (call) => call.end(...REFUSED);
  equal((await world.run(read(store))).count, 7);
  await world.run(put(store));
  deepEqual(world.got, ["a MemberList", "a Range", "b Range", "b Txn"]);
});

test("a write whose connection is lost -> OUTCOME_UNKNOWN, asked once; a read -> repeated", async () => {
  const world = new World({ a: healthy, b: healthy });
  const store = await world.open();
  world.members["a"] = (call) => call.end(...LOST);
  await world.refused(put(store), "OUTCOME_UNKNOWN", /connection lost/);
  world.members["b"] = world.members["a"];
  world.members["a"] = healthy;
  await world.run(read(store));
  const readOnly = { compare: [], success: [{ kind: "range", key: "k" }] } as const;
  await world.refused(store.txn(readOnly, never), "INTERNAL", /answered a range with something else/);
  deepEqual(world.got, ["a MemberList", "a Txn", "b Range", "a Range", "a Txn"]);
});

test("what a member says before it proposes -> a write goes to the next one", async () => {
  for (const text of ["no leader", "rpc not supported for learner", "too many requests"]) {
    const world = new World({ a: healthy, b: healthy });
    const store = await world.open();
    world.members["a"] = (call) => call.end("UNAVAILABLE", `etcdserver: ${text}`, true);
    await world.run(put(store));
  }
});

test("nobody can be reached -> UNAVAILABLE when the time is over, not before", async () => {
  const world = new World({ a: healthy, b: healthy });
  const store = await world.open();
  world.members["a"] = world.members["b"] = (call) => call.end(...REFUSED);
  const beginMs = world.agenda.nowMs;
  await world.refused(read(store), "UNAVAILABLE", /within 10000 ms: connection refused/);
  const tookMs = world.agenda.nowMs - beginMs;
  equal(tookMs > 9000 && tookMs <= 10_000, true, `${tookMs}`);
  equal(world.got.length < 100, true, "with pauses");
});

test("nobody answers -> says for how long, until somebody does; one of two -> not silent", async () => {
  const world = new World({ a: healthy, b: healthy });
  const store = await world.open();
  world.members["a"] = (call) => call.end(...REFUSED);
  await world.run(read(store));
  equal(store.silentMs, 0);
  world.members["b"] = world.members["a"];
  await world.refused(read(store), "UNAVAILABLE", /connection refused/);
  equal(store.silentMs > 9000 && store.silentMs <= 10_000, true, `${store.silentMs}`);
  world.members["b"] = healthy;
  await world.run(read(store));
  equal(store.silentMs, 0);
});

test("a member that is silent -> reads go elsewhere, writes are unknown, renewals go elsewhere", async () => {
  const renewals = answering(LEASE.leaseKeepAlive, ({ id }) => ({ header, id, ttl: 9 }));
  const whole = memberOf(members, ranges, txns, renewals);
  const world = new World({ a: whole, b: whole });
  const store = await world.open();
  equal(await world.run(store.keepAlive(5n, never)), 9);
  world.members["a"] = () => {};
  await world.run(read(store));
  equal(world.agenda.nowMs, 3000);
  const again = new World({ a: whole, b: whole });
  const other = await again.open();
  again.members["a"] = () => {};
  await again.refused(put(other), "OUTCOME_UNKNOWN", /deadline exceeded/);
  equal(again.agenda.nowMs, 10_000);
  const third = new World({ a: whole, b: whole });
  const renewing = await third.open();
  third.members["a"] = () => {};
  equal(await third.run(renewing.keepAlive(5n, never)), 9);
});

test("its signal aborts -> a read ends with the reason, a write is unknown", async () => {
  const world = new World({ a: healthy });
  const store = await world.open();
  world.members["a"] = () => {};
  const stop = new AbortController();
  world.clock.after(50, () => stop.abort(new Error("enough")));
  const reading = rejects(world.run(read(store, stop.signal)), /enough/);
  await Promise.all([reading, world.refused(put(store, stop.signal), "OUTCOME_UNKNOWN")]);
  equal(world.agenda.nowMs, 50);
});

test("alarms: refuse as nobody has become another cluster; told until what they refuse is answered", async () => {
  const leases = answering(LEASE.leaseGrant, ({ id, ttl }) => ({ header, id, ttl, error: "" }));
  const whole = memberOf(members, ranges, txns, leases);
  const world = new World({ a: whole, b: whole });
  const store = await world.open();
  equal(store.alarm, undefined);
  const corrupt = ["DATA_LOSS", "etcdserver: corrupt cluster", true] as const;
  world.members["a"] = ending(KV.txn.path, corrupt, whole);
  await world.refused(put(store), "UNAVAILABLE", /^etcdserver: corrupt cluster$/);
  await world.run(read(store));
  equal(store.alarm, "etcdserver: corrupt cluster", "reads are not refused");
  world.members["a"] = whole;
  await world.run(put(store));
  equal(store.alarm, undefined);
  const full = ["RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded", true] as const;
  world.members["a"] = ending(KV.txn.path, full, ending(LEASE.leaseGrant.path, full, whole));
  await world.refused(store.grantLease(5, never), "DISK_FULL");
  await world.refused(put(store), "DISK_FULL", /^etcdserver: mvcc: database space exceeded$/);
  world.members["a"] = whole;
  await world.run(read(store));
  const deletion = { compare: [], success: [{ kind: "delete", key: "k" }] } as const;
  await world.refused(store.txn(deletion, never), "INTERNAL", /something else/);
  equal(store.alarm, "etcdserver: mvcc: database space exceeded", "neither needs space");
  await world.run(store.grantLease(5, never));
  equal(store.alarm, undefined);
});

test("another cluster answers -> CORRUPT", async () => {
  const world = new World({ a: healthy });
  const store = await world.open();
  const foreign = { ...header, clusterId: 9n };
  world.members["a"] = memberOf(
    answering(KV.range, () => ({ header: foreign, kvs: [], more: false, count: 0 })),
  );
  await world.refused(read(store), "CORRUPT", /cluster id of etcd has become 9, it was 1/);
});

test("answers that cannot be read -> never anything but a WireError", async () => {
  const world = new World({ a: healthy });
  const store = await world.open({ requestTimeoutMs: 500 });
  const nonsense: readonly FakeMember[] = [
    (call) => (call.reply(utf8("\xff\xff")), call.end("OK")),
    (call) => call.end("OK"),
    (call) => (call.reply(new Uint8Array(0)), call.end("OK")),
    (call) => call.end("DATA_LOSS", "etcdserver: corrupt cluster"),
    (call) => call.end("SOMETHING NEW"),
  ];
  for (const member of nonsense) {
    world.members["a"] = member;
    const works = [
      () => read(store),
      () => put(store),
      () => store.grantLease(5, never),
      () => store.keepAlive(5n, never),
    ];
    for (const work of works) await rejects(world.run<unknown>(work()), WireError);
  }
});

test("lease: a grant of unknown outcome -> repeated with the same id, which then exists", async () => {
  const ids: bigint[] = [];
  const world = new World({ a: healthy, b: healthy });
  const store = await world.open();
  const grants = (end: readonly [string, string, boolean]): FakeMember =>
    memberOf(
      answering(LEASE.leaseGrant, ({ id }, call) => {
        ids.push(id);
        call.end(...end);
        return undefined;
      }),
    );
  world.members["a"] = grants(LOST);
  world.members["b"] = grants(["FAILED_PRECONDITION", "etcdserver: lease already exists", true]);
  const lease = await world.run(store.grantLease(5, never));
  deepEqual(ids, [lease, lease]);
});

test("lease: revoked with an unknown outcome, then not found -> done; not found at once -> NOT_FOUND", async () => {
  const gone = ["NOT_FOUND", "etcdserver: requested lease not found", true] as const;
  const world = new World({ a: healthy, b: healthy });
  const store = await world.open();
  world.members["a"] = (call) => call.end(...LOST);
  world.members["b"] = (call) => call.end(...gone);
  await world.run(store.revokeLease(5n, never));
  await world.refused(store.revokeLease(5n, never), "NOT_FOUND");
});

test("lease: renewals share a stream, answers go to whom they belong, also when one has gone", async () => {
  let stream: FakeCall | undefined;
  const asked: bigint[] = [];
  const renewals = answering(LEASE.leaseKeepAlive, ({ id }, call) => void (asked.push(id), (stream = call)));
  const world = new World({ a: memberOf(members, renewals) });
  const store = await world.open();
  const stop = new AbortController();
  const gone = rejects(store.keepAlive(1n, stop.signal), /gone/);
  const two = store.keepAlive(2n, never);
  const none = world.refused(store.keepAlive(3n, never), "NOT_FOUND", /requested lease not found/);
  await world.agenda.advance(1);
  stop.abort(new Error("gone"));
  await gone;
  for (const [id, ttl] of [
    [1n, 7],
    [2n, 8],
    [3n, 0],
  ] as const) {
    stream!.reply(encode(LEASE.leaseKeepAlive.response, { header, id, ttl }));
  }
  equal(await world.run(two), 8);
  await none;
  deepEqual(asked, [1n, 2n, 3n]);
  equal(world.got.filter((one) => one.endsWith("LeaseKeepAlive")).length, 3);
});

test("token: asked for once by all who need it, renewed when it is refused, given up after three", async () => {
  let valid = "t1";
  let logins = 0;
  const login = answering(AUTH.authenticate, ({ name, password }) => {
    logins++;
    equal(`${name}:${password}`, "root:secret");
    return { header, token: valid };
  });
  const guarded = (member: readonly [string, FakeMember]) =>
    [
      member[0],
      (call: FakeCall, bytes: Uint8Array) => {
        if (call.metadata.get("token") === valid) member[1](call, bytes);
        else call.end("UNAUTHENTICATED", "etcdserver: invalid auth token");
      },
    ] as const;
  const world = new World({ a: memberOf(login, guarded(members), guarded(ranges), guarded(txns)) });
  const store = await world.open({ user: "root", password: "secret" });
  await world.run(Promise.all([read(store), put(store), read(store)]));
  equal(logins, 1);
  valid = "t2";
  await world.run(Promise.all([read(store), put(store), read(store)]));
  equal(logins, 2);
  world.members["a"] = memberOf(login, [
    KV.range.path,
    (call) => call.end("UNAUTHENTICATED", "etcdserver: invalid auth token"),
  ]);
  await world.refused(read(store), "UNAUTHENTICATED");
});

test("token: wrong password -> UNAUTHENTICATED; authentication off -> none is sent", async () => {
  const wrong = "etcdserver: authentication failed, invalid user ID or password";
  const world = new World({ a: ending(AUTH.authenticate.path, ["INVALID_ARGUMENT", wrong, true], healthy) });
  await world.refused(
    world.open({ user: "root", password: "x" }),
    "UNAUTHENTICATED",
    /authentication failed/,
  );
  const off = ["FAILED_PRECONDITION", "etcdserver: authentication is not enabled", true] as const;
  const open = new World({ a: ending(AUTH.authenticate.path, off, healthy) });
  const store = await open.open({ user: "root", password: "x" });
  await open.run(read(store));
  deepEqual(open.got, ["a Authenticate", "a MemberList", "a Range"]);
});

test("token: cannot be had -> the write that needs it has not happened", async () => {
  const world = new World({ a: ending(AUTH.authenticate.path, LOST, healthy) });
  const opening = world.open({ user: "root", password: "x", requestTimeoutMs: 200 });
  world.clock.after(
    3000,
    () =>
      (world.members["a"] = memberOf(
        answering(AUTH.authenticate, () => ({ header, token: "t" })),
        members,
        txns,
      )),
  );
  const opened = await opening;
  await world.run(put(opened));
});

const newWatchResponse = builder(watchResponse);

/** A message on a watch's stream, as the member got it. */
interface Asked {
  readonly call: FakeCall;
  readonly request: WatchRequest;
}

/** A member whose watches a test drives itself. */
function watches(asked: Asked[]): readonly [path: string, member: FakeMember] {
  return answering(WATCH.watch, (request, call) => {
    asked.push({ call, request });
    return request.createRequest === undefined ? undefined : newWatchResponse({ header, created: true });
  });
}

test("watch: breaks -> goes on behind the last whole revision, at the next member", async () => {
  const streams: Asked[] = [];
  const watching = memberOf(members, watches(streams));
  const world = new World({ a: watching, b: watching });
  const store = await world.open();
  const stop = new AbortController();
  const seen: number[] = [];
  const watched = (async () => {
    for await (const { events } of store.watch({ key: "k", fromRevision: 11 }, stop.signal))
      seen.push(...events.map(({ kv }) => kv.modRevision));
  })();
  await world.agenda.advance(1);
  const answer = (at: number, fragment: boolean, ...revisions: number[]): void => {
    const events = revisions.map((modRevision) => ({
      type: "PUT" as const,
      kv: { key: "k", value: utf8(""), createRevision: 1, modRevision, version: 1, lease: 0n },
    }));
    streams[at]!.call.reply(encode(watchResponse, newWatchResponse({ header, events, fragment })));
  };
  answer(0, false, 11, 12);
  answer(0, true, 14, 15);
  streams[0]!.call.end(...LOST);
  await world.agenda.advance(10);
  deepEqual(
    streams.map(({ request }) => request.createRequest?.startRevision),
    [11, 15],
  );
  answer(1, false, 15);
  await world.agenda.advance(1);
  deepEqual(seen, [11, 12, 14, 15]);
  stop.abort();
  await world.run(watched);
  deepEqual(world.got.slice(1), ["a Watch", "b Watch"]);
});

test("closed: what is under way and what comes later -> UNAVAILABLE, watches too", async () => {
  const asked: Asked[] = [];
  const world = new World({ a: memberOf(members, ranges, watches(asked)) });
  const store = await world.open();
  const watch = store.watch({ key: "k", fromRevision: 11 }, never)[Symbol.asyncIterator]();
  const watched = rejects(watch.next(), { code: "UNAVAILABLE", message: "the store is closed" });
  await world.agenda.advance(1);
  await world.run(store.close());
  asked[0]!.call.end(...LOST); // As a channel does that is closed.
  await watched;
  await world.refused(read(store), "UNAVAILABLE", /the store is closed/);
});

test("watch: nobody takes its batches -> the member is stopped; taken -> it goes on", async () => {
  const streams: Asked[] = [];
  const world = new World({ a: memberOf(members, watches(streams)) });
  const store = await world.open();
  const stop = new AbortController();
  const batches = store.watch({ key: "k", fromRevision: 11 }, stop.signal)[Symbol.asyncIterator]();
  const first = batches.next();
  await world.agenda.advance(1);
  const value = new Uint8Array(1024 * 1024);
  for (let revision = 11; revision < 17; revision++) {
    const kv = { key: "k", value, createRevision: 1, modRevision: revision, version: 1, lease: 0n };
    streams[0]!.call.reply(
      encode(watchResponse, newWatchResponse({ header, events: [{ type: "PUT", kv }] })),
    );
  }
  equal(streams[0]!.call.isPaused, true);
  await first;
  equal(streams[0]!.call.isPaused, true);
  for (let i = 0; i < 4; i++) await batches.next();
  equal(streams[0]!.call.isPaused, false);
  stop.abort();
  equal((await batches.next()).value?.events[0]?.kv.modRevision, 16);
  equal((await batches.next()).done, true);
  await world.agenda.advance(1);
  equal(streams[0]!.call.isOver, true);
});

test("watch: wants progress -> asks, sooner when this process knows of more; an old member is not asked", async () => {
  for (const [version, asks] of [
    ["3.6.5", true],
    ["3.4.23", false],
  ] as const) {
    const streams: Asked[] = [];
    const status = answering(MAINTENANCE.status, () => ({ ...MAINTENANCE.status.response.zero, version }));
    const world = new World({ a: memberOf(members, ranges, status, watches(streams)) });
    const store = await world.open();
    const stop = new AbortController();
    const watch = store.watch({ key: "k", fromRevision: 11, progress: true }, stop.signal);
    const batches = watch[Symbol.asyncIterator]();
    const first = batches.next();
    const asked = (): number => streams.filter(({ request }) => request.progressRequest !== undefined).length;
    await world.agenda.advance(950);
    equal(asked(), 0);
    await world.agenda.advance(100);
    equal(asked(), asks ? 1 : 0);
    streams[0]!.call.reply(encode(watchResponse, newWatchResponse({ header: { ...header, revision: 12 } })));
    deepEqual((await world.run(first)).value?.events, []);
    stop.abort();
    equal((await world.run(batches.next())).done, true);
  }
});
