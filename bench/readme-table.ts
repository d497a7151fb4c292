// The benchmark table of README.md, between its two markers.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import type { ScenarioRecord } from "./main.ts";

const README = new URL("../README.md", import.meta.url);
const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

interface TableRun {
  readonly date: string;
  readonly rounds: number;
  /** Short loads: more noise. */
  readonly quick: boolean;
  readonly machine: string;
}

export async function updateReadme(records: readonly ScenarioRecord[], run: TableRun): Promise<void> {
  const readme = readFileSync(README, "utf8");
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`README.md has no ${BEGIN} … ${END}`);
  const table = renderTable(records, run);
  const updated = `${readme.slice(0, begin + BEGIN.length)}\n\n${table}\n${readme.slice(end)}`;
  const options = await resolveConfig(fileURLToPath(README));
  writeFileSync(README, await format(updated, { ...options, parser: "markdown" }));
}

export function renderTable(records: readonly ScenarioRecord[], run: TableRun): string {
  const command = run.quick ? "npm run bench -- --quick" : "npm run bench";
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
