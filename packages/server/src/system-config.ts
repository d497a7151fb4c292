// Reads what the configuration is made of: the YAML file and the environment.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { WireError } from "@millrace/base";
import { hasGazettePlace } from "./broker-place.ts";
import {
  environmentSource,
  flagSource,
  flattenYaml,
  gazetteDefaults,
  gazetteSource,
  resolveConfig,
  type ConfigSource,
  type ResolvedConfig,
} from "./config.ts";

/** What a process runs, as far as its settings depend on it. */
export interface ConfiguredProcess {
  /** A broker and nothing else, as Gazette's program is. */
  readonly isBrokerAlone: boolean;
}

/**
 * The configuration of this process.
 * @param flags values by setting name; `config` is the YAML file, also given by MILLRACE_CONFIG
 * @throws {WireError} INVALID_ARGUMENT
 */
export async function loadConfig(
  flags: ReadonlyMap<string, string>,
  { isBrokerAlone }: ConfiguredProcess,
): Promise<ResolvedConfig> {
  const settings = new Map(flags);
  const file = settings.get("config") ?? process.env["MILLRACE_CONFIG"];
  settings.delete("config");
  const sources = [gazetteSource(process.env), environmentSource(process.env), flagSource(settings)];
  if (file !== undefined) sources.unshift(flattenYaml(await readYaml(file), file));
  const resolved = resolveConfig(sources);
  if (!hasGazettePlace(resolved.config)) return resolved;
  const defaults = [
    ...temporaryData(process.env["TMPDIR"] ?? ""),
    ...(isBrokerAlone ? [gazetteDefaults()] : []),
  ];
  return resolveConfig([...defaults, ...sources]);
}

/** Where a broker of Gazette's has its spools. */
function temporaryData(temporary: string): readonly ConfigSource[] {
  if (temporary === "") return [];
  const texts = new Map([["data", join(temporary, "millrace-data")]]);
  return [{ texts, describe: () => "environment TMPDIR" }];
}

async function readYaml(file: string): Promise<unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new WireError(
      "INVALID_ARGUMENT",
      `cannot read configuration file ${file}: ${(error as Error).message}`,
    );
  }
  const { parse } = await import("yaml");
  try {
    return parse(text);
  } catch (error) {
    throw new WireError("INVALID_ARGUMENT", `${file}: ${(error as Error).message}`);
  }
}
