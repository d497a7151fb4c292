import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cachedModule, etcdApi } from "./etcd-api.ts";
import { parseProto } from "./proto-tables.ts";

const PROTO = `
  syntax = "proto3"; // line
  package p.q;
  import "other.proto";
  option (a.b) = { x: { y: "}" } };
  service S { rpc One(A) returns (stream x.B) { option (h) = { post: "/a" body: "*" }; }
    rpc Two(stream A) returns (A); }
  message A {
    option (v) = "3.0";
    enum Type { option (e) = "1"; READ = 0; WRITE = 1 [(v) = "2"]; }
    enum Order { UP = 0; };
    /* a message
       field */
    Type kind = 1;
    oneof union { bytes key = 2 [(v) = "3"]; A self = 4; }
    repeated x.B items = 64;
  };
  message B {}
`;

test("proto: messages, oneofs, enums inside, services; options and comments -> skipped", () => {
  const { messages, enums, services } = parseProto([PROTO]);
  assert.deepEqual(messages.get("A")?.fields, [
    { name: "kind", type: "AType", number: 1, isRepeated: false },
    { name: "key", type: "bytes", number: 2, isRepeated: false },
    { name: "self", type: "A", number: 4, isRepeated: false },
    { name: "items", type: "x.B", number: 64, isRepeated: true },
  ]);
  assert.deepEqual([...messages.keys()], ["A", "B"]);
  assert.deepEqual([...enums.keys()], ["AType", "Order"]);
  assert.deepEqual(enums.get("AType")?.values, [
    ["READ", 0],
    ["WRITE", 1],
  ]);
  assert.deepEqual(services, [
    {
      name: "p.q.S",
      methods: [
        { name: "One", request: "A", response: "x.B" },
        { name: "Two", request: "A", response: "A" },
      ],
    },
  ]);
});

test("proto: something else -> refused", () => {
  for (const text of ["message A { int64 a 1; }", "message A {", "extend A {}"]) {
    assert.throws(() => parseProto([text]), /^Error: proto: unexpected/);
  }
});

const folder = cachedModule();
test(
  "etcd's API: the tables are what its definitions say",
  { skip: folder === undefined && "no Go module go.etcd.io/etcd/api/v3 in Go's module cache" },
  async () => {
    for (const [name, text] of await etcdApi(folder!)) {
      const committed = new URL(`../packages/metadata/src/etcd-api/${name}`, import.meta.url);
      assert.equal(readFileSync(committed, "utf8"), text, `${name}: run npx tsx scripts/etcd-api.ts`);
    }
  },
);
