// `millrace print-config`: what the settings are, and where each comes from.
import type { Command } from "commander";
import { checkListeners, loadConfig, printConfig } from "@millrace/server";
import type { CliIo } from "./cli-io.ts";
import { addSettingOptions, givenSettings } from "./setting-options.ts";

export function addPrintConfigCommand(program: Command, io: CliIo): void {
  const command = program
    .command("print-config")
    .description("Show every setting, its value and where the value comes from; secrets are masked")
    .option("--json", "print JSON");
  addSettingOptions(command).action(async (options: { json?: true }) => {
    // With the place of one of Gazette's brokers it is a broker whose settings are asked for.
    const resolved = await loadConfig(givenSettings(command), { isBrokerAlone: true });
    checkListeners(resolved.config); // as `up` does: what is shown here can be started
    const printed = printConfig(resolved);
    if (options.json === true) {
      io.out(`${JSON.stringify(printed, undefined, 2)}\n`);
      return;
    }
    const width = Math.max(...printed.map(({ name, value }) => name.length + value.length)) + 2;
    for (const { name, value, origin } of printed) {
      io.out(`${`${name}: ${value === "" ? '""' : value}`.padEnd(width)}  # ${origin}\n`);
    }
  });
}
