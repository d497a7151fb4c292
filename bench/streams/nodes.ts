// Components of streams in processes of their own, on an etcd of ours, with a directory each and one that they share.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { end, start, type Started } from "../processes.ts";

const BIN = fileURLToPath(new URL("../../packages/cli/bin/millrace.js", import.meta.url));
const READY_MS_MAX = 120_000;

export type NodeComponent = "etcd" | "broker" | "warehouse" | "http-source" | "api";

export interface BenchNode {
  readonly url: string;
  readonly pid: number;
  /** From its start to readiness. */
  readonly readyMs: number;
}

export class StreamNodes {
  readonly #root = mkdtempSync(join(tmpdir(), "millrace-bench-streams-"));
  readonly #started: Started[] = [];
  #etcd: string | undefined;

  /** Where the etcd answers; it is started first. */
  get etcd(): string {
    if (this.#etcd === undefined) throw new Error("the etcd was not started");
    return this.#etcd;
  }

  /** Starts a process and waits until it is ready. */
  async start(component: NodeComponent, flags: readonly string[] = []): Promise<BenchNode> {
    const data = join(this.#root, `${component}-${this.#started.length}`);
    const shared = join(this.#root, "shared");
    mkdirSync(shared, { recursive: true });
    const cluster = component === "etcd" ? [] : ["--etcd.address", this.etcd, "--broker.file-root", shared];
    const beganMs = performance.now();
    const own = ["--ports", "free", "--data", data];
    const started = start(process.execPath, [BIN, "serve", component, ...own, ...cluster, ...flags]);
    this.#started.push(started);
    const url = await urlOf(component, started, join(data, "endpoints.json"));
    if (component === "etcd") this.#etcd = url;
    return { url, pid: started.pid, readyMs: performance.now() - beganMs };
  }

  async close(): Promise<void> {
    for (const started of this.#started.reverse()) await end(started, "SIGKILL");
    rmSync(this.#root, { recursive: true, force: true });
  }
}

/** Waits until it says where it listens, which it does when it is ready. */
async function urlOf(component: NodeComponent, started: Started, endpoints: string): Promise<string> {
  const endMs = performance.now() + READY_MS_MAX;
  while (!existsSync(endpoints)) {
    const said = (): string => started.stderr().slice(-2000);
    if (started.child.exitCode !== null) throw new Error(`${component} ended: ${said()}`);
    if (performance.now() > endMs) throw new Error(`${component} is not ready: ${said()}`);
    await sleep(5);
  }
  return (JSON.parse(readFileSync(endpoints, "utf8")) as Record<string, string>)[component] ?? "";
}
