// `millrace plan`, `diff` and `apply`: streams as files.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { StreamsOptions } from "./run-streams.ts";
import { collect } from "./stream-options.ts";
import { addDoorOptions } from "./system-doors.ts";

export function addPlanCommands(program: Command, io: CliIo): void {
  const plan = filesCommand(program, "plan")
    .description("Show what apply would do so that sources and sinks are those of YAML files")
    .option("--check", "end with status 1 when there is anything to do");
  addDoorOptions(plan, "api").action(async (options: StreamsOptions) => {
    const { showPlan } = await import("./run-streams.ts");
    await showPlan(options, io, false);
  });
  const diff = filesCommand(program, "diff")
    .description("The same with every field that differs, before and after")
    .option("--check", "end with status 1 when there is anything to do");
  addDoorOptions(diff, "api").action(async (options: StreamsOptions) => {
    const { showPlan } = await import("./run-streams.ts");
    await showPlan(options, io, true);
  });
  const apply = filesCommand(program, "apply").description(
    "Make sources and sinks those of YAML files, and wait until that is done; once more does nothing",
  );
  addDoorOptions(apply, "api").action(async (options: StreamsOptions) => {
    const { applyStreams } = await import("./run-streams.ts");
    await applyStreams(options, io);
  });
}

function filesCommand(program: Command, name: string): Command {
  return program
    .command(name)
    .requiredOption("-f, --file <FILE>", "YAML file, - for stdin; may be repeated", collect, [])
    .option("--prune", "delete sources, and sinks of the files' sources, that are in no file")
    .option("--resend-secrets", "send secrets again: nobody can tell whether they have changed")
    .option("--json", "print JSON");
}
