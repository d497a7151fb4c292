// A real etcd on loopback, with its data in a temporary folder.
import { spawn, execFileSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, peerProgram, settle } from "@millrace/base/testkit";

export const etcdProgram = peerProgram("etcd");

export interface EtcdProcessOptions {
  /** Arguments beside those for addresses and data. */
  readonly args?: readonly string[];
  readonly scheme?: "http" | "https";
  /** Where it tells its clients to find it. Default: its own address. */
  readonly advertised?: string;
}

export class EtcdProcess {
  readonly address: string;
  readonly port: number;
  readonly #folder: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #output = "";

  private constructor(folder: string, port: number, peerPort: number, options: EtcdProcessOptions) {
    const { scheme = "http", args = [] } = options;
    this.port = port;
    this.address = `${scheme}://127.0.0.1:${port}`;
    this.#folder = folder;
    const { advertised = this.address } = options;
    const peer = `http://127.0.0.1:${peerPort}`;
    this.#args = [
      ...["--name", "default", "--data-dir", join(folder, "data"), "--log-level", "warn"],
      ...["--listen-client-urls", this.address, "--advertise-client-urls", advertised],
      ...[
        "--listen-peer-urls",
        peer,
        "--initial-advertise-peer-urls",
        peer,
        "--initial-cluster",
        `default=${peer}`,
      ],
      ...args,
    ];
  }

  static async start(options: EtcdProcessOptions = {}): Promise<EtcdProcess> {
    const etcd = await EtcdProcess.prepared(options);
    etcd.run();
    return etcd;
  }

  /** One that does not run yet. */
  static async prepared(options: EtcdProcessOptions = {}): Promise<EtcdProcess> {
    const folder = mkdtempSync(join(tmpdir(), "millrace-etcd-"));
    return new EtcdProcess(folder, await freePort(), await freePort(), options);
  }

  /** `3.6.5` */
  static version(): string {
    const text = execFileSync(etcdProgram.path, ["--version"], { encoding: "utf8" });
    return /etcd Version: (\S+)/.exec(text)?.[1] ?? "";
  }

  /** Starts it with the data that it has. */
  run(): void {
    const child = spawn(etcdProgram.path, this.#args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#output = (this.#output + text).slice(-16_384);
    });
    this.#child = child;
  }

  get output(): string {
    return this.#output;
  }

  /** Stops it in the middle of what it does. @returns when all its threads stand still */
  async freeze(): Promise<void> {
    const tasks = `/proc/${this.#child?.pid}/task`;
    this.#child?.kill("SIGSTOP");
    const isStill = (task: string): boolean => /\) [TX] /.test(readFileSync(`${tasks}/${task}/stat`, "utf8"));
    while (!readdirSync(tasks).every(isStill)) await settle();
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Ends it as a crash does. Its data stay. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
