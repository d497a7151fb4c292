// What the platform starts beside its doors, over a store in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { EVERYTHING } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { Lifecycle } from "./lifecycle.ts";
import { startTasks } from "./system-ingest-part.ts";

test("tasks: finished ones -> their records are removed after their time while the platform runs (D27)", async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom("tasks");
  const coordination = await openMemoryStore(clock, random);
  const lifecycle = new Lifecycle(silentLogger);
  const onFatal = (error: unknown): void => assert.fail(String(error));
  const metrics = new MetricsRegistry();
  const context = { coordination, clock, random, logger: silentLogger, metrics, onFatal };
  const tasks = await startTasks(lifecycle, context);
  const records = async (): Promise<number> =>
    (await coordination.range({ key: EVERYTHING, end: EVERYTHING, countOnly: true }, never)).count;
  const request = { projectId: 1, type: "api.create.source", objectKey: "1/s" } as const;
  void tasks.start(request, () => Promise.resolve({ result: "Done.", outputs: {} }), 0, never);
  await agenda.advance(1000);
  assert.equal(await records(), 1);
  await agenda.advance(3 * 3_600_000);
  assert.equal(await records(), 0);
  await lifecycle.stop(never);
});
