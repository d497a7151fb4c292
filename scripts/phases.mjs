// The phases of `npm test`, in the order they run. A phase answers with counts: every test, and every check of
// the static phase, is one.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runChild } from "./children.mjs";
import { ROOT } from "./install.mjs";
import { installNode24 } from "./node24.mjs";

/**
 * @typedef {import("./test-reporter.mjs").TestRecord} TestRecord
 * @typedef {"unit" | "sim" | "e2e" | "crash" | "interop" | "browser"} TestKind
 * @typedef {{ filter: string | undefined }} PhaseInput `filter`: only test files whose path contains it
 * @typedef {object} Phase
 * @property {string} name
 * @property {string} what one line for `npm test -- --help`
 * @property {(input: PhaseInput) => Promise<TestRecord[]>} run
 */

const MINUTE_MS = 60_000;

const REPORTER = new URL("./test-reporter.mjs", import.meta.url).href;
const PROPERTY_SEED = new URL("./property-seed.mjs", import.meta.url).href;

/** Kinds of tests that are phases of their own; every other test file is a unit test. */
const KINDS = /** @type {const} */ (["sim", "e2e", "crash", "interop", "browser"]);

/** @type {readonly Phase[]} */
export const PHASES = [
  { name: "static", what: "format, lint, types of the tools, tidy, knip", run: runStatic },
  { name: "unit", what: "unit and property tests, and those of scripts/", run: runUnit },
  { name: "unit-node24", what: "the unit tests again, on Node 24", run: runUnitOnNode24 },
  { name: "sim", what: "simulation: its tests (negative controls among them), many seeds", run: runSim },
  {
    name: "e2e",
    what: "whole processes",
    run: (input) => runKind("e2e", { ...input, limitMs: 35 * MINUTE_MS }),
  },
  { name: "crash", what: "kill -9", run: (input) => runKind("crash", { ...input, limitMs: 25 * MINUTE_MS }) },
  {
    name: "interop",
    what: "real peers: programs of others that speak the same protocols",
    run: (input) => runKind("interop", { ...input, limitMs: 10 * MINUTE_MS }),
  },
  {
    name: "browser",
    what: "the console in headless Chromium",
    run: (input) => runKind("browser", { ...input, limitMs: 6 * MINUTE_MS }),
  },
  { name: "newcomer", what: "README on an empty folder and an empty npm cache", run: runNewcomer },
];

/** What `npm test` runs without options: all but the newcomer, which itself runs `npm test`. */
export const DEFAULT_PHASES = PHASES.map((phase) => phase.name).filter((name) => name !== "newcomer");

const bin = (/** @type {string} */ name) => join(ROOT, "node_modules", ".bin", name);

async function runStatic() {
  return [
    await check("format", bin("prettier"), ["--check", "--log-level", "warn", "."]),
    await check("lint", bin("oxlint"), ["--type-aware", "--deny-warnings"]),
    await check("types of scripts and bench", bin("tsc"), ["-p", "tsconfig.tools.json"]),
    await check("tidy", process.execPath, ["--import", "tsx", "scripts/tidy.ts"]),
    await check("knip", bin("knip"), ["--no-progress", "--no-config-hints"]),
  ];
}

/** @param {PhaseInput} input */
function runUnit({ filter }) {
  return runKind("unit", { filter, limitMs: 12 * MINUTE_MS, concurrency: 2 });
}

/** @param {PhaseInput} input */
async function runUnitOnNode24({ filter }) {
  const found = installNode24();
  if ("unavailable" in found) {
    return [
      { verdict: /** @type {const} */ ("skipped"), name: "unit-node24", file: "", reason: found.unavailable },
    ];
  }
  if ("failed" in found) return [failure("unit-node24", found.failed)];
  return runFiles(testFiles("unit", filter), { limitMs: 12 * MINUTE_MS, node: found.node });
}

/** @param {PhaseInput} input */
async function runSim({ filter }) {
  const records = await runFiles(testFiles("sim", filter), { limitMs: 10 * MINUTE_MS });
  if (filter !== undefined) return records;
  const sim = "packages/sim/dist/main.js";
  if (!existsSync(join(ROOT, sim))) return [...records, failure("seeds", `${sim} does not exist`)];
  records.push(await check("200 seeds", process.execPath, [sim, "--seeds", "200"], 10 * MINUTE_MS));
  const seed = await commitSeed();
  const clusters = [sim, "--cluster", "--from", seed, "--seeds", "50", "--minutes", "4"];
  const name = `4 minutes of clusters, from seed ${seed} (the commit)`;
  records.push(await check(name, process.execPath, clusters, 10 * MINUTE_MS));
  records.push(await repeats(`seed ${seed} (the commit): twice the same trace`, [sim, "--seed", seed]));
  records.push(
    await repeats(`cluster of seed ${seed}: twice the same trace`, [sim, "--cluster", "--seed", seed]),
  );
  return records;
}

/** The first 32 bits of the commit: what is drawn at random is the same at each run of a commit. */
async function commitSeed() {
  const commit = await runChild("git", ["rev-parse", "HEAD"], { timeoutMs: MINUTE_MS, capture: true });
  return String(Number.parseInt(commit.stdout.slice(0, 8), 16) || 1);
}

