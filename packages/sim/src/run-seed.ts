// A run: several lives of a platform, each ended by a power cut, a kill, a failure that it must not survive, or a
// graceful stop; then everything heals, and the judges look at the whole.
import { abortScope, InvariantError, WireError } from "@millrace/base";
import { prepareCodecs } from "@millrace/fragments";
import { DiskError } from "@millrace/wal";
import { checkRefusal, rotSomewhere, turn, type Rot } from "./bit-rot.ts";
import { checkAll, checkJournals, untilNothingWaits } from "./checks.ts";
import { startCrowd } from "./crowd.ts";
import { disturb, meetFullDisk, spoolRot } from "./disturbances.ts";
import { openNode, type Node } from "./node.ts";
import { NO_CONTROLS, type Controls, type Swarm } from "./options.ts";
import { ProcessEnded } from "./process.ts";
import { chance, World } from "./world.ts";

export interface RunSummary {
  readonly seed: string;
  readonly events: number;
  readonly trace: string;
  readonly lives: number;
  readonly virtualMs: number;
  readonly acknowledgedRecords: number;
  readonly acknowledgedAppends: number;
  readonly rows: number;
  /** How often what happened. */
  readonly tally: Readonly<Record<string, number>>;
}

/** A run that broke a promise: with what is needed to look into it. */
export class SimulationFailure extends Error {
  readonly seed: string;
  readonly newest: readonly string[];
  readonly swarm: Swarm;
  readonly controls: Controls;
  constructor(seed: string, { swarm, controls, trace }: World, cause: unknown) {
    super(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "SimulationFailure";
    this.seed = seed;
    this.newest = trace.newest;
    this.swarm = swarm;
    this.controls = controls;
  }
}

/** @throws {SimulationFailure} */
export async function runSeed(seed: string, controls: Controls = NO_CONTROLS): Promise<RunSummary> {
  await prepareCodecs();
  const world = new World(seed, controls);
  try {
    for (let life = 0; life < world.swarm.lives; life++) await live(world, life);
  } catch (error) {
    throw new SimulationFailure(seed, world, error);
  }
  const journals = [...world.journals, world.fenced];
  const removed = world.fragments.operations.filter(({ operation }) => operation === "remove").length;
  if (removed > 0) world.tally.set("fragments trimmed", removed);
  const rows = [...world.ledgers.values()].reduce((sum, ledger) => sum + ledger.rows, 0);
  world.trace.add(`rows ${rows}`);
  return {
    seed,
    events: world.agenda.executed,
    trace: world.trace.digest(),
    lives: world.swarm.lives,
    virtualMs: Math.round(world.nowMs),
    acknowledgedRecords: world.acknowledgedRecords,
    acknowledgedAppends: journals.reduce((sum, { model }) => sum + model.acknowledgedCount, 0),
    rows,
    tally: Object.fromEntries([...world.tally].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

async function live(world: World, number: number): Promise<void> {
  const { swarm, random } = world;
  const isLast = number === swarm.lives - 1;
  world.trace.add(`life ${number}`);
  if (isLast) world.heal();
  else await cutRecoveries(world, number);
  if (!isLast && number > 0 && chance(random, swarm.faults.spoolRot)) spoolRot(world, random, swarm.lifeMs);
  const rot =
    !isLast && number > 0 && chance(random, swarm.faults.rot) ? await rotSomewhere(world, random) : undefined;
  const node = await start(world, number, rot);
  try {
    if (isLast) await finishHealthy(world, node, number);
    else await work(world, node, number);
  } catch (error) {
    if (!(error instanceof ProcessEnded)) throw error;
    world.giveSpace();
    leave(world, node, random.below(2) === 0 ? "kill" : "crash");
  }
}

/** Recovery is idempotent: it may be cut off anywhere, any number of times. */
async function cutRecoveries(world: World, number: number): Promise<void> {
  const { random, swarm } = world;
  while (chance(random, swarm.faults.cutRecovery)) {
    const process = world.begin(number);
    const opening = openNode(world, process);
    let failure: Promise<unknown> | undefined;
    opening.catch(() => void (failure = opening));
    await world.passTime(random.below(40));
    world.note("recovery cut");
    await failure?.catch((thrown: unknown) => {
      if (!world.spoolRot.explains(thrown)) throw thrown;
    });
    world.end(random.below(2) === 0 ? "kill" : "crash");
  }
}

/** Starts a process that lives, and compares what it has with what is known. Refused starts may come before. */
async function start(world: World, number: number, rot: Rot | undefined): Promise<Node> {
  const { random, swarm } = world;
  const isLast = number === swarm.lives - 1;
  if (!isLast && chance(random, swarm.faults.fullDisk)) world.takeSpace(random.below(4 * swarm.segmentBytes));
  if (!isLast && chance(random, swarm.faults.failedSync / 4)) world.failNextSync(() => true);
  let rotten = rot;
  for (;;) {
    const process = world.begin(number);
    try {
      const node = await world.finish("recovery", openNode(world, process));
      world.giveSpace();
      await checkAll(world, node);
      return node;
    } catch (thrown) {
      const refusal = refusalOf(thrown);
      world.note(`start refused: ${refusal ?? "?"}`);
      if (refusal === "CORRUPT" && world.spoolRot.explains(thrown)) {
        world.end("kill");
        world.spoolRot.mend();
      } else if (refusal === "CORRUPT" && rotten !== undefined) {
        checkRefusal(thrown as WireError, rotten);
        world.end("kill");
        turn(world, rotten);
        rotten = undefined;
      } else if (refusal === "DISK_FULL" && world.isFull) {
        world.end("kill");
        world.giveSpace();
      } else if (refusal !== undefined && process.syncFailed)
        world.end(random.below(2) === 0 ? "kill" : "crash");
      else throw thrown;
    }
  }
}

/** Why a start did not succeed; undefined for what it must not fail with. */
function refusalOf(thrown: unknown): string | undefined {
  if (thrown instanceof ProcessEnded) return "ended";
  if (thrown instanceof DiskError) return thrown.kind === "full" ? "DISK_FULL" : thrown.kind;
  return thrown instanceof InvariantError ? undefined : WireError.from(thrown).code;
}

/** A life with disturbances, to its end. */
async function work(world: World, node: Node, number: number): Promise<void> {
  const { swarm, random } = world;
  const crowd = startCrowd(world, node, String(number));
  try {
    const lifeMs = swarm.lifeMs / 2 + random.below(swarm.lifeMs);
    disturb(world, node.process, random.fork(`disturbances ${number}`), lifeMs);
    await world.passTime(lifeMs);
    if (chance(random, swarm.faults.fullDisk)) await meetFullDisk(world, random);
    const ending = (["close", "kill", "crash", "crash"] as const)[random.below(4)]!;
    if (ending !== "close") return leave(world, node, ending);
    await world.finish("the last answers", crowd.stop());
    world.spoolRot.mend();
    await closeInTime(world, node, random.below(2) === 0 ? 10_000 : Number.POSITIVE_INFINITY);
    if (random.below(2) === 0) world.disk.crash();
  } finally {
    crowd.die();
  }
}

/** @param drainMs after it what is not loaded yet is left for the next life */
async function closeInTime(world: World, node: Node, drainMs: number): Promise<void> {
  const scope = abortScope(node.process.signal);
  if (drainMs < Number.POSITIVE_INFINITY) {
    world.agenda.schedule(drainMs, () => scope.abort(new WireError("SHUTTING_DOWN", "no more time")));
  }
  await world.finish("closing", node.close(scope.signal)).catch((error: unknown) => {
    world.check(); // A process that ends itself (D5) fails at closing too, perhaps in the very same step.
    throw error;
  });
  world.note("closed");
  world.end("kill");
}

async function finishHealthy(world: World, node: Node, number: number): Promise<void> {
  const crowd = startCrowd(world, node, String(number));
  node.frames.lostAnswers = 0;
  await world.passTime(world.swarm.lifeMs / 2);
  await world.finish("the last answers", crowd.stop());
  await checkJournals(world, node);
  await untilNothingWaits(world, node);
  await closeInTime(world, node, Number.POSITIVE_INFINITY);
  crowd.die();
  world.check();
  for (const ledger of world.ledgers.values()) ledger.checkWhole();
}

function leave(world: World, node: Node, how: "kill" | "crash"): void {
  if (world.process === node.process) world.end(how);
}
