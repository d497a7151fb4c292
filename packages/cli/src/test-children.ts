// Child processes of the tests: started by their path, bounded in time, and ended by their own id whatever becomes of
// the test.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const BIN = fileURLToPath(new URL("../bin/millrace.js", import.meta.url));
const LIMIT_MS = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const children = new Set<ChildProcess>();
const directories = new Set<string>();

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  for (const path of directories) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
});

/** A directory that is gone when the tests are. */
export function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), "millrace-cli-"));
  directories.add(path);
  return path;
}

/** A running `millrace`. */
export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  out = "";
  err = "";

  constructor(
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    command: readonly string[] = [process.execPath, BIN],
  ) {
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
    const [file = "", ...before] = command;
    const child = spawn(file, [...before, ...args], { stdio: "pipe", env: { ...inherited, ...env } });
    children.add(child);
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.err += text));
    // A command that does not read what it is given may be gone before.
    child.stdin.on("error", () => undefined);
    this.process = child;
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        children.delete(child);
        resolve({ code, out: this.out, err: this.err });
      });
    });
  }

  /** How it ended; it must within a minute. */
  async end(): Promise<Ended> {
    const limit = new AbortController();
    const late = sleep(LIMIT_MS, undefined, { signal: limit.signal }).catch(() => undefined);
    const ended = await Promise.race([this.ended, late]);
    limit.abort();
    if (ended === undefined) this.process.kill("SIGKILL");
    assert.ok(ended !== undefined, `still running after ${LIMIT_MS} ms: ${this.out}${this.err}`);
    return ended;
  }

  async until(claim: string, holds: () => boolean): Promise<void> {
    const endMs = performance.now() + LIMIT_MS;
    while (!holds()) {
      assert.equal(this.process.exitCode, null, `${claim}: it ended: ${this.err}`);
      assert.ok(performance.now() < endMs, `not within ${LIMIT_MS} ms: ${claim}: ${this.out}${this.err}`);
      await sleep(10);
    }
  }
}

/** Runs `millrace` to its end. */
export function millrace(args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = new Child(args, env);
  child.process.stdin?.end(input);
  return child.end();
}

/** Starts a platform and waits until it is ready. */
export async function startPlatform(
  data: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{
  readonly child: Child;
  readonly endpoints: Readonly<Record<string, string>> & { readonly pid: number };
}> {
  const child = new Child([...args, "--ports", "free", "--data", data], env);
  child.process.stdin?.end();
  const file = join(data, "endpoints.json");
  await child.until("the platform is ready", () => existsSync(file));
  return { child, endpoints: JSON.parse(readFileSync(file, "utf8")) as never };
}
