// `millrace doctor`: what the platform's own checks say about a data directory that nobody uses.
import { examineDataDirectory, type DoctorCheck, type DoctorReport } from "@millrace/server";
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import { dataOption, DEFAULT_DATA } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

interface DoctorOptions {
  readonly data?: string;
  readonly json?: true;
  readonly "broker.fileRoot"?: string;
  readonly store?: readonly string[];
}

export function addDoctorCommand(program: Command, io: CliIo): void {
  program
    .command("doctor")
    .description(
      "Check a data directory while no platform runs on it: every sum, the logs, the counts; changes nothing",
    )
    .addOption(dataOption("data directory to check"))
    .option("--broker.file-root <DIR>", "where file:// stores are (default: the data directory)")
    .option(
      "--store <URL...>",
      "stores of the journals of a broker on an etcd, such as file:///fragments/ or s3://bucket/",
    )
    .option("--json", "print the whole report as JSON")
    .action(async (options: DoctorOptions) => {
      const path = options.data ?? DEFAULT_DATA;
      const report = await examineDataDirectory(
        path,
        {
          ...(options["broker.fileRoot"] === undefined ? {} : { fileRoot: options["broker.fileRoot"] }),
          ...(options.store === undefined ? {} : { stores: options.store }),
        },
        progressLine(io),
        io.signal,
      );
      if (io.isTerminal) io.err("\r\u001b[K");
      io.out(options.json === true ? `${JSON.stringify(report)}\n` : renderReport(report));
      io.exitCode(report.sound ? 0 : 1);
    });
}

/** A table of the checks, then what is wrong, then one line that says it all. */
export function renderReport(report: DoctorReport): string {
  const rows = report.checks.map(({ name, verdict, found }) => [name, verdict, found]);
  const problems = report.checks.flatMap(problemLines);
  const parts = [renderTable(["CHECK", "RESULT", "FOUND"], rows)];
  if (problems.length > 0) parts.push(`${problems.join("\n")}\n`);
  return [...parts, `${summaryLine(report)}\n`].join("\n");
}

function problemLines({ name, problems, problemCount }: DoctorCheck): string[] {
  const lines = problems.map(({ verdict, message }) => `${verdict.padEnd(4)}  ${name}: ${message}`);
  if (problemCount > problems.length) lines.push(`      ${name}: and ${problemCount - problems.length} more`);
  return lines;
}

function summaryLine({ dataDirectory, sound, checks, bad, warnings, seconds }: DoctorReport): string {
  const warned = warnings === 0 ? "" : `, ${warnings} with warnings`;
  const checked = `${checks.length} checks in ${seconds.toFixed(1)} s${warned}`;
  if (sound) return `sound: ${dataDirectory} (${checked})`;
  return `BAD: ${bad} of ${checked} found damage in ${dataDirectory}; nothing was changed`;
}

function progressLine(io: CliIo): (what: string) => void {
  return (what) => {
    if (io.isTerminal) io.err(`\r\u001b[Kreading ${what}`);
  };
}
