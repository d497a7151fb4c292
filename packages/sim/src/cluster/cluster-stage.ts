// A cluster without chance of faults, which a scenario leads step by step. It ends by healing everything, and by the
// judges of all runs.
import assert from "node:assert/strict";
import { concatBytes, InvariantError, never, silentLogger, type Random } from "@millrace/base";
import { appendOnce as sendOnce, getJournal, readHead, readJournal } from "@millrace/client";
import { decodeHolders, DEFAULT_ROOT, holdersKey, type HoldersList } from "@millrace/broker";
import { prepareCodecs, type Spool } from "@millrace/fragments";
import { keyOf } from "@millrace/metadata";
import { checkCluster } from "./cluster-checks.ts";
import {
  CALM_CLUSTER,
  NO_CLUSTER_CONTROLS,
  type ClusterControls,
  type ClusterSwarm,
} from "./cluster-options.ts";
import { ClusterWorld } from "./cluster-world.ts";
import { appendOnce, changeReplication, type AppendHow, type AppendResult } from "./clients.ts";
import type { JournalJudge, RegisterUse } from "./journal-judge.ts";
import type { Machine } from "./machine.ts";
import { Nemesis } from "./nemesis.ts";
import { startCluster, untilWritable } from "./run-cluster.ts";

await prepareCodecs();

const STEP_MS = 60_000;

export class ClusterStage {
  readonly world: ClusterWorld;
  readonly random: Random;

  private constructor(world: ClusterWorld) {
    this.world = world;
    this.random = world.random.fork("stage");
  }

  /** A cluster that serves. */
  static async open(
    name: string,
    swarm: Partial<ClusterSwarm> = {},
    controls: ClusterControls = NO_CLUSTER_CONTROLS,
  ): Promise<ClusterStage> {
    const world = await ClusterWorld.open(name, () => ({ ...CALM_CLUSTER, ...swarm }), controls);
    await startCluster(world);
    return new ClusterStage(world);
  }

  get journal(): JournalJudge {
    return this.world.judges[0]!;
  }

  /** Machines of the journal's route, the primary first. */
  async route(journal = this.journal): Promise<readonly Machine[]> {
    const asked = this.world.machines.find(({ isServing, process }) => isServing && !process!.isPaused)!;
    const { route } = await this.finish(getJournal(this.world.transport(asked), journal.name, never));
    const machines = route.members.map(({ suffix }) => this.world.machine(suffix));
    const primary = machines[route.primary];
    if (primary === undefined) return machines;
    return [primary, ...machines.filter((machine) => machine !== primary)];
  }

  /** The route of a journal with three replicas. */
  async threeOf(journal = this.journal): Promise<readonly [Machine, Machine, Machine]> {
    const [primary, second, third, ...more] = await this.route(journal);
    assert.ok(primary !== undefined && second !== undefined && third !== undefined && more.length === 0);
    return [primary, second, third];
  }

  /** Machines that are not of the route. */
  async others(journal = this.journal): Promise<readonly Machine[]> {
    const route = await this.route(journal);
    return this.world.machines.filter((machine) => !route.includes(machine));
  }

  spool(machine: Machine, journal = this.journal): Spool {
    const spool = machine.spools.get(journal.name);
    assert.ok(spool !== undefined, `${machine.name} has a spool of ${journal.name}`);
    return spool;
  }

  /** As the coordination store has it now. */
  async holders(journal = this.journal): Promise<HoldersList> {
    const key = keyOf(holdersKey(DEFAULT_ROOT, journal.name));
    const { kvs } = await this.finish(this.world.coordination.store.range({ key }, never));
    return decodeHolders(kvs[0]!.value).list;
  }

  /** Appends and waits for the answer. */
  append(at?: Machine, size = 20, journal = this.journal): Promise<AppendResult> {
    return this.finish(this.appending(at, size, {}, journal));
  }

  /** Appends; whether and when time passes is up to the scenario. */
  appending(
    at = this.world.machines[0]!,
    size = 20,
    { register, ...how }: AppendHow & { readonly register?: Omit<RegisterUse, "mismatched"> } = {},
    journal = this.journal,
  ): Promise<AppendResult> {
    const append = journal.begin(size, this.random, register);
    return appendOnce(this.world, journal, append, at, how);
  }

