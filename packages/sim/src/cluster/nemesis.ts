// What happens to a cluster while it is used: faults of the kinds that the run has drawn, at random moments.
import { never, WireError, type Random } from "@millrace/base";
import { decodeHolders, DEFAULT_ROOT, holdersKey } from "@millrace/broker";
import { keyOf, prefixRange } from "@millrace/metadata";
import { anyMachine, changeReplication, pause, suspend } from "./clients.ts";
import { oneOf, type Fault } from "./cluster-options.ts";
import type { ClusterWorld } from "./cluster-world.ts";
import type { Machine } from "./machine.ts";
import { ETCD } from "./remote-coordination.ts";

/** How long a process that is told to stop may take before it is killed. */
const STOP_MS = 60_000;
/** Whatever a process that is gone had sent has arrived after this time, or never will. */
const SETTLED_MS = 3000;

export class Nemesis {
  readonly #world: ClusterWorld;
  readonly #random: Random;
  /** What ends faults that last. */
  readonly #lasting = new Set<() => void>();
  #isOver = false;
  #isRolling = false;
  #working = 0;

  constructor(world: ClusterWorld) {
    this.#world = world;
    this.#random = world.random.fork("nemesis");
  }

  async run(): Promise<void> {
    const { swarm } = this.#world;
    if (swarm.faults.length === 0) return;
    while (!this.#isOver) {
      await pause(this.#world, 1 + this.#random.below(2 * swarm.everyMs));
      if (!this.#isOver) this.#strike(oneOf(this.#random, swarm.faults));
    }
  }

  /** Ends all faults, and brings up what is down. */
  heal(): void {
    this.#isOver = true;
    const world = this.#world;
    for (const end of this.#lasting) end();
    world.network.heal();
    world.fragments.faults = {};
    world.fragments.listLagMs = 0;
    world.tornObjects = 0;
    if (!world.coordination.hasLeader) world.coordination.findLeader();
    for (const machine of world.machines) {
      machine.process?.resume();
      machine.diskSlowness = 1;
      machine.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      machine.disk.failSync(() => false);
      machine.isHeldDown = false;
      machine.start();
    }
    world.note("healed");
  }

  #strike(fault: Fault): void {
    const [world, random] = [this.#world, this.#random];
    const machine = anyMachine(world, random);
    switch (fault) {
      case "kill":
        return machine.end("kill");
      case "power":
        return machine.end("power");
      case "blackout":
        return this.#blackout();
      case "pause":
        return this.#pause(machine);
      case "cut":
        return this.#cut(machine.name, oneOf(random, this.#hosts()));
      case "isolate":
        return this.#isolate(machine);
      case "slow-link":
        return this.#slowLink(machine.name, oneOf(random, this.#hosts()));
      case "clock":
        world.note("clock set", machine.name);
        return machine.skewClock(random.below(7_200_000) - 3_600_000);
      case "leader":
        return this.#loseLeader();
      case "compact":
        return this.#compact();
      case "store":
        return this.#storeOutage();
      case "full":
        return this.#fillDisk(machine);
      case "sync":
        return machine.failSync();
      case "slow-disk":
        return this.#slowDisk(machine);
      case "restart":
        return this.#own(this.#restart(machine));
      case "rolling":
        return this.#own(this.#roll());
      case "replication":
        return this.#own(this.#changeReplication(machine));
      case "suspend":
        return this.#own(suspend(world, oneOf(random, world.judges).name, world.transport(machine)));
      case "lost-disk":
        return this.#own(this.#loseDisk(machine));
    }
  }

  #hosts(): string[] {
    return [...this.#world.machines.map(({ name }) => name), ETCD, "clients"];
  }

  /** The power of the whole room: some machines come back before others. */
  #blackout(): void {
    this.#world.note("blackout");
    for (const machine of this.#world.machines) machine.end("power");
  }

  /** A process stands still for a moment, or for longer than any lease. */
  #pause(machine: Machine): void {
    const { process } = machine;
    if (process === undefined || process.isPaused) return;
    this.#world.note("paused", process.name);
    process.pause();
    this.#lasts([300, 5000, 40_000], () => {
      if (process.isAlive && process.isPaused) this.#world.trace.add(`${process.name} goes on`);
      process.resume();
    });
  }

