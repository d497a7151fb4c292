// Those who use the platform during one life: senders of records, and writers of raw journals.
import { never, utf8, WireError, type Random } from "@millrace/base";
import { appendOnce } from "@millrace/client";
import type { JournalModel } from "@millrace/broker/testkit";
import type { Node } from "./node.ts";
import type { World } from "./world.ts";

const SINK_VERSION = 1;

export interface Crowd {
  /** Begins nothing new; resolves when what is under way has been answered. */
  stop(): Promise<void>;
  /** The process is gone: nobody will be answered. */
  die(): void;
}

export function startCrowd(world: World, node: Node, number: number): Crowd {
  const members = [
    ...Array.from({ length: world.swarm.senders }, (_, i) => sendRecords(world, node, `${number}.${i}`)),
    ...world.journals.map((model, i) => writeJournal(world, node, model, `${number}.${i}`)),
  ];
  return {
    stop: async () => {
      await Promise.all(members.map((member) => member.stop()));
    },
    die: () => {
      for (const member of members) member.die();
      world.ledger.loseAll();
    },
  };
}

/** Batches of records through the publisher, as the HTTP source would. */
function sendRecords(world: World, node: Node, name: string): Crowd {
  const random = node.random.fork(`sender ${name}`);
  let isOver = false;
  let isDead = false;
  const run = async (): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      await sendBatch(world, node, Array.from({ length: 1 + random.below(8) }, (_, i) => `${name}.${n}.${i}`), random, () => isDead);
      await world.sleep(random.below(200));
    }
  };
  return crowdMember(world, run(), () => (isOver = true), () => (isOver = isDead = true));
}

function sendBatch(
  world: World,
  { publisher }: Node,
  ids: readonly string[],
  random: Random,
  isDead: () => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    const waiting = [...ids];
    const waiter = {
      onAppended: (rows: number, failure: WireError | undefined): void => {
        if (isDead()) return;
        const unknown = failure?.code === "OUTCOME_UNKNOWN" || failure?.code === "INTERNAL";
        const knowledge = failure === undefined ? "acknowledged" : unknown ? "unknown" : "refused";
        for (const id of waiting.splice(0, rows)) world.ledger.settle(id, knowledge);
        world.trace.add(`${knowledge} ${rows} records`);
        if (waiting.length === 0) resolve();
      },
    };
    for (const id of ids) {
      const rows = publisher.begin(SINK_VERSION, world.clock.wallMs(), true);
      world.ledger.send(id);
      if (rows instanceof WireError) {
        world.ledger.settle(id, "refused");
        waiting.splice(waiting.indexOf(id), 1);
        if (waiting.length === 0) resolve();
        continue;
      }
      const before = rows.at;
      rows.put(utf8(`"${id}","${"x".repeat(random.below(400))}"\n`));
      publisher.commit(rows.at - before, waiter);
    }
  });
}

/** Appends to a raw journal, some of them large. */
function writeJournal(world: World, node: Node, model: JournalModel, name: string): Crowd {
  const random = node.random.fork(`writer ${name}`);
  const pending = new Set<Uint8Array>();
  let isOver = false;
  let isDead = false;
  const run = async (): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const size = [20, 500, 40_000][random.below(random.below(6) === 0 ? 3 : 2)]!;
      const bytes = utf8(`${name}/${n};`.repeat(1 + random.below(Math.ceil(size / 8))));
      pending.add(bytes);
      const answer = await appendOnce(node.broker.transport, model.name, { kind: "bytes", bytes: [bytes] }, {}, never).catch(
        (error: unknown) => WireError.from(error),
      );
      if (isDead) return;
      pending.delete(bytes);
      if (!(answer instanceof WireError)) model.acknowledge(answer.begin, bytes);
      else if (answer.code !== "DISK_FULL" && answer.code !== "OVERLOADED") throw answer;
      await world.sleep(random.below(300));
    }
  };
  const die = (): void => {
    isOver = isDead = true;
    for (const bytes of pending) model.lose(bytes);
  };
  return crowdMember(world, run(), () => (isOver = true), die);
}

function crowdMember(world: World, running: Promise<void>, end: () => void, die: () => void): Crowd {
  running.catch((error: unknown) => world.fail(error));
  return {
    stop: async () => {
      end();
      await running;
    },
    die,
  };
}
