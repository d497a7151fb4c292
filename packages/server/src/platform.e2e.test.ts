// The life of a platform process as its owner sees it: where it listens, who owns its directory, how it stops, and
// what keeps it from starting.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ask, begin, post } from "./test-http.ts";
import { readEndpoints, scratch, signalGroup, STOP_MS, TestPlatform, until } from "./test-platform.ts";
import { atDoor, countRows, createStream, pathColumn, waitForRows } from "./test-streams.ts";

const NAMES = ["pid", "broker", "api", "http-source", "warehouse", "console"];
const DOORS = ["broker", "api", "http-source", "warehouse"] as const;

test("endpoints.json: left behind by a dead platform -> gone until the next one is ready, then whole", async () => {
  const data = scratch();
  const stale = '{"pid":1,"broker":"http://127.0.0.1:1"}';
  writeFileSync(join(data, "endpoints.json"), stale);
  const platform = TestPlatform.launch(data);
  const seen: string[] = [];
  await until(
    "it is ready",
    60_000,
    () => {
      assert.equal(platform.exit, undefined, platform.stderr);
      const endpoints = readEndpoints(data); // throws on half a file
      const state = endpoints === undefined ? "missing" : endpoints.pid === 1 ? "stale" : "ready";
      if (seen.at(-1) !== state) seen.push(state);
      return state === "ready";
    },
    1,
  );
  assert.deepEqual(seen.slice(-2), ["missing", "ready"]);
  const { endpoints } = platform;
  assert.equal(endpoints.pid, platform.pid);
  assert.deepEqual(Object.keys(endpoints).sort(), [...NAMES].sort());
  for (const door of DOORS) {
    assert.match(endpoints[door], /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.equal((await ask(`${endpoints[door]}/readyz`)).status, 200, door);
  }
  assert.equal((await ask(endpoints.console)).status, 200);
  await platform.stop();
  assert.equal(readEndpoints(data), undefined, "nobody listens any more");
});

test("listeners: each at 127.0.0.1:0 -> free ports, no two the same", async () => {
  const flags = DOORS.flatMap((door) => [`--${door}.listen`, "127.0.0.1:0"]);
  const platform = await TestPlatform.start(scratch(), flags);
  const { endpoints } = platform;
  assert.equal(new Set(DOORS.map((door) => endpoints[door])).size, DOORS.length);
  await platform.stop();
});

test("listeners: an address in use -> refused, naming address and setting, and nothing is left running", async () => {
  const other = createServer();
  await new Promise<void>((up) => other.listen(0, "127.0.0.1", up));
  const { port } = other.address() as AddressInfo;
  try {
    for (const door of DOORS) {
      const rest = DOORS.filter((one) => one !== door).flatMap((one) => [`--${one}.listen`, "127.0.0.1:0"]);
      const said = await TestPlatform.refused(scratch(), [`--${door}.listen`, `127.0.0.1:${port}`, ...rest]);
      assert.match(said, new RegExp(`127\\.0\\.0\\.1:${port}: the address is in use.*--${door}\\.listen`));
    }
  } finally {
    await new Promise((closed) => other.close(closed));
  }
});

test("data directory: a second platform -> refused by the owner's pid, who is not disturbed", async () => {
  const data = scratch();
  const platform = await TestPlatform.start(data);
  const before = readFileSync(join(data, "endpoints.json"), "utf8");
  const said = await TestPlatform.refused(data);
  assert.match(said, new RegExp(`in use by process ${platform.pid}\\b`));
  assert.equal(readFileSync(join(data, "endpoints.json"), "utf8"), before);
  assert.equal((await ask(`${platform.endpoints.broker}/readyz`)).status, 200);
  await platform.stop();
});

test("data directory: several newcomers at once after a kill -> one gets it, the others are refused (D8)", async () => {
  const data = scratch();
  const first = await TestPlatform.start(data);
  await first.killGroup();
  const newcomers = Array.from({ length: 3 }, () => TestPlatform.launch(data));
  await until(
    "all but one have ended",
    60_000,
    () => newcomers.filter(({ exit }) => exit === undefined).length < 2,
  );
  const winner = newcomers.find(({ exit }) => exit === undefined);
  assert.ok(winner !== undefined, newcomers.map(({ stderr }) => stderr).join(""));
  for (const loser of newcomers.filter((one) => one !== winner)) {
    assert.deepEqual(loser.exit, { code: 1, signal: null });
    assert.match(loser.stderr, /is in use by (another process|process \d+)/);
  }
  await winner.ready();
  await winner.stop();
});

test("data directory: of a newer format -> refused, saying which formats are read, and left alone", async () => {
  const data = scratch();
  const files = { "format.json": '{"format":7}\n', "endpoints.json": '{"pid":1}\n' };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(data, name), text);
  mkdirSync(join(data, "log"));
  const said = await TestPlatform.refused(data);
  assert.match(said, /format 7; this version of Millrace reads formats up to 1/);
  for (const [name, text] of Object.entries(files))
    assert.equal(readFileSync(join(data, name), "utf8"), text);
  assert.deepEqual(readdirSync(data).sort(), ["endpoints.json", "format.json", "log"]);
});

