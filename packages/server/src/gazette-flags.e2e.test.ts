// Gazette's flags of a broker on a real process, as far as no other test has them: a unix port, stores by their files
// alone, diagnostics on a port of their own, the form of the log.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { never, silentLogger, systemClock, utf8 } from "@millrace/base";
import { appendOnce, applyJournals, GrpcTransport } from "@millrace/client";
import { freePort } from "@millrace/base/testkit";
import { EMPTY_LABELS, upsertChange } from "@millrace/protocol";
import { ask } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";

const BROKER = ["serve", "broker"];

function statusAt(socketPath: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, headers: { host: "localhost" } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on("error", reject)
      .end();
  });
}

test("unix port, file-only -> gRPC and HTTP on the socket, also after a kill; s3:// goes to files", async () => {
  const root = scratch();
  const path = join(root, "broker.sock");
  const place = ["--broker.port", `unix://${path}`, "--etcd.address="];
  const flags = [...place, "--broker.file-root", root, "--broker.file-only"];
  const data = scratch();
  let broker = TestPlatform.launch(data, flags, BROKER);
  await broker.ready();
  await broker.killGroup();
  assert.ok(existsSync(path), "a kill leaves the socket");
  broker = TestPlatform.launch(data, flags, BROKER);
  await broker.ready();
  assert.equal(broker.endpoints.broker, `unix://${path}`);
  assert.equal(await statusAt(path, "/debug/ready"), 200);
  const transport = new GrpcTransport({
    address: broker.endpoints.broker,
    clock: systemClock,
    logger: silentLogger,
  });
  const fragment = {
    length: 1024,
    compressionCodec: "NONE",
    stores: ["s3://no-such-bucket/"],
    refreshIntervalMs: 5000,
    retentionMs: 0,
    flushIntervalMs: 0,
    pathPostfixTemplate: "",
  } as const;
  const spec = {
    name: "a/journal",
    replication: 1,
    labels: EMPTY_LABELS,
    fragment,
    flags: 0,
    maxAppendRate: 0,
  };
  await applyJournals(transport, [upsertChange(spec, 0)], never);
  const content = { kind: "bytes", bytes: [utf8("x".repeat(2000))] } as const;
  for (let i = 0; i < 2; i++) await appendOnce(transport, "a/journal", content, {}, never);
  await until("a fragment is stored", 30_000, () => {
    const directory = join(root, "a", "journal");
    return existsSync(directory) && readdirSync(directory).length > 0;
  });
  await transport.close();
  await broker.stop();
});

test("file-only without a root, a port that is none -> refused, naming the setting", async () => {
  for (const [flag, value, says] of [
    ["--broker.file-only", "true", /broker\.file-only needs broker\.file-root/],
    ["--broker.file-root", "/proc/nope", /broker\.file-root \/proc\/nope: file store .*ENOENT/],
    ["--debug.port", "many", /debug\.port: "many" is not a port/],
    ["--log.format", "xml", /"xml" is not one of json, text, color/],
  ] as const) {
    const broker = TestPlatform.launch(scratch(), [flag, value], BROKER);
    assert.notEqual((await broker.ended(30_000)).code, 0);
    assert.match(broker.stderr, says);
  }
});

test("debug.port with debug.private, log.format text -> diagnostics there alone; the log as Gazette's", async () => {
  const port = await freePort();
  const flags = [
    "--debug.port",
    String(port),
    "--debug.private",
    "--log.format",
    "text",
    "--log.level",
    "info",
  ];
  const broker = TestPlatform.launch(scratch(), flags, BROKER);
  await broker.ready();
  const at = (path: string) => ask(`http://127.0.0.1:${port}${path}`);
  assert.equal((await at("/debug/ready")).text, "ready\n");
  assert.match((await at("/debug/metrics")).text, /^gazette_allocator_members /m);
  assert.equal((await at("/debug/vars")).json()["pid"], broker.pid);
  assert.equal((await at("/debug/pprof/")).status, 404);
  assert.equal((await ask(`${broker.endpoints.broker}/debug/ready`)).status, 404);
  assert.match(broker.stderr, /^time="[^"]+" level=info msg=spools-recovered journals=0 /m);
  await broker.stop();
});

test("allow-origin, twice -> pages of both may use /v1, those of a third nothing", async () => {
  const allowed = ["https://one.example", "https://two.example"];
  const flags = ["--broker.allow-origin", allowed[0]!, "--broker.allow-origin", allowed[1]!];
  const broker = TestPlatform.launch(scratch(), flags, BROKER);
  await broker.ready();
  const preflight = (origin: string) =>
    ask(`${broker.endpoints.broker}/v1/journals/list`, { method: "OPTIONS", headers: { origin } });
  for (const origin of allowed) {
    const { status, headers } = await preflight(origin);
    assert.deepEqual([status, headers["access-control-allow-origin"]], [200, origin]);
  }
  const { status, headers } = await preflight("https://three.example");
  assert.deepEqual([status, headers["access-control-allow-origin"]], [403, undefined]);
  await broker.stop();
});
