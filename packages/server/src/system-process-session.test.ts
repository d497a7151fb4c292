import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { prefixRange } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { Health } from "./health.ts";
import { Lifecycle } from "./lifecycle.ts";
import { SETTINGS } from "./settings.ts";
import { startProcessSession } from "./system-process-session.ts";

const config = { "distribution.ttl": SETTINGS["distribution.ttl"].kind.parse("5s") };

async function world() {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const coordination = await openMemoryStore(clock, seededRandom("session"));
  const start = async (dataDirectory: string) => {
    const health = new Health();
    const lifecycle = new Lifecycle(silentLogger);
    const random = seededRandom(dataDirectory);
    const onFatal = (error: unknown): void => assert.fail(String(error));
    const ports = { coordination, clock, random, logger: silentLogger, health, dataDirectory, onFatal };
    const session = await startProcessSession(lifecycle, { ...ports, config }, never);
    const group = await session.join("storage-reader", never);
    await agenda.advance(1000);
    return { session, group, health, stop: () => lifecycle.stop(never) };
  };
  const keys = async (): Promise<string[]> => {
    const { kvs } = await coordination.range(prefixRange("stream/runtime/"), never);
    return kvs.map(({ key }) => key.replace(/[0-9a-f]{32}$/, "ID"));
  };
  return { agenda, coordination, start, keys };
}

const directories: string[] = [];

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), "millrace-session-"));
  directories.push(made);
  return made;
}

after(() => {
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});

test("process session: two processes share the work of a component; one stops, the other has all of it", async () => {
  const w = await world();
  const [one, two] = [await w.start(directory()), await w.start(directory())];
  const work = Array.from({ length: 40 }, (_, i) => `work-${i}`);
  for (const key of work) assert.notEqual(one.group.owns(key), two.group.owns(key));
  await one.stop();
  await w.agenda.advance(1000);
  assert.ok(work.every((key) => two.group.owns(key) && !one.group.owns(key)));
  const places = ["group/storage-reader/nodes/ID", "node/ID"];
  assert.deepEqual(
    await w.keys(),
    places.map((place) => `stream/runtime/distribution/${place}`),
  );
  await two.stop();
  assert.deepEqual(await w.keys(), []);
});

test("process session: a process was killed, its next life -> does not wait for the old lease", async () => {
  const w = await world();
  const data = directory();
  const first = await w.start(data);
  const { lease } = first.session.leases;
  const next = await w.start(data); // within a second
  assert.notEqual(next.session.leases.lease, lease);
  assert.ok(next.group.owns("work"));
  assert.deepEqual(next.health.degradations(), []);
});

test("process session: its lease is lost -> not fatal, it says so and has another one soon", async () => {
  const w = await world();
  const one = await w.start(directory());
  await w.coordination.revokeLease(one.session.leases.lease!, never);
  await w.agenda.advance(300);
  assert.equal(one.group.owns("work"), false);
  await w.agenda.advance(5000);
  assert.ok(one.group.owns("work"));
  assert.deepEqual([one.health.reasons(), one.health.degradations()], [[], []]);
});
