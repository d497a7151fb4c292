// `millrace up`: the whole platform in one process, with the demo unless it is told not to. `millrace serve`: parts of
// it.
import {
  COMPONENT_ALIASES,
  COMPONENTS,
  loadConfig,
  runDemo,
  runPlatform,
  stderrScreen,
  type ComponentName,
  type DemoSummary,
  type ResolvedConfig,
} from "@millrace/server";
import { Option, type Command } from "commander";
import { UsageError, wholeNumber, type CliIo } from "./cli-io.ts";
import { addSettingOptions, givenSettings } from "./setting-options.ts";

interface UpOptions {
  readonly demo: boolean;
  readonly exit?: true;
  readonly rows?: string;
  readonly demoRate: string;
  readonly json?: true;
}

const JSON_HELP =
  "print the addresses as a line of JSON on stdout when everything is ready, and nothing but log lines on stderr";

export function addUpCommand(program: Command, io: CliIo): void {
  const command = program
    .command("up")
    .description("Start the whole platform in one process and replay flight records into it")
    .option("--no-demo", "start an empty platform")
    .option("--rows <N>", "records that the demo replays in all (default: every record of its data)")
    .option(
      "--exit",
      "end when the demo's rows are in the table, with a JSON summary as the last line of stdout",
    )
    .addOption(
      new Option("--demo-rate <N>", "records a second of the demo without --exit").default("2000", "2000"),
    )
    .option("--json", JSON_HELP);
  addSettingOptions(command).action(async (options: UpOptions) => {
    const rows = options.rows === undefined ? undefined : wholeNumber("--rows", options.rows);
    const rate = wholeNumber("--demo-rate", options.demoRate);
    if (options.exit === true && !options.demo)
      throw new UsageError("--exit waits for the demo: it excludes --no-demo");
    const screen = stderrScreen(io, options.json === true ? "programs" : "people");
    const resolved = await loadConfig(givenSettings(command), { isBrokerAlone: false });
    await runPlatform({
      resolved,
      components: COMPONENTS.filter((component) => component !== "etcd" || isEtcdWanted(resolved)),
      screen,
      exitCode: (code) => io.exitCode(code),
      onReady: async (platform, signal) => {
        if (options.json === true) io.out(`${JSON.stringify(platform.endpoints)}\n`);
        if (!options.demo) return;
        const exit = options.exit === true;
        const settings = { rows, rate: exit ? Number.POSITIVE_INFINITY : rate, exit };
        const summary = await runDemo(platform, settings, screen, signal);
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
    .argument("<component...>", `one or more of ${COMPONENTS.join(", ")}; storage-writer is broker`)
    .option("--json", JSON_HELP);
  addSettingOptions(command).action(async (given: readonly string[], options: { readonly json?: true }) => {
    const names = given.map((name) => COMPONENT_ALIASES.get(name) ?? name);
    for (const name of names) {
      if (!isComponent(name)) {
        throw new UsageError(`"${name}" is not a component (expected ${COMPONENTS.join(", ")})`);
      }
    }
    const components = COMPONENTS.filter((component) => names.includes(component));
    const isBrokerAlone = components.join() === "broker";
    await runPlatform({
      resolved: await loadConfig(givenSettings(command), { isBrokerAlone }),
      components,
      screen: stderrScreen(io, options.json === true ? "programs" : "people"),
      exitCode: (code) => io.exitCode(code),
      onReady: async (platform) => {
        if (options.json === true) io.out(`${JSON.stringify(platform.endpoints)}\n`);
        return undefined;
      },
    });
  });
}

/** A laptop needs no port for coordination; who gives its address has other processes that do. */
function isEtcdWanted({ origins }: ResolvedConfig): boolean {
  return origins.get("etcd.listen") !== "default";
}

function isComponent(name: string): name is ComponentName {
  return (COMPONENTS as readonly string[]).includes(name);
}
