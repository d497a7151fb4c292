// Programs with numbers that are far too large, in a thread that has little memory: whatever they would make, they end
// within their bounds, or the thread dies and the test with it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import fc from "fast-check";

import { compile, JsonnetError, type Json } from "./index.ts";
import { randomProgram } from "./random-programs.ts";

/** Four times the bytes that one evaluation may make, and what the thread itself needs. */
const MEMORY_MB = 96;
const RUNS = 200;

const KNOWN = ["language", "std"].flatMap((name) =>
  readFileSync(new URL(`../src/${name}.golden.txt`, import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("  ") && !line.startsWith("# ")),
);

const HUGE = ["1e9", "1e15", "4294967296", "99999999", "-1e9", "1e308", "100000", "65536"];
/** In the place of a text: long before anything is done with it. */
const LONG = ["std.repeat('x', 1e6)", "std.repeat('é', 3e5)", "std.repeat('%s', 1e5)"];
const WRAPS = [
  (text: string) => text,
  (text: string) => `local big = ${text}; [big for x in std.range(1, 1e5)]`,
  (text: string) => `local big = ${text}; std.manifestJson([big, big, big, big, big, big])`,
  (text: string) => `local f(n) = [${text}, f(n + 1)]; f(0)`,
  (text: string) => `std.foldl(function(a, b) a + a, std.range(1, 64), std.toString(${text}))`,
  (text: string) => `std.foldl(function(a, b) [a, a], std.range(1, 64), ${text})`,
  (text: string) => `std.format('%099999999d', 1) + std.toString(${text})`,
];

const hostile = fc
  .tuple(
    fc.oneof(fc.constantFrom(...KNOWN), fc.integer().map(randomProgram)),
    fc.array(fc.tuple(fc.nat(), fc.constantFrom(...HUGE)), { maxLength: 3 }),
    fc.option(fc.tuple(fc.nat(), fc.constantFrom(...LONG))),
    fc.constantFrom(...WRAPS),
  )
  .map(([program, numbers, text, wrap]) => {
    let made = program;
    for (const [at, number] of numbers) made = replaceOne(made, /\b\d+(?:\.\d+)?\b/g, at, number);
    if (text !== null) made = replaceOne(made, /'[^'\\]*'|"[^"\\]*"(?!\s*:)/g, ...text);
    return wrap(made);
  });

/** Puts `by` in the place of one of the matches. */
function replaceOne(text: string, pattern: RegExp, at: number, by: string): string {
  const matches = [...text.matchAll(pattern)];
  const match = matches[at % Math.max(1, matches.length)];
  if (match === undefined) return text;
  return text.slice(0, match.index) + by + text.slice(match.index + match[0].length);
}

/** @returns programs that gave a value */
function runAll(seed: number): number {
  let values = 0;
  fc.assert(
    fc.property(hostile, (text) => {
      try {
        const value: Json = compile(text).evaluate(undefined);
        if (value !== undefined) values++;
      } catch (error) {
        assert.ok(error instanceof JsonnetError, `${text}\n${String(error)}`);
      }
    }),
    { numRuns: RUNS, seed, endOnFailure: true },
  );
  return values;
}

if (!isMainThread) {
  // oxlint-disable-next-line require-post-message-target-origin -- a thread's port, no window's
  parentPort?.postMessage(runAll(workerData as number));
} else {
  test("programs with huge numbers and long texts -> values or errors, in little memory", async () => {
    const seed = fc.sample(fc.integer(), { numRuns: 1 })[0]!;
    const resourceLimits = { maxOldGenerationSizeMb: MEMORY_MB, maxYoungGenerationSizeMb: 32 };
    const worker = new Worker(new URL(import.meta.url), { resourceLimits, workerData: seed });
    const outcome = new Promise<number>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    try {
      const values = await outcome.catch((error: unknown) => assert.fail(`seed ${seed}: ${String(error)}`));
      assert.ok(values > 3, `${values} of ${RUNS} programs give a value`);
    } finally {
      await worker.terminate();
    }
  });
}
