// Where a channel leads.
import { WireError } from "@millrace/base";

export interface Target {
  readonly host: string;
  readonly port: number;
  /** Of a unix socket. */
  readonly path: string | undefined;
  readonly isTls: boolean;
  /** Default `:authority`. */
  readonly authority: string;
}

const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** @throws {WireError} INVALID_ARGUMENT */
export function targetOf(address: string): Target {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new WireError("INVALID_ARGUMENT", `not a URL: ${address}`);
  }
  if (url.protocol === "unix:") {
    // unix:///path, unix:/path, or with the host that Gazette's endpoints have before it.
    const path = decodeURIComponent(url.pathname);
    return { host: "", port: 0, path, isTls: false, authority: url.host === "" ? "localhost" : url.host };
  }
  const port = PORTS[url.protocol];
  if (port === undefined || url.hostname === "") {
    throw new WireError("INVALID_ARGUMENT", `not http://, https:// or unix://: ${address}`);
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? port : Number(url.port),
    path: undefined,
    isTls: url.protocol === "https:",
    authority: url.host,
  };
}
