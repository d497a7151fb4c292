// The configuration: defaults, then a YAML file, then MILLRACE_* environment, then flags. Pure: who reads files and the
// environment is system-config.ts.
import { WireError } from "@millrace/base";
import { didYouMean, didYouMeanVariable } from "./closest-setting.ts";
import { GAZETTE_DEFAULTS, gazetteTexts, gazetteVariable } from "./gazette-names.ts";
import {
  CLUSTER_DEFAULTS,
  environmentName,
  SETTING_NAMES,
  SETTINGS,
  type Config,
  type Setting,
  type SettingName,
} from "./settings.ts";

/** Texts by setting name, and how to speak of where they come from. */
export interface ConfigSource {
  readonly texts: ReadonlyMap<string, string>;
  /** e.g. `flag --broker.listen`. */
  readonly describe: (name: string) => string;
}

export interface ResolvedConfig {
  readonly config: Config;
  /** Where each value came from; `default` when nobody set it. */
  readonly origins: ReadonlyMap<SettingName, string>;
}

/**
 * Later sources win. @throws {WireError} INVALID_ARGUMENT naming the source, the setting, the value and its bound
 */
export function resolveConfig(sources: readonly ConfigSource[]): ResolvedConfig {
  const values: Record<string, unknown> = {};
  const origins = new Map<SettingName, string>();
  for (const source of sources) {
    for (const name of source.texts.keys()) {
      if (!(name in SETTINGS)) {
        throw new WireError(
          "INVALID_ARGUMENT",
          `${source.describe(name)}: unknown setting${didYouMean(name)}`,
        );
      }
    }
  }
  const etcd = sources.findLast(({ texts }) => texts.has("etcd.address"))?.texts.get("etcd.address") ?? "";
  for (const name of SETTING_NAMES) {
    const setting = settingOf(name);
    const standard = etcd === "" ? undefined : CLUSTER_DEFAULTS.get(name);
    values[name] = setting.kind.parse(standard ?? setting.default);
    origins.set(name, "default");
    for (const source of sources) {
      const text = source.texts.get(name);
      if (text === undefined) continue;
      values[name] = parseSetting(setting, text, source.describe(name));
      origins.set(name, source.describe(name));
    }
  }
  return { config: values as Config, origins };
}

function settingOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name];
}

function parseSetting(setting: Setting<unknown>, text: string, where: string): unknown {
  try {
    return setting.kind.parse(text);
  } catch (error) {
    const isShown = setting.secret && setting.kind.hidesText !== true;
    const why = isShown ? "invalid value" : (error as Error).message;
    throw new WireError("INVALID_ARGUMENT", `${where}: ${why}`);
  }
}

/** Flattens a YAML document: `{broker: {listen: x}}` and `{"broker.listen": x}` are the same. */
export function flattenYaml(document: unknown, file: string): ConfigSource {
  const texts = new Map<string, string>();
  const visit = (value: unknown, prefix: string): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value))
        visit(inner, prefix === "" ? key : `${prefix}.${key}`);
    } else if (["string", "number", "boolean"].includes(typeof value)) {
      texts.set(prefix, String(value));
    } else if (value !== null && value !== undefined) {
      throw new WireError("INVALID_ARGUMENT", `${file}: "${prefix}": expected a single value`);
    }
  };
  if (document !== null && document !== undefined) {
    if (typeof document !== "object" || Array.isArray(document)) {
      throw new WireError("INVALID_ARGUMENT", `${file}: expected settings by name`);
    }
    visit(document, "");
  }
  return { texts, describe: (name) => `${file}: ${name}` };
}

/** No settings: where the YAML file is, and what tests, benchmarks and scripts of the repository read. */
const OTHER_VARIABLES = /^MILLRACE_(?:CONFIG|QUICK|PEERS|CRASH_.*|TEST_.*)$/;
/** What Kubernetes and Docker put into the environment of whoever runs beside a service of that name. */
const SERVICE_LINKS =
  /^MILLRACE_(?:.*_)?(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)?)$/;

/** Settings out of an environment. @throws {WireError} INVALID_ARGUMENT for a MILLRACE_ variable that is none */
export function environmentSource(environment: Readonly<Record<string, string | undefined>>): ConfigSource {
  const texts = new Map<string, string>();
  for (const name of SETTING_NAMES) {
    const text = environment[environmentName(name)];
    if (text !== undefined) texts.set(name, text);
  }
  const known = new Set<string>(SETTING_NAMES.map(environmentName));
  for (const variable of Object.keys(environment)) {
    if (!variable.startsWith("MILLRACE_") || known.has(variable)) continue;
    if (OTHER_VARIABLES.test(variable) || SERVICE_LINKS.test(variable)) continue;
    const why = `unknown setting${didYouMeanVariable(variable)}`;
    throw new WireError("INVALID_ARGUMENT", `environment ${variable}: ${why}`);
  }
  return { texts, describe: (name) => `environment ${environmentName(name)}` };
}

/** Settings that Gazette's variables name. Others may stand beside them: they are nobody's mistake. */
export function gazetteSource(environment: Readonly<Record<string, string | undefined>>): ConfigSource {
  const describe = (name: string): string => `environment ${gazetteVariable(name as SettingName)}`;
  return { texts: gazetteTexts(environment), describe };
}

/** What holds where nobody says otherwise, for a broker that is alone in its process and placed by Gazette's names. */
export function gazetteDefaults(): ConfigSource {
  return { texts: GAZETTE_DEFAULTS, describe: () => "default of Gazette's brokers" };
}

export function flagSource(flags: ReadonlyMap<string, string>): ConfigSource {
  return { texts: flags, describe: (name) => `flag --${name}` };
}

export interface PrintedSetting {
  readonly name: string;
  readonly value: string;
  readonly origin: string;
}

/** Every setting with its value as it would be written, secrets masked, and where it came from. */
export function printConfig({ config, origins }: ResolvedConfig): readonly PrintedSetting[] {
  return SETTING_NAMES.map((name) => {
    const setting = settingOf(name);
    const value = setting.kind.format(config[name]);
    return {
      name,
      value: setting.secret && value !== "" ? "****" : value,
      origin: origins.get(name) ?? "default",
    };
  });
}
