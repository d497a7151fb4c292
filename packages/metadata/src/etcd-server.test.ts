// The etcd server's services, without a transport: what etcd's clients ask, and what they are told.
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import type { StatusCode } from "@millrace/grpc";
import { CLUSTER, MAINTENANCE } from "./etcd-api/cluster.ts";
import {
  compare,
  KV,
  rangeRequest,
  txnRequest,
  type Compare,
  type KeyValue,
  type RequestOp,
} from "./etcd-api/kv.ts";
import { LEASE } from "./etcd-api/lease.ts";
import { WATCH } from "./etcd-api/watch.ts";
import { CallFailure, openStubServer, StubClient, type StubServer } from "./etcd-server-stub.ts";
import { prefixEnd } from "./key.ts";
import { REMOTE_LEASES_MAX } from "./limits.ts";

async function world(): Promise<StubServer & { readonly client: StubClient }> {
  const server = await openStubServer();
  return { ...server, client: new StubClient(server.handlers) };
}

async function put(client: StubClient, key: string, value: string, lease = 0n): Promise<number> {
  const { header } = await client.call(KV.put, { key, value: utf8(value), lease });
  return header!.revision;
}

function shown(kvs: readonly KeyValue[]): string {
  return kvs.map(({ key, value }) => `${key}=${text(value)}`).join(" ");
}

async function refused(work: Promise<unknown>, code: StatusCode, message: string): Promise<void> {
  await rejects(work, (error: unknown) => {
    ok(error instanceof CallFailure, String(error));
    deepEqual([error.code, error.message], [code, message]);
    return true;
  });
}

const all = { key: "\0", rangeEnd: "\0" } as const;
const putOp = (key: string, value: string): RequestOp => ({
  requestPut: { ...KV.put.request.zero, key, value: utf8(value) },
});
const rangeOp = (key: string): RequestOp => ({ requestRange: { ...rangeRequest.zero, key } });
const deleteOp = (key: string, rangeEnd = ""): RequestOp => ({
  requestDeleteRange: { key, rangeEnd, prevKv: true },
});
const versionIs = (key: string, version: number): Compare => ({ ...compare.zero, key, version });

test("range: order, bounds, limit, count, keys only", async () => {
  const { client } = await world();
  const first = await put(client, "a", "3");
  await put(client, "b", "1");
  await put(client, "c", "2");
  await put(client, "a", "4");
  const ask = async (
    fields: Parameters<typeof client.call<typeof rangeRequest.zero, unknown>>[1],
  ): Promise<string> => {
    const { kvs, count, more } = await client.call(KV.range, { ...all, ...fields });
    return `${shown(kvs)} (${count}${more ? "+" : ""})`;
  };
  equal(await ask({}), "a=4 b=1 c=2 (3)");
  equal(await ask({ sortOrder: "DESCEND" }), "c=2 b=1 a=4 (3)");
  equal(await ask({ sortTarget: "VALUE" }), "b=1 c=2 a=4 (3)");
  equal(await ask({ sortTarget: "MOD", sortOrder: "DESCEND", limit: 2 }), "a=4 c=2 (3+)");
  equal(await ask({ sortTarget: "VERSION", sortOrder: "DESCEND", limit: 1 }), "a=4 (3+)");
  equal(await ask({ sortTarget: "CREATE", sortOrder: "ASCEND", limit: 3 }), "a=4 b=1 c=2 (3)");
  equal(await ask({ limit: 2 }), "a=4 b=1 (3+)");
  equal(await ask({ limit: -5 }), "a=4 b=1 c=2 (3)");
  equal(await ask({ countOnly: true }), " (3)");
  equal(await ask({ keysOnly: true, sortTarget: "VALUE" }), "b= c= a= (3)");
  equal(await ask({ minModRevision: first + 1, maxModRevision: first + 2 }), "b=1 c=2 (3)");
  equal(await ask({ minCreateRevision: first + 1, limit: 1 }), "b=1 (3+)");
  equal(await ask({ maxCreateRevision: first }), "a=4 (3)");
  equal(await ask({ revision: first, serializable: true }), "a=3 (1)");
  equal(await ask({ revision: -1 }), "a=4 b=1 c=2 (3)");
  await refused(
    ask({ revision: 99 }),
    "OUT_OF_RANGE",
    "etcdserver: mvcc: required revision is a future revision",
  );
  await refused(client.call(KV.range, { key: "" }), "INVALID_ARGUMENT", "etcdserver: key is not provided");
});

