import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, WireError } from "@millrace/base";
import type { RpcChannel } from "./etcd-channel.ts";
import { EtcdEndpoints } from "./etcd-endpoints.ts";

const unused: RpcChannel = {
  start: () => {
    throw new Error("nobody calls");
  },
  close: async () => {},
};

function endpoints(...configured: string[]): EtcdEndpoints {
  return new EtcdEndpoints(configured, () => ({ ...unused }), silentLogger);
}

test("endpoints: one form each; what is none -> INVALID_ARGUMENT", () => {
  deepEqual(endpoints("http://a", "http://a:2379/", "http://[::1]:1").addresses, [
    "http://a:2379",
    "http://[::1]:1",
  ]);
  deepEqual(endpoints("unix:///run/etcd.sock").addresses, ["unix:///run/etcd.sock"]);
  const bad = [
    "a:2379",
    "unix://",
    "unix:///",
    "ftp://a",
    "http://a:0",
    "http://a:65536",
    "http://a/path",
    "http://u:p@a",
    "http://a b",
    "",
  ];
  for (const address of bad)
    throws(() => endpoints(address), { name: "WireError", code: "INVALID_ARGUMENT" }, address);
  throws(() => endpoints(), WireError);
  throws(() => endpoints("http://a", "https://b"), /mix http, https and unix/);
});

test("endpoints: the present one fails -> the next; an old failure changes nothing", () => {
  const some = endpoints("http://a:1", "http://b:1");
  const first = some.current;
  some.failed(first);
  equal(some.current.address, "http://b:1");
  some.failed(first);
  equal(some.current.address, "http://b:1");
  some.failed(some.current);
  equal(some.current, first);
});

test("endpoints: members advertise -> added and dropped; configured ones, and the scheme, stay", () => {
  const some = endpoints("https://a:1");
  deepEqual(some.learn(["https://b:1", "http://c:1", "nonsense", "https://a:1"]), []);
  deepEqual(some.addresses, ["https://a:1", "https://b:1"]);
  some.failed(some.current);
  const { channel } = some.current;
  equal(some.current.address, "https://b:1");
  deepEqual(some.learn(["https://d:1"]), [channel], "a channel that is closed by who asked");
  deepEqual(some.addresses, ["https://a:1", "https://d:1"]);
  equal(some.current.address, "https://a:1");
  some.failed(some.current);
  some.learn(["https://e:1", "https://d:1"]);
  equal(some.current.address, "https://d:1", "stays the present one");
  some.learn(Array.from({ length: 100 }, (_, i) => `https://m${i}:1`));
  equal(some.count, 33);
});
