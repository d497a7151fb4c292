// `millrace serve etcd` as a process, and etcd's own clients on it: etcdctl 3.6 and Gazette's brokers, written in Go.
import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { freePort, peerProgram } from "@millrace/base/testkit";
import { ask } from "./test-http.ts";
import { scratch, STOP_MS, TestPlatform, until } from "./test-platform.ts";

const etcdctl = peerProgram("etcdctl");
const gazette = peerProgram("gazette");
const gzload = peerProgram("gzload");
const run = promisify(execFile);

const TOKEN = "0123456789abcdef";

async function serve(data = scratch(), flags: readonly string[] = []): Promise<TestPlatform> {
  const platform = TestPlatform.launch(data, flags, ["serve", "etcd"]);
  await platform.ready();
  return platform;
}

function hostOf(platform: TestPlatform): string {
  return new URL(platform.endpoints.etcd!).host;
}

/** Runs etcdctl; when it fails, what it said last. */
class Ctl {
  readonly #host: string;
  readonly #flags: readonly string[];

  constructor(host: string, ...flags: readonly string[]) {
    this.#host = host;
    this.#flags = flags;
  }

  get args(): readonly string[] {
    return [`--endpoints=${this.#host}`, "--dial-timeout=20s", "--command-timeout=20s", ...this.#flags];
  }

  async do(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(etcdctl.path, [...this.args, ...args], {
      env: ENVIRONMENT,
      timeout: 60_000,
    });
    return stdout.trim();
  }

  async failure(...args: readonly string[]): Promise<string> {
    try {
      return `done: ${await this.do(...args)}`;
    } catch (error) {
      return (error as { stderr: string }).stderr.trim().split("\n").at(-1) ?? "";
    }
  }

  /** A command that goes on; `lines` grows. The caller ends it. */
  follow(...args: readonly string[]): { readonly child: ChildProcess; readonly lines: string[] } {
    const child = spawn(etcdctl.path, [...this.args, ...args], {
      env: ENVIRONMENT,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const lines: string[] = [];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      lines.push(...text.split("\n").filter((line) => line !== ""));
    });
    return { child, lines };
  }

  async txn(text: string): Promise<string> {
    const work = run(etcdctl.path, [...this.args, "txn"], { env: ENVIRONMENT, timeout: 60_000 });
    work.child.stdin!.end(text);
    return (await work).stdout.trim().replaceAll(/\n+/g, " ");
  }
}

const ENVIRONMENT = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", ETCDCTL_API: "3" };

async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

test("etcdctl: keys, transactions, compaction", { skip: etcdctl.missing }, async () => {
  const platform = await serve();
  const ctl = new Ctl(hostOf(platform));
  assert.equal(await ctl.do("put", "a", "1"), "OK");
  assert.equal(await ctl.do("put", "--prev-kv", "a", "2"), "OK\na\n1");
  await ctl.do("put", "b", "3");
  assert.equal(
    await ctl.do("get", "--prefix", "", "--order=DESCEND", "--sort-by=VALUE", "--print-value-only"),
    "3\n2",
  );
  assert.equal(await ctl.do("get", "a", "--rev=2", "--print-value-only"), "1");
  assert.equal(await ctl.do("get", "--from-key", "a", "--limit=1", "--keys-only"), "a");
  assert.equal(await ctl.do("del", "--prev-kv", "--prefix", "b"), "1\nb\n3");
  assert.equal(await ctl.txn('mod("a") = "3"\n\nput a 4\nget a\n\nget a\n\n'), "SUCCESS OK a 4");
  assert.equal(await ctl.txn('value("a") = "no"\n\nput a 5\n\nget a\n\n'), "FAILURE a 4");
  assert.equal(await ctl.do("compaction", "4"), "compacted revision 4");
  const gone = "Error: etcdserver: mvcc: required revision has been compacted";
  assert.equal(await ctl.failure("get", "a", "--rev=2"), gone);
  await platform.stop();
});

test(
  "etcdctl: watches, from a revision, with previous values, over a restart",
  { skip: etcdctl.missing },
  async () => {
    const data = scratch();
    const platform = await serve(data);
    const host = hostOf(platform);
    const ctl = new Ctl(host);
    await ctl.do("put", "w/1", "1");
    const { child, lines } = ctl.follow("watch", "--prefix", "w/", "--rev=2", "--prev-kv");
    try {
      await until(
        () => `the history is seen: ${lines.join()}`,
        20_000,
        () => lines.length >= 3,
      );
      await ctl.do("put", "w/1", "2");
      await until(
        () => `a change is seen: ${lines.join()}`,
        20_000,
        () => lines.length >= 8,
      );
      await platform.stop();
      const again = await serve(data, ["--etcd.listen", host]);
      await ctl.do("del", "w/1");
      await until(
        () => `the deletion is seen: ${lines.join()}`,
        40_000,
        () => lines.length >= 12,
      );
      assert.deepEqual(lines, [
        "PUT",
        "w/1",
        "1",
        "PUT",
        "w/1",
        "1",
        "w/1",
        "2",
        "DELETE",
        "w/1",
        "2",
        "w/1",
      ]);
      await again.stop();
    } finally {
      await end(child);
    }
  },
);

test(
  "etcdctl: leases live while they are kept alive, over a restart, and end",
  { skip: etcdctl.missing },
  async () => {
    const data = scratch();
    const platform = await serve(data);
    const ctl = new Ctl(hostOf(platform));
    const granted = await ctl.do("lease", "grant", "3");
    const id = /^lease (\w+) granted with TTL\(3s\)$/.exec(granted)?.[1] ?? assert.fail(granted);
    await ctl.do("put", "--lease", id, "leased", "1");
    assert.match(await ctl.do("lease", "timetolive", "--keys", id), /attached keys\(\[leased\]\)/);
    assert.equal(await ctl.do("lease", "list"), `found 1 leases\n${id}`);
    assert.match(await ctl.do("lease", "keep-alive", "--once", id), /keepalived with TTL\(3\)/);
    await platform.killPid();
    const again = await serve(data);
    const after = new Ctl(hostOf(again));
    assert.equal(await after.do("get", "leased", "--print-value-only"), "1");
    await until("the lease ends", 20_000, async () => (await after.do("get", "leased")) === "");
    assert.match(await after.do("lease", "timetolive", id), /already expired/);
    const other = /^lease (\w+)/.exec(await after.do("lease", "grant", "60"))![1]!;
    assert.equal(await after.do("lease", "revoke", other), `lease ${other} revoked`);
    await again.stop();
  },
);

test(
  "etcdctl: status, health, members, alarms, hash, defragmentation",
  { skip: etcdctl.missing },
  async () => {
    const platform = await serve();
    const host = hostOf(platform);
    const ctl = new Ctl(host);
    await ctl.do("put", "a", "1");
    const [status] = JSON.parse(await ctl.do("endpoint", "status", "-w", "json")) as {
      Status: { version: string };
    }[];
    assert.match(status!.Status.version, /^3\.6\./);
    await ctl.do("endpoint", "health");
    const { members } = JSON.parse(await ctl.do("member", "list", "-w", "json")) as {
      members: { clientURLs: string[] }[];
    };
    assert.deepEqual(members[0]!.clientURLs, [`http://${host}`]);
    assert.equal(await ctl.do("alarm", "list"), "");
    await ctl.do("endpoint", "hashkv");
    await ctl.do("defrag");
    assert.match(
      await ctl.failure("snapshot", "save", join(platform.data, "s")),
      /Unimplemented|unknown method/,
    );
    await platform.stop();
  },
);

test(
  "etcdctl: users; after auth enable only root's calls are taken, over a restart too",
  { skip: etcdctl.missing },
  async () => {
    const data = scratch();
    const platform = await serve(data);
    const ctl = new Ctl(hostOf(platform));
    await ctl.do("put", "a", "1");
    await ctl.do("role", "add", "root");
    await ctl.do("user", "add", "root:secret");
    await ctl.do("user", "grant-role", "root", "root");
    await ctl.do("user", "add", "bob:b");
    await ctl.do("auth", "enable");
    await platform.killPid();
    const again = await serve(data);
    const host = hostOf(again);
    assert.equal(await new Ctl(host).failure("get", "a"), "Error: etcdserver: user name is empty");
    assert.equal(
      await new Ctl(host, "--user=bob:b").failure("get", "a"),
      "Error: etcdserver: permission denied",
    );
    const wrong = "Error: etcdserver: authentication failed, invalid user ID or password";
    assert.equal(await new Ctl(host, "--user=root:bad").failure("get", "a"), wrong);
    const root = new Ctl(host, "--user=root:secret");
    assert.equal(await root.do("get", "a", "--print-value-only"), "1");
    assert.equal(await root.do("user", "list"), "bob\nroot");
    assert.match(await root.failure("role", "add", "reader"), /Unimplemented/);
    await root.do("auth", "disable");
    assert.equal(await new Ctl(host).do("get", "a", "--print-value-only"), "1");
    await again.stop();
  },
);

test(
  "token of the process: root's password for etcd's clients, a bearer for metrics",
  { skip: etcdctl.missing },
  async () => {
    const platform = await serve(scratch(), ["--auth.token", TOKEN]);
    const host = hostOf(platform);
    assert.equal(await new Ctl(host).failure("get", "a"), "Error: etcdserver: user name is empty");
    assert.equal(await new Ctl(host, `--user=root:${TOKEN}`).do("put", "a", "1"), "OK");
    assert.equal((await ask(`http://${host}/metrics`)).status, 401);
    const headers = { authorization: `Bearer ${TOKEN}` };
    assert.match(
      (await ask(`http://${host}/metrics`, { headers })).text,
      /millrace_etcd_calls_total\{method="Put",code="OK"\} 1/,
    );
    await platform.stop();
  },
);

test("HTTP/1 on the same port: probes and version; a foreign Host -> 403", async () => {
  const platform = await serve();
  const url = platform.endpoints.etcd!;
  assert.deepEqual(Object.keys(platform.endpoints), ["pid", "etcd"]);
  assert.equal((await ask(`${url}/livez`)).text, "ok\n");
  assert.equal((await ask(`${url}/readyz`)).text, "ready\n");
  assert.deepEqual(JSON.parse((await ask(`${url}/health`)).text), { health: "true", reason: "" });
  assert.equal(
    (JSON.parse((await ask(`${url}/version`)).text) as { etcdcluster: string }).etcdcluster,
    "3.6.0",
  );
  assert.match((await ask(`${url}/metrics`)).text, /^millrace_coordination_revision 1$/m);
  assert.equal((await ask(`${url}/v3/kv/range`)).status, 404);
  assert.equal((await ask(`${url}/metrics`, { headers: { host: "evil.example" } })).status, 403);
  await platform.stop();
});

test("beyond loopback without a token -> refused before anything starts", async () => {
  const platform = TestPlatform.launch(scratch(), ["--etcd.listen", "0.0.0.0:0"], ["serve", "etcd"]);
  const { code } = await platform.ended(STOP_MS);
  assert.notEqual(code, 0);
  assert.match(platform.stderr, /--etcd\.listen 0\.0\.0\.0:0 is reachable from other machines/);
});

test(
  "up: listens for etcd's clients when it is told where, and shows them its own keys",
  { skip: etcdctl.missing },
  async () => {
    const platform = await TestPlatform.start(scratch(), ["--ports", "free", "--etcd.listen", "127.0.0.1:0"]);
    const ctl = new Ctl(hostOf(platform));
    assert.match(await ctl.do("get", "--prefix", "", "--keys-only"), /members/);
    await platform.stop();
  },
);

test(
  "Gazette's brokers in Go: three run on it, replicate, over kill -9 of the store; it ends the leases of dead ones",
  { skip: gazette.missing || gzload.missing || etcdctl.missing },
  async () => {
    const data = scratch();
    const platform = await serve(data);
    const host = hostOf(platform);
    const spools = join(data, "gazette");
    mkdirSync(join(spools, "fragments"), { recursive: true });
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const brokers = ports.map((port, i) => startGazette(host, { port, name: `${i + 1}`, spools }));
    const keys = async (kind: string): Promise<number> => {
      const found = await new Ctl(host).do("get", "--prefix", `/gazette/cluster/${kind}/`, "--keys-only");
      return found.split("\n").filter((line) => line !== "").length;
    };
    const load = async (prefix: string, command: string, ...args: readonly string[]): Promise<Load> => {
      const at = ["-addr", `http://127.0.0.1:${ports[0]}`, "-prefix", prefix, "-journals", "2"];
      const { stdout } = await run(gzload.path, [command, ...at, ...args], { timeout: 60_000 });
      return JSON.parse(stdout) as Load;
    };
    const fill = async (prefix: string, ledger: string): Promise<void> => {
      await load(prefix, "create", "-replication", "3", "-codec", "NONE");
      const append = ["-clients", "4", "-size", "300", "-seconds", "1", "-ledger", ledger];
      assert.equal((await load(prefix, "append", ...append)).errors, 0);
      const found = await load(prefix, "verify", "-ledger", ledger);
      assert.ok(found.acknowledged > 0);
      assert.equal(found.lost, 0);
    };
    try {
      await until("the brokers have announced themselves", 30_000, async () => (await keys("members")) === 3);
      await fill("bench/a", join(spools, "ledger-a"));
      await platform.killPid();
      const again = await serve(data, ["--etcd.listen", host]);
      assert.equal(await keys("assign"), 6);
      await fill("bench/b", join(spools, "ledger-b"));
      for (const broker of brokers) assert.equal(broker.exitCode, null, "the brokers live");
      await Promise.all(brokers.map((broker) => end(broker)));
      await until("their leases have ended", 60_000, async () => (await keys("members")) === 0, 500);
      assert.equal(await keys("assign"), 0);
      await again.stop();
    } finally {
      await Promise.all(brokers.map((broker) => end(broker)));
    }
  },
);

function startGazette(
  host: string,
  { port, name, spools }: { readonly port: number; readonly name: string; readonly spools: string },
): ChildProcess {
  const own = join(spools, name);
  mkdirSync(own);
  const flags = [
    `--etcd.address=http://${host}`,
    "--etcd.lease=20s",
    "--broker.host=127.0.0.1",
    `--broker.port=${port}`,
    `--broker.id=broker-${name}`,
    `--broker.zone=z${name}`,
    `--broker.file-root=${join(spools, "fragments")}`,
    "--broker.watch-delay=0s",
    "--log.level=warn",
  ];
  return spawn(gazette.path, ["serve", ...flags], { env: { ...ENVIRONMENT, TMPDIR: own }, stdio: "ignore" });
}

interface Load {
  readonly errors: number;
  readonly acknowledged: number;
  readonly lost: number;
}
