// A run of a cluster: clients work while faults come; then everything heals, every journal is writable within 30
// virtual seconds, and the judges look at the whole.
import { setMaxListeners } from "node:events";
import { assert, never, type Random } from "@millrace/base";
import { prepareCodecs } from "@millrace/fragments";
import { labelSet, newJournalSpec, type JournalSpec } from "@millrace/protocol";
import { checkCluster, watchSpools } from "./cluster-checks.ts";
import {
  drawClusterSwarm,
  NO_CLUSTER_CONTROLS,
  type ClusterControls,
  type ClusterSwarm,
} from "./cluster-options.ts";
import { ClusterWorld, STORE } from "./cluster-world.ts";
import { appendOnce, fence, pause, tail, write, type Shift } from "./clients.ts";
import type { JournalJudge } from "./journal-judge.ts";
import { Nemesis } from "./nemesis.ts";

// As the platform does: many parts wait on one signal.
setMaxListeners(0);

export interface ClusterSummary {
  readonly seed: string;
  readonly events: number;
  readonly trace: string;
  readonly virtualMs: number;
  readonly acknowledged: number;
  readonly unknown: number;
  /** From the end of all faults until every journal took an append. */
  readonly healedMs: number;
  readonly tally: Readonly<Record<string, number>>;
}

