// Who may listen where: loopback needs nothing, anything else needs authentication or an explicit word.
import { WireError } from "@millrace/base";
import type { Config } from "./settings.ts";

export type ListenSetting = "broker.listen" | "api.listen" | "http-source.listen" | "warehouse.listen";

/** Ingest paths are authorised by the secret in their path, but a whole listener is judged: it also serves /metrics. */
const LISTEN_SETTINGS: readonly ListenSetting[] = [
  "broker.listen",
  "api.listen",
  "http-source.listen",
  "warehouse.listen",
];

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
  if (config["auth.token"] !== "" || config["allow-anonymous"]) return;
  for (const name of LISTEN_SETTINGS) {
    const { host, port } = config[name];
    if (isLoopback(host)) continue;
    throw new WireError(
      "INVALID_ARGUMENT",
      `--${name} ${host}:${port} is reachable from other machines, and nothing authenticates its callers: set ` +
        `--auth.token (or MILLRACE_AUTH_TOKEN), listen on 127.0.0.1, or pass --allow-anonymous`,
    );
  }
}
