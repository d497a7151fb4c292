// Hostile clients of the etcd server: whatever bytes a call is sent, it ends or waits for more, and the store goes on.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import { encode } from "@millrace/protobuf";
import fc from "fast-check";
import type { KeyValue } from "./coordination.ts";
import { AUTH } from "./etcd-api/auth.ts";
import { CLUSTER, MAINTENANCE } from "./etcd-api/cluster.ts";
import { KV, txnRequest, type RequestOp } from "./etcd-api/kv.ts";
import { LEASE } from "./etcd-api/lease.ts";
import type { Method } from "./etcd-api/method.ts";
import { WATCH } from "./etcd-api/watch.ts";
import { openStubServer, StubClient } from "./etcd-server-stub.ts";
import { Mvcc } from "./mvcc.ts";
import { shapedRange } from "./range-shape.ts";
import type { SortTarget, WideRange } from "./wide-requests.ts";

/** What clients may be told; INTERNAL is for calls that are none, and for our bugs. */
const TOLD = new Set([
  "OK",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "OUT_OF_RANGE",
  "FAILED_PRECONDITION",
  "RESOURCE_EXHAUSTED",
  "UNIMPLEMENTED",
]);
const STREAMS = new Set([WATCH.watch.path, LEASE.leaseKeepAlive.path]);

/** Tags and lengths that are likely to mean something, keys that collide, and anything. */
const bytes = fc
  .array(
    fc.oneof(
      fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48),
      fc.constantFrom(0, 1, 2, 3, 4, 5, 0x61, 0x62),
      fc.integer({ min: 0, max: 255 }),
    ),
    { maxLength: 40 },
  )
  .map((values) => Uint8Array.from(values));

async function survives(
  methods: readonly Method<unknown, unknown>[],
  messages: readonly { readonly method: number; readonly bytes: Uint8Array }[],
): Promise<void> {
  const server = await openStubServer();
  const client = new StubClient(server.handlers);
  for (const { method, bytes } of messages) {
    const chosen = methods[method % methods.length]!;
    const stream = client.stream(chosen);
    stream.sendBytes(bytes);
    stream.halfClose();
    await stream.answers();
    const status = stream.call.status?.code;
    if (status === undefined) ok(STREAMS.has(chosen.path), `${chosen.path} goes on`);
    else ok(TOLD.has(status), `${chosen.path}: ${status} ${stream.call.status?.message}`);
  }
  await server.store.range({ key: "a" }, new AbortController().signal);
  await server.store.close();
}

test("any bytes to any method -> an answer or a refusal, never more", async () => {
  // A method's types are its own; here it is only sent bytes.
  const methods = [KV, WATCH, LEASE, CLUSTER, AUTH, MAINTENANCE].flatMap(
    (service) => Object.values(service) as unknown as Method<unknown, unknown>[],
  );
  const served = (await openStubServer()).handlers;
  const known = methods.filter(({ path }) => served.has(path));
  ok(known.length >= 30, `${known.length} methods`);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ method: fc.nat(), bytes }), { maxLength: 20 }), (messages) =>
      survives(known, messages),
    ),
    { numRuns: 200 },
  );
});

test("transactions nested as deep as bytes allow -> refused, and cheaply", async () => {
  const server = await openStubServer();
  const client = new StubClient(server.handlers);
  for (const depth of [1, 20, 130, 1000]) {
    let inner = new Uint8Array(0);
    for (let i = 0; i < depth; i++) inner = lengthDelimited(2, lengthDelimited(4, inner));
    const stream = client.stream(KV.txn);
    stream.sendBytes(inner);
    await stream.answers();
    equal(stream.call.status?.code, depth < 128 ? "OK" : "INVALID_ARGUMENT", `${depth} levels`);
  }
});

function lengthDelimited(field: number, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = [field * 8 + 2];
  for (let rest = content.length; ; rest >>>= 7) {
    head.push(rest >= 0x80 ? (rest & 0x7f) | 0x80 : rest);
    if (rest < 0x80) break;
  }
  return Uint8Array.from([...head, ...content]);
}

test("a request of many operations that are refused -> no quadratic work before", async () => {
  const server = await openStubServer();
  const client = new StubClient(server.handlers);
  const failure: RequestOp[] = Array.from({ length: 100_000 }, () => ({
    requestDeleteRange: { key: "a", rangeEnd: "", prevKv: false },
  }));
  const stream = client.stream(KV.txn);
  stream.sendBytes(encode(txnRequest, { ...txnRequest.zero, failure }));
  await stream.answers();
  equal(stream.call.status?.message, "etcdserver: too many operations in txn request");
});

test("ranges of any shape -> what filtering, sorting and cutting by hand gives", () => {
  const small = fc.integer({ min: 0, max: 12 });
  const some = fc.option(small, { nil: undefined });
  const shape = fc.record({
    bounds: fc.record({ a: some, b: some, c: some, d: some }),
    target: fc.option(fc.constantFrom<SortTarget>("key", "version", "create", "mod", "value"), {
      nil: undefined,
    }),
    descending: fc.boolean(),
    limit: fc.integer({ min: 0, max: 5 }),
    keysOnly: fc.boolean(),
  });
  const puts = fc.array(
    fc.record({ key: fc.constantFrom("a", "b", "c", "d"), value: fc.constantFrom("x", "y") }),
    {
      maxLength: 10,
    },
  );
  fc.assert(
    fc.property(puts, shape, (writes, { bounds, target, descending, limit, keysOnly }) => {
      const state = new Mvcc();
      for (const { key, value } of writes) {
        const write = { kind: "put", key, value: utf8(value), lease: 0n } as const;
        state.replay({ kind: "txn", revision: state.revision + 1, writes: [write] });
      }
      const request: WideRange = {
        key: "\0",
        end: "\0",
        limit,
        keysOnly,
        ...(bounds.a !== undefined && { minModRevision: bounds.a }),
        ...(bounds.b !== undefined && { maxModRevision: bounds.b }),
        ...(bounds.c !== undefined && { minCreateRevision: bounds.c }),
        ...(bounds.d !== undefined && { maxCreateRevision: bounds.d }),
        ...(target !== undefined && { sort: { target, descending } }),
      };
      const found = shapedRange(state, request, state.revision);
      const everything = state.range({ key: "\0", end: "\0" }, state.revision).kvs;
      const kept = everything.filter(
        ({ modRevision, createRevision }) =>
          !(modRevision < (bounds.a ?? 0) || modRevision > (bounds.b ?? 99)) &&
          !(createRevision < (bounds.c ?? 0) || createRevision > (bounds.d ?? 99)),
      );
      const value = (kv: KeyValue): number | string => {
        if (target === "version") return kv.version;
        if (target === "create") return kv.createRevision;
        if (target === "mod") return kv.modRevision;
        return target === "value" ? Buffer.from(kv.value).toString() : kv.key;
      };
      const sign = descending && target !== undefined ? -1 : 1;
      const sorted = kept.toSorted((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0));
      const cut = limit === 0 ? sorted : sorted.slice(0, limit);
      deepEqual(
        found.kvs.map(({ key }) => key),
        cut.map(({ key }) => key),
      );
      deepEqual([found.count, found.more], [everything.length, cut.length < kept.length]);
      ok(found.kvs.every((kv) => (kv.value.length === 0) === keysOnly));
    }),
    { numRuns: 300 },
  );
});