/** A run that broke a promise: with what is needed to look into it. */
export class ClusterFailure extends Error {
  readonly seed: string;
  readonly newest: readonly string[];
  readonly swarm: ClusterSwarm;
  readonly controls: ClusterControls;
  constructor(seed: string, { swarm, controls, trace }: ClusterWorld, cause: unknown) {
    super(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "ClusterFailure";
    this.seed = seed;
    this.newest = trace.newest;
    this.swarm = swarm;
    this.controls = controls;
  }
}

const START_MS = 60_000;
/** After healing every journal takes appends within this time. */
const WRITABLE_MS = 30_000;
/** What was told to stop has stopped, or was killed, within this time. */
const REST_MS = 120_000;
/** Clients give up an append that nobody answers before this. */
const ANSWERS_MS = 60_000;

/** @throws {ClusterFailure} */
export async function runCluster(
  seed: string,
  controls: ClusterControls = NO_CLUSTER_CONTROLS,
  onLine: (line: string) => void = () => undefined,
): Promise<ClusterSummary> {
  await prepareCodecs();
  const world = await ClusterWorld.open(
    seed,
    (random) => drawClusterSwarm(random, controls),
    controls,
    onLine,
  );
  const forget = failOnUnhandled(world);
  try {
    return await live(seed, world);
  } catch (error) {
    throw new ClusterFailure(seed, world, error);
  } finally {
    forget();
  }
}

/** A broken invariant ends the process that it is in; here it ends the run. */
function failOnUnhandled(world: ClusterWorld): () => void {
  const onUnhandled = (error: unknown): void => world.fail(error);
  process.on("unhandledRejection", onUnhandled);
  return () => process.off("unhandledRejection", onUnhandled);
}

async function live(seed: string, world: ClusterWorld): Promise<ClusterSummary> {
  const { swarm, judges } = world;
  await startCluster(world);
  const crowd = startCrowd(world);
  world.fragments.faults = world.storeFaults();
  world.fragments.listLagMs = swarm.listLagMs;
  world.tornObjects = swarm.tornObjects;
  const nemesis = new Nemesis(world);
  nemesis.run().catch((error: unknown) => world.fail(error));
  await world.passTime(swarm.stormMs);
  nemesis.heal();
  const healedMs = await untilWritable(world);
  await world.passTime(1000);
  await world.finish("the last answers", crowd.stop(), ANSWERS_MS);
  await world.finish("the last restarts", nemesis.rest(), REST_MS);
  await untilServing(world);
  await checkCluster(world);
  const appends = judges.flatMap((judge) => judge.appends);
  const count = (wanted: string): number => appends.filter(({ outcome }) => outcome === wanted).length;
  return {
    seed,
    events: world.agenda.executed,
    trace: world.trace.digest(),
    virtualMs: Math.round(world.nowMs),
    acknowledged: count("acknowledged"),
    unknown: count("unknown"),
    healedMs: Math.round(healedMs),
    tally: Object.fromEntries([...world.tally].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** All machines serve, and every journal takes an append. */
export async function startCluster(world: ClusterWorld): Promise<void> {
  for (const machine of world.machines) machine.start();
  await untilServing(world);
  await world.finish("creating the journals", createJournals(world), START_MS);
  await untilWritable(world);
}

async function untilServing(world: ClusterWorld): Promise<void> {
  const areServing = await world.until(() => world.machines.every(({ isServing }) => isServing), START_MS);
  assert(areServing, "every machine of a healthy cluster serves");
}

async function createJournals(world: ClusterWorld): Promise<void> {
  const changes = world.swarm.journals.map((shape) => {
    return { expectModRevision: 0, upsert: specOf(world.swarm, shape), delete: "" };
  });
  const { status } = await world.transport(world.machines[0]!).apply({ changes }, never);
  assert(status === "OK", "the journals are created", { status });
}

function specOf(
  { fragmentBytes }: ClusterSwarm,
  { name, replication, isStored, labels = {} }: ClusterSwarm["journals"][number],
): JournalSpec {
  const spec = { ...newJournalSpec({ name, replication }), labels: labelSet(...Object.entries(labels)) };
  const fragment = {
    ...spec.fragment,
    length: fragmentBytes,
    flushIntervalMs: 0,
    compressionCodec: "GZIP" as const,
    stores: isStored ? [STORE] : [],
    refreshIntervalMs: 10_000,
  };
  return { ...spec, fragment };
}

/** Every journal takes an append, at whatever broker. @returns how long it took */
export async function untilWritable(world: ClusterWorld): Promise<number> {
  const begunMs = world.nowMs;
  const random = world.random.fork(`probe ${begunMs}`);
  const probes = world.judges.map((judge) => probe(world, judge, random));
  await world.finish("making every journal writable", Promise.all(probes), WRITABLE_MS);
  return world.nowMs - begunMs;
}

async function probe(world: ClusterWorld, judge: JournalJudge, random: Random): Promise<void> {
  for (let i = 0; ; i++) {
    const machine = world.machines[i % world.machines.length]!;
    if (machine.isServing) {
      const result = await appendOnce(world, judge, judge.begin(1, random), machine);
      if (result === "acknowledged") return;
    }
    await pause(world, 200);
  }
}

interface Crowd {
  /** Begins nothing new; resolves when what is under way has been answered. */
  stop(): Promise<void>;
}

function startCrowd(world: ClusterWorld): Crowd {
  const { swarm, judges } = world;
  const members: { shift: Shift; running: Promise<void> }[] = [];
  const join = (name: string, work: (shift: Shift) => Promise<void>): void => {
    const shift = { name, isOver: false };
    const running = work(shift);
    running.catch((error: unknown) => world.fail(error));
    members.push({ shift, running });
  };
  for (const judge of judges) {
    // The last journal is that of those who fence each other off.
    if (judge === judges.at(-1)) {
      for (let i = 0; i < 2; i++) join(`${judge.name} ${i}`, (shift) => fence(world, judge, shift));
    } else {
      for (let i = 0; i < swarm.writers; i++) {
        join(`${judge.name} ${i}`, (shift) => write(world, judge, shift));
      }
    }
    for (let i = 0; i < swarm.readers; i++) {
      join(`${judge.name} ${i}`, (shift) => tail(world, judge, shift));
    }
  }
  join("spools", (shift) => watchSpools(world, shift));
  return {
    stop: async () => {
      for (const { shift } of members) shift.isOver = true;
      await Promise.all(members.map(({ running }) => running));
    },
  };
}
