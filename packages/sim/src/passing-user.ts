// Who deletes a journal without a store and makes it again, over and over.
import { assert, utf8, WireError } from "@millrace/base";
import { applyJournals, getJournal } from "@millrace/client";
import type { Node } from "./node.ts";
import { appendRaw, checkJournal } from "./raw-journals.ts";
import type { Shift } from "./shift.ts";
import { chance, type World } from "./world.ts";

export async function usePassing(world: World, node: Node, shift: Shift): Promise<void> {
  const random = node.random.fork(`passing ${shift.name}`);
  const { passing } = world;
  for (let n = 0; !shift.isOver; n++) {
    if (chance(random, 150)) await remove(world, node, shift);
    else {
      const label = `${passing.lives}/${shift.name}/${n};`;
      const bytes = utf8(label.repeat(1 + random.below(random.below(8) === 0 ? 2000 : 20)));
      await appendRaw(world, node, passing.current, bytes, shift);
    }
    if (!shift.isDead) await world.sleep(random.below(world.swarm.paceMs * 2));
  }
}

/** After a start: is it still the same journal, and does it have what it should? @throws {WireError} CORRUPT */
export async function checkPassing(world: World, node: Node): Promise<void> {
  const { passing } = world;
  const { createRevision, current, mayBeGone } = passing;
  const found = await find(node, passing.name);
  if (found === undefined) {
    const isNew = current.model.acknowledgedCount === 0;
    assert(mayBeGone || isNew, "a journal stays until it is deleted", { journal: passing.name });
    passing.renew();
  } else if (createRevision !== undefined) {
    const facts = { journal: passing.name, createRevision, found: found.createRevision };
    assert(found.createRevision === createRevision, "nobody else made the journal", facts);
  }
  passing.mayBeGone = false;
  await checkJournal(world, node, passing.current);
  await note(world, node);
}

async function remove(world: World, node: Node, shift: Shift): Promise<void> {
  const { passing } = world;
  const found = await find(node, passing.name);
  if (found === undefined || shift.isDead) return;
  passing.createRevision = found.createRevision;
  passing.mayBeGone = true;
  const change = { expectModRevision: found.modRevision, delete: passing.name };
  try {
    await applyJournals(node.broker.transport, [change], node.process.signal);
    if (shift.isDead) return;
    world.note("journal deleted");
    passing.renew();
  } catch (thrown) {
    if (shift.isDead) return;
    const { code } = WireError.from(thrown);
    world.note(`deletion ${code}`);
    if (code !== "OUTCOME_UNKNOWN") passing.mayBeGone = false;
    // A change of its assignments comes between now and then.
    if (!["OUTCOME_UNKNOWN", "DISK_FULL", "UNAVAILABLE", "ETCD_TRANSACTION_FAILED"].includes(code))
      throw thrown;
    if (code === "OUTCOME_UNKNOWN" && (await find(node, passing.name)) === undefined && !shift.isDead)
      passing.renew();
  }
}

async function note({ passing }: World, node: Node): Promise<void> {
  passing.createRevision = (await find(node, passing.name))?.createRevision;
}

async function find(
  { broker, process }: Node,
  name: string,
): Promise<Awaited<ReturnType<typeof getJournal>> | undefined> {
  return getJournal(broker.transport, name, process.signal).catch((thrown: unknown) => {
    if (WireError.from(thrown).code === "JOURNAL_NOT_FOUND") return undefined;
    throw thrown;
  });
}