  /** Tries until an append is acknowledged. @returns virtual milliseconds that it took */
  async untilAcknowledged(at: readonly Machine[], journal = this.journal): Promise<number> {
    const begunMs = this.world.nowMs;
    for (let i = 0; ; i++) {
      const machine = at[i % at.length]!;
      if ((await this.append(machine, 20, journal)) === "acknowledged") return this.world.nowMs - begunMs;
      assert.ok(this.world.nowMs - begunMs < 2 * STEP_MS, "the journal becomes writable");
      await this.pass(20);
    }
  }

  /** As `millrace journals reset-head`, at one broker. @throws {WireError} why it was not reset */
  async resetHead(at: Machine, journal = this.journal): Promise<number> {
    const transport = this.world.transport(at);
    const { writeHead: offset } = await this.finish(readHead(transport, journal.name, never));
    const nothing = { kind: "bytes", bytes: [] } as const;
    const how = { offset, suspend: "SUSPEND_KEEP" } as const;
    await this.finish(sendOnce(transport, journal.name, nothing, how, never));
    return offset;
  }

  /** Tries until the head is reset. @returns where the journal was believed to end */
  async untilReset(at: readonly Machine[], journal = this.journal): Promise<number> {
    const begunMs = this.world.nowMs;
    for (let i = 0; ; i++) {
      try {
        return await this.resetHead(at[i % at.length]!, journal);
      } catch (error) {
        if (error instanceof InvariantError || this.world.nowMs - begunMs > 2 * STEP_MS) throw error;
        await this.pass(500);
      }
    }
  }

  /** What a broker gives of the journal now, up to the head as it knows it. */
  async read(at: Machine, journal = this.journal): Promise<Uint8Array> {
    const transport = this.world.transport(at);
    const { writeHead } = await this.finish(readHead(transport, journal.name, never));
    const options = { journal: journal.name, offset: 0, block: true, endOffset: writeHead };
    const ports = { transport, clock: this.world.clients.clock, logger: silentLogger };
    const parts: Uint8Array[] = [];
    const reading = async (): Promise<void> => {
      for await (const event of readJournal(ports, options, never)) {
        assert.equal(event.kind, "content");
        if (event.kind === "content") parts.push(event.bytes);
      }
    };
    if (writeHead > 0) await this.finish(reading());
    const content = concatBytes(parts);
    journal.saw(`a reader at ${at.name}`, 0, content);
    return content;
  }

  /** @returns whether the journal's spec was changed */
  replication(count: number, journal = this.journal): Promise<boolean> {
    const at = this.world.machines.find(({ isServing }) => isServing)!;
    return this.finish(changeReplication(this.world, journal.name, count, this.world.transport(at)));
  }

  /** Nothing passes between the two groups. */
  cut(some: readonly string[], others: readonly string[]): void {
    for (const a of some) {
      for (const b of others) {
        this.world.network.cut(a, b);
        this.world.network.cut(b, a);
      }
    }
  }

  /** All that a machine has links to. */
  everybodyBut(machine: Machine): string[] {
    return [...this.world.network.hosts.keys()].filter((name) => name !== machine.name);
  }

  finish<T>(work: Promise<T>, ms = STEP_MS): Promise<T> {
    return this.world.finish("a step of the scenario", work, ms);
  }

  async until(what: string, isDone: () => boolean, ms = STEP_MS): Promise<void> {
    assert.ok(await this.world.until(isDone, ms), what);
  }

  pass(ms: number): Promise<void> {
    return this.world.passTime(ms);
  }

  /** Everything heals; every journal is writable, and everywhere the same. */
  async end(): Promise<void> {
    new Nemesis(this.world).heal();
    await untilWritable(this.world);
    await this.until("every machine serves", () => this.world.machines.every(({ isServing }) => isServing));
    await checkCluster(this.world);
    this.world.check();
  }
}

/** Ends a machine, which stays down. */
export function hold(machine: Machine, how: "kill" | "power"): void {
  machine.isHeldDown = true;
  machine.end(how, false);
}

/** It starts again. */
export function release(machine: Machine): void {
  machine.isHeldDown = false;
  machine.start();
}
