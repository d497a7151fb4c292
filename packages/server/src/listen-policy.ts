// Who may listen where: loopback needs nothing, anything else needs authentication or an explicit word.
import { parseAuthKeys, WireError } from "@millrace/base";
import { brokerAddress, hasGazettePlace } from "./broker-place.ts";
import type { Config } from "./settings.ts";

export type ListenSetting =
  "etcd.listen" | "broker.listen" | "api.listen" | "http-source.listen" | "warehouse.listen" | "work.listen";

/** Ingest paths are authorised by the secret in their path, but a whole listener is judged: it also serves /metrics. */
const LISTEN_SETTINGS: readonly ListenSetting[] = [
  "etcd.listen",
  "broker.listen",
  "api.listen",
  "http-source.listen",
  "warehouse.listen",
  "work.listen",
];

/** A listener that other machines reach and at which nothing authenticates them, by its setting. */
export interface OpenListener {
  readonly setting: ListenSetting | "broker.port";
  readonly address: string;
  /** What would authenticate its callers. */
  readonly remedy: string;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** @throws {WireError} INVALID_ARGUMENT when an address beyond loopback would be open to everyone */
export function checkListeners(config: Config): void {
  if (config["auth.token"] !== "" && config["auth.token"].length < 16) {
    throw new WireError(
      "INVALID_ARGUMENT",
      `auth.token has ${config["auth.token"].length} characters (expected >= 16)`,
    );
  }
  // Started with Gazette's names it listens where Gazette's brokers do; the log says that nothing guards it.
  const [first] = openListeners(config).filter(({ setting }) => setting !== "broker.port");
  if (first === undefined || config["allow-anonymous"]) return;
  throw new WireError(
    "INVALID_ARGUMENT",
    `--${first.setting} ${first.address} is reachable from other machines, and nothing authenticates its callers: ` +
      `set --auth.token (or MILLRACE_AUTH_TOKEN), listen on 127.0.0.1, or pass --allow-anonymous`,
  );
}

/** Listeners that other machines reach without a credential: whoever starts a platform with them is told. */
export function openListeners(config: Config): readonly OpenListener[] {
  const open: OpenListener[] = [];
  for (const setting of LISTEN_SETTINGS) {
    const isBroker = setting === "broker.listen";
    const { host, port, path } = isBroker ? brokerAddress(config) : config[setting];
    // The file system says who reaches it.
    if (path !== undefined) continue;
    const takesKeys = isBroker || setting === "work.listen";
    const isGuarded = takesKeys ? isBrokerGuarded(config) : config["auth.token"] !== "";
    if (isGuarded || isLoopback(host)) continue;
    const asked = isBroker && hasGazettePlace(config) ? "broker.port" : setting;
    const remedy = isBroker ? "broker.auth-keys" : "auth.token";
    open.push({ setting: asked, address: `${host}:${port}`, remedy });
  }
  return open;
}

/** Whether nobody reaches the broker's journals without a credential. */
export function isBrokerGuarded(config: Config): boolean {
  const keys = config["broker.auth-keys"];
  if (keys === "") return config["auth.token"] !== "";
  return !parseAuthKeys(keys).allowsMissing;
}
