// What a run is: its shape and its faults, drawn from the seed, swarm style: each run leaves some faults out, so that
// what one of them hides another run shows. A negative control takes a protection away.
import type { Random } from "@millrace/base";

export interface Controls {
  /** Syncs do nothing: power cuts then lose what was acknowledged. */
  readonly withoutSync: boolean;
  /** The target takes every load as it comes: repeated imports then double rows. */
  readonly withoutLoadedEnd: boolean;
  /** A repeated frame gets a new identity: an append whose answer was lost then doubles rows. */
  readonly withoutSequences: boolean;
  /** Spools give out what their files have: readers then get bytes that rotted. */
  readonly withoutReadChecks: boolean;
}

export const NO_CONTROLS: Controls = {
  withoutSync: false,
  withoutLoadedEnd: false,
  withoutSequences: false,
  withoutReadChecks: false,
};

export interface Swarm {
  /** Lives of the process; the last one is healthy. */
  readonly lives: number;
  readonly lifeMs: number;
  /** Largest pause of a sender between two of its requests. */
  readonly paceMs: number;
  readonly senders: number;
  readonly sinks: number;
  readonly partitions: number;
  /** Target length of fragments, their age at which they are closed (0: any), and the length of log segments. */
  readonly fragmentBytes: number;
  readonly flushIntervalMs: number;
  readonly segmentBytes: number;
  /** Memory for recent bytes of journals: what is older is read from the disk. */
  readonly tailBytes: number;
  /** How long revisions of the coordination store stay readable. */
  readonly historyMs: number;
  /** How long and how many bytes of imported fragments are kept (D27). */
  readonly keptMs: number;
  readonly keptBytes: number;
  readonly autoSuspend: boolean;
  readonly faults: Faults;
}

/** Chances in thousandths where nothing else is said. */
export interface Faults {
  readonly store: number;
  /** How long an object stays out of listings after its put. */
  readonly listLagMs: number;
  readonly target: number;
  readonly lostAnswers: number;
  /** That a recovery is cut off; asked again after each. */
  readonly cutRecovery: number;
  /** Of each life but the last. */
  readonly fullDisk: number;
  readonly failedSync: number;
  readonly failedWrite: number;
  readonly slowDisk: number;
  readonly pause: number;
  readonly clockStep: number;
  readonly storeOutage: number;
  /** Of each time between two lives. */
  readonly rot: number;
  /** The same of spool files, and of each life but the last. */
  readonly spoolRot: number;
}

const NO_FAULTS: Faults = {
  store: 0,
  listLagMs: 0,
  target: 0,
  lostAnswers: 0,
  cutRecovery: 0,
  fullDisk: 0,
  failedSync: 0,
  failedWrite: 0,
  slowDisk: 0,
  pause: 0,
  clockStep: 0,
  storeOutage: 0,
  rot: 0,
  spoolRot: 0,
};

/** Nothing fails and nothing is drawn: what scenarios begin with. */
export const CALM: Swarm = {
  lives: 1,
  lifeMs: 1000,
  paceMs: 100,
  senders: 1,
  sinks: 1,
  partitions: 1,
  fragmentBytes: 16 * 1024,
  flushIntervalMs: 0,
  segmentBytes: 256 * 1024,
  tailBytes: 64 * 1024,
  historyMs: 600_000,
  keptMs: 24 * 3_600_000,
  keptBytes: 1 << 30,
  autoSuspend: false,
  faults: NO_FAULTS,
};

const PACES = [
  { paceMs: 50, lifeMs: 1000 },
  { paceMs: 200, lifeMs: 3000 },
  { paceMs: 1000, lifeMs: 12_000 },
  { paceMs: 10_000, lifeMs: 120_000 },
] as const;

export function drawSwarm(random: Random, controls: Controls): Swarm {
  const pace = PACES[random.below(PACES.length)]!;
  const swarm: Swarm = {
    lives: 3 + random.below(4),
    ...pace,
    senders: 1 + random.below(3),
    sinks: 1 + random.below(2),
    partitions: 1 + random.below(2),
    fragmentBytes: oneOf(random, [2048, 16 * 1024, 256 * 1024]),
    flushIntervalMs: oneOf(random, [0, 0, 60_000]),
    segmentBytes: oneOf(random, [128 * 1024, 256 * 1024, 1024 * 1024]),
    historyMs: oneOf(random, [1000, 60_000, 600_000]),
    keptMs: oneOf(random, [0, 20_000, 24 * 3_600_000]),
    keptBytes: oneOf(random, [0, 20_000, 1 << 30]),
    autoSuspend: random.below(2) === 0,
    tailBytes: oneOf(random, [4096, 64 * 1024]),
    faults: drawFaults(random.fork("faults")),
  };
  // A control needs the fault that it leaves unprotected, and no other that might hide it.
  if (controls.withoutLoadedEnd) return { ...swarm, faults: { ...NO_FAULTS, target: 400 } };
  if (controls.withoutSequences) return { ...swarm, faults: { ...NO_FAULTS, lostAnswers: 400 } };
  if (controls.withoutReadChecks) return { ...swarm, faults: { ...NO_FAULTS, spoolRot: 1000 } };
  if (controls.withoutSync) return { ...swarm, faults: NO_FAULTS };
  return swarm;
}

function drawFaults(random: Random): Faults {
  const rare = (): number => oneOf(random, [0, 0, 200, 500]);
  return {
    store: oneOf(random, [0, 20, 60, 120]),
    listLagMs: oneOf(random, [0, 0, 500, 30_000]),
    target: oneOf(random, [0, 20, 80, 200]),
    lostAnswers: oneOf(random, [0, 20, 80, 200]),
    cutRecovery: oneOf(random, [0, 200, 500]),
    fullDisk: rare(),
    failedSync: rare(),
    failedWrite: rare(),
    slowDisk: rare(),
    pause: rare(),
    clockStep: rare(),
    storeOutage: rare(),
    rot: rare(),
    spoolRot: oneOf(random, [0, 200, 500, 1000]),
  };
}

function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!;
}
