// What listeners of the platform share: bind failures, time limits, descriptors.
import { readFileSync } from "node:fs";
import { WireError } from "@millrace/base";
import { descriptorLimit } from "./connection-share.ts";
import type { ListenAddress } from "./setting-kinds.ts";

export interface HttpListener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting, lets answers under way end until `signal` aborts, then cuts them. */
  stop(signal: AbortSignal): Promise<void>;
}

/** Bodies may take their time: an append is a stream. Left alone, Node looks for late heads every 30 s. */
export const HTTP_TIMES = {
  headersTimeout: 10_000,
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
  connectionsCheckingInterval: 1000,
} as const;

/** Bind failures as a person understands them. @param what e.g. `broker.listen` */
export function bindFailure(
  what: string,
  { host, port, path }: ListenAddress,
  error: NodeJS.ErrnoException,
): WireError {
  if (path !== undefined)
    return new WireError("CONFLICT", `cannot listen on unix://${path}: ${error.message}`);
  const why = error.code === "EADDRINUSE" ? "the address is in use" : error.message;
  return new WireError(
    "CONFLICT",
    `cannot listen on ${host}:${port}: ${why}; choose another with --${what} HOST:PORT`,
  );
}

/** Node wants IPv6 hosts without brackets. */
export function bindHost(host: string): string {
  return host.replaceAll(/[[\]]/g, "");
}

/** Limit of this process, where the system tells it. */
export function processDescriptors(): number | undefined {
  try {
    return descriptorLimit(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    return undefined;
  }
}
