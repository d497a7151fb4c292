// Gazette's own command line and Go client judge the broker: each command runs against a Go broker and against ours,
// started with the same flags, and must say the same.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort, peerProgram } from "@millrace/base/testkit";
import { TestServer } from "./test-peers.ts";
import { scratch } from "./test-platform.ts";

const BIN = fileURLToPath(new URL("../../cli/bin/millrace.js", import.meta.url));
const PEERS = ["gazette", "gazctl", "gzload", "etcd"] as const;
const skip = PEERS.map((name) => peerProgram(name).missing).find((missing) => missing !== false) ?? false;
const peer = (name: (typeof PEERS)[number]): string => peerProgram(name).path;
const KEYS = "c2VjcmV0IGtleSBvZiBicm9rZXJz,YW5vdGhlcg==";

interface Side {
  readonly name: "go" | "millrace";
  readonly address: string;
  readonly server: TestServer;
}

interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running: TestServer[] = [];
let open: readonly Side[] = [];
let guarded: readonly Side[] = [];

before(async () => {
  if (skip !== false) return;
  const root = scratch();
  const [client, peers] = [await freePort(), await freePort()];
  const [etcd, internal] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peers}`];
  const cluster = [
    "--listen-client-urls",
    etcd,
    "--advertise-client-urls",
    etcd,
    "--listen-peer-urls",
    internal,
  ];
  const store = ["--initial-advertise-peer-urls", internal, "--initial-cluster", `default=${internal}`];
  const started = new TestServer(peer("etcd"), ["--data-dir", join(root, "etcd"), ...cluster, ...store]);
  running.push(started);
  await started.answers(`${etcd}/health`);
  open = [await go(root, etcd, "open", []), await ours(root, "open", [])];
  const keys = [`--broker.auth-keys=${KEYS}`];
  guarded = [await go(root, etcd, "keys", keys), await ours(root, "keys", keys)];
});

after(async () => {
  for (const server of running) await server.kill();
});

async function flags(root: string, name: string): Promise<{ port: number; args: string[] }> {
  const port = await freePort();
  const fileRoot = join(root, name);
  mkdirSync(join(fileRoot, "tmp"), { recursive: true });
  const place = [
    "--broker.host=127.0.0.1",
    `--broker.port=${port}`,
    "--broker.zone=local",
    "--broker.id=broker-1",
  ];
  return { port, args: [...place, `--broker.file-root=${fileRoot}`, "--log.level=warn"] };
}

async function go(root: string, etcd: string, name: string, more: readonly string[]): Promise<Side> {
  const { port, args } = await flags(root, `go-${name}`);
  const coordination = [`--etcd.address=${etcd}`, `--etcd.prefix=/${name}`, "--broker.watch-delay=0s"];
  const server = new TestServer(peer("gazette"), ["serve", ...args, ...coordination, ...more], {
    TMPDIR: join(root, `go-${name}`, "tmp"),
  });
  running.push(server);
  await server.answers(`http://127.0.0.1:${port}/debug/ready`);
  return { name: "go", address: `http://127.0.0.1:${port}`, server };
}

async function ours(root: string, name: string, more: readonly string[]): Promise<Side> {
  const { port, args } = await flags(root, `millrace-${name}`);
  // A store of its own, where Gazette's names alone would look for an etcd on this machine.
  const data = ["--data", join(root, `data-${name}`), "--etcd.address=", "--broker.watch-delay=0s"];
  const server = new TestServer(process.execPath, [BIN, "serve", "broker", ...args, ...data, ...more]);
  running.push(server);
  await server.answers(`http://127.0.0.1:${port}/debug/ready`);
  return { name: "millrace", address: `http://127.0.0.1:${port}`, server };
}

interface Step {
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function gazctl(side: Side, { args, stdin = "", env = {} }: Step): Said {
  const [verb, ...rest] = args;
  const { status, stdout, stderr } = spawnSync(
    peer("gazctl"),
    ["journals", verb!, `--broker.address=${side.address}`, ...rest],
    {
      input: stdin,
      encoding: "utf8",
      timeout: 30_000,
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, ...env },
    },
  );
  return { code: status, stdout: plain(stdout), stderr: plain(stderr) };
}

