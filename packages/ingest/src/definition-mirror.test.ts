import assert from "node:assert/strict";
import { test } from "node:test";

import { never, silentLogger, text } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { StoreOp } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";

import { encodeSource } from "./definition-codec.ts";
import { sourceKey } from "./definition-keys.ts";
import { DefinitionMirror } from "./definition-mirror.ts";
import { DefinitionRepository } from "./definition-repository.ts";
import { plainSecrets as secrets } from "./secret-box.ts";
import { aesSecrets } from "./system-aes-box.ts";

const SOURCE = { projectId: 1, branchId: 1, sourceId: "s" };
const SINK = { ...SOURCE, sinkId: "k", name: "n", description: "", tableId: "main.t", settings: {} };
const BY = { type: "system" } as const;
const AT = "2026-01-01T00:00:00.000Z";

test("mirror: a source changes -> what follows for its sinks is in force, and their observers are told", async () => {
  const random = seededRandom("mirror");
  const clock = new SimulatedClock(new Agenda());
  const store = await openMemoryStore(clock, random);
  const repository = new DefinitionRepository({ store, secrets, clock, random });
  const source = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
  await repository.createSink({ ...SINK, columns: [{ type: "ip", name: "i" }] }, BY, never);
  assert.ok(source.kind === "created");

  const stop = new AbortController();
  const mirror = new DefinitionMirror({ store, secrets, clock, logger: silentLogger });
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
  await put({ kind: "put", key: active, value: encodeSource(entity, secrets) });
  const off = mirror.sink(SINK)!;
  assert.deepEqual(told, ["1/1/s/k"]);
  assert.equal(off.conditions.upload.count, 7);
  assert.equal(off.disabled?.reason, "Auto-disabled with the parent source.");
  assert.deepEqual(
    mirror.sinks(SOURCE).map(({ disabled }) => disabled?.at),
    [AT],
  );

  const gone = encodeSource({ ...entity, deleted: { at: AT, by: BY } }, secrets);
  await put({ kind: "delete", key: active }, { kind: "put", key: deleted, value: gone });
  assert.equal(mirror.source(SOURCE), undefined);
  assert.equal(mirror.sink(SINK)?.deleted?.at, AT);
  stop.abort();
  await running;
});

test("mirror: the key of a secret is not here -> does not load, and says which", async () => {
  const random = seededRandom("mirror");
  const clock = new SimulatedClock(new Agenda());
  const store = await openMemoryStore(clock, random);
  const [one, other] = [1, 2].map((byte) => aesSecrets([new Uint8Array(32).fill(byte)]));
  const repository = new DefinitionRepository({ store, secrets: one!, clock, random });
  const made = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
  assert.ok(made.kind === "created");
  for (const wrong of [other!, secrets]) {
    const mirror = new DefinitionMirror({ store, secrets: wrong, clock, logger: silentLogger });
    await assert.rejects(mirror.load(never), /1\/1\/s is sealed with key [0-9a-f]{16}/);
  }
  const mirror = new DefinitionMirror({ store, secrets: one!, clock, logger: silentLogger });
  await mirror.load(never);
  assert.equal(mirror.source(SOURCE)?.secret, made.entity.secret);
  const { kvs } = await store.range({ key: "\0", end: "\0" }, never);
  assert.ok(kvs.length >= 3);
  for (const { value } of kvs) assert.ok(!text(value).includes(made.entity.secret));
});
