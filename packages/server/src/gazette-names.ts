// Settings by the names that Gazette's brokers have in the environment, so that a deployment keeps its own. Their flags
// are the names of the settings. Our own variables win. And Gazette's defaults, where they are not ours.
import { SETTING_NAMES, type SettingName } from "./settings.ts";

/** Settings of Gazette's whose variable is not the name in capitals. */
const UNLIKE: Partial<Record<SettingName, string>> = { "etcd.lease": "ETCD_LEASE_TTL" };

const GAZETTE: ReadonlySet<SettingName> = new Set<SettingName>([
  "broker.zone",
  "broker.id",
  "broker.host",
  "broker.port",
  "broker.server-cert-file",
  "broker.server-cert-key-file",
  "broker.server-ca-file",
  "broker.peer-cert-file",
  "broker.peer-cert-key-file",
  "broker.peer-ca-file",
  "broker.max-grpc-recv-size",
  "broker.allow-origin",
  "broker.limit",
  "broker.file-root",
  "broker.file-only",
  "broker.max-append-rate",
  "broker.min-append-rate",
  "broker.max-replication",
  "broker.watch-delay",
  "broker.auth-keys",
  "broker.auto-suspend",
  "etcd.address",
  "etcd.cert-file",
  "etcd.cert-key-file",
  "etcd.trusted-ca-file",
  "etcd.prefix",
  "etcd.lease",
  "log.level",
  "log.format",
  "debug.port",
  "debug.private",
]);

/**
 * Defaults of Gazette's broker that are not ours. Those of a broker on an etcd are CLUSTER_DEFAULTS, which follow from
 * the first; one that is drawn at each start (its id, its port) is drawn where it is needed.
 */
export const GAZETTE_DEFAULTS: ReadonlyMap<SettingName, string> = new Map<SettingName, string>([
  ["etcd.address", "http://localhost:2379"],
  ["log.format", "text"],
]);

/** `broker.zone` → `BROKER_ZONE`. */
export function gazetteVariable(name: SettingName): string {
  return UNLIKE[name] ?? name.toUpperCase().replaceAll(/[.-]/g, "_");
}

/** Levels of Gazette's log that are not ours, by the nearest of ours. */
const LEVELS: ReadonlyMap<string, string> = new Map([
  ["trace", "debug"],
  ["debug", "debug"],
  ["info", "info"],
  ["warn", "warn"],
  ["warning", "warn"],
  ["error", "error"],
  ["fatal", "error"],
  ["panic", "error"],
]);

const FORMATS: ReadonlySet<string> = new Set(["json", "text", "color"]);

/** Many programs read LOG_LEVEL and LOG_FORMAT: what others understand by them must not keep a broker from starting. */
function meant(name: SettingName, text: string): string | undefined {
  // Kubernetes and Docker put it there for a service called `broker`.
  if (/^(?:broker|debug)\.port$/.test(name) && /^(?:tcp|udp|sctp):/.test(text)) return undefined;
  if (name === "log.format") return FORMATS.has(text) ? text : undefined;
  return name === "log.level" ? LEVELS.get(text.toLowerCase()) : text;
}

/** Texts by setting; without what is in the environment for others. */
export function gazetteTexts(
  environment: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const name of SETTING_NAMES) {
    const given = GAZETTE.has(name) ? environment[gazetteVariable(name)] : undefined;
    const text = given === undefined ? undefined : meant(name, given);
    if (text !== undefined) texts.set(name, text);
  }
  return texts;
}
