import { test } from "node:test";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { coordinationContract, openMemoryStore } from "./testkit.ts";

const cases = coordinationContract(async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = await openMemoryStore(clock, seededRandom("contract"));
  return {
    store,
    clock,
    prefix: "contract/",
    advance: (ms) => agenda.advance(ms),
    close: () => store.close(),
  };
});

for (const { name, run } of cases) test(`embedded store over a log in memory: ${name}`, run);
