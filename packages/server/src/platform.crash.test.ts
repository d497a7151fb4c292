// The promise that everything else serves, on the real thing: a platform under load is killed at random moments and
// started again on the same directory, and the senders' own books are compared with its tables and journals. What was
// acknowledged is there exactly once and in order; what was never sent is not.
//
// The seed of a run is printed; MILLRACE_CRASH_SEED repeats its choices (not its timing), MILLRACE_CRASH_ROUNDS makes
// it longer.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemRandom, type Random } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { ask } from "./test-http.ts";
import { JournalLedger } from "./test-journal-ledger.ts";
import { Load, type LoadOptions } from "./test-load.ts";
import { isAlive, scratch, TestPlatform, until } from "./test-platform.ts";
import { RecordLedger } from "./test-record-ledger.ts";
import { RECORD_COLUMNS, storedRecords } from "./test-record-rows.ts";
import { atDoor, createStream, headOf, persistEverything, waitForLoaded } from "./test-streams.ts";

const ROUNDS = Number(process.env["MILLRACE_CRASH_ROUNDS"] ?? 22);
const SEED = process.env["MILLRACE_CRASH_SEED"] ?? String(systemRandom.u32());
const CONNECTIONS = 8;
/** Long enough for slices, loads and rolled fragments of every kind to be under way. */
const LOAD_MS_MAX = 2000;
const START_MS_MAX = 1500;
const STOP_MS_MAX = 600;
/** Fragments roll all the time. */
const FLAGS = ["--journal.length", "64KiB"];
/** Drawn for each life: the smallest ones recycle the log and make a checkpoint every few MiB. */
const LIFE_FLAGS: readonly (readonly [flag: string, values: readonly string[]])[] = [
  ["--broker.segment-size", ["1MiB", "1MiB", "2MiB", "16MiB"]],
  ["--broker.memory", ["1MiB", "4MiB", "64MiB"]],
];
const TABLE = "main.crash";

/** How a life ends. */
type Death = "group" | "pid" | "starting" | "stopping" | "warehouse first";

class CrashRun {
  readonly data = scratch();
  readonly random: Random = seededRandom(SEED);
  readonly records = new RecordLedger(SEED, CONNECTIONS);
  readonly journals = [
    new JournalLedger(SEED, "examples/crash/one"),
    new JournalLedger(SEED, "examples/crash/two"),
  ];
  readonly #flags: readonly string[];
  readonly deaths: Record<Death, number> = {
    group: 0,
    pid: 0,
    starting: 0,
    stopping: 0,
    "warehouse first": 0,
  };
  readonly readyMs: number[] = [];
  sourceUrl = "";
  lives = 0;
  answers = 0;

  constructor() {
    const codecs = ["NONE", "GZIP", "ZSTANDARD", "SNAPPY"];
    this.#flags = [...FLAGS, "--journal.codec", codecs[this.random.below(codecs.length)]!];
  }

