// Options of every setting of the platform, for the commands that start it or show its configuration.
import { environmentName, SETTING_NAMES, SETTINGS } from "@millrace/server";
import { Option, type Command } from "commander";

const EXAMPLE = environmentName("broker.listen");
const GROUP = `Settings (default in brackets; ${EXAMPLE} in the environment sets --broker.listen):`;

/** Adds `--config` and an option for each setting. */
export function addSettingOptions(command: Command): Command {
  command.option("--config <FILE>", "YAML file with settings (env: MILLRACE_CONFIG)");
  for (const name of SETTING_NAMES) {
    const setting = SETTINGS[name];
    const isSwitch = setting.kind.name === "true|false";
    const argument = isSwitch ? `[${setting.kind.name}]` : `<${setting.kind.name}>`;
    const shown = setting.default === "" ? "none" : setting.default;
    const option = new Option(`--${name} ${argument}`, `${setting.help} [${shown}]`).helpGroup(GROUP);
    command.addOption(setting.kind.isList ? option.argParser(gathered) : option);
  }
  return command;
}

/** Settings that were given as options, by setting name. */
export function givenSettings(command: Command): Map<string, string> {
  const given = new Map<string, string>();
  const options = command.opts<Record<string, string | true | undefined>>();
  for (const name of ["config", ...SETTING_NAMES]) {
    const value = options[attributeName(name)];
    if (value !== undefined) given.set(name, value === true ? "" : value);
  }
  return given;
}

function gathered(value: string, before: string | undefined): string {
  return before === undefined ? value : `${before},${value}`;
}

/** Commander's attribute of a long option: camel case at each dash. */
function attributeName(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
