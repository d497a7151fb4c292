// Gazette's own brokers and etcd, for tests of interoperation: child processes on loopback.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, peerProgram } from "@millrace/base/testkit";
import { Child } from "./test-children.ts";

export const GAZETTE_PEERS = ["gazette", "gazctl", "etcd"] as const;
export type GazettePeer = (typeof GAZETTE_PEERS)[number];

/** Why there is nothing to test against; false: there is. */
export function gazetteMissing(): string | false {
  const reasons = GAZETTE_PEERS.map((name) => peerProgram(name).missing);
  return reasons.find((missing) => missing !== false) ?? false;
}

export function gazettePeer(name: GazettePeer): string {
  return peerProgram(name).path;
}

/** An etcd and brokers on it, in a directory. */
export class GazetteCluster {
  readonly #dir: string;
  readonly #running: Child[] = [];
  #etcd = "";

  constructor(dir: string) {
    this.#dir = dir;
  }

  async startEtcd(): Promise<void> {
    this.#etcd = `http://127.0.0.1:${await freePort()}`;
    const peers = `http://127.0.0.1:${await freePort()}`;
    const urls = ["--listen-client-urls", this.#etcd, "--advertise-client-urls", this.#etcd];
    const cluster = ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers];
    const rest = ["--data-dir", join(this.#dir, "etcd"), "--initial-cluster", `default=${peers}`];
    const store = this.#start(gazettePeer("etcd"), [...rest, ...urls, ...cluster]);
    await answers(store, `${this.#etcd}/health`);
  }

  /** @param cluster name of its keyspace and of the directory of its fragments */
  async startBroker(
    cluster: string,
    more: readonly string[] = [],
    id = "broker-1",
  ): Promise<{ readonly address: string; readonly child: Child }> {
    const root = join(this.#dir, cluster);
    const temporary = join(root, `tmp-${id}`);
    mkdirSync(temporary, { recursive: true });
    const port = await freePort();
    const place = ["--broker.host=127.0.0.1", `--broker.port=${port}`, `--broker.id=${id}`];
    const rest = [`--etcd.address=${this.#etcd}`, `--etcd.prefix=/${cluster}`, "--broker.watch-delay=0s"];
    const args = ["serve", ...place, `--broker.file-root=${root}`, ...rest, ...more];
    const child = this.#start(gazettePeer("gazette"), args, { TMPDIR: temporary });
    await answers(child, `http://127.0.0.1:${port}/debug/ready`);
    return { address: `http://127.0.0.1:${port}`, child };
  }

  async kill(): Promise<void> {
    for (const child of this.#running) child.process.kill("SIGKILL");
    for (const child of this.#running) await child.ended;
  }

  #start(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
    const child = new Child(args, env, [file]);
    this.#running.push(child);
    return child;
  }
}

async function answers(child: Child, url: string): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    assert.equal(child.process.exitCode, null, child.err);
    const ok = await fetch(url).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (ok) return;
    await sleep(50);
  }
  assert.fail(`${url} does not answer: ${child.err}`);
}
