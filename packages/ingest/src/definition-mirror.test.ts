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
import { TestKeys } from "./secret-keys-testkit.ts";
import { aesSecrets, sealedBy } from "./system-aes-box.ts";
import { targetOf } from "./target-ref.ts";

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

/** A mirror that runs, of a repository that seals with keys of which a test closes some. */
async function closing() {
  const random = seededRandom("mirror");
  const clock = new SimulatedClock(new Agenda());
  const store = await openMemoryStore(clock, random);
  const keys = new TestKeys();
  const ports = { store, secrets: sealedBy(keys), clock, logger: silentLogger };
  const repository = new DefinitionRepository({ ...ports, random });
  const made = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
  assert.ok(made.kind === "created");
  const mirror = new DefinitionMirror(ports);
  await mirror.load(never);
  const stop = new AbortController();
  const running = mirror.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  return { store, keys, repository, mirror, source: made.entity, end };
}

test("mirror: a source's key is closed -> its rest is in force, and no door shows it until it is open", async () => {
  const w = await closing();
  const { keys, repository, mirror } = w;
  assert.equal(mirror.seen.revision, mirror.revision);
  keys.sealWith(TestKeys.key(2));
  const off = await repository.changeSource(SOURCE, { kind: "disable" }, BY, never);
  const input = { ...SOURCE, sourceId: "o", name: "o", description: "" };
  const other = await repository.createSource(input, BY, never);
  assert.ok(off.kind === "changed" && other.kind === "created");
  await mirror.waitForRevision(other.revision, never);
  const closed = mirror.source(SOURCE)!;
  assert.match(closed.whyClosed!, /1\/1\/s is sealed with data key [0-9a-f]{16}, which is closed: denied/);
  assert.deepEqual([closed.secret, closed.disabled?.reason, mirror.undecodable], ["", "API", 2]);
  assert.deepEqual([mirror.revision, mirror.seen.revision], [other.revision, off.revision - 1]);

  const shown: number[] = [];
  mirror.seen.observeRevision(() => shown.push(mirror.seen.revision));
  const told: string[] = [];
  mirror.observeSources((path) => told.push(path));
  keys.open(TestKeys.key(2));
  const opened = mirror.source(SOURCE)!;
  assert.deepEqual([opened.secret, opened.whyClosed, mirror.undecodable], [w.source.secret, undefined, 0]);
  assert.equal(mirror.source(input)?.secret, other.entity.secret);
  assert.deepEqual(shown, [other.revision]);
  assert.deepEqual(told.sort(), ["1/1/o", "1/1/s"]);
  await w.end();
});

test("mirror: the key of a sink's password is closed -> its columns are in force, its login waits", async () => {
  const w = await closing();
  const { keys, repository, mirror } = w;
  const login = (host: string) =>
    ({ type: "postgres", connection: { host, database: "d", user: "u", password: "p" } }) as const;
  const ip = [{ type: "ip", name: "i" }] as const;
  const body = [{ type: "body", name: "b" }] as const;
  const made = await repository.createSink({ ...SINK, target: login("one"), columns: ip }, BY, never);
  assert.ok(made.kind === "created");
  keys.sealWith(TestKeys.key(2));
  const changed = await repository.changeSink(
    SINK,
    { kind: "update", columns: body, target: login("two") },
    BY,
    never,
  );
  assert.ok(changed.kind === "changed");
  await mirror.waitForRevision(changed.revision, never);
  const sink = mirror.sink(SINK)!;
  assert.deepEqual([sink.version.number, sink.table.mapping.columns], [2, body]);
  assert.equal(mirror.seen.revision, mirror.revision, "doors map by it: they need no password");
  const asked = (): Promise<unknown> => mirror.settings(SINK, targetOf(sink), never);
  await assert.rejects(asked(), { code: "UNAVAILABLE", message: /which is closed: denied for now/ });
  keys.open(TestKeys.key(2));
  assert.deepEqual(await asked(), login("two"));
  await w.end();
});
