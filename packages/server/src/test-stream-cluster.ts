// Streams on several processes, for tests: each component in processes of its own on one etcd, each with a data
// directory and ports of its own over all its lives. What they share is an etcd, and a directory or a bucket.
import { after } from "node:test";
import { freePort } from "@millrace/base/testkit";
import type { Endpoints } from "./endpoints.ts";
import { missingEtcd, releaseCluster, testEtcd, type TestEtcd } from "./test-cluster.ts";
import { ask } from "./test-http.ts";
import { scratch, signalGroup, TestPlatform, until, type Exit } from "./test-platform.ts";

export type Role = "broker" | "warehouse" | "storage-reader" | "storage-coordinator" | "http-source" | "api";

export const ROLES: readonly Role[] = [
  "broker",
  "warehouse",
  "storage-reader",
  "storage-coordinator",
  "http-source",
  "api",
];

/** The listener of a process with its probes. */
const PROBED: Readonly<Record<Role, string>> = {
  broker: "broker",
  warehouse: "work",
  "storage-reader": "work",
  "storage-coordinator": "work",
  "http-source": "http-source",
  api: "api",
};

const LOOK_MS = 50;
const LOG_LINES = 6;
const READY_MS = 180_000;

export interface ClusterPlan {
  /** Of a role that is not named: one. */
  readonly counts?: Readonly<Partial<Record<Role, number>>>;
  /** Of every process. */
  readonly flags?: readonly string[];
  /** In every process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A process over its lives. */
export class TestNode {
  readonly role: Role;
  readonly name: string;
  readonly port: number;
  readonly data = scratch();
  readonly #flags: readonly string[];
  readonly #environment: Readonly<Record<string, string>>;
  #life: TestPlatform | undefined;
  #lives = 0;

  constructor(
    place: { readonly role: Role; readonly name: string; readonly port: number },
    flags: readonly string[],
    environment: Readonly<Record<string, string>>,
  ) {
    this.role = place.role;
    this.name = place.name;
    this.port = place.port;
    this.#flags = flags;
    this.#environment = environment;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get life(): TestPlatform {
    if (this.#life === undefined) throw new Error(`${this.name} was never started`);
    return this.#life;
  }

  get lives(): number {
    return this.#lives;
  }

  launch(): TestPlatform {
    this.#lives++;
    this.#life = TestPlatform.launch(this.data, this.#flags, ["serve", this.role], this.#environment);
    return this.#life;
  }

  /** Until /readyz says so. */
  async ready(): Promise<void> {
    let last = "nothing";
    const claim = (): string => `${this.name} is ready: ${last}\n${this.life.stderr.slice(-3000)}`;
    await until(
      claim,
      READY_MS,
      async () => {
        if (this.life.exit !== undefined)
          throw new Error(
            `${this.name} ended: ${JSON.stringify(this.life.exit)}\n${this.life.stderr.slice(-3000)}`,
          );
        const answer = await ask(`${this.url}/readyz`, { limitMs: 5000 }).catch((error: unknown) =>
          String(error),
        );
        last = typeof answer === "string" ? answer : `${answer.status} ${answer.text}`;
        return typeof answer !== "string" && answer.status === 200;
      },
      LOOK_MS,
    );
  }

  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  kill(): Promise<void> {
    return this.life.killGroup();
  }

  stop(): Promise<void> {
    return this.life.stop();
  }

  freeze(): void {
    signalGroup(this.life.pid, "SIGSTOP");
  }

  thaw(): void {
    signalGroup(this.life.pid, "SIGCONT");
  }

  ended(limitMs: number): Promise<Exit> {
    return this.life.ended(limitMs);
  }
}

/**
 * For a file of tests: opens a cluster whose file stores are in one directory, and closes it, with whatever of an
 * etcd's clients is open, after the file's tests.
 */
export function clusterOfFile(): (plan?: ClusterPlan) => Promise<StreamCluster> {
  let cluster: StreamCluster | undefined;
  after(async () => {
    await releaseCluster();
    await cluster?.close();
  });
  return async (plan = {}) => {
    const flags = ["--broker.file-root", scratch(), ...(plan.flags ?? [])];
    return (cluster = await StreamCluster.open({ ...plan, flags }));
  };
}

export class StreamCluster {
  readonly etcd: TestEtcd;
  readonly nodes: readonly TestNode[];
  readonly #sqlPort: number;

