// Bytes that etcd's own Go code writes for these messages, or that its definitions prescribe.
import { deepEqual, equal } from "node:assert/strict";
import { test } from "node:test";
import { hex, unhex, utf8 } from "@millrace/base";
import { builder, decode, encode, type Message } from "@millrace/protobuf";
import {
  KV,
  txnRequest,
  rangeResponse,
  compare,
  requestOp,
  putRequest,
  rangeRequest,
} from "./etcd-api/kv.ts";
import { LEASE } from "./etcd-api/lease.ts";
import { WATCH, watchCreateRequest, watchRequest, watchResponse } from "./etcd-api/watch.ts";

function bytesOf<M extends object>(message: Message<M>, fields: Partial<M>): string {
  return hex(encode(message, builder(message)(fields)));
}

test("etcd's API: requests -> the bytes that the definitions prescribe", () => {
  equal(
    bytesOf(rangeRequest, { key: "a", rangeEnd: "b", limit: 5, keysOnly: true }),
    "0a0161" + "120162" + "1805" + "4001",
  );
  equal(
    bytesOf(putRequest, { key: "\xff", value: utf8("v"), lease: 1n << 62n }),
    "0a01ff" + "120176" + "18808080808080808040",
  );
  const guard = builder(compare)({ result: "LESS", target: "MOD", key: "k", modRevision: 7 });
  const put = builder(requestOp)({ requestPut: builder(putRequest)({ key: "k" }) });
  equal(
    bytesOf(txnRequest, { compare: [guard], success: [put] }),
    "0a09" + "0802" + "1002" + "1a016b" + "3007" + "1205" + "12030a016b",
  );
  const create = builder(watchCreateRequest)({
    key: "k",
    startRevision: 3,
    filters: ["NODELETE"],
    fragment: true,
  });
  equal(bytesOf(watchRequest, { createRequest: create }), "0a0a" + "0a016b" + "1803" + "2a0101" + "4001");
  equal(bytesOf(LEASE.leaseGrant.request, { ttl: 20, id: -1n }), "0814" + "10ffffffffffffffffff01");
});

test("etcd's API: a transaction in a transaction -> both", () => {
  const inner = builder(txnRequest)({
    success: [builder(requestOp)({ requestRange: builder(rangeRequest)({ key: "k" }) })],
  });
  const outer = builder(txnRequest)({ failure: [builder(requestOp)({ requestTxn: inner })] });
  deepEqual(decode(txnRequest, encode(txnRequest, outer)), outer);
});

test("etcd's API: answers with fields that are not known -> the rest", () => {
  const response = decode(rangeResponse, unhex("0a04" + "08011003" + "2001" + "f23f0161")!);
  deepEqual(response.header, { clusterId: 1n, memberId: 3n, revision: 0, raftTerm: 0n });
  equal(response.count, 1);
  const { events } = decode(watchResponse, unhex("5a07" + "0801" + "1203" + "0a016b")!);
  deepEqual([events.length, events[0]?.type, events[0]?.kv?.key], [1, "DELETE", "k"]);
});

test("etcd's API: paths", () => {
  equal(KV.deleteRange.path, "/etcdserverpb.KV/DeleteRange");
  equal(WATCH.watch.path, "/etcdserverpb.Watch/Watch");
  equal(LEASE.leaseKeepAlive.path, "/etcdserverpb.Lease/LeaseKeepAlive");
});