test("put: previous value, kept value, kept lease", async () => {
  const { client } = await world();
  const fields = { key: "a", value: utf8("1"), prevKv: true };
  equal((await client.call(KV.put, fields)).prevKv, undefined);
  equal(text((await client.call(KV.put, { ...fields, value: utf8("2") })).prevKv!.value), "1");
  const { id } = await client.call(LEASE.leaseGrant, { ttl: 60 });
  await client.call(KV.put, { key: "a", lease: id, ignoreValue: true });
  await client.call(KV.put, { key: "a", value: utf8("3"), ignoreLease: true });
  const [kv] = (await client.call(KV.range, { key: "a" })).kvs;
  deepEqual([text(kv!.value), kv!.lease, kv!.version], ["3", id, 4]);
  const missing = "etcdserver: key not found";
  await refused(client.call(KV.put, { key: "x", ignoreValue: true }), "INVALID_ARGUMENT", missing);
  await refused(client.call(KV.put, { key: "x", ignoreLease: true }), "INVALID_ARGUMENT", missing);
  const given = { ...fields, ignoreValue: true };
  await refused(client.call(KV.put, given), "INVALID_ARGUMENT", "etcdserver: value is provided");
  const leased = { ...fields, lease: id, ignoreLease: true };
  await refused(client.call(KV.put, leased), "INVALID_ARGUMENT", "etcdserver: lease is provided");
  const unknown = client.call(KV.put, { ...fields, lease: 12345n });
  await refused(unknown, "NOT_FOUND", "etcdserver: requested lease not found");
});

test("delete: previous values of what was there; nothing there -> the revision stays", async () => {
  const { client } = await world();
  await put(client, "a/1", "1");
  const last = await put(client, "a/2", "2");
  const gone = await client.call(KV.deleteRange, { key: "a/", rangeEnd: prefixEnd("a/"), prevKv: true });
  deepEqual([gone.deleted, shown(gone.prevKvs), gone.header!.revision], [2, "a/1=1 a/2=2", last + 1]);
  const none = await client.call(KV.deleteRange, { ...all, prevKv: true });
  deepEqual([none.deleted, none.prevKvs, none.header!.revision], [0, [], last + 1]);
});

test("txn: nested ones compare with the state before, and run in order", async () => {
  const { client } = await world();
  const before = await put(client, "a", "1");
  const inner = {
    compare: [versionIs("b", 0)],
    success: [rangeOp("b"), deleteOp("a"), putOp("c", "in")],
    failure: [putOp("d", "wrong")],
  };
  const answer = await client.call(KV.txn, {
    compare: [versionIs("a", 1)],
    success: [putOp("b", "out"), { requestTxn: inner }, rangeOp("a")],
    failure: [putOp("d", "wrong")],
  });
  equal(answer.succeeded, true);
  equal(answer.header!.revision, before + 1);
  const [, nested, last] = answer.responses;
  const [range, gone] = nested!.responseTxn!.responses;
  deepEqual([nested!.responseTxn!.succeeded, shown(range!.responseRange!.kvs)], [true, "b=out"]);
  equal(shown(gone!.responseDeleteRange!.prevKvs), "a=1");
  equal(last!.responseRange!.count, 0);
  equal(shown((await client.call(KV.range, all)).kvs), "b=out c=in");
});

test("txn: what claims a key twice -> refused, at whatever depth; the branches of one may both", async () => {
  const { client } = await world();
  const nest = (success: RequestOp[], failure: RequestOp[] = []): RequestOp => ({
    requestTxn: { compare: [], success, failure },
  });
  const text = "etcdserver: duplicate key given in txn request";
  for (const success of [
    [putOp("a", ""), nest([putOp("a", "")])],
    [nest([putOp("a", "")]), nest([], [putOp("a", "")])],
    [nest([deleteOp("a", "c")]), putOp("b", "")],
    [nest([nest([putOp("b", "")])]), deleteOp("\0", "\0")],
  ]) {
    await refused(client.call(KV.txn, { success }), "INVALID_ARGUMENT", text);
  }
  await client.call(KV.txn, {
    success: [nest([putOp("a", "1")], [putOp("a", "2")]), deleteOp("b"), deleteOp("b")],
  });
  equal(shown((await client.call(KV.range, all)).kvs), "a=1");
});

