// `npm run bench [-- --only NAME,NAME] [--rounds N] [--quick]`: runs the scenarios, prints the table, writes
// bench/results/<date>.json and, after a whole run, the table of README.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { describeMachine, machineFacts } from "./machine.ts";
import { updateReadme } from "./readme-table.ts";
import type { Scenario, ScenarioResult } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/all.ts";

export interface ScenarioRecord extends ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly atLeast: string;
  readonly aim: string;
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function chosen(): readonly Scenario[] {
  if (values.only === undefined) return SCENARIOS;
  return values.only.split(",").map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found === undefined)
      throw new Error(`no scenario ${name}: ${SCENARIOS.map((each) => each.name).join(", ")}`);
    return found;
  });
}

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write("npm run bench -- [--only NAME,NAME] [--rounds N] [--quick]\n");
    for (const { name, title } of SCENARIOS) process.stdout.write(`  ${name.padEnd(14)} ${title}\n`);
    return;
  }
  const rounds = Number(values.rounds);
  const records: ScenarioRecord[] = [];
  for (const scenario of chosen()) {
    process.stderr.write(`${scenario.name}: ${scenario.title}\n`);
    const log = (line: string): void => void process.stderr.write(`  ${line}\n`);
    const result = await scenario
      .run({ rounds, quick: values.quick, log })
      .catch((error: Error): ScenarioResult => {
        log(`failed: ${error.message}`);
        return { figure: "failed", measured: {}, unavailable: error.message };
      });
    const { name, title, atLeast, aim } = scenario;
    records.push({ name, title, atLeast, aim, ...result });
    log(`${result.figure} (at least ${atLeast}, aim ${aim})`);
  }
  const machine = machineFacts();
  const date = new Date().toISOString().slice(0, 10);
  mkdirSync(new URL("results/", import.meta.url), { recursive: true });
  const suffix = values.only === undefined ? "" : "-partial";
  const file = new URL(`results/${date}${suffix}.json`, import.meta.url);
  writeFileSync(
    file,
    `${JSON.stringify({ date, machine, rounds, quick: values.quick, scenarios: records }, undefined, 2)}\n`,
  );
  for (const record of records) {
    process.stdout.write(
      `${record.name.padEnd(14)} ${record.figure.padEnd(28)} at least ${record.atLeast}, aim ${record.aim}\n`,
    );
  }
  if (suffix === "")
    await updateReadme(records, { date, rounds, quick: values.quick, machine: describeMachine(machine) });
  if (records.some((record) => record.figure === "failed")) process.exitCode = 1;
}

await main();
