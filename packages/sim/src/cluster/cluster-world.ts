// A cluster and what is around it: machines, network, coordination store, object store, clients, and the judges.
import { InvariantError, text, type Random } from "@millrace/base";
import { Agenda, seededRandom, settle } from "@millrace/base/testkit";
import type { JournalTransport } from "@millrace/client";
import { textOf } from "@millrace/metadata";
import type { ObjectStore } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { Trace } from "../trace.ts";
import type { CallPorts } from "./calls.ts";
import type { ClusterControls, ClusterSwarm } from "./cluster-options.ts";
import { JournalJudge } from "./journal-judge.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import { Coordination, ETCD } from "./remote-coordination.ts";
import { remoteTransport } from "./remote-transport.ts";
import { SimProcess } from "./sim-process.ts";

export const STORE = "file:///fragments/";
const LINES_KEPT = 400;

export class ClusterWorld {
  readonly agenda: Agenda;
  readonly epochMs = Date.UTC(2026, 0, 1);
  readonly trace: Trace;
  /** How often what happened: a fault that never comes proves nothing. */
  readonly tally = new Map<string, number>();
  readonly random: Random;
  readonly controls: ClusterControls;
  readonly swarm: ClusterSwarm;
  readonly network: Network;
  readonly coordination: Coordination;
  readonly fragments: MemoryStore;
  /** Chance that a new object is cut short, in thousandths. */
  tornObjects = 0;
  readonly machines: readonly Machine[];
  readonly judges: readonly JournalJudge[];
  /** Of the clients: it lives as long as the world. */
  readonly clients: SimProcess;
  #failure: Error | undefined;

  private constructor(
    parts: { random: Random; agenda: Agenda; coordination: Coordination },
    swarm: ClusterSwarm,
    controls: ClusterControls,
    onLine: (line: string) => void,
  ) {
    const { random, agenda, coordination } = parts;
    this.agenda = agenda;
    this.random = random;
    this.swarm = swarm;
    this.controls = controls;
    this.coordination = coordination;
    this.trace = new Trace(() => agenda.nowMs, LINES_KEPT, onLine);
    this.network = new Network({
      agenda,
      random: random.fork("network"),
      note: (what, detail) => this.note(what, detail),
    });
    const etcd = this.network.addHost(ETCD);
    etcd.process = coordination.process;
    etcd.isListening = true;
    this.clients = new SimProcess(agenda, "clients", "clients", this.epochMs);
    this.network.addHost("clients").process = this.clients;
    this.fragments = memoryStore({
      url: STORE,
      clock: new SimProcess(agenda, "store", "store", this.epochMs).clock,
      random: random.fork("fragments"),
      latencyMs: { min: 1, max: 20 },
      listLagMs: swarm.listLagMs,
    });
    // Healthy until the storm begins, for whoever starts a cluster.
    this.fragments.listLagMs = 0;
    const torn = random.fork("torn objects");
    this.fragments.script = (operation, path) => {
      // What is there already is replaced whole or not at all, by any store.
      const isNew = operation === "put" && this.fragments.peek(path) === undefined;
      if (!isNew || this.tornObjects === 0 || torn.below(1000) >= this.tornObjects) return undefined;
      this.note("torn object", path);
      return torn.below(2) === 0 ? "truncated" : "wrong-length";
    };
    this.machines = Array.from(
      { length: swarm.brokers },
      (_, i) => new Machine(this, `broker-${i}`, `zone-${i % swarm.zones}`),
    );
    this.judges = swarm.journals.map(({ name }) => new JournalJudge(name));
  }

  static async open(
    seed: string,
    swarmOf: (random: Random) => ClusterSwarm,
    controls: ClusterControls,
    onLine: (line: string) => void = () => undefined,
  ): Promise<ClusterWorld> {
    const random = seededRandom(`cluster ${seed}`);
    const agenda = new Agenda();
    const swarm = swarmOf(random.fork("swarm"));
    const coordination = await Coordination.open(agenda, random.fork("etcd"), Date.UTC(2026, 0, 1));
    const world = new ClusterWorld({ random, agenda, coordination }, swarm, controls, onLine);
    world.#watchCoordination();
    return world;
  }

  get nowMs(): number {
    return this.agenda.nowMs;
  }

  machine(name: string): Machine {
    return this.machines.find((machine) => machine.name === name)!;
  }

  store(_url: string): ObjectStore {
    return this.fragments;
  }

  storeFaults(): MemoryStore["faults"] {
    const rate = this.swarm.storeFaults;
    return { unavailable: rate, "timeout-after-success": rate, "cut-off": rate };
  }

  /** The broker on `machine` as clients reach it. */
  transport(machine: Machine): JournalTransport {
    return remoteTransport(this.#calls(), machine.name, () => machine.served.transport);
  }

  #calls(): CallPorts {
    return { network: this.network, from: this.clients, fail: (error) => this.fail(error) };
  }

  note(what: string, detail = ""): void {
    this.trace.add(`${what} ${detail}`);
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  /** Remembers a failure that nobody awaits; the run ends with it. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  /** @throws what failed */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Lets virtual time pass until `work` is done. @throws what it rejects with, or when it takes longer than `ms` */
  async finish<T>(what: string, work: Promise<T>, ms: number): Promise<T> {
    let isOver = false;
    const ended = work.finally(() => {
      isOver = true;
    });
    ended.catch(() => undefined);
    await this.#run(() => isOver, this.nowMs + ms);
    if (!isOver) throw new InvariantError(`${what} takes longer than ${ms} virtual ms`, {});
    return ended;
  }

  /** Lets time pass until `isDone`, `ms` at most. @returns whether it was */
  until(isDone: () => boolean, ms: number): Promise<boolean> {
    return this.#run(isDone, this.nowMs + ms);
  }

  async passTime(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await this.#run(() => false, endMs);
    await this.agenda.advance(Math.max(0, endMs - this.nowMs));
    this.check();
  }

  async #run(isDone: () => boolean, endMs: number): Promise<boolean> {
    await settle();
    for (;;) {
      this.check();
      if (isDone()) return true;
      if (!(await this.agenda.step(endMs))) {
        this.check();
        return isDone();
      }
    }
  }

  /** Who serves what, and who holds what, stands in the trace. */
  #watchCoordination(): void {
    const follow = async (): Promise<void> => {
      const everything = { key: "\0", end: "\0" };
      for await (const { events } of this.coordination.store.watch(
        everything,
        new AbortController().signal,
      )) {
        for (const { kind, kv } of events) {
          const value = kv.key.startsWith("!") ? ` ${text(kv.value)}` : "";
          this.trace.add(`etcd ${kv.modRevision} ${kind} ${textOf(kv.key)}${value}`);
        }
      }
    };
    follow().catch((error: unknown) => this.fail(error));
  }
}
