// Gazette's brokers and ours in one cluster on etcd's own server: journals with three replicas over two of each, while
// Gazette's own load program appends through one of either kind, and members are killed. What it was answered stands in
// the journals, as each of our brokers reads them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { freePort, peerProgram } from "@millrace/base/testkit";
import { releaseCluster, testEtcd, TestBrokerProcess } from "./test-cluster.ts";
import { TestServer } from "./test-peers.ts";
import { scratch, until } from "./test-platform.ts";

const PEERS = ["gazette", "gzload", "etcd"] as const;
const skip = PEERS.map((name) => peerProgram(name).missing).find((missing) => missing !== false) ?? false;
const run = promisify(execFile);
const SET = ["-prefix", "mixed/a", "-journals", "4"];
const LEASE = "5s";
/** While members are killed and come back. */
const LOAD_SECONDS = 40;

after(releaseCluster);

interface Verified {
  readonly acknowledged: number;
  readonly found: number;
  readonly lost: number;
  readonly disorder: number;
}

/** Its last line. Verifying ends with 1 when something is missing, and says what on the same line. */
async function gzload<T>(...args: readonly string[]): Promise<T> {
  const { stdout } = await run(peerProgram("gzload").path, args, { timeout: 180_000 }).catch(
    (error: { readonly code?: unknown; readonly stdout: string }) => {
      if (args[0] === "verify" && error.code === 1 && error.stdout !== "") return error;
      throw error;
    },
  );
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as T;
}

class GoBroker {
  readonly port: number;
  readonly #args: readonly string[];
  readonly #folder: string;
  #server: TestServer | undefined;

  constructor(port: number, id: string, etcd: string, fileRoot: string) {
    this.port = port;
    this.#folder = join(fileRoot, `${id}-tmp`);
    mkdirSync(this.#folder);
    const place = [
      "--broker.host=127.0.0.1",
      `--broker.port=${port}`,
      `--broker.id=${id}`,
      "--broker.zone=local",
    ];
    const coordination = [`--etcd.address=${etcd}`, `--etcd.lease=${LEASE}`, "--broker.watch-delay=0s"];
    this.#args = ["serve", ...place, ...coordination, `--broker.file-root=${fileRoot}`, "--log.level=warn"];
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.#server = new TestServer(peerProgram("gazette").path, this.#args, { TMPDIR: this.#folder });
    await this.#server.answers(`${this.url}/debug/ready`);
  }

  async kill(): Promise<void> {
    await this.#server?.kill();
  }
}

test(
  "two brokers of each kind, three replicas, members are killed -> nothing acknowledged is lost",
  { skip },
  async (t) => {
    const etcd = await testEtcd("etcd's own");
    await etcd.run();
    const fileRoot = scratch();
    mkdirSync(join(fileRoot, "fragments"));
    const theirs: GoBroker[] = [];
    for (const id of ["go-broker-1", "go-broker-2"])
      theirs.push(new GoBroker(await freePort(), id, etcd.address, fileRoot));
    const place = { etcd: etcd.address, fileRoot, flags: ["--etcd.lease", LEASE] };
    const ours: TestBrokerProcess[] = [];
    for (let i = 0; i < 2; i++) {
      await theirs[i]!.start();
      ours.push(await TestBrokerProcess.started(place));
    }
    const doors = [...theirs, ...ours].map(({ url }) => url);
    const ledgers = [join(fileRoot, "ledger-go"), join(fileRoot, "ledger-ours")] as const;
    await gzload(
      "create",
      "-addr",
      doors[0]!,
      ...SET,
      "-replication",
      "3",
      "-codec",
      "NONE",
      "-store",
      "file:///fragments/",
    );
    const appends = [doors[0]!, doors[2]!].map((door, i) =>
      gzload<{ appends: number }>(
        ...["append", "-addr", door, ...SET, "-clients", "4", "-size", "300"],
        ...["-seconds", String(LOAD_SECONDS), "-ledger", ledgers[i]!],
      ),
    );
    const ended = Promise.all(appends);
    ended.catch(() => undefined);
    for (const victim of [theirs[1]!, ours[1]!]) {
      await victim.kill();
      await victim.start();
    }
    for (const [i, { appends: count }] of (await ended).entries())
      t.diagnostic(`load ${i}: ${count} appends`);
    // A Go broker that came back does not have what is in no store yet, and says so to whoever reads there.
    for (const [i, { url: door }] of ours.entries()) {
      for (const ledger of ledgers) {
        let last: Verified | undefined;
        await until(
          () => `our broker ${i} reads what ${ledger} has: ${JSON.stringify(last)}`,
          120_000,
          async () => {
            last = await gzload<Verified>("verify", "-addr", door, ...SET, "-ledger", ledger);
            assert.equal(last.disorder, 0);
            return last.lost === 0 && last.acknowledged > 0 && last.found === last.acknowledged;
          },
          500,
        );
      }
    }
    for (const broker of ours) await broker.kill();
    for (const broker of theirs) await broker.kill();
    await etcd.close();
  },
);