test("txn: too many operations, too deep, too large, none at all -> etcd's refusals", async () => {
  const { client } = await world();
  const puts = (count: number): RequestOp[] => Array.from({ length: count }, (_, i) => putOp(`k${i}`, ""));
  await client.call(KV.txn, { success: puts(128) });
  const tooMany = "etcdserver: too many operations in txn request";
  await refused(client.call(KV.txn, { success: puts(129) }), "INVALID_ARGUMENT", tooMany);
  const nested = { requestTxn: { ...txnRequest.zero, success: puts(100) } };
  await refused(client.call(KV.txn, { success: [...puts(40), nested] }), "INVALID_ARGUMENT", tooMany);
  const wide = Array.from({ length: 60 }, () => ({ requestTxn: { ...txnRequest.zero, failure: puts(60) } }));
  await refused(client.call(KV.txn, { success: wide }), "INVALID_ARGUMENT", tooMany);
  const large = client.call(KV.put, { key: "a", value: new Uint8Array(1.5 * 1024 * 1024) });
  await refused(large, "INVALID_ARGUMENT", "etcdserver: request is too large");
  await refused(client.call(KV.txn, { success: [{}] }), "INVALID_ARGUMENT", "etcdserver: key not found");
});

test("range: an answer beyond its bound -> refused, with a limit it comes", async () => {
  const { client } = await world();
  const value = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 65; i++) await client.call(KV.put, { key: `k${i}`, value });
  const message = "etcdserver: the answer is too large, ask with a limit";
  await refused(client.call(KV.range, all), "RESOURCE_EXHAUSTED", message);
  await refused(
    client.call(KV.txn, { success: [{ requestRange: { ...rangeRequest.zero, ...all } }] }),
    "RESOURCE_EXHAUSTED",
    message,
  );
  equal((await client.call(KV.range, { ...all, limit: 60 })).kvs.length, 60);
  equal((await client.call(KV.range, { ...all, keysOnly: true })).kvs.length, 65);
});

test("compact: below -> gone, twice and ahead -> refused", async () => {
  const { client } = await world();
  const first = await put(client, "a", "1");
  const second = await put(client, "a", "2");
  equal((await client.call(KV.compact, { revision: second, physical: true })).header!.revision, second);
  const gone = "etcdserver: mvcc: required revision has been compacted";
  await refused(client.call(KV.range, { key: "a", revision: first }), "OUT_OF_RANGE", gone);
  await refused(client.call(KV.compact, { revision: second }), "OUT_OF_RANGE", gone);
  const ahead = "etcdserver: mvcc: required revision is a future revision";
  await refused(client.call(KV.compact, { revision: second + 9 }), "OUT_OF_RANGE", ahead);
});

test("lease: ids given by the client, also negative ones; time to live, keys, list, revoke", async () => {
  const { client, agenda } = await world();
  const grant = async (id: bigint, ttl = 10) => client.call(LEASE.leaseGrant, { id, ttl });
  equal((await grant(7n)).id, 7n);
  equal((await grant(-2n)).id, -2n);
  equal((await grant(9n, 0)).ttl, 1);
  await refused(grant(7n), "FAILED_PRECONDITION", "etcdserver: lease already exists");
  await refused(grant(8n, 9_000_000_001), "OUT_OF_RANGE", "etcdserver: too large lease TTL");
  await put(client, "b", "1", -2n);
  await put(client, "a", "1", -2n);
  await agenda.advance(3000);
  const { ttl, grantedTtl, keys } = await client.call(LEASE.leaseTimeToLive, { id: -2n, keys: true });
  deepEqual([ttl, grantedTtl, keys.map(text)], [7, 10, ["a", "b"]]);
  deepEqual((await client.call(LEASE.leaseTimeToLive, { id: -2n })).keys, []);
  const leases = (await client.call(LEASE.leaseLeases)).leases.map(({ id }) => id);
  deepEqual(leases, [7n, -2n]); // the one of a second is over
  const [kv] = (await client.call(KV.range, { key: "a" })).kvs;
  equal(kv!.lease, -2n);
  await client.call(LEASE.leaseRevoke, { id: -2n });
  equal((await client.call(KV.range, all)).count, 0);
  await refused(
    client.call(LEASE.leaseRevoke, { id: -2n }),
    "NOT_FOUND",
    "etcdserver: requested lease not found",
  );
  equal((await client.call(LEASE.leaseTimeToLive, { id: -2n })).ttl, -1);
});

test("lease: more than the bound -> refused; after one is over there is room again", async () => {
  const { client, store } = await world();
  await Promise.all(
    Array.from({ length: REMOTE_LEASES_MAX }, (_, i) => store.grantRemoteLease(BigInt(i + 1), 60, never)),
  );
  const refusal = "etcdserver: too many requests";
  await refused(client.call(LEASE.leaseGrant, { ttl: 60 }), "RESOURCE_EXHAUSTED", refusal);
  await client.call(LEASE.leaseRevoke, { id: 1n });
  await client.call(LEASE.leaseGrant, { ttl: 60 });
});

