import { test } from "node:test";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { coordinationContract, openMemoryStore } from "./testkit.ts";

const cases = coordinationContract(async () => {
  const agenda = new Agenda();
  const store = await openMemoryStore(new SimulatedClock(agenda), seededRandom("contract"));
  return { store, prefix: "contract/", advance: (ms) => agenda.advance(ms), close: () => store.close() };
});

for (const { name, run } of cases) test(`embedded store over a log in memory: ${name}`, run);
