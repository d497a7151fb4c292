// A cluster of Gazette's own brokers and ours: one etcd, one prefix, one directory of fragments, real processes. Each
// broker is started with Gazette's flags, so that only the program's name differs. Gazette's own load tool writes, and
// says afterwards what is missing.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { never, silentLogger, systemClock } from "@millrace/base";
import { freePort, peerProgram } from "@millrace/base/testkit";
import { applyJournals, GrpcTransport } from "@millrace/client";
import type { EtcdStore } from "@millrace/metadata";
import { newJournalSpec, upsertChange, type JournalSpec, type ListedJournal } from "@millrace/protocol";
import { etcdClient, testEtcd, type TestEtcd } from "./test-cluster.ts";
import { TestServer } from "./test-peers.ts";
import { scratch, until } from "./test-platform.ts";

const BIN = fileURLToPath(new URL("../../cli/bin/millrace.js", import.meta.url));
const PEERS = ["gazette", "gazctl", "gzload", "etcd"] as const;
const EVERY_JOURNAL = { include: { labels: [] }, exclude: { labels: [] } };
/** A drain of Gazette's waits for as long as nobody takes over. */
const DRAIN_MS = 60_000;
const SETTLED_MS = 60_000;
/** The bytes of a Go broker that was killed may have to come from the store, where a replica puts them in its time. */
const VERIFIED_MS = 150_000;

/** Why there is nothing to test against; false: there is. */
export const missingPeer =
  PEERS.map((name) => peerProgram(name).missing).find((one) => one !== false) ?? false;

export type BrokerKind = "go" | "millrace";

interface MixedPlace {
  /** Gazette's broker, by the name of the program. */
  readonly gazette: string;
  readonly etcd: string;
  readonly prefix: string;
  /** Of the brokers' own directories. */
  readonly dir: string;
  readonly fragments: string;
}

/** A broker over its lives, and those of whoever comes after it under its id. */
export class MixedBroker {
  readonly id: string;
  kind: BrokerKind;
  readonly #cluster: MixedPlace;
  readonly #flags: readonly string[];
  #port = 0;
  #server: TestServer | undefined;

  constructor(cluster: MixedPlace, id: string, kind: BrokerKind, flags: readonly string[]) {
    this.#cluster = cluster;
    this.#flags = flags;
    this.id = id;
    this.kind = kind;
  }

  get isRunning(): boolean {
    return this.#server !== undefined;
  }

  get address(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get stderr(): string {
    return this.#server?.stderr ?? "";
  }

  async start(kind: BrokerKind = this.kind): Promise<void> {
    assert.equal(this.#server, undefined, `${this.id} does not run`);
    this.kind = kind;
    this.#port ||= await freePort();
    const { etcd, prefix, dir, fragments, gazette } = this.#cluster;
    const place = [
      ...[`--etcd.address=${etcd}`, `--etcd.prefix=${prefix}`, "--etcd.lease=3s"],
      ...["--broker.host=127.0.0.1", `--broker.port=${this.#port}`, `--broker.id=${this.id}`],
      ...["--broker.zone=local", `--broker.file-root=${fragments}`, "--broker.watch-delay=0s"],
      ...this.#flags,
    ];
    const own = join(dir, `${this.id}-${kind}`);
    mkdirSync(own, { recursive: true });
    this.#server =
      kind === "go"
        ? new TestServer(peerProgram(gazette).path, ["serve", ...place, "--log.level=warn"], { TMPDIR: own })
        : new TestServer(process.execPath, [BIN, "serve", "broker", ...place, "--data", own]);
    await this.#server.answers(`${this.address}/debug/ready`);
  }

  async kill(): Promise<void> {
    const server = this.#taken();
    await server.kill();
  }

  /** SIGTERM: it hands its journals over, and ends. */
  async drain(): Promise<void> {
    const { child } = this.#server!;
    child.kill("SIGTERM");
    const claim = (): string => `${this.kind} broker ${this.id} drains: ${this.stderr.slice(-3000)}`;
    await until(claim, DRAIN_MS, () => child.exitCode !== null || child.signalCode !== null);
    assert.equal(child.exitCode, 0, this.stderr.slice(-3000));
    this.#taken();
  }

  #taken(): TestServer {
    const server = this.#server;
    assert.ok(server !== undefined, `${this.id} runs`);
    this.#server = undefined;
    return server;
  }
}

const running = new Set<MixedCluster>();

interface MixedOptions {
  readonly prefix?: string;
  readonly gazette?: string | undefined;
}

/** Ends what a test has left. */
export async function releaseMixed(): Promise<void> {
  for (const cluster of running) await cluster.close();
}

export class MixedCluster {
  readonly #fragments = scratch();
  readonly #dir = scratch();
  readonly #etcd: TestEtcd;
  readonly #prefix: string;
  readonly #gazette: string;
  readonly #transports: GrpcTransport[] = [];
  readonly brokers: MixedBroker[] = [];
  store!: EtcdStore;

