import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { compareText } from "@millrace/protocol";

import { frame } from "./pipeline-world.ts";
import { Fixture, PRODUCER } from "./pipeline-fixture.ts";
import { partitionJournal, type SinkConditions } from "./definitions.ts";
import { importedEnd } from "./cleanup.ts";
import { closeSlice, openSlice } from "./storage-transitions.ts";
import type { SliceWriting } from "./storage-entities.ts";
import type { Stored } from "./storage-view.ts";

const LAZY = { count: 1e6, bytes: 1e9, intervalMs: 3_600_000, minIntervalMs: 0 };
/** Nothing is due by itself. */
const NEVER: SinkConditions = { upload: LAZY, import: { ...LAZY, slicesCount: 100, maxSlices: 100 } };

describe("pipeline", () => {
  test("the first record of an idle sink -> a row at once, without waiting for an interval", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 1);
    await world.during(world.pipeline());
    await world.until(() => world.rows().length === 1);
    await world.agenda.advance(10_000);
    const before = world.agenda.nowMs;
    await world.append(sink, 0, 1);
    await world.until(() => world.rows().length === 2);
    assert.ok(world.agenda.nowMs - before < 50, `took ${world.agenda.nowMs - before} ms`);
    assert.deepEqual(
      world.rows().map(({ values }) => values["id"]),
      ["1-0", "2-0"],
    );
  });

  test("records that come all the time -> batches by the default intervals, rows within a second", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 1);
    await world.during(world.pipeline());
    const accepted: number[] = [];
    for (let i = 0; i < 200; i++) {
      await world.append(sink, 0, 1);
      accepted.push(world.agenda.nowMs);
      await world.agenda.advance(20);
      assert.ok(world.agenda.nowMs - accepted[Math.max(0, world.rows().length - 1)]! < 1000);
    }
    assert.ok(world.target.loads <= 4000 / 300 + 2, `${world.target.loads} loads`);
  });

  test("idle -> nothing happens but the ticks of the coordination store", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ partitions: 4 });
    for (let n = 0; n < 4; n++) await world.append(sink, n, 1);
    await world.during(world.pipeline());
    await world.until(() => world.rows().length === 4);
    await world.agenda.advance(60_000);
    const before = world.agenda.executed;
    await world.agenda.advance(600_000);
    assert.ok(
      world.agenda.executed - before <= 1250,
      `${world.agenda.executed - before} events in ten minutes`,
    );
  });

  test("partitions of which nothing was read -> move to the next file, and cost no object and no load", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ partitions: 3 });
    for (let n = 0; n < 3; n++) await world.during(world.partitions.ensure(sink, n, world.signal));
    await world.during(world.pipeline());
    await world.append(sink, 1, 5);
    await world.until(() => world.fileStates(sink).includes("imported"));
    const puts = world.staging.operations.filter(({ operation }) => operation === "put");
    assert.equal(puts.length, 1);
    assert.equal(world.target.tables.get("main.sink")!.ends.size, 1);
    const slices = [...world.storage.view.sink(sink)!.partitions.values()].map(
      (partition) => partition.slices.length,
    );
    assert.deepEqual(slices, [1, 2, 1]);
  });

  test("a frame that stands twice -> its rows once, also across a restart and a slice's end", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 2);
    const first = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 2);
    const again = world.journals.content(journal).slice();
    world.journals.push(journal, again);
    await world.agenda.advance(2000);
    await world.during(first.close());
    world.journals.push(journal, again);
    await world.during(world.pipeline());
    await world.append(sink, 0, 1);
    await world.until(() => world.rows().length === 3);
    await world.until(() => importedEnd(world.storage.view.partition({ ...sink, n: 0 })!) > 2 * again.length);
    assert.deepEqual(
      world.rows().map(({ values }) => values["id"]),
      ["1-0", "1-1", "2-0"],
    );
  });

  test("rows of several sink versions in one slice -> an object for each, with its columns", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 1);
    const columns = [{ type: "body" as const, name: "other" }];
    world.catalog.put({ ...sink, table: { ...sink.table, mapping: { columns } } });
    world.journals.push(journal, frame(PRODUCER, 2, 2, world.clock.wallMs(), ['"new"\n']));
    world.journals.push(journal, frame(PRODUCER, 3, 1, world.clock.wallMs(), ['"old","late"\n']));
    await world.during(world.pipeline());
    await world.until(() => world.rows().length === 3);
    const sorted = [...world.rows()].sort((a, b) => a.offset - b.offset);
    assert.deepEqual(
      sorted.map(({ values }) => values),
      [{ id: "1-0", body: "vvvvvvvvvv" }, { other: "new" }, { id: "old", body: "late" }],
    );
    assert.equal(world.staging.operations.filter(({ operation }) => operation === "put").length, 2);
  });

  test("reader and coordinator apart -> rows come through published progress", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 3);
    await world.during(world.pipeline({ components: ["storage-reader"] }));
    const coordinator = await world.during(world.pipeline({ components: ["storage-coordinator"] }));
    await world.until(() => world.rows().length === 3);
    await world.append(sink, 0, 2);
    await world.until(() => world.rows().length === 5);
    await world.until(() => coordinator.statistics.total(sink).levels.target?.recordsCount === 5);
  });

  test("drain: conditions that nothing meets -> everything is in the table all the same", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER, partitions: 2 });
    await world.append(sink, 0, 3);
    await world.append(sink, 1, 4);
    const pipeline = await world.during(world.pipeline());
    await world.agenda.advance(5000);
    assert.equal(world.rows().length, 0);
    const { remaining } = await world.during(pipeline.drain(world.signal), 5000);
    assert.equal(remaining.size, 0);
    assert.equal(world.rows().length, 7);
    await world.during(pipeline.close());
  });

  test("a sink is disabled -> its rows are loaded at once, whatever its conditions say", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    await world.append(sink, 0, 5);
    const pipeline = await world.during(world.pipeline());
    await world.agenda.advance(60_000);
    assert.equal(world.rows().length, 0);
    world.catalog.put({ ...sink, disabled: { ...sink.created, reason: "API" } });
    await world.until(() => world.rows().length === 5);
    await world.append(sink, 0, 2); // a door that has not heard of it
    await world.until(() => world.rows().length === 7);
    await world.during(pipeline.close());
  });

  test("drain: a target that is away -> says what remains when its time is over", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 3);
    world.target.faults = { before: 1000 };
    const pipeline = await world.during(world.pipeline());
    const limit = new AbortController();
    world.clock.after(3000, () => limit.abort(new Error("time is over")));
    const { remaining } = await world.during(pipeline.drain(limit.signal));
    assert.deepEqual([...remaining.keys()], [journal]);
    assert.equal(remaining.get(journal), world.journals.content(journal).length);
    assert.ok(
      pipeline.health().problems.some(({ problem }) => problem.includes("the target is not reachable")),
    );
  });
});