  private constructor(etcd: TestEtcd, nodes: readonly TestNode[], sqlPort: number) {
    this.etcd = etcd;
    this.nodes = nodes;
    this.#sqlPort = sqlPort;
  }

  /** All of them, ready. */
  static async open(plan: ClusterPlan): Promise<StreamCluster> {
    const etcd = await testEtcd(missingEtcd("etcd's own") === false ? "etcd's own" : "ours");
    await etcd.run();
    const sqlPort = await freePort();
    const door = await freePort();
    const nodes: TestNode[] = [];
    for (const role of ROLES) {
      for (let i = 0; i < (plan.counts?.[role] ?? 1); i++) {
        const isFirstDoor = role === "http-source" && i === 0;
        const port = isFirstDoor ? door : await freePort();
        const flags = [
          ...["--etcd.address", etcd.address, `--${PROBED[role]}.listen`, `127.0.0.1:${port}`],
          ...(role === "warehouse" ? ["--warehouse.listen", `127.0.0.1:${sqlPort}`] : []),
          ...(role === "api" ? ["--http-source.public-url", `http://127.0.0.1:${door}`] : []),
          ...(plan.flags ?? []),
        ];
        nodes.push(new TestNode({ role, name: `${role} ${i}`, port }, flags, plan.environment ?? {}));
      }
    }
    const cluster = new StreamCluster(etcd, nodes, sqlPort);
    try {
      // In no order: whoever needs another waits for it.
      for (const node of nodes) node.launch();
      await Promise.all(nodes.map((node) => node.ready()));
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  all(role: Role): readonly TestNode[] {
    return this.nodes.filter((node) => node.role === role);
  }

  /** As one platform's. @param i which api, http-source and broker */
  endpoints(i = 0): Endpoints {
    const of = (role: Role): string => {
      const nodes = this.all(role);
      return nodes[i % nodes.length]!.url;
    };
    return {
      pid: 0,
      broker: of("broker"),
      api: of("api"),
      "http-source": of("http-source"),
      warehouse: `http://127.0.0.1:${this.#sqlPort}`,
      console: `${of("api")}/console/`,
    };
  }

  /** How each process is, for a failure's message. */
  async describe(): Promise<string> {
    const lines = this.nodes.map(async (node) => {
      const answer = await ask(`${node.url}/readyz`, { limitMs: 5000 }).catch((error: unknown) => ({
        text: String(error),
      }));
      const log = node.life.stderr.trimEnd().split("\n").slice(-LOG_LINES).join("\n");
      return `${node.name}, life ${node.lives}: ${answer.text.trim()}\n${await metricsOf(node)}${log}`;
    });
    return (await Promise.all(lines)).join("\n");
  }

  /** Runs `work`; when it fails, says how each process is. */
  async told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.describe()}`, { cause: error });
    }
  }

  /** Also in the middle of a test that failed. */
  async close(): Promise<void> {
    for (const node of this.nodes) if (node.lives > 0 && node.life.exit === undefined) await node.kill();
    await this.etcd.close();
  }
}

/** What a storage process has done and has before it: where a load stands still, this says in which step. */
async function metricsOf({ url }: TestNode): Promise<string> {
  const answer = await ask(`${url}/metrics`, { limitMs: 5000 }).catch(() => ({ text: "" }));
  const isTold = (line: string): boolean =>
    /^millrace_(?:storage|sink)_[^ ]+ [1-9]/.test(line) && !line.includes("_bucket{");
  return answer.text
    .split("\n")
    .filter(isTold)
    .map((line) => `${line}\n`)
    .join("");
}
