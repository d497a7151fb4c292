// A cluster of real processes for tests: an etcd (etcd's own, or our etcd component) and brokers on it, each with a
// data directory and a port of its own over all its lives, and one directory for everybody's fragments.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { GrpcTransport, type GrpcTransportOptions } from "@millrace/client";
import { dialEtcd, ETCD_DEFAULTS, openEtcdStore, prefixRange, type EtcdStore } from "@millrace/metadata";
import { freePort } from "@millrace/base/testkit";
import { EtcdProcess, etcdProgram, type EtcdProcessOptions } from "@millrace/metadata/testkit";
import type { OnContent } from "./doctor-journals.ts";
import type { DoctorReport } from "./doctor-report.ts";
import { FRAGMENT_STORE } from "./journal-templates.ts";
import { examineDataDirectory } from "./system-doctor.ts";
import { ask, type Answer } from "./test-http.ts";
import { scratch, signalGroup, TestPlatform, until, type Exit } from "./test-platform.ts";

const open = new Set<{ close(): Promise<void> }>();

/** Closes what a failed test left open, which would keep the process. */
export async function releaseCluster(): Promise<void> {
  for (const one of open) await one.close();
}

export type EtcdKind = "etcd's own" | "ours";

export const ETCD_KINDS: readonly EtcdKind[] = ["etcd's own", "ours"];

/** Why a kind cannot be tested here. */
export function missingEtcd(kind: EtcdKind): string | false {
  return kind === "ours" ? false : etcdProgram.missing;
}

/** Its data outlive it, and it comes back at the same address. */
export interface TestEtcd {
  readonly address: string;
  readonly port: number;
  run(): Promise<void>;
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Nobody listens there: what etcd says of itself leads nowhere, so its clients stay where they were sent. */
const NOWHERE = "http://127.0.0.1:1";

/** @param isHidden clients do not learn its own address, past the proxy that they were given */
export async function testEtcd(kind: EtcdKind, { isHidden = false } = {}): Promise<TestEtcd> {
  return kind === "ours" ? ourEtcd() : theirEtcd(isHidden ? { advertised: NOWHERE } : {});
}

/** Not running yet. */
async function ourEtcd(): Promise<TestEtcd> {
  const port = await freePort();
  const data = scratch();
  let platform: TestPlatform | undefined;
  const kill = async (): Promise<void> => {
    await platform?.killGroup();
    platform = undefined;
  };
  return {
    address: `http://127.0.0.1:${port}`,
    port,
    run: async () => {
      platform = TestPlatform.launch(data, ["--etcd.listen", `127.0.0.1:${port}`], ["serve", "etcd"]);
      await platform.ready();
    },
    kill,
    close: kill,
  };
}

async function theirEtcd(options: EtcdProcessOptions): Promise<TestEtcd> {
  const etcd = await EtcdProcess.prepared(options);
  return {
    address: etcd.address,
    port: etcd.port,
    run: async () => {
      etcd.run();
      await until(
        () => `etcd answers: ${etcd.output}`,
        30_000,
        () => isOk(`${etcd.address}/health`),
        100,
      );
    },
    kill: () => etcd.kill(),
    close: () => etcd.close(),
  };
}

/** A client of `etcd` beside the brokers. */
export async function etcdClient({ address }: Pick<TestEtcd, "address">): Promise<EtcdStore> {
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const settings = { ...ETCD_DEFAULTS, endpoints: [address], syncMs: 0 };
  const connect = dialEtcd(ports);
  const store = await openEtcdStore(settings, { ...ports, connect }, AbortSignal.timeout(60_000));
  open.add(store);
  return store;
}

export async function keysBelow(store: EtcdStore, prefix: string): Promise<readonly string[]> {
  const { kvs } = await store.range({ ...prefixRange(prefix), keysOnly: true }, never);
  return kvs.map(({ key }) => key);
}

export interface TestBrokerPlace {
  /** Leads to etcd, perhaps through a proxy. */
  readonly etcd: string;
  /** Root of file:// stores, everybody's. */
  readonly fileRoot?: string;
  readonly flags?: readonly string[];
  /** Default: one of its own. */
  readonly data?: string;
  /** Components. Default: the broker alone. */
  readonly command?: readonly string[];
  /** Default: http. */
  readonly scheme?: "https";
}

/** A broker over its lives. */
export class TestBrokerProcess {
  readonly data: string;
  readonly port: number;
  readonly #flags: readonly string[];
  readonly #command: readonly string[];
  readonly #scheme: "http" | "https";
  #life: TestPlatform | undefined;
  #lives = 0;