describe("bounds", () => {
  test("a target that is away for hours -> few files, little memory, and all rows once it is back", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    world.target.faults = { before: 1000 };
    const pipeline = await world.during(
      world.pipeline({ reader: { sliceBytesMax: 20_000, heldBytesMax: 100_000 } }),
    );
    let appended = 0;
    for (let i = 0; i < 400; i++) {
      await world.append(sink, 0, 100, 100);
      appended += 100;
      await world.agenda.advance(i % 10 === 0 ? 1000 : 10);
    }
    await world.agenda.advance(3_600_000);
    const files = world.fileStates(sink).filter((state) => state !== "imported");
    assert.ok(files.length <= 5, files.join());
    const held = world.metrics.gauge("millrace_storage_held_bytes", "").value();
    assert.ok(held <= 100_000, `${held} bytes held`);
    world.target.faults = {};
    await world.until(() => world.rows().length === appended, 600_000);
    await world.until(() => pipeline.health().healthy);
  });

  test("more sink versions than a slice may hold -> the slice ends, nothing is lost", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    const journal = partitionJournal(sink, 0);
    await world.partitions.ensure(sink, 0, world.signal);
    for (let version = 1; version <= 30; version++) {
      if (version > 1) world.catalog.put(sink);
      world.journals.push(journal, frame(PRODUCER, version, version, world.clock.wallMs(), ['"a","b"\n']));
    }
    const pipeline = await world.during(world.pipeline());
    await world.agenda.advance(1000);
    assert.ok(world.storage.view.partition({ ...sink, n: 0 })!.slices.length >= 3);
    await world.during(pipeline.drain(world.signal));
    assert.equal(world.rows().length, 30);
  });

  test("a slice that another process closed, shorter or longer than what was read -> the same rows", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ conditions: NEVER });
    const journal = await world.append(sink, 0, 1);
    const first = world.journals.content(journal).length;
    await world.append(sink, 0, 1);
    const pipeline = await world.during(world.pipeline());
    await world.agenda.advance(100);
    const close = async (end: number): Promise<void> => {
      const partition = world.storage.view.partition({ ...sink, n: 0 })!;
      const open = partition.slices.at(-1) as Stored<SliceWriting>;
      const fields = {
        fileId: open.value.fileId,
        begin: end,
        target: open.value.target,
        startsTarget: false,
      };
      const made = await world.storage.commit(
        [
          { kind: "slice", before: open, after: closeSlice(open.value, end, world.clock.wallMs()) },
          { kind: "slice", before: undefined, after: openSlice(open.value, fields, world.clock.wallMs()) },
        ],
        world.signal,
      );
      assert.ok(made);
    };
    await world.during(close(first)); // behind the reader
    await world.append(sink, 0, 1);
    await world.agenda.advance(100);
    const ahead =
      world.journals.content(journal).length +
      frame(PRODUCER, 9, 1, world.clock.wallMs(), ['"x","y"\n']).length;
    await world.during(close(ahead)); // ahead of it
    world.journals.push(journal, frame(PRODUCER, 9, 1, world.clock.wallMs(), ['"x","y"\n']));
    await world.append(sink, 0, 1).catch(() => {});
    await world.during(pipeline.drain(world.signal));
    assert.deepEqual(
      world
        .rows()
        .map(({ values }) => values["id"])
        .sort((a, b) => compareText(a!, b!)),
      ["1-0", "2-0", "3-0", "x"],
    );
  });
});

