// `npm test`: everything, from a fresh clone. Installs and builds what is stale, runs the phases one after the
// other and ends with `N passed, N failed, N skipped` as the very last line of stdout. A phase that ran no
// test at all is a failure, not a success. MILLRACE_QUICK=1 runs the unit tests only.

import { parseArgs } from "node:util";

import { buildIfStale } from "./build.mjs";
import { installDebianPackages } from "./debian.mjs";
import { installIfStale } from "./install.mjs";
import { DEFAULT_PHASES, PHASES } from "./phases.mjs";

/** @typedef {import("./test-reporter.mjs").TestRecord} TestRecord */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string" },
    newcomer: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** Phases whose tests drive commands that come from Debian packages. */
const NEEDS_DEBIAN = ["e2e", "crash", "browser"];

const names = phaseNames();
const filter = positionals[0];

if (values.help) {
  process.stdout.write(
    "npm test [-- [--only PHASE,…] [--newcomer] [FILTER]]   FILTER: part of a file's path\n",
  );
  for (const { name, what } of PHASES) process.stdout.write(`  ${name.padEnd(12)} ${what}\n`);
} else {
  process.exitCode = await main();
}

function phaseNames() {
  const wanted =
    values.only?.split(",") ?? (process.env["MILLRACE_QUICK"] === "1" ? ["unit"] : DEFAULT_PHASES);
  for (const name of wanted) {
    if (!PHASES.some((phase) => phase.name === name)) {
      process.stderr.write(
        `unknown phase ${name} (known: ${PHASES.map((phase) => phase.name).join(", ")})\n`,
      );
      process.exit(2);
    }
  }
  return values.newcomer ? [...wanted, "newcomer"] : wanted;
}

async function main() {
  const noCounts = () => process.stdout.write("0 passed, 1 failed, 0 skipped\n");
  process.once("exit", noCounts); // an install or a build that fails ends the process
  installIfStale();
  buildIfStale();
  process.removeListener("exit", noCounts);
  if (names.some((name) => NEEDS_DEBIAN.includes(name))) {
    for (const line of installDebianPackages()) process.stdout.write(`${line}\n`);
  }
  /** @type {{ name: string, seconds: number, records: TestRecord[] }[]} */
  const results = [];
  for (const phase of PHASES.filter(({ name }) => names.includes(name))) {
    process.stdout.write(`\n== ${phase.name}: ${phase.what}\n`);
    const beginMs = performance.now();
    /** @type {TestRecord[]} */
    let records;
    try {
      records = await phase.run({ filter });
    } catch (error) {
      records = [{ verdict: "failed", name: "(the phase)", file: "", reason: String(error) }];
    }
    if (records.length === 0 && filter === undefined) {
      records.push({ verdict: "failed", name: "(the phase)", file: "", reason: "ran no tests" });
    }
    results.push({ name: phase.name, seconds: (performance.now() - beginMs) / 1000, records });
  }
  return summarize(results);
}

/** @param {{ name: string, seconds: number, records: TestRecord[] }[]} results */
function summarize(results) {
  const all = results.flatMap(({ name, records }) => records.map((record) => ({ ...record, phase: name })));
  for (const verdict of /** @type {const} */ (["skipped", "failed"])) {
    const some = all.filter((record) => record.verdict === verdict);
    if (some.length > 0) process.stdout.write(`\n== ${verdict}\n`);
    for (const { phase, file, name, reason = "" } of some) {
      process.stdout.write(
        `${[phase, file, name].filter(Boolean).join(" › ")}: ${reason.split("\n", 1)[0]}\n`,
      );
    }
  }
  process.stdout.write(`\n${row(["phase", "passed", "failed", "skipped", "seconds"])}\n`);
  for (const { name, seconds, records } of results) {
    process.stdout.write(`${row([name, ...counts(records), seconds.toFixed(1)])}\n`);
  }
  const [passed, failed, skipped] = counts(all);
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed === 0 && all.length > 0 ? 0 : 1;
}

/** @param {TestRecord[]} records */
function counts(records) {
  const count = (/** @type {string} */ verdict) => records.filter((one) => one.verdict === verdict).length;
  return /** @type {const} */ ([count("passed"), count("failed"), count("skipped")]);
}

/** @param {readonly (string | number)[]} cells */
function row([first = "", ...rest]) {
  return String(first).padEnd(14) + rest.map((cell) => String(cell).padStart(9)).join("");
}
