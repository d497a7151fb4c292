// The benchmark tables of README.md, one for each family, each between its two markers.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import type { ScenarioRecord } from "./main.ts";
import type { Family } from "./scenario.ts";

const README = new URL("../README.md", import.meta.url);

interface TableRun {
  readonly date: string;
  readonly rounds: number;
  readonly machine: string;
}

export async function updateReadme(
  family: Family,
  records: readonly ScenarioRecord[],
  run: TableRun,
): Promise<void> {
  const readme = readFileSync(README, "utf8");
  const [opening, closing] = [`<!-- bench:${family}:begin -->`, `<!-- bench:${family}:end -->`];
  const begin = readme.indexOf(opening);
  const end = readme.indexOf(closing);
  if (begin < 0 || end < begin) throw new Error(`README.md has no ${opening} … ${closing}`);
  const table = renderTable(family, records, run);
  const updated = `${readme.slice(0, begin + opening.length)}\n\n${table}\n${readme.slice(end)}`;
  const options = await resolveConfig(fileURLToPath(README));
  writeFileSync(README, await format(updated, { ...options, parser: "markdown" }));
}

export function renderTable(family: Family, records: readonly ScenarioRecord[], run: TableRun): string {
  const command = `npm run bench -- --family ${family}`;
  const rows = records.map(
    ({ title, figure, atLeast, aim }) => `| ${title} | ${figure} | ${atLeast} | ${aim} |`,
  );
  return [
    "| Work | Measured | At least | Aim |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    `Measured ${run.date} with \`${command}\`: medians of ${run.rounds} rounds, ours and the baseline in turn; ` +
      `${run.machine}.`,
    "",
  ].join("\n");
}