describe("corruption", () => {
  test("a slice that ends inside a frame, or no frame -> said, not spun on, nothing loaded", async () => {
    for (const harm of ["slice", "bytes"]) {
      const world = await Fixture.open();
      const sink = world.sink({ conditions: NEVER });
      const journal = await world.append(sink, 0, 2);
      if (harm === "bytes")
        world.journals.push(journal, new TextEncoder().encode(`${"no frame".repeat(40)}\n`));
      else {
        await world.agenda.advance(10);
        const open = world.storage.view.partition({ ...sink, n: 0 })!.slices[0] as Stored<SliceWriting>;
        const fields = {
          fileId: open.value.fileId,
          begin: 20,
          target: open.value.target,
          startsTarget: false,
        };
        const changes = [
          { kind: "slice", before: open, after: closeSlice(open.value, 20, 0) },
          { kind: "slice", before: undefined, after: openSlice(open.value, fields, 0) },
        ] as const;
        assert.ok(await world.during(world.storage.commit(changes, world.signal)));
      }
      const pipeline = await world.during(world.pipeline());
      await world.agenda.advance(600_000);
      const { problems } = pipeline.health();
      assert.equal(problems.length, 1, harm);
      assert.equal(problems[0]!.subject, journal);
      assert.match(problems[0]!.problem, harm === "slice" ? /ends at 20, inside a frame/ : /frame at offset/);
      assert.equal(world.rows().length, 0);
      assert.ok(world.agenda.executed < 3000, `${world.agenda.executed} events`);
    }
  });
});

