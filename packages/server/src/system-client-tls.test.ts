import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger } from "@millrace/base";
import { clientTls } from "./system-client-tls.ts";
import { scratch } from "./test-platform.ts";

test("client TLS: files replaced -> the next connection has them; unreadable -> the last ones that were not", () => {
  const directory = scratch();
  const files = { cert: join(directory, "c"), key: join(directory, "k"), ca: "" };
  writeFileSync(files.cert, "one");
  writeFileSync(files.key, "its key");
  const tls = clientTls(files, "etcd.", silentLogger);
  assert.deepEqual(tls(), { cert: "one", key: "its key" });
  writeFileSync(files.cert, "two");
  assert.deepEqual(tls(), { cert: "two", key: "its key" });
  rmSync(files.key);
  assert.deepEqual(tls(), { cert: "two", key: "its key" });
});

test("client TLS: certificate without key, file that is not there -> refused at once, naming it", () => {
  const none = { cert: "", key: "", ca: "" };
  assert.deepEqual(clientTls(none, "etcd.", silentLogger)(), {});
  assert.throws(
    () => clientTls({ ...none, cert: "c" }, "broker.peer-", silentLogger),
    /broker\.peer-cert-file and broker\.peer-cert-key-file go together/,
  );
  assert.throws(
    () => clientTls({ ...none, ca: "/nowhere/ca.pem" }, "etcd.", silentLogger),
    /cannot read \/nowhere\/ca\.pem/,
  );
});
