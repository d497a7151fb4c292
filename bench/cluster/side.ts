// The two sides of a comparison: brokers of one kind on an etcd of their own, in processes of their own, with an empty
// directory each.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { peer } from "../peers.ts";
import { cpuSeconds, end, run, start, type Started } from "../processes.ts";
import { freePort } from "./free-port.ts";

export type SideName = "millrace" | "go";

export interface SideOptions {
  readonly brokers: number;
  /** Life of a broker's session. */
  readonly leaseSeconds: number;
}

export interface BrokerProcess {
  readonly address: string;
  readonly started: Started;
}

const MILLRACE = fileURLToPath(new URL("../../packages/cli/bin/millrace.js", import.meta.url));
const READY_MS_MAX = 30_000;

/** Programs that every comparison needs. */
export const CLUSTER_PEERS = ["gazette", "gzload", "etcd"] as const;

/** Why brokers of ours cannot form a cluster yet, or undefined. */
export async function whyNoCluster(): Promise<string | undefined> {
  const help = await run(process.execPath, [MILLRACE, "serve", "broker", "--help"]);
  return help.includes("--etcd.address") ? undefined : "not supported yet";
}

export class Side {
  readonly name: SideName;
  readonly brokers: readonly BrokerProcess[];
  readonly #root: string;
  readonly #etcd: Started | undefined;

  private constructor(
    name: SideName,
    root: string,
    etcd: Started | undefined,
    brokers: readonly BrokerProcess[],
  ) {
    this.name = name;
    this.#root = root;
    this.#etcd = etcd;
    this.brokers = brokers;
  }

  static async open(name: SideName, options: SideOptions): Promise<Side> {
    const root = mkdtempSync(join(tmpdir(), `millrace-bench-${name}-`));
    const started: Started[] = [];
    try {
      // One broker of ours is measured as people run it: with the store that it brings.
      const etcd = name === "go" || options.brokers > 1 ? await startEtcd(root) : undefined;
      if (etcd !== undefined) started.push(etcd.started);
      const brokers: BrokerProcess[] = [];
      for (let i = 1; i <= options.brokers; i++) {
        const broker = await startBroker(name, root, i, etcd?.address, options);
        started.push(broker.started);
        brokers.push(broker);
      }
      for (const broker of brokers) await untilReady(broker);
      return new Side(name, root, etcd?.started, brokers);
    } catch (error) {
      for (const each of started.reverse()) await end(each, "SIGKILL");
      rmSync(root, { recursive: true, force: true });
      throw error;
    }
  }

  /** Where clients begin. */
  get address(): string {
    const [first] = this.brokers;
    if (first === undefined) throw new Error("a side has a broker");
    return first.address;
  }

  /** CPU seconds that its brokers have used so far, with their children. */
  cpuSeconds(): number {
    return this.brokers.reduce((sum, { started }) => sum + cpuSeconds(started.pid), 0);
  }

  /** Who serves a journal, as an answer's Location says. @throws {Error} when nobody says it */
  async primaryOf(journal: string): Promise<BrokerProcess> {
    const response = await fetch(`${this.address}/${journal}?offset=0`, { method: "HEAD" });
    const location = response.headers.get("location") ?? "";
    const primary = this.brokers.find(({ address }) => location.startsWith(`${address}/`));
    if (primary === undefined) throw new Error(`${this.name}: nobody is primary of ${journal}`);
    return primary;
  }

  async close(): Promise<void> {
    // A broker that is told to end in order waits for somebody to take over: nobody does.
    for (const { started } of this.brokers) await end(started, "SIGKILL");
    if (this.#etcd !== undefined) await end(this.#etcd, "SIGKILL");
    rmSync(this.#root, { recursive: true, force: true });
  }
}

async function startEtcd(root: string): Promise<{ address: string; started: Started }> {
  const [client, peers] = [await freePort(), await freePort()];
  const [address, internal] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peers}`];
  const started = start(peer("etcd"), [
    ...["--log-level", "error", "--data-dir", join(root, "etcd")],
    ...["--listen-client-urls", address, "--advertise-client-urls", address],
    ...["--listen-peer-urls", internal, "--initial-advertise-peer-urls", internal],
    ...["--initial-cluster", `default=${internal}`],
  ]);
  await untilAnswers(`${address}/health`, started);
  return { address, started };
}

async function startBroker(
  name: SideName,
  root: string,
  number: number,
  etcd: string | undefined,
  { leaseSeconds }: SideOptions,
): Promise<BrokerProcess> {
  const port = await freePort();
  const own = join(root, `broker-${number}`);
  const fragments = join(root, "fragments");
  for (const folder of [own, fragments]) mkdirSync(folder, { recursive: true });
  const flags = [
    ...["--broker.host=127.0.0.1", `--broker.port=${port}`, `--broker.file-root=${fragments}`],
    ...[`--broker.id=broker-${number}`, `--broker.zone=zone-${number}`, "--broker.watch-delay=0s"],
    // Without one a broker of ours has a store of its own.
    `--etcd.address=${etcd ?? ""}`,
    ...[`--etcd.lease=${leaseSeconds}s`, "--log.level=warn"],
  ];
  const started =
    name === "go"
      ? start(peer("gazette"), ["serve", ...flags], { TMPDIR: own })
      : start(process.execPath, [MILLRACE, "serve", "broker", "--data", own, "--allow-anonymous", ...flags]);
  return { address: `http://127.0.0.1:${port}`, started };
}

/** Ready is who lists journals. */
async function untilReady({ address, started }: BrokerProcess): Promise<void> {
  await untilAnswers(`${address}/debug/ready`, started);
}

async function untilAnswers(url: string, started: Started): Promise<void> {
  const untilMs = performance.now() + READY_MS_MAX;
  for (;;) {
    const { child } = started;
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended: ${started.stderr().slice(-500)}`);
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok === true) return;
    if (performance.now() > untilMs)
      throw new Error(`${url} does not answer: ${started.stderr().slice(-500)}`);
    await sleep(50);
  }
}
