// Attempts at a store whose objects show before they are durable, as a directory does before its sync.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, utf8 } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { contentPath, type Fragment } from "@millrace/protocol";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { inlineCodecs } from "./codec.ts";
import type { AttemptState } from "./persister-attempt.ts";
import { MemorySpool } from "./persister-testkit.ts";
import { runAttempt } from "./persister-upload.ts";

interface World {
  readonly store: MemoryStore;
  readonly path: string;
  attempt(): Promise<AttemptState>;
  readonly agenda: Agenda;
  /** Of the operations since the last call. */
  operations(): string[];
}

function world(content = "content", isHurried = true): World {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = memoryStore({ clock, random: seededRandom("store") });
  const spool = new MemorySpool(() => 0);
  spool.append(utf8(content));
  spool.roll();
  const [local] = spool.fragments();
  const range = { begin: local!.begin, end: local!.end, sum: local!.sum() };
  const where = { journal: "a/journal", pathPostfix: "", backingStore: store.url, modTime: 0 };
  const fragment: Fragment = { ...where, ...range, compressionCodec: "NONE" };
  const ports = { stores: { open: () => store }, codecs: inlineCodecs, clock, logger: silentLogger };
  const upload = { fragment, source: spool, readBack: true, isHurried: () => isHurried, stallMs: 1000 };
  return {
    store,
    path: contentPath(fragment),
    attempt: () => runAttempt(ports, upload, never),
    agenda,
    operations: () => store.operations.splice(0).map(({ operation }) => operation),
  };
}

/** The put of the next attempt shows the object and fails. */
async function failSync(w: World): Promise<void> {
  w.store.script = (operation) => (operation === "put" ? "unsynced" : "none");
  assert.equal((await w.attempt()).kind, "failed");
  w.store.script = undefined;
  assert.deepEqual(w.store.keys(), [w.path]);
  assert.deepEqual(w.operations(), ["head", "put"]);
}

test("D18: an object that was put and could not be synced -> read back, synced, then confirmed", async () => {
  const w = world();
  await failSync(w);
  assert.equal((await w.attempt()).kind, "confirmed");
  assert.deepEqual(w.operations(), ["head", "get", "sync"]);
  assert.equal(w.store.crash(), 0, "power loss takes nothing");
});

test("D18: one that still cannot be synced -> written again, then confirmed", async () => {
  const w = world();
  await failSync(w);
  w.store.script = (operation) => (operation === "sync" ? "unavailable" : "none");
  assert.equal((await w.attempt()).kind, "confirmed");
  assert.deepEqual(w.operations(), ["head", "get", "sync", "put", "head"]);
  assert.equal(w.store.crash(), 0, "power loss takes nothing");
});

test("a large fragment -> leaves the cores to others between its chunks; in a hurry it does not", async () => {
  const content = "x".repeat(3 * 256 * 1024);
  const calm = world(content, false);
  let ended: AttemptState | undefined;
  const attempt = calm.attempt().then((state) => (ended = state));
  await calm.agenda.advance(9);
  assert.equal(ended, undefined);
  await calm.agenda.advance(2);
  await attempt;
  assert.equal(ended!.kind, "confirmed");
  const hurried = world(content, true);
  assert.equal((await hurried.attempt()).kind, "confirmed");
  assert.equal(hurried.agenda.nowMs, 0);
});
