// Writers who fence each other off with a register (D17): who takes over replaces its value, and from then on who
// checks for an older one is refused, whatever crashes come between.
import { assert, utf8 } from "@millrace/base";
import type { AppendOptions } from "@millrace/client";
import { EMPTY_LABELS, labelSet } from "@millrace/protocol";
import type { Node } from "./node.ts";
import { appendRaw, type AppendResult } from "./raw-journals.ts";
import type { Shift } from "./shift.ts";
import { chance, type World } from "./world.ts";

const REGISTER = "fence";

export async function useFenced(world: World, node: Node, shift: Shift): Promise<void> {
  const random = node.random.fork(`fenced ${shift.name}`);
  const { fenced } = world;
  let mine = "";
  for (let n = 0; !shift.isOver; n++) {
    const what = `${shift.name}/${n};`;
    if (mine === "" || chance(random, 100)) {
      const next = `writer-${shift.name}-${n}`;
      if (await takeOver(world, node, next, shift)) mine = next;
    } else if (fenced.stale.length > 0 && chance(random, 300)) {
      const old = fenced.stale[random.below(fenced.stale.length)]!;
      const result = await append(world, node, `stale ${what}`, checking(old), shift);
      assert(result !== "acknowledged", "a fenced writer is refused", { old, mine });
    } else {
      const result = await append(world, node, what, checking(mine), shift);
      assert(result !== "mismatch", "a register keeps its value", { mine });
    }
    if (!shift.isDead) await world.sleep(random.below(world.swarm.paceMs * 3));
  }
}

/** @returns whether the register is `next` now */
async function takeOver(world: World, node: Node, next: string, shift: Shift): Promise<boolean> {
  const { fenced } = world;
  for (const before of [...fenced.possible]) {
    fenced.possible.add(next);
    const options = { ...checking(before), unionRegisters: labelSet([REGISTER, next]) };
    const result = await append(world, node, `${next};`, options, shift);
    if (result === "acknowledged") {
      fenced.settle(next);
      return true;
    }
    if (result === "dead" || result === "unknown") return false;
    fenced.possible.delete(next);
    if (result === "refused") return false;
    fenced.possible.delete(before);
    assert(fenced.possible.size > 0, "a register keeps its value", { before });
    if (before !== "") fenced.stale.push(before);
  }
  return false;
}

function append(
  world: World,
  node: Node,
  text: string,
  options: AppendOptions,
  shift: Shift,
): Promise<AppendResult> {
  return appendRaw(world, node, world.fenced, utf8(text), shift, options);
}

function checking(value: string): AppendOptions {
  return { checkRegisters: { include: labelSet([REGISTER, value]), exclude: EMPTY_LABELS } };
}
