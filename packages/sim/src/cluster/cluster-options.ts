// What a run of a cluster is: its shape and its faults, drawn from the seed, swarm style: each run leaves some faults
// out, so that what one of them hides another run shows. A negative control takes a protection away.
import type { Random } from "@millrace/base";

export interface ClusterControls {
  /** Syncs do nothing: power cuts then lose what was acknowledged. */
  readonly withoutSync: boolean;
  /** A primary goes on when a replica says that it has another one. */
  readonly withoutRouteCheck: boolean;
  /** A primary does not wait for its last replica. */
  readonly withoutLastReplica: boolean;
  /** What a restart finds on the disk counts at once. */
  readonly withoutJudging: boolean;
  /** Who joins copies nothing of what others hold. For scenarios: chance hardly takes all who held something. */
  readonly withoutCopying?: boolean;
}

export const NO_CLUSTER_CONTROLS: ClusterControls = {
  withoutSync: false,
  withoutRouteCheck: false,
  withoutLastReplica: false,
  withoutJudging: false,
};

export const FAULTS = [
  "kill",
  "power",
  "blackout",
  "pause",
  "cut",
  "isolate",
  "slow-link",
  "clock",
  "leader",
  "compact",
  "store",
  "full",
  "sync",
  "slow-disk",
  "restart",
  "rolling",
  "replication",
  "suspend",
  "lost-disk",
] as const;
export type Fault = (typeof FAULTS)[number];

export interface ClusterSwarm {
  readonly brokers: number;
  readonly zones: number;
  readonly journals: readonly JournalShape[];
  readonly writers: number;
  readonly readers: number;
  /** Largest pause of a client between two requests. */
  readonly paceMs: number;
  /** How long faults come. */
  readonly stormMs: number;
  /** Mean time between two faults. */
  readonly everyMs: number;
  readonly leaseSeconds: number;
  readonly segmentBytes: number;
  readonly fragmentBytes: number;
  readonly tailBytes: number;
  readonly directBytesMin: number;
  /** Chance of a fault in each operation of an object store, in thousandths. */
  readonly storeFaults: number;
  /** The same that an object which was not there before is cut short. */
  readonly tornObjects: number;
  readonly listLagMs: number;
  readonly faults: readonly Fault[];
}

export interface JournalShape {
  readonly name: string;
  readonly replication: number;
  readonly isStored: boolean;
  /** By name. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Nothing fails: what scenarios begin with. */
export const CALM_CLUSTER: ClusterSwarm = {
  brokers: 3,
  zones: 3,
  journals: [{ name: "calm/one", replication: 3, isStored: false }],
  writers: 0,
  readers: 0,
  paceMs: 100,
  stormMs: 0,
  everyMs: 1000,
  leaseSeconds: 10,
  segmentBytes: 256 * 1024,
  fragmentBytes: 64 * 1024,
  tailBytes: 64 * 1024,
  directBytesMin: 16 * 1024,
  storeFaults: 0,
  tornObjects: 0,
  listLagMs: 0,
  faults: [],
};

/** What may lose bytes that all members had in memory: several of them fail before any has synced. */
const LOSES_EARLY: readonly Fault[] = ["blackout", "slow-disk", "lost-disk"];

export function drawClusterSwarm(random: Random, controls: ClusterControls): ClusterSwarm {
  const brokers = oneOf(random, [3, 3, 3, 4, 5, 7]);
  const most = Math.min(3, brokers);
  const journals = Array.from({ length: 2 + random.below(3) }, (_, i) => {
    const isStored = random.below(2) === 0;
    const replication = oneOf(random, [1, 2, most, most, most]);
    return { name: `${isStored ? "stored" : "local"}/${i}`, replication, isStored };
  });
  const pace = oneOf(random, [
    { paceMs: 60, stormMs: 8000, everyMs: 1000 },
    { paceMs: 200, stormMs: 25_000, everyMs: 2500 },
    { paceMs: 1000, stormMs: 100_000, everyMs: 8000 },
  ]);
  const swarm: ClusterSwarm = {
    brokers,
    zones: oneOf(random, [1, 2, 3]),
    journals,
    writers: 1 + random.below(3),
    readers: 1 + random.below(2),
    ...pace,
    leaseSeconds: oneOf(random, [3, 10, 20]),
    segmentBytes: oneOf(random, [128 * 1024, 256 * 1024, 1024 * 1024]),
    fragmentBytes: oneOf(random, [2048, 16 * 1024, 256 * 1024]),
    tailBytes: oneOf(random, [4096, 64 * 1024]),
    directBytesMin: oneOf(random, [4096, 16 * 1024]),
    storeFaults: oneOf(random, [0, 20, 60]),
    listLagMs: oneOf(random, [0, 0, 500, 10_000]),
    faults: FAULTS.filter(() => random.below(2) === 0),
    tornObjects: oneOf(random, [0, 0, 100, 500]),
  };
  const early = { "millrace.dev/ack": "replicated" };
  const levels = random.fork("levels");
  const mayBeEarly = !swarm.faults.some((fault) => LOSES_EARLY.includes(fault));
  const leveled = journals.map((shape) =>
    levels.below(2) === 0 && mayBeEarly ? { ...shape, labels: early } : shape,
  );
  // A control needs the fault that it leaves unprotected, and few that might hide it.
  const eager = { paceMs: 40, stormMs: 15_000, everyMs: 1000, leaseSeconds: 3 };
  if (controls.withoutSync) return { ...swarm, faults: ["blackout", "power"] };
  if (controls.withoutRouteCheck)
    return { ...swarm, ...eager, brokers: 5, faults: ["pause", "slow-link", "kill", "replication"] };
  if (controls.withoutLastReplica)
    return { ...swarm, ...eager, brokers: 5, faults: ["power", "kill", "isolate", "cut"] };
  if (controls.withoutJudging)
    return {
      ...swarm,
      ...eager,
      brokers: 5,
      stormMs: 25_000,
      faults: ["power", "kill", "isolate", "isolate", "cut"],
    };
  return { ...swarm, journals: leveled };
}

export function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!;
}