  private constructor(etcd: TestEtcd, { prefix = "/mixed/cluster", gazette = "gazette" }: MixedOptions) {
    this.#etcd = etcd;
    this.#prefix = prefix;
    this.#gazette = gazette;
  }

  static async started(kinds: readonly BrokerKind[], options: MixedOptions = {}): Promise<MixedCluster> {
    const etcd = await testEtcd("etcd's own");
    const cluster = new MixedCluster(etcd, options);
    running.add(cluster);
    await etcd.run();
    cluster.store = await etcdClient(etcd);
    await Promise.all(kinds.map((kind) => cluster.add(kind)));
    return cluster;
  }

  get prefix(): string {
    return this.#prefix;
  }

  async add(kind: BrokerKind, prefix = this.#prefix, flags: readonly string[] = []): Promise<MixedBroker> {
    const folders = { dir: this.#dir, fragments: this.#fragments };
    const place = { etcd: this.#etcd.address, prefix, gazette: this.#gazette, ...folders };
    const broker = new MixedBroker(place, `broker-${this.brokers.length + 1}`, kind, flags);
    this.brokers.push(broker);
    await broker.start();
    return broker;
  }

  get alive(): readonly MixedBroker[] {
    return this.brokers.filter(({ isRunning }) => isRunning);
  }

  transport(broker: MixedBroker = this.alive[0]!): GrpcTransport {
    const transport = new GrpcTransport({
      address: broker.address,
      clock: systemClock,
      logger: silentLogger,
    });
    this.#transports.push(transport);
    return transport;
  }

  async create(names: readonly string[], more: Partial<JournalSpec> = {}): Promise<void> {
    const specs = names.map((name) => mixedSpec(name, more));
    const changes = specs.map((spec) => upsertChange(spec, 0));
    await applyJournals(this.transport(), changes, never);
    await this.settled(specs[0]!.replication);
  }

  /** Puts an uncompressed fragment of a journal into the store, as somebody else's broker would. */
  putFragment(journal: string, begin: number, content: Uint8Array): void {
    const [first, last] = [begin, begin + content.length].map((at) => at.toString(16).padStart(16, "0"));
    const directory = join(this.#fragments, journal);
    mkdirSync(directory, { recursive: true });
    const sum = createHash("sha1").update(content).digest("hex");
    writeFileSync(join(directory, `${first}-${last}-${sum}.raw`), content);
  }

  async journals(broker?: MixedBroker): Promise<readonly ListedJournal[]> {
    const transport = this.transport(broker);
    try {
      const limit = AbortSignal.timeout(10_000);
      return (await transport.list({ selector: EVERY_JOURNAL, watch: false }, limit)).journals;
    } finally {
      await transport.close();
    }
  }

  /** Waits until every journal has `replication` members that live, and a primary. */
  async settled(replication = 3): Promise<void> {
    let last = "";
    await until(
      () => `the journals have ${replication} members each: ${last}`,
      SETTLED_MS,
      async () => {
        const alive = new Set(this.alive.map(({ id }) => id));
        const routes = (await this.journals()).map(({ spec, route }) => ({ name: spec.name, ...route }));
        last = JSON.stringify(routes);
        return routes.every(
          ({ members, primary }) =>
            members.length === replication &&
            primary >= 0 &&
            members.every(({ suffix }) => alive.has(suffix)),
        );
      },
      100,
    );
  }

  /** The members of a journal's route, its primary first. */
  async membersOf(journal: string): Promise<readonly MixedBroker[]> {
    const listed = (await this.journals()).find(({ spec }) => spec.name === journal);
    const { members, primary } = listed!.route;
    const ids = [members[primary], ...members].map((member) => member?.suffix);
    return [...new Set(ids)].flatMap((id) => this.brokers.filter((one) => one.id === id));
  }

  async close(): Promise<void> {
    running.delete(this);
    for (const transport of this.#transports) await transport.close();
    for (const broker of this.alive) await broker.kill();
    await this.#etcd.close();
  }
}

export function mixedSpec(name: string, more: Partial<JournalSpec> = {}): JournalSpec {
  const spec = newJournalSpec({ name, replication: 3 });
  const fragment = {
    ...spec.fragment,
    length: 1 << 18,
    compressionCodec: "NONE" as const,
    stores: ["file:///"],
    refreshIntervalMs: 1000,
    ...more.fragment,
  };
  return { ...spec, ...more, fragment };
}

function peer(name: (typeof PEERS)[number]): string {
  return peerProgram(name).path;
}

type Figures = Readonly<Record<string, number>>;

/** Writers of one journal, `prefix/part-000`, through one broker of the cluster first. */
export class GazetteLoad {
  readonly prefix: string;
  readonly #ledger = join(scratch(), "ledger");
  readonly #mode: string;
  readonly #loads: Promise<Figures>[] = [];

  /** @param mode `service`: Gazette's AppendService, which gathers appends and repeats what failed */
  constructor(prefix: string, mode: "append" | "service" = "append") {
    this.prefix = prefix;
    this.#mode = mode;
    writeFileSync(this.#ledger, "");
  }

  get journal(): string {
    return `${this.prefix}/part-000`;
  }

  start(broker: MixedBroker, seconds: number): void {
    const load = ["-clients", "4", "-rate", "80", "-size", "700", "-seconds", `${seconds}`];
    this.#loads.push(gzload(this.#mode, broker.address, [...this.#args(), ...load]));
  }

  /** @returns appends that were acknowledged, and that were not */
  async ended(): Promise<{ readonly appends: number; readonly errors: number; readonly maxGapMs: number }> {
    const all = await Promise.all(this.#loads.splice(0));
    const sum = (key: string): number => all.reduce((total, figures) => total + figures[key]!, 0);
    return {
      appends: sum("appends"),
      errors: sum("errors"),
      maxGapMs: Math.max(...all.map((one) => one["maxGapMs"]!)),
    };
  }

  /**
   * Nothing is missing, nothing out of order. A Go broker that has just become a member has nothing of what came
   * before, and says so at the first offset: one that has been a member all the while is asked then.
   */
  async verify(cluster: MixedCluster): Promise<Figures> {
    let last: Figures = {};
    await until(
      () => `${this.journal} has everything: ${JSON.stringify(last)}`,
      VERIFIED_MS,
      async () => {
        for (const member of await cluster.membersOf(this.journal)) {
          last = await gzload("verify", member.address, this.#args());
          if (last["lost"] === 0) return true;
        }
        return false;
      },
      500,
    );
    assert.equal(last["disorder"], 0);
    return last;
  }

  #args(): readonly string[] {
    return ["-prefix", this.prefix, "-journals", "1", "-ledger", this.#ledger];
  }
}

const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** `verify` fails when something is missing, and says what; other modes must not fail. */
async function gzload(mode: string, address: string, args: readonly string[]): Promise<Figures> {
  const child = spawn(peer("gzload"), [mode, "-addr", address, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const code = await new Promise((resolve) => child.once("close", resolve));
  children.delete(child);
  if (mode === "verify" && out === "") return { lost: -1 };
  assert.ok(code === 0 || mode === "verify", `gzload ${mode}: ${err}${out}`);
  return JSON.parse(out) as Figures;
}
