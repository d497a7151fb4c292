// Servers of others that tests of interoperation start, as child processes on loopback.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

const servers = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of servers) child.kill("SIGKILL");
});

/** A program that goes on until it is stopped. */
export class TestServer {
  readonly child: ChildProcess;
  stderr = "";
  readonly #exited: Promise<unknown>;

  constructor(file: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    this.child = spawn(file, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...env, ...environment },
    });
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-100_000);
    });
    this.#exited = new Promise((resolve) => this.child.once("exit", resolve));
    servers.add(this.child);
    this.child.once("exit", () => servers.delete(this.child));
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Resolves once `url` answers with 200. */
  async answers(url: string): Promise<void> {
    for (let tries = 0; tries < 300; tries++) {
      assert.equal(this.child.exitCode, null, this.stderr);
      const ok = await fetch(url).then(
        ({ status }) => status === 200,
        () => false,
      );
      if (ok) return;
      await sleep(100);
    }
    assert.fail(`${url} does not answer: ${this.stderr}`);
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#exited;
  }
}
