// Whole clusters: many seeds, determinism, and the controls that show that the judges see what they should.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterTotals } from "./cluster-totals.ts";
import { NO_CLUSTER_CONTROLS, type ClusterControls } from "./cluster-options.ts";
import { ClusterFailure, runCluster } from "./run-cluster.ts";

const SEEDS = 20;
const CONTROL_SEEDS = 60;

test(`${SEEDS} seeds -> no promise is broken, and the faults came`, async () => {
  const totals = new ClusterTotals();
  for (let seed = 0; seed < SEEDS; seed++) totals.add(await runCluster(String(seed)));
  const { acknowledged, tally } = totals.json();
  assert.ok(Number(acknowledged) > 5000, `${String(acknowledged)} appends`);
  const came = new Set(Object.keys(tally as object));
  for (const fault of [
    "killed",
    "power cut",
    "blackout",
    "paused",
    "link cut",
    "isolated",
    "slow link",
    "clock set",
    "etcd has no leader",
    "compacted",
    "store away",
    "disk full",
    "sync failed",
    "slow disk",
    "stopped",
    "rolling restart",
    "replication changed",
    "disk lost",
    "torn object",
    "suspend SUSPENDED",
  ]) {
    assert.ok(came.has(fault), `${fault} came; there were ${[...came].join()}`);
  }
});

test("a seed run twice -> the same trace; another seed, another trace", async () => {
  const [first, again, other] = [
    await runCluster("twice"),
    await runCluster("twice"),
    await runCluster("other"),
  ];
  assert.deepEqual(again, first);
  assert.notEqual(other.trace, first.trace);
});

/**
 * The first failure of a kind among some seeds: without its rule a cluster may also just hang.
 * @param told what a broker said before any other failure that counts, too
 */
async function firstFailure(
  control: keyof ClusterControls,
  kinds: readonly string[],
  told?: RegExp,
): Promise<string> {
  const wanted = new RegExp(kinds.join("|"));
  const isTold = (line: string): boolean => told?.test(line) === true;
  for (let seed = 0; seed < CONTROL_SEEDS; seed++) {
    const failure = await runCluster(String(seed), { ...NO_CLUSTER_CONTROLS, [control]: true }).catch(
      (error: unknown) => error,
    );
    if (!(failure instanceof ClusterFailure)) continue;
    if (wanted.test(failure.message) || failure.newest.some(isTold)) return failure.message;
  }
  return "none";
}

/** What a loss looks like: to readers, to writers, or to a broker that is asked for what it should have. */
const LOST = [
  "every later read",
  "no offset has two contents",
  "stands behind what was acknowledged",
  "a journal has no hole",
  "reading .* takes longer",
  "a holder has what is acknowledged",
  "register was as it expected",
  "refused only where its register was another",
  "equal replicas of .* takes longer",
];

/** Recovery sees what its log says that it had synced: a broker ends before any judge could ask it. */
const FOUND_BROKEN = /ended itself CORRUPT .*(?:log|spools)/;

test("negative control: disks that ignore syncs -> a loss is found, by recovery or by the judges", async () => {
  assert.notEqual(await firstFailure("withoutSync", LOST, FOUND_BROKEN), "none");
});

test("negative control: a primary goes on when it is replaced -> a loss is found", async () => {
  assert.notEqual(await firstFailure("withoutRouteCheck", LOST), "none");
});

test("negative control: a primary does not wait for its last replica -> a loss is found", async () => {
  assert.notEqual(await firstFailure("withoutLastReplica", LOST), "none");
});

test("negative control: recovered bytes that nobody judges -> a loss is found", async () => {
  assert.notEqual(await firstFailure("withoutJudging", LOST), "none");
});
