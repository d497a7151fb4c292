// Misfortunes of the processes of a StreamCluster, drawn from a seed: kill -9, SIGTERM, SIGSTOP shorter and longer than
// the lease, and both processes of a component killed at once; and of what they all need, the etcd and the object
// store: kill -9, and for some seconds there is none. Each round has all of them in an order of its own.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "@millrace/base";
import { until } from "./test-platform.ts";
import { LEASE_OVER } from "./test-storm.ts";
import { ROLES, type Role, type StreamCluster, type TestNode } from "./test-stream-cluster.ts";

/** What everybody needs, and that comes back with the data that it had. */
export interface Needed {
  run(): Promise<void>;
  kill(): Promise<void>;
}

interface Misfortune {
  /** Who suffers what. */
  readonly what: string;
  /** In nobody else's hands meanwhile. */
  readonly victims: readonly (TestNode | Needed)[];
  readonly strike: () => Promise<void>;
}

/** Defaults of etcd.lease and of distribution.ttl, and somewhat more. */
const PAST_LEASE_MS = (role: Role): number => (role === "broker" ? 25_000 : 8000);
/** How often in a round etcd and store are killed, and how long they are away: an etcd not for long, or leases end. */
const NEEDED_KILLS = 2;
const ETCD_AWAY_MS_MAX = 3000;
const STORE_AWAY_MS_MAX = 8000;
const ENDS_ITSELF_MS = 60_000;
const LOOK_MS = 100;

export class StreamStorm {
  readonly #cluster: StreamCluster;
  readonly #store: Needed;
  readonly #random: Random;
  readonly #struck = new Set<TestNode | Needed>();
  /** How often what was suffered. */
  readonly #suffered = new Map<string, number>();
  #left: Misfortune[] = [];
  /** How often leases may have got their whole time again: they do when an etcd starts. */
  #renewals = 0;
  #rounds = -1;
  #isOver = false;

  /** @param store that the cluster's processes have their objects in */
  constructor(cluster: StreamCluster, store: Needed, random: Random) {
    this.#cluster = cluster;
    this.#store = store;
    this.#random = random;
  }

  /** Rounds that are over. */
  get rounds(): number {
    return this.#rounds;
  }

  describe(): string {
    return [...this.#suffered].map(([what, count]) => `${what}: ${count}`).join(", ");
  }

  /** The next misfortune; several may be under way, of processes of their own. @returns when it is over */
  async strike(): Promise<void> {
    const { what, victims, strike } = await this.#next();
    for (const victim of victims) this.#struck.add(victim);
    await strike();
    for (const victim of victims) this.#struck.delete(victim);
    this.#note(what);
  }

  /** Brings back brokers that end themselves, as whoever supervises them would, until `end`; nobody else may. */
  async supervise(): Promise<void> {
    while (!this.#isOver) {
      await sleep(LOOK_MS);
      for (const node of this.#cluster.nodes) {
        if (this.#struck.has(node) || node.life.exit === undefined) continue;
        this.#excuse(node);
        this.#note(`${node.role} ended itself`);
        node.launch();
      }
    }
  }

  /** No more misfortunes; every process is ready. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#cluster.nodes.map((node) => this.#ready(node)));
  }

  /** Ends without waiting for anybody. */
  abort(): void {
    this.#isOver = true;
  }

  async #next(): Promise<Misfortune> {
    for (;;) {
      if (this.#left.length === 0) {
        this.#left = this.#deal();
        this.#rounds++;
      }
      const at = this.#left.findIndex(({ victims }) => victims.every((victim) => !this.#struck.has(victim)));
      const [next] = at < 0 ? [] : this.#left.splice(at, 1);
      if (next !== undefined) return next;
      await sleep(LOOK_MS);
    }
  }

  #deal(): Misfortune[] {
    const random = this.#random;
    const dealt: Misfortune[] = [];
    for (const role of ROLES) {
      const nodes = this.#cluster.all(role);
      const one = (): readonly TestNode[] => [nodes[random.below(nodes.length)]!];
      const add = (
        what: string,
        victims: readonly TestNode[],
        strike: (node: TestNode) => Promise<void>,
      ): void => {
        const all = async (): Promise<void> => void (await Promise.all(victims.map(strike)));
        dealt.push({ what: `${role} ${what}`, victims, strike: all });
      };
      for (const node of nodes) add("killed", [node], this.#killed);
      add("stopped", one(), this.#stopped);
      const ms = 300 + random.below(2000);
      add("paused for a moment", one(), (node) => this.#paused(node, ms));
      add("paused past its lease", one(), this.#pausedPastLease);
      if (nodes.length > 1) add("killed, all at once", nodes, this.#killed);
    }
    for (let i = 0; i < NEEDED_KILLS; i++) {
      dealt.push(this.#away("etcd", this.#cluster.etcd, random.below(ETCD_AWAY_MS_MAX)));
      dealt.push(this.#away("store", this.#store, random.below(STORE_AWAY_MS_MAX)));
    }
    return shuffled(dealt, random);
  }

  #away(what: string, needed: Needed, ms: number): Misfortune {
    const strike = async (): Promise<void> => {
      this.#renewals++;
      await needed.kill();
      await sleep(ms);
      if (!this.#isOver) await needed.run();
      this.#renewals++;
    };
    return { what: `${what} killed`, victims: [needed], strike };
  }

  readonly #killed = async (node: TestNode): Promise<void> => {
    await node.kill();
    await this.#back(node);
  };

  /** SIGTERM: it must end in time and with 0, whatever the others do. */
  readonly #stopped = async (node: TestNode): Promise<void> => {
    await node.stop();
    await this.#back(node);
  };

  async #paused(node: TestNode, ms: number): Promise<void> {
    node.freeze();
    await sleep(ms);
    node.thaw();
    await this.#ready(node);
  }

  /** A broker ends itself once it knows, unless an etcd came back meanwhile; the others get another lease. */
  readonly #pausedPastLease = async (node: TestNode): Promise<void> => {
    const renewals = this.#renewals;
    node.freeze();
    await sleep(PAST_LEASE_MS(node.role));
    node.thaw();
    if (node.role === "broker") {
      const claim = (): string => `${node.name} ends itself: ${node.life.stderr.slice(-3000)}`;
      const wasRenewed = (): boolean => this.#renewals > renewals;
      await until(claim, ENDS_ITSELF_MS, () => node.life.exit !== undefined || wasRenewed());
      if (node.life.exit === undefined) return this.#ready(node);
      this.#excuse(node);
      await this.#back(node);
    } else {
      await this.#ready(node);
    }
  };

  async #back(node: TestNode): Promise<void> {
    node.launch();
    await this.#ready(node);
  }

  /** It may end itself once more before it is. */
  async #ready(node: TestNode): Promise<void> {
    for (;;) {
      try {
        await node.ready();
        return;
      } catch (error) {
        if (node.life.exit === undefined || !isExcused(node)) throw error;
        this.#note(`${node.role} ended itself`);
        node.launch();
      }
    }
  }

  #excuse(node: TestNode): void {
    assert.ok(isExcused(node), `${node.name} ended itself:\n${node.life.stderr.slice(-3000)}`);
  }

  #note(happened: string): void {
    this.#suffered.set(happened, (this.#suffered.get(happened) ?? 0) + 1);
  }
}

/** Only a broker ends itself, and only when its lease is over. */
function isExcused({ role, life }: TestNode): boolean {
  return role === "broker" && LEASE_OVER.test(life.stderr);
}

/** Fisher and Yates. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
}
