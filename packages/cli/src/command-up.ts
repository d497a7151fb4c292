// `millrace up`: the whole platform in one process, with the demo unless it is told not to.
import { Option, type Command } from "commander";
import { COMPONENTS, loadConfig, runDemo, runPlatform, type ComponentName, type DemoSummary } from "@millrace/server";
import { UsageError, type CliIo } from "./cli-io.ts";
import { addSettingOptions, givenSettings } from "./setting-options.ts";

interface UpOptions {
  readonly demo: boolean;
  readonly exit?: true;
  readonly rows?: string;
  readonly demoRate: string;
}

export function addUpCommand(program: Command, io: CliIo): void {
  const command = program
    .command("up")
    .description("Start the whole platform in one process, data under ./millrace-data, and replay flight records into it")
    .option("--no-demo", "Start an empty platform")
    .option("--rows <N>", "Records that the demo replays in all (default: every record of its data)")
    .option("--exit", "End when the demo's rows are in the table, with a JSON summary as the last line of stdout")
    .addOption(new Option("--demo-rate <N>", "Records a second of the demo without --exit").default("2000"));
  addSettingOptions(command).action(async (options: UpOptions) => {
    const rows = options.rows === undefined ? undefined : wholeNumber("--rows", options.rows);
    const rate = wholeNumber("--demo-rate", options.demoRate);
    if (options.exit === true && !options.demo) throw new UsageError("--exit waits for the demo: it excludes --no-demo");
    await runPlatform({
      resolved: loadConfig(givenSettings(command)),
      components: [...COMPONENTS],
      io,
      onReady: async (platform, signal) => {
        if (!options.demo) return;
        const exit = options.exit === true;
        const settings = { rows, rate: exit ? Number.POSITIVE_INFINITY : rate, exit };
        const summary = await runDemo(platform, settings, io, signal);
        if (exit) io.out(`${JSON.stringify(summary satisfies DemoSummary)}\n`);
        return exit ? "stop" : undefined;
      },
    });
  });
}

export function addServeCommand(program: Command, io: CliIo): void {
  const command = program
    .command("serve")
    .description("Start the named components in this process")
    .argument("<component...>", `components: ${COMPONENTS.join(", ")}`);
  addSettingOptions(command).action(async (names: readonly string[]) => {
    for (const name of names) {
      if (!isComponent(name)) {
        throw new UsageError(`"${name}" is not a component (expected ${COMPONENTS.join(", ")})`);
      }
    }
    const components = COMPONENTS.filter((component) => names.includes(component));
    await runPlatform({ resolved: loadConfig(givenSettings(command)), components, io, onReady: async () => undefined });
  });
}

function isComponent(name: string): name is ComponentName {
  return (COMPONENTS as readonly string[]).includes(name);
}

/** @throws {UsageError} naming the option */
export function wholeNumber(option: string, text: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max) {
    throw new UsageError(`${option} ${text}: expected a whole number in [1, ${max}]`);
  }
  return value;
}
