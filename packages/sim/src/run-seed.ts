// A run: several lives of a platform, each ended by a power cut, a kill or a graceful stop; then everything heals, and the
// judges look at the whole.
import { assert, concatBytes, never, silentLogger, WireError } from "@millrace/base";
import type { JournalModel } from "@millrace/broker/testkit";
import { appendOnce, readJournal } from "@millrace/client";
import { prepareCodecs } from "@millrace/fragments";
import { keyOf } from "@millrace/metadata";
import { openNode, TABLE, type Node } from "./node.ts";
import { NO_CONTROLS, type Controls } from "./options.ts";
import { startCrowd } from "./senders.ts";
import { World } from "./world.ts";

export interface RunSummary {
  readonly seed: string;
  readonly events: number;
  readonly trace: string;
  readonly lives: number;
  readonly acknowledgedRecords: number;
  readonly acknowledgedAppends: number;
}

/** A run that broke a promise: with what is needed to look into it. */
export class SimulationFailure extends Error {
  readonly seed: string;
  readonly newest: readonly string[];
  constructor(seed: string, newest: readonly string[], cause: unknown) {
    super(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = "SimulationFailure";
    this.seed = seed;
    this.newest = newest;
  }
}

/** @throws {SimulationFailure} */
export async function runSeed(seed: string, controls: Controls = NO_CONTROLS): Promise<RunSummary> {
  await prepareCodecs();
  const world = new World(seed, controls);
  try {
    for (let life = 0; life < world.swarm.lives; life++) await live(world, life);
  } catch (error) {
    throw new SimulationFailure(seed, world.trace.newest, error);
  }
  const appends = world.journals.reduce((sum, model) => sum + model.acknowledgedCount, 0);
  world.trace.add(`rows ${world.target.tables.get(TABLE)?.rows.length ?? 0}`);
  return {
    seed,
    events: world.agenda.executed,
    trace: world.trace.digest(),
    lives: world.swarm.lives,
    acknowledgedRecords: world.ledger.acknowledged,
    acknowledgedAppends: appends,
  };
}

async function live(world: World, number: number): Promise<void> {
  const { swarm, random } = world;
  const isLast = number === swarm.lives - 1;
  world.trace.add(`life ${number}`);
  if (isLast) world.heal();
  const node = await world.finish("recovery", openNode(world, number));
  if (isLast) node.frames.lostAnswers = 0;
  await world.finish("counter", checkCounter(world, node, number));
  for (const model of world.journals) await world.finish(`reading ${model.name}`, checkJournal(world, node, model));

  const crowd = startCrowd(world, node, number);
  const isFull = swarm.diskFull && number === 1 && !isLast;
  if (isFull) await meetFullDisk(world);
  await passTime(world, swarm.lifeMs / 2 + random.below(swarm.lifeMs));
  checkTable(world);
  const ending = isLast ? "close" : (["close", "kill", "crash", "crash"] as const)[random.below(4)]!;
  world.trace.add(ending);
  if (ending === "close") {
    await world.finish("the last answers", crowd.stop());
    if (isLast) for (const model of world.journals) await world.finish(`reading ${model.name}`, checkJournal(world, node, model));
    await world.finish("closing", node.close());
    if (isLast) checkEnd(world);
  } else {
    crowd.die();
    node.life.kill();
    if (ending === "crash") world.disk.crash();
    else world.disk.kill();
  }
}

async function passTime(world: World, ms: number): Promise<void> {
  await world.agenda.advance(ms);
  world.check();
}

/** Appends are refused while the disk is full; with space again they are taken, without a restart. */
async function meetFullDisk(world: World): Promise<void> {
  await passTime(world, 200);
  world.disk.capacityBytes = world.disk.usedBytes + 4096;
  world.trace.add("disk full");
  await passTime(world, 1000);
  world.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
  const acknowledged = world.ledger.acknowledged;
  await passTime(world, 5000);
  assert(world.ledger.acknowledged > acknowledged, "with space again records are accepted", { acknowledged });
}

/** The coordination store remembers what it acknowledged: each life counts one further. */
async function checkCounter(world: World, { coordination }: Node, number: number): Promise<void> {
  const key = keyOf("sim/counter");
  const { kvs } = await coordination.range({ key }, never);
  const lives = kvs[0]?.value[0] ?? 0;
  assert(lives === number, "an acknowledged transaction is remembered", { lives, number });
  const compare = [{ target: "mod", key, op: "=", revision: kvs[0]?.modRevision ?? 0 }] as const;
  const put = { kind: "put", key, value: Uint8Array.of(number + 1) } as const;
  const { succeeded } = await coordination.txn({ compare, success: [put] }, never);
  assert(succeeded, "nobody else writes the counter", { number });
  world.trace.add(`counter ${number + 1}`);
}

async function checkJournal(world: World, { broker }: Node, model: JournalModel): Promise<void> {
  const { transport } = broker;
  // The first append makes the journal.
  for (;;) {
    const answer = await appendOnce(transport, model.name, { kind: "bytes", bytes: [] }, {}, never).catch(WireError.from);
    if (!(answer instanceof WireError)) break;
    await world.sleep(100);
  }
  const parts: Uint8Array[] = [];
  const ports = { transport, clock: world.clock, logger: silentLogger };
  for await (const event of readJournal(ports, { journal: model.name, offset: 0, block: false }, never)) {
    assert(event.kind === "content", "a journal has no hole", { journal: model.name });
    parts.push(event.bytes);
  }
  model.checkWhole(concatBytes(parts));
}

function checkTable(world: World): void {
  const table = world.target.tables.get(TABLE);
  if (table !== undefined) world.ledger.checkRows(table);
}

function checkEnd(world: World): void {
  const table = world.target.tables.get(TABLE);
  if (table === undefined) assert(world.ledger.acknowledged === 0, "acknowledged records are rows", {});
  else world.ledger.checkWhole(table);
}


