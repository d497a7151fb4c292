import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, type Logger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { LeasedKeys } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { DoorSync, publishSeen, type SeenDefinitions } from "./door-sync.ts";

/** A door that has seen what a test says. */
class TestDoor implements SeenDefinitions {
  revision = 10;
  readonly #listeners = new Set<() => void>();

  observeRevision(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  see(revision: number): void {
    this.revision = revision;
    for (const listener of this.#listeners) listener();
  }
}

async function world() {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = await openMemoryStore(clock, seededRandom("doors"));
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (event) => void warnings.push(event) };
  const sync = new DoorSync({ store, clock, logger });
  await sync.load(never);
  sync.run(never).catch(() => undefined);
  const door = async (nodeId: string) => {
    const leases = new LeasedKeys({ store, clock, logger: silentLogger, ttlSeconds: 5 });
    const stopping = new AbortController();
    leases.run(stopping.signal).catch(() => undefined);
    const door = new TestDoor();
    const end = publishSeen(door, { leases, nodeId, clock });
    await agenda.advance(100);
    return { door, leases, end, stop: () => stopping.abort(new Error("stopped")) };
  };
  /** Starts to wait; `outcome()` is undefined until it is over. */
  const wait = (revision: number): (() => boolean | undefined) => {
    let outcome: boolean | undefined;
    void sync.wait(revision, never).then((is) => (outcome = is));
    return () => outcome;
  };
  return { agenda, store, sync, warnings, door, wait };
}

test("doors: none -> nothing to wait for", async () => {
  const w = await world();
  assert.equal(await w.sync.wait(1_000_000, never), true);
});

test("doors: all have to see a change; puts are few though changes are many", async () => {
  const w = await world();
  const [one, two] = [await w.door("one"), await w.door("two")];
  const outcome = w.wait(20);
  one.door.see(20);
  await w.agenda.advance(1000);
  assert.equal(outcome(), undefined);
  const before = w.store.header.revision;
  for (let revision = 11; revision <= 25; revision++) two.door.see(revision);
  await w.agenda.advance(100);
  assert.equal(outcome(), true);
  assert.equal(w.store.header.revision - before, 1);
  assert.deepEqual(w.warnings, []);
});

test("doors: one stops -> it is not waited for", async () => {
  const w = await world();
  const [one, two] = [await w.door("one"), await w.door("two")];
  one.door.see(20);
  const outcome = w.wait(20);
  await w.agenda.advance(100);
  assert.equal(outcome(), undefined);
  two.end();
  await w.agenda.advance(100);
  assert.equal(outcome(), true);
});

test("doors: one dies -> it is not waited for once its lease has ended", async () => {
  const w = await world();
  const one = await w.door("one");
  await w.store.revokeLease(one.leases.lease!, never);
  one.stop();
  const outcome = w.wait(20);
  await w.agenda.advance(100);
  assert.equal(outcome(), true);
});

test("doors: one is cut off -> the change goes on after a while, and says so", async () => {
  const w = await world();
  await w.door("one");
  const outcome = w.wait(20);
  await w.agenda.advance(4900);
  assert.equal(outcome(), undefined);
  await w.agenda.advance(200);
  assert.deepEqual([outcome(), w.warnings], [false, ["doors-late"]]);
});

test("doors: whoever waits gives up -> that is its own reason", async () => {
  const w = await world();
  await w.door("one");
  const gone = new AbortController();
  const waiting = w.sync.wait(20, gone.signal);
  gone.abort(new Error("gone"));
  await assert.rejects(waiting, /gone/);
});
