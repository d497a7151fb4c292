// Real processes: hostile programs end theirs and nothing else, and a process that is killed loses nothing.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { MetricsRegistry, silentLogger, systemClock } from "@millrace/base";

import type { EvaluationJob, ProgramResult } from "./evaluator.ts";
import { Evaluators } from "./evaluators.ts";
import { EVALUATION_LIMITS } from "./limits.ts";
import { launchEvaluator } from "./system-evaluator.ts";

let evaluators: Evaluators;
let pids: number[];
beforeEach(() => {
  pids = [];
  const launch: typeof launchEvaluator = (events) => {
    const launched = launchEvaluator(events);
    if (launched.pid !== undefined) pids.push(launched.pid);
    return launched;
  };
  const ports = { launch, clock: systemClock, logger: silentLogger, metrics: new MetricsRegistry() };
  evaluators = new Evaluators(ports, 1);
});
afterEach(() => evaluators.close());

async function evaluate(
  program: string,
  bodies: readonly unknown[],
  source = "s",
): Promise<readonly ProgramResult[]> {
  const records = bodies.map((body) => ({ atMs: 0, ip: "", body: JSON.stringify(body) }));
  const { steps } = EVALUATION_LIMITS;
  const job: EvaluationJob = { source, programs: [program], steps, records, isOver: () => false };
  return (await evaluators.evaluate(job)).map(([result]) => result!);
}

describe("hostile programs", () => {
  const programs: readonly (readonly [what: string, program: string, body?: unknown])[] = [
    ["a regular expression that goes back and forth", "$match(s, /^(a+)+$/)", { s: `${"a".repeat(40)}!` }],
    ["a text of half a gigabyte", "$pad('x', 500000000)"],
    [
      "a text that is doubled, and then looked at",
      "($f := function($s, $n) { $n = 0 ? $s : $f($s & $s, $n - 1) }; $uppercase($f('x', 28)))",
    ],
    ["texts that are all kept", "$map([1..10000], function() { $string([1..90000]) })"],
  ];
  for (const [what, program, body = {}] of programs) {
    test(`${what} -> its record fails, records beside it do not`, async () => {
      const good = evaluate("a", [{ a: 1 }, { a: 2 }], "other");
      const bad = evaluate(program, [body]);
      const after = evaluate("a + 1", [{ a: 1 }]);
      const [result] = await bad;
      assert.ok(result?.kind === "failed", JSON.stringify(result).slice(0, 200));
      assert.match(
        result.reason,
        /500 ms of a processor, or more than 128 MiB of memory|more than 50000 steps/,
      );
      assert.deepEqual(await good, [
        { kind: "value", json: "1" },
        { kind: "value", json: "2" },
      ]);
      assert.deepEqual(await after, [{ kind: "value", json: "2" }]);
      assert.deepEqual(await evaluate("a", [{ a: 3 }]), [{ kind: "value", json: "3" }]);
    });
  }
});

test("a process that is killed among its questions -> every record has its value", async () => {
  await evaluate("a", [{ a: 0 }]);
  const bodies = Array.from({ length: 3000 }, (_, a) => ({ a }));
  const all = evaluate("a", bodies);
  process.kill(pids[0]!, "SIGKILL");
  const results = await all;
  assert.deepEqual(
    results,
    bodies.map(({ a }) => ({ kind: "value", json: String(a) })),
  );
  assert.ok(pids.length > 1);
});

test("close -> no process is left", async () => {
  await evaluate("a", [{ a: 0 }]);
  await evaluators.close();
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});
