// Senders of records, as the HTTP source would hand them on.
import { utf8, WireError, type Random } from "@millrace/base";
import type { Shift } from "./shift.ts";
import type { Node } from "./node.ts";
import type { World } from "./world.ts";

const SINK_VERSION = 1;
/** What a sender is told when nobody knows whether its records were written. */
const UNKNOWN: ReadonlySet<string> = new Set(["OUTCOME_UNKNOWN", "INTERNAL"]);

export async function sendRecords(world: World, node: Node, shift: Shift): Promise<void> {
  const random = node.random.fork(`sender ${shift.name}`);
  for (let n = 0; !shift.isOver; n++) {
    const ids = Array.from({ length: 1 + random.below(8) }, (_, i) => `${shift.name}.${n}.${i}`);
    await sendBatch(world, node, ids, random, shift);
    await world.sleep(random.below(world.swarm.paceMs));
  }
}

/** One batch to a partition drawn by `random`. Resolves when all its records are answered. */
export function sendBatch(
  world: World,
  node: Node,
  ids: readonly string[],
  random: Random,
  shift: Shift,
): Promise<void> {
  const { table, publisher } = node.publishers[random.below(node.publishers.length)]!;
  const ledger = world.ledgers.get(table)!;
  return new Promise((resolve) => {
    const waiting = [...ids];
    const waiter = {
      onAppended: (rows: number, failure: WireError | undefined): void => {
        if (shift.isDead) return;
        const knowledge =
          failure === undefined ? "acknowledged" : UNKNOWN.has(failure.code) ? "unknown" : "refused";
        for (const id of waiting.splice(0, rows)) ledger.settle(id, knowledge);
        if (failure === undefined) world.trace.add(`acknowledged ${rows} records`);
        else world.note(`records ${knowledge}: ${failure.code}`, String(rows));
        if (waiting.length === 0) resolve();
      },
    };
    for (const id of ids) {
      const body = String.fromCharCode(97 + random.below(26)).repeat(random.below(400));
      ledger.send(id, body);
      const rows = publisher.begin(SINK_VERSION, world.clock.wallMs(), true);
      if (rows instanceof WireError) {
        ledger.settle(id, "refused");
        waiting.splice(waiting.indexOf(id), 1);
        if (waiting.length === 0) resolve();
        continue;
      }
      const before = rows.at;
      rows.put(utf8(`"${id}","${body}"\n`));
      publisher.commit(rows.at - before, waiter);
    }
  });
}
