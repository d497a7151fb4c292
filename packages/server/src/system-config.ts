// Reads what the configuration is made of: the YAML file and the environment.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { WireError } from "@millrace/base";
import { hasGazettePlace } from "./broker-place.ts";
import {
  environmentSource,
  flagSource,
  flattenYaml,
  gazetteSource,
  resolveConfig,
  type ResolvedConfig,
} from "./config.ts";

/**
 * The configuration of this process.
 * @param flags values by setting name; `config` is the YAML file, also given by MILLRACE_CONFIG
 * @throws {WireError} INVALID_ARGUMENT
 */
export async function loadConfig(flags: ReadonlyMap<string, string>): Promise<ResolvedConfig> {
  const settings = new Map(flags);
  const file = settings.get("config") ?? process.env["MILLRACE_CONFIG"];
  settings.delete("config");
  const sources = [gazetteSource(process.env), environmentSource(process.env), flagSource(settings)];
  if (file !== undefined) sources.unshift(flattenYaml(await readYaml(file), file));
  const resolved = resolveConfig(sources);
  const temporary = process.env["TMPDIR"] ?? "";
  if (temporary === "" || !hasGazettePlace(resolved.config)) return resolved;
  // Where a broker of Gazette's has its spools.
  const data = new Map([["data", join(temporary, "millrace-data")]]);
  return resolveConfig([{ texts: data, describe: () => "environment TMPDIR" }, ...sources]);
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