describe("import", () => {
  test("a table that was changed from outside -> refused with a reason, nothing is doubled", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 1);
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.rows().length === 1);
    world.target.tables.get("main.sink")!.ends.set(journal, 5);
    await world.append(sink, 0, 1);
    await world.until(() => !pipeline.health().healthy);
    const problem = pipeline.health().problems[0]!.problem;
    assert.match(problem, /has rows up to offset 5 of .*, this file begins at \d+/);
    await world.agenda.advance(600_000);
    assert.equal(world.rows().length, 1);
    const [failed] = pipeline.statistics.files(sink, { failedFiles: true });
    assert.ok(failed!.retryAttempt! > 2);
    const end = importedEnd(world.storage.view.partition({ ...sink, n: 0 })!);
    world.target.tables.get("main.sink")!.ends.set(journal, end); // a person mends it
    await world.until(() => world.rows().length === 2, 200_000);
    assert.ok(pipeline.health().healthy);
  });

  test("an import that was done though it was said to have failed -> found out, not done again", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    await world.append(sink, 0, 4);
    world.target.faults = { after: 1000 };
    await world.during(world.pipeline());
    await world.until(() => world.fileStates(sink).includes("imported"));
    assert.equal(world.rows().length, 4);
    assert.equal(
      world.metrics
        .counter("millrace_storage_imports_total", "")
        .value({ outcome: "already", target: "duckdb" }),
      1,
    );
  });

  test("a staged object that is rotten or gone -> staged again from the journal, rows once", async () => {
    for (const harm of ["rotten", "gone"]) {
      const world = await Fixture.open();
      const sink = world.sink({ conditions: { ...NEVER, upload: { ...LAZY, intervalMs: 10 } } });
      await world.append(sink, 0, 4);
      const pipeline = await world.during(world.pipeline());
      await world.until(() => world.staging.keys().length === 1);
      const [path] = world.staging.keys() as [string];
      if (harm === "gone") world.staging.delete(path);
      else world.staging.set(path, world.staging.peek(path)!.slice().fill(7, 20, 30));
      await world.during(pipeline.drain(world.signal));
      assert.equal(world.rows().length, 4, harm);
    }
  });

  test("another target -> the next slices go there, each partition from where it stands", async () => {
    const world = await Fixture.open();
    const sink = world.sink({ partitions: 2 });
    await world.append(sink, 0, 2);
    await world.append(sink, 1, 2);
    await world.during(world.pipeline());
    await world.until(() => world.rows().length === 4);
    world.catalog.put({ ...sink, table: { ...sink.table, tableId: "main.next" } });
    await world.agenda.advance(100);
    await world.append(sink, 0, 3);
    await world.until(() => world.rows("main.next").length === 3);
    assert.equal(world.rows().length, 4);
    assert.equal(world.target.tables.get("main.next")!.ends.size, 1);
    await world.append(sink, 1, 1);
    await world.until(() => world.rows("main.next").length === 4);
  });

  test("the target before that again -> goes on there, also when every answer of it is lost", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const pipeline = await world.during(world.pipeline());
    let count = 0;
    for (const tableId of ["main.sink", "main.next", "main.sink", "main.next", "main.sink"]) {
      world.catalog.put({ ...sink, table: { ...sink.table, tableId } });
      await world.agenda.advance(100);
      world.target.faults = { after: 1000 };
      const before = world.rows(tableId).length;
      await world.append(sink, 0, ++count);
      await world.until(() => world.rows(tableId).length === before + count);
      world.target.faults = {};
      await world.until(() => pipeline.health().healthy);
    }
    assert.deepEqual([world.rows().length, world.rows("main.next").length], [1 + 3 + 5, 2 + 4]);
    const rows = [...world.rows(), ...world.rows("main.next")];
    assert.equal(new Set(rows.map(({ offset }) => offset)).size, 15);
  });
});