/** Sums of all files below some directories. */
function sumsOf(data: string, directories: readonly string[]): Readonly<Record<string, string>> {
  const sums: Record<string, string> = {};
  for (const directory of directories) {
    for (const entry of readdirSync(join(data, directory), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      sums[path] = createHash("sha1").update(readFileSync(path)).digest("hex");
    }
  }
  return sums;
}

/** Flips a bit of the first group of the oldest segment of a log, which later groups say was synced. */
function corruptLog(directory: string): string {
  const [first] = readdirSync(directory)
    .filter((name) => name.endsWith(".seg"))
    .sort();
  assert.ok(first !== undefined, "the log has a segment");
  const path = join(directory, first);
  const bytes = readFileSync(path);
  const group = 4096;
  assert.equal(bytes.toString("latin1", group, group + 4), "MRLG");
  bytes[group + 40] = bytes[group + 40]! ^ 1;
  writeFileSync(path, bytes);
  return first;
}

// The store of coordination opens first: it may have begun a new segment of its own before the other log is refused.
for (const [log, ...others] of [
  ["log", "spools", "fragments"],
  ["coordination", "log", "spools", "fragments"],
] as const) {
  test(`${log}: a bit of a synced group is flipped -> refused by file and offset, nothing is changed`, async () => {
    const data = scratch();
    const platform = await TestPlatform.start(data);
    const url = `${platform.endpoints.broker}/examples/kept`;
    for (let i = 0; i < 20; i++)
      assert.equal((await ask(url, { method: "PUT", body: `${i}\n` })).status, 204);
    await platform.killGroup();
    const directory = findLog(join(data, log));
    const file = corruptLog(directory);
    const kept = [log, ...others];
    const before = sumsOf(data, kept);
    for (const attempt of ["first", "second"]) {
      const said = await TestPlatform.refused(data);
      assert.match(said, new RegExp(`${file}, offset 4096: `), attempt);
      assert.deepEqual(sumsOf(data, kept), before);
    }
  });
}

/** The directory below `root` that has segments. */
function findLog(root: string): string {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const segment = entries.find(({ name }) => name.endsWith(".seg"));
  assert.ok(segment !== undefined, `${root} has a log`);
  return segment.parentPath;
}

async function withRecords(data: string): Promise<{ platform: TestPlatform; url: string }> {
  const platform = await TestPlatform.start(data);
  const url = await createStream(platform.endpoints, "kept", [
    pathColumn("n"),
    { type: "body", name: "body" },
  ]);
  for (let n = 0; n < 50; n++) assert.equal((await post(url, { n })).status, 200);
  return { platform, url };
}

for (const to of ["pid", "group"] as const) {
  test(`SIGTERM to the ${to}: right after a record -> 0 in time, and the record is a row`, async () => {
    const data = scratch();
    const { platform, url } = await withRecords(data);
    await platform.stop(to);
    const next = await TestPlatform.start(data);
    await waitForRows(next.endpoints, "main.kept", 50);
    assert.equal((await post(atDoor(next.endpoints, url), { n: 50 })).status, 200);
    await waitForRows(next.endpoints, "main.kept", 51);
    await next.stop(to);
  });
}

test("SIGTERM: a second one, and one to the group, within a second -> change nothing", async () => {
  const data = scratch();
  const { platform } = await withRecords(data);
  process.kill(platform.pid, "SIGTERM");
  await sleep(100);
  signalGroup(platform.pid, "SIGTERM");
  await sleep(300);
  signalGroup(platform.pid, "SIGTERM");
  assert.deepEqual(await platform.ended(STOP_MS), { code: 0, signal: null }, platform.stderr);
  await platform.groupEnded(1000);
  const next = await TestPlatform.start(data);
  await waitForRows(next.endpoints, "main.kept", 50);
  await next.stop();
});

test("SIGTERM: what was accepted just before -> is in the table before the process ends", async () => {
  const data = scratch();
  const { platform } = await withRecords(data);
  await platform.stop();
  const next = await TestPlatform.start(data);
  assert.equal(await countRows(next.endpoints, "main.kept"), 50, "at once: nothing was left to load");
  await next.stop();
});

test("SIGTERM: with readers, feeds, slow senders, idle connections -> ends with 0 in time", async () => {
  const { platform, url } = await withRecords(scratch());
  const { broker, console: page, "http-source": door } = platform.endpoints;
  await ask(`${broker}/examples/kept`, { method: "PUT", body: "x" });
  const tail = await begin(`${broker}/examples/kept?block=true`);
  const feed = await begin(`${page}api/feed`);
  const follow = await begin(`${page}api/tail?journal=examples/kept`);
  assert.deepEqual([tail.statusCode, feed.statusCode, follow.statusCode], [206, 200, 200]);
  const slow = [new URL(door), new URL(broker)].map((to) => {
    const socket = connect(Number(to.port), to.hostname);
    const path = to.port === new URL(door).port ? `POST ${new URL(url).pathname}` : "PUT /examples/kept";
    socket.write(
      `${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n1`,
    );
    return socket.on("error", () => undefined);
  });
  const idle = [new URL(door), new URL(broker)].map(({ port, hostname }) => connect(Number(port), hostname));
  for (const one of [tail, feed, follow, ...idle]) one.on("error", () => undefined);
  await platform.stop("group");
  for (const one of [...slow, ...idle]) one.destroy();
});

test("SIGTERM: while it starts, at any moment -> ends with 0 in time and leaves nobody", async () => {
  const data = scratch();
  for (const afterMs of [150, 400, 700, 1000]) {
    const platform = TestPlatform.launch(data);
    await Promise.race([sleep(afterMs), platform.exited]);
    signalGroup(platform.pid, "SIGTERM");
    const exit = await platform.ended(STOP_MS);
    await platform.groupEnded(1000);
    // Before Node has come as far as our handler, the signal itself ends it.
    if (exit.signal === null) assert.equal(exit.code, 0, `after ${afterMs} ms: ${platform.stderr}`);
  }
});

test("output: a whole life with every log line -> JSON on stderr behind the banner, nothing on stdout", async () => {
  const platform = await TestPlatform.start(scratch(), ["--log.level", "debug"]);
  const url = await createStream(platform.endpoints, "logged", [{ type: "body", name: "body" }]);
  await post(url, { secret: "s3cr3t-in-a-body" });
  await waitForRows(platform.endpoints, "main.logged", 1);
  await platform.stop();
  assert.equal(platform.stdout, "");
  const lines = platform.stderr.trimEnd().split("\n");
  const banner = lines.filter((line) => !line.startsWith("{"));
  assert.deepEqual([banner[0], banner.length], ["Millrace is ready.", 1 + NAMES.length]);
  const logged = platform.logLines();
  assert.ok(logged.length > 20, `${logged.length} lines`);
  for (const line of logged) {
    assert.match(String(line["level"]), /^(debug|info|warn|error)$/);
    assert.match(String(line["event"]), /^[a-z][a-z0-9_-]+$/);
    assert.ok(line["level"] !== "error", JSON.stringify(line));
  }
  assert.ok(!platform.stderr.includes("s3cr3t-in-a-body"), "no body is logged");
  assert.ok(
    !platform.stderr.includes(new URL(url).pathname.split("/").at(-1)!),
    "no source's secret is logged",
  );
});

test("output: --json -> the addresses on stdout, and on stderr log lines alone", async () => {
  const platform = await TestPlatform.start(scratch(), ["--json", "--log.level", "info"]);
  const { endpoints } = platform;
  await platform.stop();
  assert.deepEqual(JSON.parse(platform.stdout), endpoints);
  assert.equal(platform.logLines().length, platform.stderr.trimEnd().split("\n").length, platform.stderr);
});

test("segments of the smallest size -> appends of all sizes, a kill, and all of it is there", async () => {
  const data = scratch();
  const flags = ["--broker.segment-size", "1MiB"];
  const platform = await TestPlatform.start(data, flags);
  const sizes = [1, 60_000, 200_000, 262_143, 262_144, 700_000, 1_500_000, 3];
  let sent = Buffer.alloc(0);
  for (const size of [...sizes, ...sizes]) {
    const body = Buffer.alloc(size, `${size} `);
    sent = Buffer.concat([sent, body]);
    const answer = await ask(`${platform.endpoints.broker}/examples/sizes`, { method: "PUT", body });
    assert.equal(answer.status, 204, answer.text);
  }
  await platform.killGroup();
  const next = await TestPlatform.start(data, flags);
  const read = await ask(`${next.endpoints.broker}/examples/sizes`);
  assert.ok(read.bytes.equals(sent));
  await next.stop();
});
