import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { WireError } from "@millrace/base";
import type { StoreOp } from "@millrace/metadata";
import { FLAG, valueOf } from "@millrace/protocol";

import { encodeDefinition } from "./definition-codec.ts";
import { isPartitionJournal } from "./definitions.ts";
import { PartitionIntegrity } from "./partition-integrity.ts";
import { Fixture } from "./pipeline-fixture.ts";
import { FRAME_LABELS } from "./partition-registry.ts";
import { tilingViolation } from "./storage-rules.ts";
import { targetOf } from "./target-ref.ts";

function left(incarnation: number): StoreOp {
  const value = encodeDefinition({ incarnation });
  return { kind: "put", key: "stream/definition/next/1/1/source/sink", value };
}

describe("partitions", () => {
  test("the first record -> journal with labels, partition, first slice at 0 and file", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.during(world.partitions.ensure(sink, 2, world.signal));
    assert.equal(journal, "stream/1/1/source/sink/p002");
    assert.ok(isPartitionJournal(journal) && isPartitionJournal(`${journal}345`));
    for (const other of ["examples/p000", `${journal}/x`, `x/${journal}`, journal.slice(0, -1)])
      assert.ok(!isPartitionJournal(other), other);
    const { spec } = world.journals.journals.get(journal)!;
    assert.equal(valueOf(spec.labels, FRAME_LABELS.sink), "sink");
    await world.agenda.advance(10);
    const { entity, slices } = world.storage.view.partition({ ...sink, n: 2 })!;
    assert.equal(entity!.value.state, "active");
    assert.deepEqual(
      slices.map(({ value }) => [value.begin, value.state, value.startsTarget]),
      [[0, "writing", true]],
    );
    assert.deepEqual(world.fileStates(sink), ["writing"]);
    assert.equal(await world.during(world.partitions.ensure(sink, 2, world.signal)), journal);
  });

  test("a target of others that is away -> takes records all the same; the warehouse must be asked first", async () => {
    const world = await Fixture.open();
    const { journals: transport, clock } = world;
    const away = new WireError("UNAVAILABLE", "connect ECONNREFUSED");
    const targets = { open: () => Promise.resolve({ loadedEnds: () => Promise.reject(away) }) };
    const integrity = new PartitionIntegrity({ transport, targets, clock });
    const partitions = world.partitionsWith(integrity);
    const columns = { tableId: "main.t", mapping: { columns: [{ type: "body", name: "b" }] } } as const;
    const connection = { host: "db", database: "d", user: "u" };
    const outside = world.sink({ sinkId: "outside", table: { type: "postgres", connection, ...columns } });
    const inside = world.sink({ sinkId: "inside", table: { type: "duckdb", ...columns } });
    const journal = await world.during(partitions.ensure(outside, 0, world.signal));
    const taken = { journal, sink: { ...outside, n: 0 }, stagedEnd: 0, target: targetOf(outside) };
    await assert.rejects(world.during(integrity.check(taken, world.signal)), {
      code: "UNAVAILABLE",
      message: "postgres db:5432/d: connect ECONNREFUSED",
    });
    await assert.rejects(world.during(partitions.ensure(inside, 0, world.signal)), away);
    // The warehouse of another process may be away, too.
    const elsewhere = new PartitionIntegrity({ transport, targets, clock, isWarehouseElsewhere: true });
    const door = world.partitionsWith(elsewhere);
    assert.match(await world.during(door.ensure(inside, 0, world.signal)), /inside\/p000$/);
    const ofInside = {
      ...taken,
      journal: "stream/1/1/source/inside/p000",
      sink: { ...inside, n: 0 },
      target: targetOf(inside),
    };
    await assert.rejects(world.during(elsewhere.check(ofInside, world.signal)), { code: "UNAVAILABLE" });
  });

  test("many at once, the same and others of the lane -> each once, one file for each lane", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const wanted = [0, 0, 0, 1, 1, 23, 24, 24, 30];
    await world.during(Promise.all(wanted.map((n) => world.partitions.ensure(sink, n, world.signal))));
    await world.agenda.advance(10);
    const view = world.storage.view.sink(sink)!;
    assert.deepEqual(
      [...view.partitions.keys()].sort((a, b) => a - b),
      [0, 1, 23, 24, 30],
    );
    for (const { entity, slices } of view.partitions.values()) {
      assert.equal(
        tilingViolation(
          entity!.value,
          slices.map(({ value }) => value),
        ),
        undefined,
      );
    }
    assert.deepEqual(
      [...view.files.values()].map(({ entity }) => entity!.value.lane).sort((a, b) => a - b),
      [0, 1],
    );
  });

  test("a sink that nobody knows -> NOT_FOUND, and no journal", async () => {
    const world = await Fixture.open();
    const unknown = { projectId: 1, branchId: 1, sourceId: "no", sinkId: "no" };
    await assert.rejects(world.partitions.ensure(unknown, 0, world.signal), { code: "NOT_FOUND" });
    assert.equal(world.journals.journals.size, 0);
  });

  test("another life of the sink -> partitions and journals of its own, none for the one before", async () => {
    const world = await Fixture.open();
    const first = world.sink();
    const { store, signal } = world;
    await store.txn({ compare: [], success: [left(1)] }, signal);
    await assert.rejects(world.during(world.partitions.ensure(first, 0, signal)), { code: "NOT_FOUND" });
    const second = world.sink({ incarnation: 1 });
    const journal = await world.during(world.partitions.ensure(second, 0, signal));
    assert.equal(journal, "stream/1/1/source/sink.1/p000");
    assert.ok(isPartitionJournal(journal));
    await assert.rejects(world.during(world.partitions.ensure(first, 0, signal)), { code: "NOT_FOUND" });
    await assert.rejects(world.during(world.partitions.ensure(first, 1, signal)), { code: "NOT_FOUND" });
    assert.deepEqual([...world.journals.journals.keys()], [journal]);
  });

  test("a purge between the look and the transaction -> no partition", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const { store, signal } = world;
    const apply = world.journals.apply.bind(world.journals);
    world.journals.apply = async (request) => {
      await store.txn({ compare: [], success: [left(1)] }, signal);
      return apply(request);
    };
    await assert.rejects(world.during(world.partitions.ensure(sink, 0, signal)), { code: "NOT_FOUND" });
    const { kvs } = await store.range({ key: "stream/storage/", end: "stream/storage0" }, signal);
    assert.deepEqual(kvs, []);
  });

  test("a retired partition -> active again from its end, its journal writable", async () => {
    const world = await Fixture.open();
    const sink = world.sink();
    const journal = await world.append(sink, 0, 1);
    const end = world.journals.content(journal).length;
    const pipeline = await world.during(world.pipeline());
    await world.until(() => world.fileStates(sink).includes("imported"));
    await world.during(pipeline.close());
    const { entity, slices } = world.storage.view.partition({ ...sink, n: 0 })!;
    const retired = {
      ...entity!.value,
      state: "retired" as const,
      retiredAt: "2026-01-01T00:00:01.000Z",
      end,
      target: { kind: "duckdb", tableId: "main.sink" } as const,
    };
    const changes = [
      { kind: "partition", before: entity, after: retired },
      { kind: "slice", before: slices.at(-1), after: undefined },
    ] as const;
    assert.ok(await world.during(world.storage.commit(changes, world.signal)));
    const known = world.journals.journals.get(journal)!;
    known.spec = { ...known.spec, flags: FLAG.O_RDONLY };
    await world.during(world.partitions.ensure(sink, 0, world.signal));
    assert.equal(known.spec.flags, FLAG.O_RDWR);
    await world.append(sink, 0, 1);
    await world.during(world.pipeline());
    await world.until(() => world.rows().length === 2);
  });
});