/** Without what two brokers never have in common: addresses, revisions, times. */
function plain(text: string): string {
  return (
    text
      .replaceAll(/http:\/\/127\.0\.0\.1:\d+/g, "URL")
      .replaceAll(/time="[^"]*"/g, "time")
      .replaceAll(/((?:mod_|create_)?revision|cluster_id|member_id|raft_term|mod_time)"?: ?"?\d+"?/g, "$1 N")
      .replaceAll(/gazctl-journals-edit-\d+/g, "FILE")
      // A Go broker learns from its next listing what it has stored; ours knows at once.
      .replaceAll(/,"backing_store":"file:\/\/\/","mod_time N/g, "")
  );
}

/** Runs the steps against both, and compares after each. */
function compare(t: TestContext, sides: readonly Side[], steps: readonly Step[]): Said[] {
  const said: Said[] = [];
  for (const step of steps) {
    const [theirs, mine] = sides.map((side) => gazctl(side, step));
    assert.deepEqual(mine, theirs, `gazctl journals ${step.args.join(" ")}`);
    said.push(mine!);
  }
  t.diagnostic(`${steps.length} commands compared`);
  return said;
}

function specs(names: readonly string[], more = ""): string {
  const children = names.map((name) => `- name: ${name}\n`).join("");
  return `name: test/
replication: 1
labels:
- {name: app.gazette.dev/region, value: here}
- {name: content-type, value: application/x-ndjson}
fragment:
  length: 131072
  compression_codec: SNAPPY
  stores: [file:///]
  refresh_interval: 1m0s
  flush_interval: 1h0m0s
${more}children:
${children}`;
}

const ALL = ["-l", "prefix=test/"];
const ONE = ["-l", "name=test/one"];

test("gazctl apply, list, edit -> the same as with a Go broker, in every format", { skip }, (t) => {
  const many = Array.from({ length: 60 }, (_, i) => `test/part-${String(i).padStart(3, "0")}`);
  const said = compare(t, open, [
    { args: ["list"] },
    { args: ["list", "-o", "yaml"] },
    { args: ["apply", "--specs=-"], stdin: specs(["test/one", "test/two", ...[...many].reverse()].sort()) },
    { args: ["apply", "--specs=-"], stdin: specs(["test/one"]) },
    { args: ["apply", "--specs=-", "--dry-run"], stdin: specs(["test/one"]) },
    { args: ["apply", "--specs=-"], stdin: specs(["test/z z"]) },
    { args: ["apply", "--specs=-"], stdin: specs(["test/three"], "max_append_rate: -1\n") },
    { args: ["list", ...ALL] },
    {
      args: [
        "list",
        ...ALL,
        "--rf",
        "--stores",
        "-p",
        "-r",
        "-L",
        "content-type",
        "-L",
        "app.gazette.dev/region",
      ],
    },
    { args: ["list", "-l", "name in (test/one,test/two)", "-o", "yaml"] },
    { args: ["list", "-l", "name=test/one", "-o", "json"] },
    { args: ["list", ...ALL, "-o", "proto"] },
    { args: ["list", "-l", "app.gazette.dev/region=there"] },
    { args: ["list", "-l", "bad selector (("] },
    { args: ["edit", ...ONE], env: { GAZ_EDITOR: "true" } },
    { args: ["edit", ...ONE], env: { GAZ_EDITOR: "sed -i s/SNAPPY/GZIP/" } },
    { args: ["list", ...ONE, "-o", "yaml"] },
  ]);
  assert.match(said[8]!.stdout, /test\/part-059 .*broker-1.*file:\/\/\//);
  assert.match(said[16]!.stdout, /compression_codec: GZIP/);
});

test("gazctl append, read, fragments -> the same as with a Go broker", { skip }, (t) => {
  const offsets = join(scratch(), "offsets");
  const lines = Array.from({ length: 2000 }, (_, i) => `{"record":${i}}\n`).join("");
  const said = compare(t, open, [
    { args: ["read", ...ONE] },
    { args: ["append", ...ONE], stdin: "hello\n" },
    { args: ["append", ...ONE, "-f", "lines"], stdin: lines },
    { args: ["append", ...ONE, "-f", "lines"], stdin: "without an end" },
    { args: ["append", "-l", "name=test/none"], stdin: "nowhere\n" },
    { args: ["read", ...ONE] },
    { args: ["read", ...ONE, "--tail"] },
    { args: ["read", ...ONE, "--offsets-out", offsets] },
    { args: ["append", ...ONE], stdin: "x".repeat(3_000_000) },
    { args: ["read", ...ONE] },
    { args: ["fragments", ...ONE, "-o", "json"] },
  ]);
  assert.equal(said[5]!.stdout, `hello\n${lines}`);
  assert.equal(said[9]!.stdout.length, said[5]!.stdout.length + 3_000_000);
});

test("gazctl suspend, reset-head, store-health -> the same as with a Go broker", { skip }, (t) => {
  const TWO = ["-l", "name=test/two"];
  const status = [...TWO, "-p", "-r", "--rf"];
  compare(t, open, [
    { args: ["reset-head", ...TWO] },
    { args: ["append", ...TWO], stdin: "before\n" },
    { args: ["suspend", ...TWO] },
    { args: ["list", ...status] },
    { args: ["suspend", ...TWO, "--force"] },
    { args: ["list", ...status] },
    { args: ["list", ...TWO, "-o", "yaml"] },
    { args: ["append", ...TWO], stdin: "after\n" },
    { args: ["list", ...status] },
    { args: ["read", ...TWO] },
    { args: ["reset-head", ...TWO] },
    { args: ["store-health", "file:///"] },
    { args: ["store-health", "file:///", "--check-delete-prefix="] },
    { args: ["store-health", "nonsense"] },
  ]);
});

test(
  "gazctl with keys -> the same as with a Go broker: what is refused, and in which words",
  { skip },
  (t) => {
    const keys = `--broker.auth-keys=${KEYS}`;
    const second = `--broker.auth-keys=${KEYS.split(",").reverse().join(",")}`;
    const foreign = "--broker.auth-keys=Zm9yZWlnbg==";
    const said = compare(t, guarded, [
      { args: ["list"] },
      { args: ["list", foreign] },
      { args: ["list", "--broker.auth-token=no-token"] },
      { args: ["apply", "--specs=-", foreign], stdin: specs(["test/one"]) },
      { args: ["apply", "--specs=-", keys], stdin: specs(["test/one"]) },
      { args: ["list", second] },
      { args: ["append", ...ONE, keys], stdin: "hello\n" },
      { args: ["read", ...ONE, second] },
      { args: ["read", ...ONE, foreign] },
    ]);
    assert.match(said[0]!.stderr, /missing or empty Authorization token/);
    assert.equal(said[7]!.stdout, "hello\n");
  },
);

test(
  "gzload with Gazette's own client -> every acknowledged record stands, once and in order",
  { skip },
  (t) => {
    const dir = scratch();
    for (const side of open) {
      const ledger = join(dir, `${side.name}.ledger`);
      writeFileSync(ledger, "");
      const load = (mode: string, ...args: readonly string[]): Record<string, number> => {
        const place = ["-addr", side.address, "-prefix", "load/a", "-journals", "8"];
        const { status, stdout, stderr } = spawnSync(peer("gzload"), [mode, ...place, ...args], {
          encoding: "utf8",
          timeout: 60_000,
        });
        assert.equal(status, 0, stderr + stdout);
        return JSON.parse(stdout) as Record<string, number>;
      };
      load("create", "-replication", "1", "-codec", "NONE");
      const pids = String(side.server.pid);
      const run = ["-clients", "64", "-size", "300", "-seconds", "3", "-pids", pids];
      load("append", ...run);
      const { perSecond, perCpuSecond, p99, errors } = load("append", ...run, "-ledger", ledger);
      assert.equal(errors, 0);
      const { acknowledged, lost, doubled, disorder } = load("verify", "-ledger", ledger);
      assert.ok(acknowledged! > 100, "it was a load");
      assert.deepEqual({ lost, doubled, disorder }, { lost: 0, doubled: 0, disorder: 0 });
      const figures = [perSecond, perCpuSecond, p99].map((value) => Math.round(value! * 10) / 10).join(", ");
      t.diagnostic(`${side.name}: appends a second, a CPU second, p99 ms: ${figures}`);
    }
  },
);