  private constructor(place: TestBrokerPlace, port: number) {
    const { etcd, fileRoot, flags = [], data = scratch(), command = ["serve", "broker"] } = place;
    this.data = data;
    this.port = port;
    this.#command = command;
    this.#scheme = place.scheme ?? "http";
    this.#flags = [
      ...["--etcd.address", etcd, "--broker.listen", `127.0.0.1:${port}`],
      ...(fileRoot === undefined ? [] : ["--broker.file-root", fileRoot]),
      ...flags,
    ];
  }

  static async at(place: TestBrokerPlace): Promise<TestBrokerProcess> {
    return new TestBrokerProcess(place, await freePort());
  }

  static async started(place: TestBrokerPlace): Promise<TestBrokerProcess> {
    const broker = await TestBrokerProcess.at(place);
    await broker.start();
    return broker;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`;
  }

  /** The present life. */
  get life(): TestPlatform {
    assert.ok(this.#life !== undefined, "the broker was started");
    return this.#life;
  }

  get lives(): number {
    return this.#lives;
  }

  /** Starts it and does not wait. @param flags and environment of this life alone */
  launch(flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}): TestPlatform {
    this.#lives++;
    this.#life = TestPlatform.launch(this.data, [...this.#flags, ...flags], this.#command, env);
    return this.#life;
  }

  async start(flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.launch(flags, env).ready();
  }

  kill(): Promise<void> {
    return this.life.killGroup();
  }

  stop(): Promise<void> {
    return this.life.stop();
  }

  /** Stands still until `thaw`, sockets open. */
  freeze(): void {
    signalGroup(this.life.pid, "SIGSTOP");
  }

  thaw(): void {
    signalGroup(this.life.pid, "SIGCONT");
  }

  ended(limitMs = 60_000): Promise<Exit> {
    return this.life.ended(limitMs);
  }

  readyz(): Promise<Answer> {
    return ask(`${this.url}/readyz`);
  }

  /** Waits until /readyz has `status` and a text that matches. */
  async says(status: number, text: RegExp): Promise<void> {
    let last = "nothing";
    await until(
      () => `/readyz has ${status} ${text}: ${last}\n${this.life.stderr.slice(-3000)}`,
      60_000,
      async () => {
        const answer = await this.readyz().catch((error: unknown) => String(error));
        last = typeof answer === "string" ? answer : `${answer.status} ${answer.text}`;
        return typeof answer !== "string" && answer.status === status && text.test(answer.text);
      },
      50,
    );
  }

  /** A client, closed by `releaseCluster` at the latest. */
  transport(options: Partial<GrpcTransportOptions> = {}): GrpcTransport {
    const ports = { clock: systemClock, logger: silentLogger };
    const transport = new GrpcTransport({ address: this.url, ...ports, ...options });
    open.add(transport);
    return transport;
  }

  /** `member.json` as it is now. */
  member(): Readonly<Record<string, string>> {
    return JSON.parse(readFileSync(join(this.data, "member.json"), "utf8")) as Record<string, string>;
  }
}

/** What the doctor says of a broker that does not run: it must be sound. Journals are in {@link FRAGMENT_STORE}. */
export async function soundDirectory(
  { data }: TestBrokerProcess,
  fileRoot: string,
  onContent: OnContent = () => undefined,
): Promise<void> {
  const place = { fileRoot, stores: [FRAGMENT_STORE], onContent };
  const report = await examineDataDirectory(data, place, () => undefined, never);
  const wrong = report.checks.flatMap(({ name, problems }) =>
    problems.filter(({ verdict }) => verdict === "bad").map(({ message }) => `${name}: ${message}`),
  );
  assert.deepEqual([report.sound, wrong], [true, []]);
  const verdictWith = (checks: DoctorReport["checks"]): string =>
    checks.find(({ name }) => name === "persisted fragments")!.verdict;
  assert.equal(verdictWith(report.checks), "ok");
  const unknown = await examineDataDirectory(data, { fileRoot }, () => undefined, never);
  assert.equal(verdictWith(unknown.checks), "skipped");
}

function isOk(url: string): Promise<boolean> {
  return ask(url, { limitMs: 5000 }).then(
    ({ status }) => status === 200,
    () => false,
  );
}
