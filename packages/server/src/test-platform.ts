// A real platform for tests: `millrace up --no-demo` as a child in a process group of its own, on free ports and a
// data directory that the test names. Everything started here is ended here, by its own id, whatever becomes of the
// test.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Endpoints } from "./endpoints.ts";

export const BIN = fileURLToPath(new URL("../../cli/bin/millrace.js", import.meta.url));

/** The machine may be busy with other tests; a platform that needs longer is broken. */
const READY_MS = 60_000;
/** What the platform promises. */
export const STOP_MS = 30_000;

/** Time for the kernel to bury the dead. */
const KILLED_MS = 10_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const groups = new Set<number>();
const directories = new Set<string>();

process.once("exit", sweep);
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

/** A directory that is gone when the test process is, unless MILLRACE_TEST_KEEP is set. */
export function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-platform-"));
  directories.add(path);
  return path;
}

/** Ends whatever this process has started and removes its directories. */
function sweep(): void {
  for (const group of groups) signalGroup(group, "SIGKILL");
  if (process.env["MILLRACE_TEST_KEEP"] !== undefined) return;
  for (const path of directories) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
}

/** @returns whether there was anybody in the group */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** One life of a platform, or of a start that failed. */
export class TestPlatform {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly data: string;
  readonly exited: Promise<Exit>;
  stdout = "";
  stderr = "";
  #exit: Exit | undefined;

  private constructor(child: ChildProcess, data: string) {
    assert.ok(child.pid !== undefined, "the platform did not start");
    this.child = child;
    this.pid = child.pid;
    this.data = data;
    groups.add(child.pid);
    // A test that failed must not wait for a platform that goes on.
    child.unref();
    read(child.stdout, (text) => (this.stdout += text));
    read(child.stderr, (text) => (this.stderr = (this.stderr + text).slice(-1_000_000)));
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /**
   * Starts the process and does not wait. Ports are free ones unless a flag says where to listen.
   * @param more of the environment
   */
  static launch(
    data: string,
    flags: readonly string[] = [],
    command: readonly string[] = ["up", "--no-demo"],
    more: Readonly<Record<string, string>> = {},
  ): TestPlatform {
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
    const env = { ...inherited, ...more };
    const ports = flags.some((flag) => flag.endsWith(".listen")) ? [] : ["--ports", "free"];
    const args = [BIN, ...command, "--data", data, ...ports, ...flags];
    const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], env });
    return new TestPlatform(child, data);
  }

  /** Starts it and resolves when it is ready. */
  static async start(data: string, flags: readonly string[] = []): Promise<TestPlatform> {
    const platform = TestPlatform.launch(data, flags);
    await platform.ready();
    return platform;
  }

  /** undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Whether the endpoints file is there and this life's own. */
  get isReady(): boolean {
    return readEndpoints(this.data)?.pid === this.pid;
  }

  get endpoints(): Endpoints {
    const endpoints = readEndpoints(this.data);
    assert.equal(endpoints?.pid, this.pid, "endpoints.json is this process's");
    return endpoints;
  }

  async ready(): Promise<void> {
    const claim = (): string => `the platform is ready: ${this.stderr.slice(-3000)}`;
    await until(claim, READY_MS, () => {
      assert.equal(this.#exit, undefined, `the platform ended: ${this.stderr.slice(-5000)}`);
      return this.isReady;
    });
  }

  /** @returns how it ended; it must within `limitMs` */
  async ended(limitMs: number): Promise<Exit> {
    const stopped = new AbortController();
    const late = sleep(limitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    const exit = await Promise.race([this.exited, late]);
    stopped.abort(); // or the timer would keep the process
    assert.ok(exit !== undefined, `still running after ${limitMs} ms: ${this.stderr.slice(-5000)}`);
    return exit;
  }

  /** SIGTERM to the process or its group: must end with 0 in time, and nobody may be left. */
  async stop(to: "pid" | "group" = "pid"): Promise<void> {
    if (to === "pid") process.kill(this.pid, "SIGTERM");
    else signalGroup(this.pid, "SIGTERM");
    const exit = await this.ended(STOP_MS);
    assert.deepEqual(exit, { code: 0, signal: null }, this.stderr.slice(-5000));
    await this.groupEnded(1000);
  }

  /** A start that must fail: the process ends with another status than 0 and leaves nobody. @returns stderr */
  static async refused(
    data: string,
    flags: readonly string[] = [],
    command?: readonly string[],
  ): Promise<string> {
    const platform = TestPlatform.launch(data, flags, command);
    const exit = await platform.ended(READY_MS);
    await platform.groupEnded(1000);
    assert.equal(exit.signal, null);
    assert.notEqual(exit.code, 0);
    assert.equal(platform.stdout, "");
    return platform.stderr;
  }

  /** `kill -9` of the whole group. */
  async killGroup(): Promise<void> {
    signalGroup(this.pid, "SIGKILL");
    await this.ended(KILLED_MS);
    await this.groupEnded(KILLED_MS);
  }

  /** `kill -9` of the process alone. */
  async killPid(): Promise<void> {
    process.kill(this.pid, "SIGKILL");
    await this.ended(KILLED_MS);
  }

  /** Its children must end with it. */
  async groupEnded(limitMs: number): Promise<void> {
    await until("everybody of the group has ended", limitMs, () => members(this.pid).length === 0);
    groups.delete(this.pid);
  }

  /** Ids of its direct children. */
  children(): readonly number[] {
    return processes()
      .filter(({ parent }) => parent === this.pid)
      .map(({ pid }) => pid);
  }

  /** Log lines on stderr that are JSON, as objects. */
  logLines(): readonly Readonly<Record<string, unknown>>[] {
    return this.stderr
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }
}

function read(pipe: Readable | null, onText: (text: string) => void): void {
  assert.ok(pipe instanceof Socket);
  pipe.unref();
  pipe.setEncoding("utf8").on("data", onText);
}

export function readEndpoints(data: string): Endpoints | undefined {
  let text: string;
  try {
    text = readFileSync(join(data, "endpoints.json"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return JSON.parse(text) as Endpoints;
}

/** Asks until `holds`, for at most `limitMs`. What it throws ends the waiting. @param claim may say how things stand */
export async function until(
  claim: string | (() => string),
  limitMs: number,
  holds: () => boolean | Promise<boolean>,
  pauseMs = 10,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > endMs) {
      assert.fail(`not within ${limitMs} ms: ${typeof claim === "string" ? claim : claim()}`);
    }
    await sleep(pauseMs);
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/** Living processes; zombies are not. */
function processes(): readonly Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, "utf8");
        // The name is in parentheses and may hold anything.
        const [state, parent, group] = text.slice(text.lastIndexOf(")") + 2).split(" ");
        if (state === "Z" || state === "X") return [];
        return [{ pid: Number(name), parent: Number(parent), group: Number(group) }];
      } catch {
        return [];
      }
    });
}

function members(group: number): readonly number[] {
  return processes()
    .filter((one) => one.group === group)
    .map(({ pid }) => pid);
}