  /** One direction of one link. */
  #cut(from: string, to: string): void {
    if (from === to) return;
    const { network } = this.#world;
    const [a, b] = this.#random.below(2) === 0 ? [from, to] : [to, from];
    network.cut(a, b);
    this.#lasts([500, 8000, 40_000], () => network.mend(a, b));
  }

  /** All links of a machine, or those to some others; one way or both. */
  #isolate(machine: Machine): void {
    const { network } = this.#world;
    this.#world.note("isolated", machine.name);
    const isWhole = this.#random.below(2) === 0;
    const way = this.#random.below(4);
    for (const other of this.#hosts()) {
      if (other === machine.name || (!isWhole && this.#random.below(2) === 0)) continue;
      if (way !== 1) network.cut(machine.name, other);
      if (way !== 2) network.cut(other, machine.name);
    }
    this.#lasts([1000, 10_000, 40_000], () => {
      for (const other of this.#hosts()) {
        network.mend(machine.name, other);
        network.mend(other, machine.name);
      }
    });
  }

  #slowLink(from: string, to: string): void {
    const { network } = this.#world;
    this.#world.note("slow link", `${from} > ${to}`);
    network.slowDown(from, to, 50 + this.#random.below(500));
    this.#lasts([2000, 10_000], () => network.slowDown(from, to, 1));
  }

  #loseLeader(): void {
    const { coordination } = this.#world;
    if (!coordination.hasLeader) return;
    this.#world.note("etcd has no leader");
    coordination.loseLeader();
    this.#lasts([500, 3000, 15_000], () => {
      if (coordination.hasLeader) return;
      this.#world.trace.add("etcd has a leader");
      coordination.findLeader();
    });
  }

  #compact(): void {
    const { store } = this.#world.coordination;
    const done = async (): Promise<void> => {
      const { signal } = new AbortController();
      const { header } = await store.range({ key: "x", countOnly: true }, signal);
      const revision = Math.max(1, header.revision - this.#random.below(5));
      await store.compact(revision, signal).catch((thrown: unknown) => {
        if (WireError.from(thrown).code !== "COMPACTED") throw thrown;
      });
      this.#world.note("compacted", String(revision));
    };
    this.#own(done());
  }

  #storeOutage(): void {
    const { fragments } = this.#world;
    this.#world.note("store away");
    fragments.faults = { unavailable: 1000 };
    this.#lasts([1000, 20_000], () => {
      fragments.faults = this.#isOver ? {} : this.#world.storeFaults();
    });
  }

  #fillDisk({ disk, name }: Machine): void {
    this.#world.note("disk full", name);
    disk.capacityBytes = disk.usedBytes + this.#random.below(100_000);
    this.#lasts([1000, 10_000], () => {
      disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    });
  }

  #slowDisk(machine: Machine): void {
    this.#world.note("slow disk", machine.name);
    machine.diskSlowness = 20 * (1 + this.#random.below(20));
    this.#lasts([1000, 6000], () => {
      machine.diskSlowness = 1;
    });
  }

  /** A disk goes with all that is on it, unless a journal would lose its only holder. */
  async #loseDisk(machine: Machine): Promise<void> {
    const world = this.#world;
    if (!machine.isServing || machine.isHeldDown || world.network.isCut(machine.name, ETCD)) return;
    machine.isHeldDown = true;
    machine.end("power", false);
    // What it has sent to the coordination store has come there by then.
    await pause(world, SETTLED_MS);
    // Everything may have healed meanwhile.
    if (this.#isOver || machine.process !== undefined) return;
    if (world.coordination.hasLeader && !(await isOnlyHolder(world, machine))) machine.loseDisk();
    machine.isHeldDown = false;
    machine.start();
  }

  async #restart(machine: Machine): Promise<void> {
    const { process } = machine;
    if (process === undefined || !machine.isServing) return;
    let isOver = false;
    this.#world.agenda.schedule(STOP_MS, () => {
      if (!isOver && machine.process === process) machine.end("kill");
    });
    const stopping = machine.stop(true).catch((error: unknown) => {
      if (process.isAlive) this.#world.fail(error);
    });
    // A process that is killed meanwhile never says that it has stopped.
    while (process.isAlive) await pause(this.#world, 50);
    isOver = true;
    void stopping;
  }

  /** One after the other, each when the one before it serves again. */
  async #roll(): Promise<void> {
    if (this.#isRolling) return;
    this.#isRolling = true;
    this.#world.note("rolling restart");
    for (const machine of this.#world.machines) {
      if (this.#isOver) break;
      await this.#restart(machine);
      for (let ms = 0; ms < STOP_MS && !machine.isServing; ms += 50) await pause(this.#world, 50);
    }
    this.#isRolling = false;
  }

  async #changeReplication(machine: Machine): Promise<void> {
    const [world, random] = [this.#world, this.#random];
    const shape = oneOf(random, world.swarm.journals);
    const transport = world.transport(machine);
    const changed = await changeReplication(world, shape.name, oneOf(random, [1, 2, 3, 3]), transport);
    if (changed) world.note("replication changed", shape.name);
  }

  /** `end` happens after about one of `times`, or when everything heals. */
  #lasts(times: readonly number[], end: () => void): void {
    const once = (): void => {
      if (this.#lasting.delete(once)) end();
    };
    this.#lasting.add(once);
    this.#world.agenda.schedule(1 + this.#random.below(oneOf(this.#random, times)), once);
  }

  /** Resolves when nothing that was begun goes on. */
  async rest(): Promise<void> {
    while (this.#working > 0) await pause(this.#world, 50);
  }

  #own(work: Promise<unknown>): void {
    this.#working++;
    work
      .catch((error: unknown) => this.#world.fail(error))
      .finally(() => this.#working--)
      .catch(() => undefined);
  }
}

/** Whether some segment of a journal names the machine's disk, and no other that is there. */
async function isOnlyHolder(world: ClusterWorld, machine: Machine): Promise<boolean> {
  const others = new Set(world.machines.filter((one) => one !== machine).map(({ holder }) => holder));
  const lists = prefixRange(keyOf(holdersKey(DEFAULT_ROOT, "")));
  const { kvs } = await world.coordination.store.range(lists, never);
  return kvs
    .flatMap(({ value }) => decodeHolders(value).list.segments)
    .some(({ members }) => members.includes(machine.holder) && !members.some((one) => others.has(one)));
}
