// `npm run bench [-- --family platform|cluster] [--only NAME,NAME] [--rounds N] [--quick]`: runs the scenarios, prints
// the table, writes bench/results/<date>-<family>.json and, after a whole family, its table of README.md. What `--only`
// names takes the place of its rows there when the whole family was measured on the same day and machine. `--quick` is
// for a look: short loads, the cluster's rows in one pair.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { describeMachine, machineFacts } from "./machine.ts";
import { updateReadme } from "./readme-table.ts";
import type { Family, Scenario, ScenarioResult } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/all.ts";

export interface ScenarioRecord extends ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly atLeast: string;
  readonly aim: string;
}

const FAMILIES: readonly Family[] = ["platform", "cluster"];

const { values } = parseArgs({
  options: {
    family: { type: "string" },
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** What to run of a family: all of it, or what `--only` names. */
function chosenOf(family: Family): readonly Scenario[] {
  if (values.family !== undefined && values.family !== family) return [];
  const all = SCENARIOS.filter((scenario) => scenario.family === family);
  const names = values.only?.split(",");
  return names === undefined ? all : all.filter(({ name }) => names.includes(name));
}

/** @throws {Error} for a name that there is not */
function checkNames(): void {
  const known = SCENARIOS.map(({ name }) => name);
  const unknown = (values.only?.split(",") ?? []).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(", ")}: ${known.join(", ")}`);
  if (values.family !== undefined && !(FAMILIES as readonly string[]).includes(values.family))
    throw new Error(`no family ${values.family}: ${FAMILIES.join(", ")}`);
}

async function runScenario(scenario: Scenario, rounds: number, turn: string): Promise<ScenarioRecord> {
  const minutes = Math.round(performance.now() / 60_000);
  process.stderr.write(`${turn}, after ${minutes} min: ${scenario.name}: ${scenario.title}\n`);
  const log = (line: string): void => void process.stderr.write(`  ${line}\n`);
  const result = await scenario
    .run({ rounds, quick: values.quick, log })
    .catch((error: Error): ScenarioResult => {
      log(`failed: ${error.message}`);
      return { figure: "failed", measured: {}, unavailable: error.message };
    });
  const { name, title, atLeast, aim } = scenario;
  log(`${result.figure} (at least ${atLeast}, aim ${aim})`);
  return { name, title, atLeast, aim, ...result };
}

async function runFamily(family: Family, rounds: number): Promise<readonly ScenarioRecord[]> {
  const records: ScenarioRecord[] = [];
  const chosen = chosenOf(family);
  const { quick } = values;
  const machine = machineFacts();
  const date = new Date().toISOString().slice(0, 10);
  mkdirSync(new URL("results/", import.meta.url), { recursive: true });
  const partial = new URL(`results/${date}-${family}-partial.json`, import.meta.url);
  for (const scenario of chosen) {
    records.push(await runScenario(scenario, rounds, `${records.length + 1} of ${chosen.length}`));
    // What was measured stays when a run is cut.
    const result = { date, machine, rounds, quick, scenarios: records };
    writeFileSync(partial, `${JSON.stringify(result, undefined, 2)}\n`);
  }
  if (records.length === 0 || quick) return records;
  const whole = new URL(`results/${date}-${family}.json`, import.meta.url);
  const before = values.only === undefined ? [] : rowsOf(whole, { machine, rounds });
  if (values.only !== undefined && before.length === 0) return records;
  const byName = new Map([...before, ...records].map((record) => [record.name, record]));
  const scenarios = SCENARIOS.flatMap(({ name }) => byName.get(name) ?? []);
  writeFileSync(whole, `${JSON.stringify({ date, machine, rounds, quick, scenarios }, undefined, 2)}\n`);
  rmSync(partial);
  await updateReadme(family, scenarios, { date, rounds, machine: describeMachine(machine) });
  return records;
}

/** Rows of the whole family, if it was measured like this. */
function rowsOf(file: URL, like: Readonly<Record<string, unknown>>): readonly ScenarioRecord[] {
  if (!existsSync(file)) return [];
  const run = JSON.parse(readFileSync(file, "utf8")) as {
    scenarios: readonly ScenarioRecord[];
  } & typeof like;
  const isSame = Object.entries(like).every(([name, value]) => isDeepStrictEqual(run[name], value));
  return isSame ? run.scenarios : [];
}

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write("npm run bench -- [--family NAME] [--only NAME,NAME] [--rounds N] [--quick]\n");
    for (const { name, family, title } of SCENARIOS)
      process.stdout.write(`  ${family.padEnd(9)} ${name.padEnd(20)} ${title}\n`);
    return;
  }
  checkNames();
  const records: ScenarioRecord[] = [];
  for (const family of FAMILIES) records.push(...(await runFamily(family, Number(values.rounds))));
  for (const { name, figure, atLeast, aim } of records)
    process.stdout.write(`${name.padEnd(20)} ${figure.padEnd(40)} at least ${atLeast}, aim ${aim}\n`);
  if (records.some(({ figure }) => figure === "failed")) process.exitCode = 1;
}

await main();
