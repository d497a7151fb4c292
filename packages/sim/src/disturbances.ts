// What happens to a process while it lives: drawn for each life, at random moments of it.
import { assert, type Random } from "@millrace/base";
import type { Process } from "./process.ts";
import { chance, type World } from "./world.ts";

/** After the disk has space again appends are accepted within this time. */
const ACCEPTED_AGAIN_MS = 10_000;

/** Plans them; they are left out once `process` has gone. */
export function disturb(world: World, process: Process, random: Random, lifeMs: number): void {
  const { faults } = world.swarm;
  const sometime = (thousandths: number, run: () => void): void => {
    if (!chance(random, thousandths)) return;
    world.agenda.schedule(random.below(lifeMs), () => {
      if (world.process === process) run();
    });
  };
  sometime(faults.failedSync, () => world.failNextSync(pathFilter(random)));
  sometime(faults.failedWrite, () => world.failNextWrite(pathFilter(random)));
  sometime(faults.slowDisk, () => slowDisk(world, random));
  sometime(faults.pause, () => pause(world, random));
  sometime(faults.pause, () => pause(world, random));
  sometime(faults.clockStep, () => stepClock(world, random));
  sometime(faults.storeOutage, () => storeOutage(world, random));
  sometime(faults.spoolRot, () => spoolRot(world, random, lifeMs));
}

function pathFilter(random: Random): (path: string) => boolean {
  const part = ["", "log/", "spools/", "coordination/"][random.below(4)]!;
  return (path) => path.startsWith(part);
}

/** A disk that takes 20 to 200 times as long, for a while. */
function slowDisk(world: World, random: Random): void {
  world.note("slow disk");
  world.diskSlowness = 20 * (1 + random.below(10));
  world.agenda.schedule(random.below(5000), () => (world.diskSlowness = 1));
}

/** The process stands still, as after SIGSTOP: for longer than any lease, or for a moment. */
function pause(world: World, random: Random): void {
  const ms = random.below([1000, 30_000, 300_000][random.below(3)]!);
  world.note("paused", `${ms} ms`);
  world.agenda.stall(ms);
}

/** The wall clock is set, forwards or back, by up to an hour. */
function stepClock(world: World, random: Random): void {
  const ms = random.below(7_200_000) - 3_600_000;
  world.note("clock set", `${ms} ms`);
  world.clock.epochMs += ms;
}

function storeOutage(world: World, random: Random): void {
  world.note("stores away");
  world.setStoreFaults({ unavailable: 1000 });
  world.agenda.schedule(random.below(30_000), () => world.setStoreFaults(world.storeFaults()));
}

/** A bit turns in a spool file; after a while the file is mended, in this life or in a later one. */
export function spoolRot(world: World, random: Random, lifeMs: number): void {
  world.spoolRot.strike(random);
  world.agenda.schedule(random.below(4 * lifeMs), () => world.spoolRot.mend());
}

/** The disk fills up: appends are refused. With space again they are taken, without a restart. */
export async function meetFullDisk(world: World, random: Random): Promise<void> {
  world.takeSpace(random.below(20_000));
  await world.passTime(1000 + random.below(5000));
  world.giveSpace();
  const before = world.acknowledged;
  for (let ms = 0; world.acknowledged === before; ms += 100) {
    assert(ms < ACCEPTED_AGAIN_MS + 10 * world.swarm.paceMs, "with space again appends are accepted", {
      before,
    });
    await world.passTime(100);
  }
}
