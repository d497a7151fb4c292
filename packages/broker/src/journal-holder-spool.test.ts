// Who may write to the spool of a journal, and what of what is hidden in it is shown, or stays.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import { applyVerdict } from "./applied-verdict.ts";
import type { HoldersList } from "./holders-list.ts";
import { REGISTERS, World, held, peerOf, routeOf } from "./journal-holder-fixture.ts";

test("verdict: what a restart found -> shown up to where a segment is over, kept behind, aside beyond", async () => {
  const world = new World();
  const [a] = await world.open("a");
  a!.spool.hide(0);
  await a!.append("0123456789");
  const list: HoldersList = {
    segments: [
      { epoch: 3, begin: 0, members: ["a"] },
      { epoch: 5, begin: 4, members: ["a", "b"] },
    ],
    tail: { kind: "held" },
  };
  const ports = { self: "a", logger: silentLogger };
  await applyVerdict(a!.spool, list, ports);
  assert.equal(await a!.text(), "0123[456789]");
  await applyVerdict(a!.spool, { ...list, tail: { kind: "closed", end: 7, registers: REGISTERS } }, ports);
  assert.equal(await a!.text(), "0123456");
});

test("bring: brought already, by who could not list it yet -> equal bytes stay all the time, others go", async () => {
  const world = new World();
  const [a, b] = await world.open("a", "b");
  world.list = { segments: [{ epoch: 3, begin: 0, members: ["a"] }], tail: { kind: "held" } };
  await a!.append("acknowledged");
  const bring = { wants: "bring", begin: 0, end: 12, source: peerOf("a") } as const;
  await world.hold("b", bring);
  const cuts: number[] = [];
  const cut = b!.spool.cut.bind(b!.spool);
  b!.spool.cut = (begin, registers) => {
    cuts.push(begin);
    return cut(begin, registers);
  };
  await world.hold("b", bring, { stream: 2 });
  assert.deepEqual([await b!.text(), cuts], ["[acknowledged]", []]);
  await b!.append(" and not");
  await world.hold("b", bring, { stream: 3 });
  assert.deepEqual([await b!.text(), cuts], ["[acknowledged]", [12]]);
});

test("the spool: the primary of whoever has it is seen to have left -> evicted at once, nobody need ask", async () => {
  const world = new World();
  const [b] = await world.open("b");
  await world.hold("b", { wants: "bring" });
  const evicted: string[] = [];
  await b!.holder.takeSpool({ evict: () => evicted.push("user") }, { epoch: 10, stream: 1 }, never);
  world.route = routeOf("b", "a");
  b!.holder.routeSeen(20);
  assert.deepEqual(evicted, []);
  world.route = routeOf("b", "c");
  b!.holder.routeSeen(21);
  assert.deepEqual(evicted, ["user"]);
});

test("the spool: another route is seen while somebody waits for it -> who waited is refused", async () => {
  const world = new World();
  const [a] = await world.open("a");
  const attempt = { epoch: 10, stream: 1 };
  const user = { evict: () => undefined };
  await world.hold("a", { wants: "bring" });
  const lease = await a!.holder.takeSpool(user, attempt, never);
  const append = a!.holder.takeSpool(user, attempt, never);
  const bring = world.hold("a", { wants: "bring" }, { stream: 2 });
  await settle();
  a!.holder.routeSeen(20);
  lease.release();
  await assert.rejects(append, /WRONG_ROUTE, a newer attempt is known/);
  assert.equal(held(await bring), "WRONG_ROUTE");
  assert.equal(a!.holder.answerAppend({ epoch: 10, stream: 2 }), "WRONG_ROUTE");
});
