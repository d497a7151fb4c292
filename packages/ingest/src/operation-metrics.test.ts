// How long operations take, and how they end, as metrics say it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { MetricsRegistry, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";

import { OperationSeconds } from "./operation-metrics.ts";
import { Fixture } from "./pipeline-fixture.ts";

/** Attempts of a rendering, by operation and outcome. */
function attempts(metrics: MetricsRegistry, part = "count"): Readonly<Record<string, number>> {
  const pattern = new RegExp(
    `^millrace_storage_operation_seconds_${part}\\{operation="(.+)",outcome="(.+)"\\} (\\S+)$`,
    "gm",
  );
  const lines = [...metrics.render().matchAll(pattern)];
  return Object.fromEntries(
    lines.map(([, operation, outcome, value]) => [`${operation} ${outcome}`, Number(value)]),
  );
}

test("operations of a pipeline: each with its outcome, what failed first and was done then with both", async () => {
  const world = await Fixture.open();
  const sink = world.sink();
  const load = world.target.load.bind(world.target);
  let refusals = 1;
  world.target.load = (request, signal) =>
    refusals-- > 0 ? Promise.reject(new WireError("UNAVAILABLE", "away")) : load(request, signal);
  world.staging.script = (operation) => (operation === "put" ? "unavailable" : undefined);
  const pipeline = await world.during(world.pipeline({ cleanup: { filesKept: 0 } }));
  await world.append(sink, 0, 2);
  await world.until(() => attempts(world.metrics)["upload failed"] === 1);
  world.staging.script = () => undefined;
  await world.until(() => attempts(world.metrics)["file-cleanup ok"] === 1);
  const counted = attempts(world.metrics);
  for (const operation of ["file-rotation", "upload", "import"])
    assert.equal(counted[`${operation} ok`], 1, operation);
  assert.deepEqual([counted["import failed"], counted["upload failed"]], [1, 1]);
  const bytes = (name: string): number =>
    world.metrics.counter(`millrace_storage_${name}_bytes_total`, "").value();
  assert.ok(bytes("imported") > 0 && bytes("imported_staged") > 0);
  assert.deepEqual([bytes("imported"), bytes("imported_staged")], [bytes("staged_row"), bytes("staged")]);
  await world.during(pipeline.close());
});

test("an operation -> its time; false is a conflict, what it throws is a failure and thrown on", async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const metrics = new MetricsRegistry();
  const operations = new OperationSeconds(metrics);
  const signal = new AbortController().signal;
  const after = async (outcome: () => unknown): Promise<unknown> => {
    const running = operations.of("import", clock, async () => {
      await clock.sleep(2000, signal);
      return outcome();
    });
    running.catch(() => undefined);
    await agenda.advance(2000);
    return running;
  };
  assert.equal(await after(() => 7), 7);
  assert.equal(await after(() => false), false);
  const failure = new WireError("UNAVAILABLE", "away");
  await assert.rejects(
    after(() => {
      throw failure;
    }),
    failure,
  );
  assert.deepEqual(attempts(metrics), { "import ok": 1, "import conflict": 1, "import failed": 1 });
  assert.deepEqual(attempts(metrics, "sum"), { "import ok": 2, "import conflict": 2, "import failed": 2 });
});