async function runNewcomer() {
  // What it does is worth seeing as it goes; it all goes to stderr.
  const timeoutMs = 20 * MINUTE_MS;
  const { code, timedOut } = await runChild(process.execPath, ["scripts/newcomer.mjs"], { timeoutMs });
  if (timedOut) return [failure("newcomer", `was ended after ${timeoutMs / 1000} s`)];
  return [code === 0 ? passed("newcomer") : failure("newcomer", "a command of README failed; see above")];
}

/**
 * Compiled tests of the packages, then the tests of scripts/, which are not compiled. One file at a time unless
 * said otherwise: the kinds that start whole processes share two cores with nothing else then.
 * @param {TestKind} kind
 * @param {PhaseInput & { limitMs: number, concurrency?: number }} options
 */
async function runKind(kind, { filter, limitMs, concurrency = 1 }) {
  const own = readdirSync(join(ROOT, "scripts"))
    .map((name) => join("scripts", name))
    .filter((file) => kindOf(file) === kind && (filter === undefined || file.includes(filter)));
  return [
    ...(await runFiles(testFiles(kind, filter), { limitMs, concurrency })),
    ...(await runFiles(own, { limitMs, concurrency, nodeArgs: ["--import", "tsx"] })),
  ];
}

/**
 * Compiled test files of a kind, as paths relative to the root.
 * @param {TestKind} kind
 * @param {string | undefined} filter
 */
export function testFiles(kind, filter, root = ROOT) {
  const files = [];
  for (const name of readdirSync(join(root, "packages")).sort()) {
    const dist = join("packages", name, "dist");
    if (!existsSync(join(root, dist))) continue;
    for (const entry of readdirSync(join(root, dist), { recursive: true, encoding: "utf8" }).sort()) {
      if (kindOf(entry) === kind) files.push(join(dist, entry));
    }
  }
  return files.filter((file) => filter === undefined || file.includes(filter));
}

/**
 * @param {string} file
 * @returns {TestKind | undefined} undefined: not a test file
 */
export function kindOf(file) {
  if (!/\.test\.[jt]s$/.test(file)) return undefined;
  return KINDS.find((kind) => file.slice(0, -3).endsWith(`.${kind}.test`)) ?? "unit";
}

/**
 * Runs test files with node:test and returns one record per test.
 * @param {string[]} files
 * @param {{ limitMs: number, node?: string, nodeArgs?: string[], concurrency?: number }} options
 * @returns {Promise<TestRecord[]>}
 */
async function runFiles(files, { limitMs, node = process.execPath, nodeArgs = [], concurrency = 2 }) {
  if (files.length === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), "millrace-test-"));
  const recordsFile = join(folder, "records.ndjson");
  writeFileSync(recordsFile, "");
  try {
    const args = [
      ...nodeArgs,
      "--import",
      PROPERTY_SEED,
      "--enable-source-maps",
      "--test",
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${limitMs}`,
      `--test-reporter=${REPORTER}`,
      "--test-reporter-destination=stdout",
      ...files,
    ];
    const seed = process.env.MILLRACE_TEST_SEED ?? (await commitSeed());
    const env = { ...process.env, MILLRACE_TEST_RECORDS: recordsFile, MILLRACE_TEST_SEED: seed };
    const { code, timedOut } = await runChild(node, args, { env, timeoutMs: limitMs });
    const lines = readFileSync(recordsFile, "utf8").split("\n").slice(0, -1);
    const records = lines.map((line) => /** @type {TestRecord} */ (JSON.parse(line)));
    if (timedOut) records.push(failure("(the phase)", `was ended after ${limitMs / 1000} s`));
    else if (code !== 0 && !records.some((record) => record.verdict === "failed")) {
      records.push(failure("(the runner)", `exited with ${code}`));
    }
    return records;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A command that must exit with 0; its output is shown when it does not.
 * @param {string} name
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<TestRecord>}
 */
async function check(name, command, args, timeoutMs = 5 * MINUTE_MS) {
  const { code, timedOut, output } = await runChild(command, args, { timeoutMs, capture: true });
  if (code === 0) return passed(name);
  process.stdout.write(`not ok  ${name}\n${output.replaceAll(/^/gm, "    ")}\n`);
  return failure(name, timedOut ? `was ended after ${timeoutMs / 1000} s` : `exited with ${code}`);
}

/**
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<TestRecord>}
 */
async function repeats(name, args) {
  const lastLines = [];
  for (let round = 0; round < 2; round += 1) {
    const ran = await runChild(process.execPath, args, { timeoutMs: 5 * MINUTE_MS, capture: true });
    if (ran.code !== 0) {
      process.stdout.write(`not ok  ${name}\n${ran.output.replaceAll(/^/gm, "    ")}\n`);
      return failure(name, `exited with ${ran.code}`);
    }
    lastLines.push(ran.stdout.trimEnd().split("\n").at(-1) ?? "");
  }
  const [first = "", second = ""] = lastLines;
  if (!first.includes('"trace"')) return failure(name, `the last line has no trace: ${first}`);
  return first === second ? passed(name) : failure(name, `${first} and then ${second}`);
}

/**
 * @param {string} name
 * @returns {TestRecord}
 */
function passed(name) {
  process.stdout.write(`ok      ${name}\n`);
  return { verdict: "passed", name, file: "" };
}

/**
 * @param {string} name
 * @param {string} reason
 * @returns {TestRecord}
 */
function failure(name, reason) {
  return { verdict: "failed", name, file: "", reason };
}
