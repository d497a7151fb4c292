// Staged objects against the slices as the platform itself writes them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8 } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { SLICES_PREFIX } from "@millrace/ingest";
import { storedSlice } from "@millrace/ingest/testkit";
import { keyOf } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { memoryStore } from "@millrace/stores/testkit";
import { crc32c } from "@millrace/wal";
import { CheckNotes } from "./doctor-report.ts";
import { examineStaging } from "./doctor-staging.ts";

test("doctor's staging: whole, gone and foreign objects, an unreadable slice -> each as it is", async () => {
  const clock = new SimulatedClock(new Agenda());
  const coordination = await openMemoryStore(clock, seededRandom("store"));
  const staging = memoryStore({ clock, random: seededRandom("staging") });
  const object = (path: string) => {
    const bytes = utf8(`rows of ${path}`);
    return { path, sinkVersion: 1, rows: 1, bytes: bytes.length, crc32c: crc32c(bytes) };
  };
  const slices = [
    storedSlice("uploaded", { begin: 0, objects: [object("whole")] }),
    storedSlice("uploaded", { begin: 100, end: 200, objects: [object("gone")] }),
    storedSlice("imported", { begin: 200, end: 300, objects: [object("done")] }),
    storedSlice("writing", { begin: 300 }),
  ];
  const values: [string, string][] = slices.map(({ key, value }) => [key, JSON.stringify(value)]);
  for (const [key, value] of [...values, [`${SLICES_PREFIX}rotten`, "{"] as const]) {
    const put = { kind: "put", key: keyOf(key), value: utf8(value) } as const;
    await coordination.txn({ compare: [], success: [put] }, never);
  }
  for (const path of ["whole", "foreign"]) staging.set(path, utf8(`rows of ${path}`));
  const notes = new CheckNotes("staging", ["objects", "bytes", "slices", "waiting", "leftovers"]);
  await examineStaging(coordination, staging, notes, never);
  const { counts, problems, verdict } = notes.finish("");
  assert.deepEqual(counts, { objects: 2, bytes: 28, slices: 5, waiting: 2, leftovers: 1 });
  assert.equal(verdict, "bad");
  const said = problems.map((problem) => `${problem.verdict} ${problem.message}`);
  assert.equal(said.length, 3);
  assert.match(said[0]!, /^warn gone: .*; slice stream\/storage\/slice\/all\/.* will be staged again/);
  assert.match(said[1]!, /^bad stream\/storage\/slice\/all\/rotten/);
  assert.match(said[2]!, /^warn foreign: 15 bytes that no slice names/);
});