test("keep alive: each request an answer in order; a lease that is over -> 0; half closed -> ends", async () => {
  const { client, agenda } = await world();
  await client.call(LEASE.leaseGrant, { id: 7n, ttl: 5 });
  const stream = client.stream(LEASE.leaseKeepAlive);
  await agenda.advance(4000);
  stream.send({ id: 7n });
  stream.send({ id: 8n });
  deepEqual(
    (await stream.answers()).map(({ id, ttl }) => [id, ttl]),
    [
      [7n, 5],
      [8n, 0],
    ],
  );
  await agenda.advance(4000);
  stream.send({ id: 7n });
  stream.halfClose();
  deepEqual(
    (await stream.answers()).map(({ ttl }) => ttl),
    [5],
  );
  equal(stream.call.status?.code, "OK");
});

test("keep alive: a peer that takes nothing -> no more is read from it", async () => {
  const { client } = await world();
  await client.call(LEASE.leaseGrant, { id: 7n, ttl: 5 });
  const stream = client.stream(LEASE.leaseKeepAlive);
  stream.call.hasRoom = false;
  stream.send({ id: 7n });
  equal((await stream.answers()).length, 1);
  equal(stream.call.isPaused, true);
  stream.drain();
  equal(stream.call.isPaused, false);
});

test("status, members, alarms, hash: a cluster of one", async () => {
  const { client, store } = await world();
  const revision = await put(client, "a", "1");
  const status = await client.call(MAINTENANCE.status);
  match(status.version, /^3\.6\./);
  deepEqual(
    [status.leader, status.raftTerm, status.errors],
    [store.header.memberId, store.header.raftTerm, []],
  );
  equal(status.header!.revision, revision);
  const [member] = (await client.call(CLUSTER.memberList)).members;
  deepEqual([member!.id, member!.clientUrls], [store.header.memberId, ["http://stub:2379"]]);
  deepEqual((await client.call(MAINTENANCE.alarm, { action: "GET" })).alarms, []);
  deepEqual((await client.call(MAINTENANCE.alarm, { action: "DEACTIVATE" })).alarms, []);
  const activate = client.call(MAINTENANCE.alarm, { action: "ACTIVATE", alarm: "NOSPACE" });
  await refused(activate, "UNIMPLEMENTED", "etcdserver: not supported by the embedded store");
  const { hash } = await client.call(MAINTENANCE.hashKv);
  equal((await client.call(MAINTENANCE.hashKv, { revision })).hash, hash);
  await put(client, "a", "2");
  ok((await client.call(MAINTENANCE.hashKv)).hash !== hash);
  equal((await client.call(MAINTENANCE.hashKv, { revision })).hash, hash);
  await client.call(MAINTENANCE.defragment);
});

test("calls: two requests, none, bytes that are no message -> an end with a status", async () => {
  const { client } = await world();
  const none = client.stream(KV.range);
  none.halfClose();
  equal(none.call.status?.code, "INTERNAL");
  const garbage = client.stream(KV.range);
  garbage.sendBytes(Uint8Array.of(0xff, 0xff, 0xff));
  await garbage.answers();
  equal(garbage.call.status?.code, "INVALID_ARGUMENT");
  const unknownSort = client.stream(KV.range);
  unknownSort.sendBytes(Uint8Array.of(0x0a, 1, 0x61, 0x28, 99));
  await unknownSort.answers();
  equal(unknownSort.call.status?.code, "INVALID_ARGUMENT");
  const twice = client.stream(KV.range);
  twice.send({ key: "a" });
  twice.send({ key: "a" });
  equal(twice.call.status?.code, "INTERNAL");
});

test("stop: streams end as from an etcd that stops, calls are refused", async () => {
  const { client, server } = await world();
  const watch = client.stream(WATCH.watch);
  const keepAlive = client.stream(LEASE.leaseKeepAlive);
  server.stop();
  const stopped = { code: "UNAVAILABLE", message: "etcdserver: server stopped" } as const;
  deepEqual([watch.call.status, keepAlive.call.status], [stopped, stopped]);
  await refused(client.call(KV.put, { key: "a" }), stopped.code, stopped.message);
});

test("closed: calls and streams -> UNAVAILABLE, as from an etcd that stops", async () => {
  const { client, store } = await world();
  const stopped = "etcdserver: server stopped";
  const stream = client.stream(LEASE.leaseKeepAlive);
  await store.close();
  await refused(client.call(KV.put, { key: "a" }), "UNAVAILABLE", stopped);
  stream.halfClose();
  equal(stream.call.status?.code, "OK");
});
