import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { memoryStore, type MemoryStore } from "./memory-store.ts";

test("power loss: what is not durable may be lost, and what it replaced comes back", async () => {
  let lost = 0;
  for (let i = 0; i < 20; i++) {
    const store = memoryStore({ clock: new SimulatedClock(new Agenda()), random: seededRandom(`${i}`) });
    await put(store, "before");
    store.script = () => "unsynced";
    await assert.rejects(put(store, "after"));
    await assert.rejects(put(store, "again"));
    lost += store.crash();
    assert.ok(["before", "again"].includes(text(store.peek("a")!)));
    assert.equal(store.crash(), 0, "what is left is durable");
  }
  assert.ok(lost > 2 && lost < 18, String(lost));
});

test("power loss: what was synced, or put by a process that lived on, stays", async () => {
  const agenda = new Agenda();
  const latencyMs = { min: 5, max: 5 };
  const clock = new SimulatedClock(agenda);
  const store = memoryStore({ clock, random: seededRandom("1"), latencyMs });
  for (const ending of ["lives", "killed", "synced"]) {
    const putting = put(store, ending);
    await agenda.advance(6);
    assert.equal(text(store.peek("a")!), ending, "it shows before it is durable");
    if (ending !== "lives") store.kill();
    await agenda.advance(6);
    await putting;
    if (ending === "synced") {
      const syncing = store.sync("a", never);
      await agenda.advance(6);
      await syncing;
    }
    const lost = store.crash();
    if (ending !== "killed") assert.equal(lost, 0, ending);
  }
});

function put(store: MemoryStore, content: string): Promise<void> {
  const body = (async function* () {
    yield await Promise.resolve(utf8(content));
  })();
  return store.put("a", body, {}, never);
}
