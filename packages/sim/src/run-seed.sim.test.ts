// Whole runs: a few seeds, determinism, and the controls that show that the judges see what they should.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_CONTROLS, type Controls } from "./options.ts";
import { runSeed, SimulationFailure } from "./run-seed.ts";
import { Totals } from "./totals.ts";

const SEEDS = 20;

test(`${SEEDS} seeds -> no promise is broken, and the faults came`, async () => {
  const totals = new Totals();
  for (let seed = 0; seed < SEEDS; seed++) totals.add(await runSeed(String(seed)));
  const { acknowledgedRecords, acknowledgedAppends, tally } = totals.json();
  assert.ok(Number(acknowledgedRecords) > 2000 && Number(acknowledgedAppends) > 500);
  const came = new Set(Object.keys(tally as object));
  for (const fault of [
    "killed",
    "power cut",
    "closed",
    "recovery cut",
    "sync failed",
    "rot",
    "spool rot",
    "rot refused",
    "disk full",
    "paused",
  ]) {
    assert.ok(came.has(fault), `${fault} came; there were ${[...came].join()}`);
  }
});

test("a seed run twice -> the same trace; another seed, another trace", async () => {
  const [first, again, other] = [await runSeed("twice"), await runSeed("twice"), await runSeed("other")];
  assert.deepEqual(again, first);
  assert.notEqual(other.trace, first.trace);
});

/** The first failure among some seeds. */
async function firstFailure(controls: Partial<Controls>): Promise<string> {
  for (let seed = 0; seed < SEEDS; seed++) {
    const failure = await runSeed(String(seed), { ...NO_CONTROLS, ...controls }).catch(
      (error: unknown) => error,
    );
    if (failure instanceof SimulationFailure) return failure.message;
  }
  return "none";
}

test("negative control: a disk that ignores syncs -> something acknowledged is found missing", async () => {
  const lost = [
    "an acknowledged",
    "what was read once stays",
    "acknowledged bytes",
    "had been synced",
    "checkpoint is (not )?readable",
    "this is not the header of snapshot",
    "open coordination/snapshot-[0-9a-f]+: no such file",
  ];
  assert.match(await firstFailure({ withoutSync: true }), new RegExp(lost.join("|")));
});

test("negative control: spools that give out what their files have -> rotten bytes are found", async () => {
  assert.match(await firstFailure({ withoutReadChecks: true }), /an offset has two contents/);
});

test("negative control: a target without loaded ends -> a doubled row is found", async () => {
  assert.match(await firstFailure({ withoutLoadedEnd: true }), /a record is at most one row/);
});

test("negative control: repeated frames with new identities -> a doubled row is found", async () => {
  assert.match(await firstFailure({ withoutSequences: true }), /a record is at most one row/);
});
