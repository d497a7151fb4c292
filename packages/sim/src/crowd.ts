// Those who use the platform during one life.
import type { Node } from "./node.ts";
import { useFenced } from "./fenced-writer.ts";
import { usePassing } from "./passing-user.ts";
import { readAgain, tailJournal, writeJournal } from "./raw-journals.ts";
import { sendRecords } from "./senders.ts";
import type { Shift } from "./shift.ts";
import type { World } from "./world.ts";

export interface Crowd {
  /** Begins nothing new; resolves when what is under way has been answered. */
  stop(): Promise<void>;
  /** The process is gone: nobody will be answered. */
  die(): void;
}

export function startCrowd(world: World, node: Node, name: string): Crowd {
  const members = [
    ...Array.from({ length: world.swarm.senders }, (_, i) =>
      member(world, `${name}.${i}`, (shift) => sendRecords(world, node, shift)),
    ),
    ...world.journals.map((one, i) =>
      member(world, `${name}.${i}`, (shift) => writeJournal(world, node, one, shift)),
    ),
    ...world.journals.map((one, i) =>
      member(world, `${name}.${i}`, (shift) => readAgain(world, node, one, shift)),
    ),
    member(world, name, (shift) => useFenced(world, node, shift)),
    member(world, name, (shift) => usePassing(world, node, shift)),
  ];
  const tails = world.journals.map((one) => tailJournal(world, node, one));
  const endTails = (): void => {
    for (const end of tails) end();
  };
  return {
    stop: async () => {
      await Promise.all(members.map((one) => one.stop()));
      endTails();
    },
    die: () => {
      for (const one of members) one.die();
      endTails();
      for (const ledger of world.ledgers.values()) ledger.loseAll();
      for (const journal of world.rawJournals) journal.loseAll();
    },
  };
}

function member(world: World, name: string, work: (shift: Shift) => Promise<void>): Crowd {
  const shift = { name, isOver: false, isDead: false };
  const running = work(shift);
  running.catch((error: unknown) => {
    if (!shift.isDead) world.fail(error);
  });
  return {
    stop: async () => {
      shift.isOver = true;
      await running;
    },
    die: () => {
      shift.isOver = shift.isDead = true;
    },
  };
}
