// Settings by the names that Gazette's brokers have in the environment, so that a deployment keeps its own. Their flags
// are the names of the settings. Our own variables win.
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
  "broker.max-grpc-recv-size",
  "broker.allow-origin",
  "broker.limit",
  "broker.file-root",
  "broker.max-append-rate",
  "broker.min-append-rate",
  "broker.max-replication",
  "broker.watch-delay",
  "broker.auth-keys",
  "broker.auto-suspend",
  "etcd.prefix",
  "etcd.lease",
  "log.level",
  "debug.private",
]);

/** `broker.zone` → `BROKER_ZONE`. */
export function gazetteVariable(name: SettingName): string {
  return UNLIKE[name] ?? name.toUpperCase().replaceAll(/[.-]/g, "_");
}

/** Texts by setting. What Kubernetes and Docker put there for a service called `broker` is none of ours. */
export function gazetteTexts(
  environment: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const name of SETTING_NAMES) {
    const text = GAZETTE.has(name) ? environment[gazetteVariable(name)] : undefined;
    if (text === undefined || (name === "broker.port" && /^(?:tcp|udp|sctp):/.test(text))) continue;
    texts.set(name, text);
  }
  return texts;
}