  /** Those of the run, and what is drawn for the next life. */
  flags(): readonly string[] {
    const drawn = LIFE_FLAGS.flatMap(([flag, values]) => [flag, values[this.random.below(values.length)]!]);
    return [...this.#flags, ...drawn];
  }

  /** Starts the next life at once: nothing of the last one may keep it waiting. */
  async start(): Promise<TestPlatform> {
    const beganMs = performance.now();
    const platform = await TestPlatform.start(this.data, this.flags());
    this.readyMs.push(performance.now() - beganMs);
    this.lives++;
    return platform;
  }

  load(platform: TestPlatform): Load {
    return new Load(this.loadOptions(platform), this.records, this.journals);
  }

  loadOptions({ endpoints }: TestPlatform): LoadOptions {
    return {
      sourceUrl: atDoor(endpoints, this.sourceUrl),
      brokerUrl: endpoints.broker,
      connections: CONNECTIONS,
      seed: `${SEED}/life ${this.lives}`,
    };
  }

  async prepare(platform: TestPlatform): Promise<void> {
    this.sourceUrl = await createStream(platform.endpoints, "crash", RECORD_COLUMNS);
  }

  /** Compares journals and table with the books. @param isComplete after waiting for every load */
  async check(platform: TestPlatform, isComplete: boolean): Promise<void> {
    const { endpoints } = platform;
    for (const ledger of this.journals) {
      if (ledger.acknowledged === 0) continue;
      const answer = await ask(`${endpoints.broker}/${ledger.journal}`);
      assert.equal(answer.status, 206, answer.text.slice(0, 500));
      assert.match(String(answer.headers["content-range"]), /^bytes 0-/, ledger.journal);
      assert.equal(answer.trailers["x-close-error"], "OFFSET_NOT_YET_AVAILABLE");
      assert.deepEqual(ledger.violations(answer.bytes), []);
      assert.equal(await headOf(endpoints, ledger.journal), answer.bytes.length);
    }
    if (isComplete) await waitForLoaded(endpoints, TABLE);
    const rows = await storedRecords(endpoints, TABLE);
    assert.deepEqual(this.records.violations(rows, isComplete), [], `life ${this.lives}`);
  }

  describe(): string {
    const { sent, acknowledged, unknown, refused } = this.records.counts();
    const appends = this.journals.reduce((sum, { acknowledged: some }) => sum + some, 0);
    const sorted = [...this.readyMs].sort((a, b) => a - b);
    return (
      `seed ${SEED}: ${JSON.stringify(this.deaths)} deaths, ${this.lives} lives, ${this.answers} answers; records ` +
      `${sent} sent, ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused; ${appends} raw appends; ` +
      `ready after ${Math.round(sorted[sorted.length >> 1]!)} ms (median), ${Math.round(sorted.at(-1)!)} ms (most)`
    );
  }
}

/** Ends a life in the way that was drawn. */
async function die(run: CrashRun, platform: TestPlatform, death: Death): Promise<void> {
  switch (death) {
    case "warehouse first": {
      const [warehouse] = platform.children();
      assert.ok(warehouse !== undefined, "the warehouse is a child");
      process.kill(warehouse, "SIGKILL");
      await sleep(run.random.below(700));
      return platform.killGroup();
    }
    case "stopping": {
      process.kill(platform.pid, "SIGTERM");
      await Promise.race([platform.exited, sleep(run.random.below(STOP_MS_MAX))]);
      // It may have stopped in good order by now.
      if (platform.exit !== undefined)
        assert.deepEqual(platform.exit, { code: 0, signal: null }, platform.stderr);
      return platform.killGroup();
    }
    case "pid":
      assert.ok(platform.children().length > 0, "the warehouse is a child");
      return platform.killPid();
    case "group":
    case "starting":
      return platform.killGroup();
  }
}

async function killedUnderLoad(run: CrashRun, platform: TestPlatform, death: Death): Promise<void> {
  run.deaths[death]++;
  const load = run.load(platform);
  await until("somebody was answered", 20_000, () => load.answers > 0);
  await sleep(run.random.below(LOAD_MS_MAX));
  const children = platform.children();
  await die(run, platform, death);
  await load.stop();
  run.answers += load.answers;
  if (death !== "pid") return;
  // The next life starts beside what is still ending; then nobody is left.
  const next = await run.start();
  await until("the warehouse has ended with its parent", 5000, () => !children.some(isAlive));
  await run.check(next, false);
  await next.killGroup();
}

/** Killed before it was ready, as often as it takes to come across every part of starting. */
async function killedWhileStarting(run: CrashRun): Promise<void> {
  run.deaths.starting++;
  const platform = TestPlatform.launch(run.data, run.flags());
  await Promise.race([platform.exited, sleep(run.random.below(START_MS_MAX))]);
  assert.equal(platform.exit, undefined, platform.stderr.slice(-5000));
  await platform.killGroup();
}

/**
 * Everything persisted, then two restarts without a record in between: the second one finds no local bytes of any
 * journal, and must still know each head (D1).
 */
async function restartedInOrder(
  run: CrashRun,
  platform: TestPlatform,
  to: "pid" | "group",
): Promise<TestPlatform> {
  const fill = () => Load.fill(run.loadOptions(platform), run.records, run.journals, 4096);
  await persistEverything(platform.endpoints, fill);
  await platform.stop(to);
  const second = await run.start();
  await run.check(second, true);
  await second.stop(to);
  return run.start();
}

function drawDeath(random: Random): Death {
  return (["group", "group", "group", "pid", "stopping", "warehouse first"] as const)[random.below(6)]!;
}

test("platform: killed at random moments under load -> what was acknowledged is there once, in order", async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const run = new CrashRun();
  let platform = await run.start();
  await run.prepare(platform);
  for (let round = 1; round <= ROUNDS; round++) {
    await killedUnderLoad(run, platform, drawDeath(run.random));
    if (round % 4 === 0) await killedWhileStarting(run);
    platform = await run.start();
    await run.check(platform, round % 5 === 0);
    if (round === ROUNDS >> 1) platform = await restartedInOrder(run, platform, "group");
  }
  platform = await restartedInOrder(run, platform, "pid");
  await stoppedUnderLoad(t, run, platform);
});

/** SIGTERM under load: what was answered with 200 is there, and the exit status says that all is well. */
async function stoppedUnderLoad(t: TestContext, run: CrashRun, platform: TestPlatform): Promise<void> {
  const load = run.load(platform);
  await until("the load is under way", 20_000, () => load.answers > 500);
  await platform.stop("group");
  await load.stop();
  run.answers += load.answers;
  const last = await run.start();
  await run.check(last, true);
  await last.stop();
  t.diagnostic(run.describe());
}
