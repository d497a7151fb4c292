import assert from "node:assert/strict";
import { test } from "node:test";

import { never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { StoreOp } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";

import { encodeDefinition } from "./definition-codec.ts";
import { sourceKey } from "./definition-keys.ts";
import { DefinitionMirror } from "./definition-mirror.ts";
import { DefinitionRepository } from "./definition-repository.ts";

const SOURCE = { projectId: 1, branchId: 1, sourceId: "s" };
const SINK = { ...SOURCE, sinkId: "k", name: "n", description: "", tableId: "main.t", settings: {} };
const BY = { type: "system" } as const;
const AT = "2026-01-01T00:00:00.000Z";

test("mirror: a source changes -> what follows for its sinks is in force, and their observers are told", async () => {
  const random = seededRandom("mirror");
  const clock = new SimulatedClock(new Agenda());
  const store = await openMemoryStore(clock, random);
  const repository = new DefinitionRepository({ store, clock, random });
  const source = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
  await repository.createSink({ ...SINK, columns: [{ type: "ip", name: "i" }] }, BY, never);
  assert.ok(source.kind === "created");

  const stop = new AbortController();
  const mirror = new DefinitionMirror({ store, clock, logger: silentLogger });
  await mirror.load(never);
  const running = mirror.run(stop.signal).catch(() => undefined);
  const told: string[] = [];
  mirror.observe((path) => told.push(path));
  const before = mirror.sink(SINK)!;
  assert.equal(mirror.sink(SINK), before);

  const put = async (...success: StoreOp[]): Promise<void> => {
    const { header } = await store.txn({ compare: [], success }, never);
    await mirror.waitForRevision(header.revision, never);
  };
  const [active, deleted] = [sourceKey(SOURCE, "active"), sourceKey(SOURCE, "deleted")];
  const settings = { "storage.level.staging.upload.trigger.count": 7 };
  const disabled = { at: AT, by: BY, reason: "API" };
  const entity = { ...source.entity, settings, disabled };
  await put({ kind: "put", key: active, value: encodeDefinition(entity) });
  const off = mirror.sink(SINK)!;
  assert.deepEqual(told, ["1/1/s/k"]);
  assert.equal(off.conditions.upload.count, 7);
  assert.equal(off.disabled?.reason, "Auto-disabled with the parent source.");
  assert.deepEqual(
    mirror.sinks(SOURCE).map(({ disabled }) => disabled?.at),
    [AT],
  );

  const gone = encodeDefinition({ ...entity, deleted: { at: AT, by: BY } });
  await put({ kind: "delete", key: active }, { kind: "put", key: deleted, value: gone });
  assert.equal(mirror.source(SOURCE), undefined);
  assert.equal(mirror.sink(SINK)?.deleted?.at, AT);
  stop.abort();
  await running;
});
