// Where the broker listens and what others call it, by our names (`broker.listen`) or by Gazette's (`broker.host`,
// `broker.port`): with those it binds every interface, as Gazette's brokers do.
import { WireError } from "@millrace/base";
import { endpointUrl } from "./endpoints.ts";
import { listenAddress } from "./part-context.ts";
import type { ListenAddress } from "./setting-kinds.ts";
import type { Config } from "./settings.ts";
import type { TlsFiles } from "./system-tls-files.ts";

/** Whether the broker was told where to be by Gazette's names. */
export function hasGazettePlace(config: Config): boolean {
  return config["broker.host"] !== "" || config["broker.port"] !== "";
}

/** Host "" is every interface. @throws {WireError} INVALID_ARGUMENT */
export function brokerAddress(config: Config): ListenAddress {
  if (!hasGazettePlace(config)) return listenAddress(config, "broker.listen");
  const text = config["broker.port"];
  const path = unixPath(text);
  if (path !== undefined) return { host: "", port: 0, path };
  const port = text === "" ? 0 : Number(text);
  if (!/^\d*$/.test(text) || port > 65_535)
    throw new WireError(
      "INVALID_ARGUMENT",
      `broker.port: "${text}" is not a port in 0..65535 or unix:///PATH`,
    );
  return { host: "", port: config.ports === "free" ? 0 : port };
}

/** The URL at which others reach the broker. @param hostName what this machine calls itself */
export function brokerEndpoint(
  config: Config,
  bound: { readonly host: string; readonly port: number },
  hostName: string,
): string {
  const advertised = config["broker.advertise"];
  if (advertised !== undefined) return brokerUrl(config, advertised.host, advertised.port);
  const path = unixPath(config["broker.port"]);
  if (path !== undefined)
    return `unix://${config["broker.host"] === "" ? hostName : config["broker.host"]}${path}`;
  const given = config["broker.host"] === "" ? bound.host : config["broker.host"];
  return brokerUrl(config, given === "" ? hostName : given, bound.port);
}

/** The URL at which programs on this machine reach it. */
export function localBrokerUrl(
  config: Config,
  { host, port }: { readonly host: string; readonly port: number },
): string {
  const path = unixPath(config["broker.port"]);
  if (path !== undefined) return `unix://${path}`;
  return brokerUrl(config, host === "" ? "127.0.0.1" : host, port);
}

/** `unix:///PATH`, as Gazette's `broker.port` may be. */
function unixPath(port: string): string | undefined {
  return /^unix:\/\/(\/.+)$/.exec(port)?.[1];
}

function brokerUrl(config: Config, host: string, port: number): string {
  const url = endpointUrl(host, port);
  return tlsFiles(config) === undefined ? url : url.replace(/^http:/, "https:");
}

/** @returns undefined without a certificate: the port is plain @throws {WireError} INVALID_ARGUMENT */
export function tlsFiles(config: Config): TlsFiles | undefined {
  // As Gazette: a unix socket is local already, and its endpoint says nothing of TLS.
  if (unixPath(config["broker.port"]) !== undefined) return undefined;
  const cert = config["broker.server-cert-file"];
  const key = config["broker.server-cert-key-file"];
  const ca = config["broker.server-ca-file"];
  if (cert === "") return undefined;
  if (key === "")
    throw new WireError("INVALID_ARGUMENT", "broker.server-cert-file needs broker.server-cert-key-file");
  return { cert, key, ca };
}

/** Why nobody verifies clients, though somebody has set whose certificates they need; undefined unless that is so. */
export function unverifiedClients(
  config: Config,
): { readonly setting: string; readonly reason: string } | undefined {
  const setting = "broker.server-ca-file";
  if (config[setting] === "" || tlsFiles(config) !== undefined) return undefined;
  const isUnix = unixPath(config["broker.port"]) !== undefined;
  return { setting, reason: isUnix ? "a unix port has no TLS" : "broker.server-cert-file is not set" };
}
