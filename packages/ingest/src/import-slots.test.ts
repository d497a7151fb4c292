import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "@millrace/base";
import { Fixture } from "./pipeline-fixture.ts";
import { ImportSlots } from "./import-slots.ts";
import type { EffectiveSink } from "./definitions.ts";
import type { ModelTarget } from "./model-target.ts";
import type { Target, TargetRegistry } from "./target.ts";

function slots(perPlace: number, total: number): ImportSlots {
  return new ImportSlots({ perPlace, total });
}

/** Begins as many as there is room for. */
function fill(all: ImportSlots, place: string): number {
  let count = 0;
  for (; all.hasRoom(place); count++) all.begin(place);
  return count;
}

test("slots: a place -> has its own room, and no more (S1, S2)", () => {
  const all = slots(3, 8);
  assert.deepEqual([fill(all, "a"), fill(all, "b"), fill(all, "c")], [3, 3, 2]);
  all.end("a", undefined);
  assert.deepEqual([all.hasRoom("a"), all.hasRoom("c")], [true, true]);
});

test("slots: a place that fails -> one import until one of them ends well", () => {
  const all = slots(3, 8);
  fill(all, "a");
  for (let i = 0; i < 3; i++) all.end("a", "UNAVAILABLE");
  assert.equal(fill(all, "a"), 1);
  assert.deepEqual(all.count("a"), { running: 1, failing: 1 });
  all.end("a", "FORBIDDEN");
  assert.equal(fill(all, "a"), 1);
  all.end("a", undefined);
  assert.equal(fill(all, "a"), 3);
  assert.deepEqual(all.count("a"), { running: 3, failing: 0 });
});

test("slots: rows that a place never takes -> say nothing of the place", () => {
  const all = slots(3, 8);
  all.begin("a");
  all.end("a", "UNPROCESSABLE");
  assert.equal(fill(all, "a"), 3);
});

test("slots: many places that fail -> half of the room is for those that work (S3)", () => {
  const all = slots(3, 8);
  const failing = Array.from({ length: 20 }, (_, i) => `failing ${i}`);
  for (const place of failing) {
    all.begin(place);
    all.end(place, "UNAVAILABLE");
  }
  assert.equal(
    failing.reduce((sum, place) => sum + fill(all, place), 0),
    4,
  );
  assert.equal(fill(all, "works"), 3);
});

/** One target whose loads never end while `hangs`, and one that works, behind one registry. */
class TwoTargets implements TargetRegistry {
  hangs = true;
  tries = 0;
  readonly #model: ModelTarget;
  readonly #clock: Clock;

  constructor(model: ModelTarget, clock: Clock) {
    this.#model = model;
    this.#clock = clock;
  }

  open(ref: { readonly connection?: string }): Promise<Target> {
    if (ref.connection === undefined) return Promise.resolve(this.#model);
    const model = this.#model;
    return Promise.resolve({
      check: () => model.check(),
      prepare: (tableId, columns) => model.prepare(tableId, columns),
      drop: (tableId, journals) => model.drop(tableId, journals),
      loadedEnds: (tableId, signal) => model.loadedEnds(tableId, signal),
      load: async (request, signal) => {
        this.tries++;
        if (this.hangs) await this.#clock.sleep(Number.MAX_SAFE_INTEGER, signal);
        return model.load(request, signal);
      },
    } satisfies Target);
  }
}

const SINKS = 12;

test("a target that hangs -> sinks of another one go on, and its own when it answers again", async () => {
  const fixture = await Fixture.open();
  const { target, clock } = fixture;
  const targets = new TwoTargets(target, clock);
  const columns = [
    { type: "uuid", name: "id" },
    { type: "body", name: "body" },
  ] as const;
  const connection = { host: "db", database: "d", user: "u" };
  const sinks = (kind: "works" | "hangs", count: number): readonly EffectiveSink[] =>
    Array.from({ length: count }, (_, i) => {
      const place =
        kind === "works" ? { type: "duckdb" as const } : { type: "postgres" as const, connection };
      const table = { ...place, tableId: `main.${kind}${i}`, mapping: { columns } };
      return fixture.sink({ sinkId: `${kind}-${i}`, table });
    });
  const [hanging, working] = [sinks("hangs", SINKS), sinks("works", SINKS)];
  const pipeline = await fixture.pipeline({ importer: { importTimeoutMs: 60_000 } }, { targets });
  for (const sink of hanging) await fixture.during(fixture.append(sink, 0, 3));
  await fixture.until(() => targets.tries >= 4, 30_000);
  for (const sink of working) await fixture.during(fixture.append(sink, 0, 3));
  const loaded = (all: readonly EffectiveSink[]): boolean =>
    all.every(({ table }) => fixture.rows(table.tableId).length === 3);
  await fixture.until(() => loaded(working), 10_000);
  assert.ok(!loaded(hanging));
  await fixture.until(() => pipeline.health().problems.length > 0, 120_000);
  assert.match(
    pipeline.health().problems[0]!.problem,
    /^import into main\.hangs\d+ of postgres db:5432\/d failed: the target has not answered in 60000 ms/,
  );
  const gauge = (name: string): number => fixture.metrics.gauge(name, "").value({ target: "postgres" });
  assert.equal(gauge("millrace_storage_failing_targets"), 1);
  targets.hangs = false;
  await fixture.until(() => loaded(hanging), 600_000);
  await fixture.until(() => gauge("millrace_storage_failing_targets") === 0);
  await fixture.during(pipeline.close());
});
