// What a run is: faults drawn from the seed, swarm style, unless a negative control takes a protection away.
import type { Random } from "@millrace/base";

export interface Controls {
  /** Syncs do nothing: power cuts then lose what was acknowledged. */
  readonly withoutSync: boolean;
  /** The target takes every load as it comes: repeated imports then double rows. */
  readonly withoutLoadedEnd: boolean;
  /** A repeated frame gets a new identity: an append whose answer was lost then doubles rows. */
  readonly withoutSequences: boolean;
}

export const NO_CONTROLS: Controls = { withoutSync: false, withoutLoadedEnd: false, withoutSequences: false };

export interface Swarm {
  /** Lives of the process; the last one is healthy. */
  readonly lives: number;
  readonly lifeMs: number;
  /** Target length of fragments and of log segments, bytes. */
  readonly fragmentBytes: number;
  readonly segmentBytes: number;
  /** Chances in thousandths. */
  readonly storeFaults: number;
  readonly targetFaults: number;
  readonly lostAnswers: number;
  /** Whether a life of the run meets a full disk. */
  readonly diskFull: boolean;
  readonly senders: number;
}

export function drawSwarm(random: Random, controls: Controls): Swarm {
  const rate = (): number => [0, 20, 80, 200][random.below(4)]!;
  const swarm: Swarm = {
    lives: 3 + random.below(3),
    lifeMs: 500 + random.below(3000),
    fragmentBytes: [2048, 16 * 1024, 256 * 1024][random.below(3)]!,
    segmentBytes: [256 * 1024, 1024 * 1024][random.below(2)]!,
    storeFaults: rate(),
    targetFaults: rate(),
    lostAnswers: rate(),
    diskFull: random.below(4) === 0,
    senders: 1 + random.below(3),
  };
  // A control needs the fault that it leaves unprotected.
  if (controls.withoutLoadedEnd) return { ...swarm, targetFaults: 400 };
  if (controls.withoutSequences) return { ...swarm, lostAnswers: 400 };
  return swarm;
}
