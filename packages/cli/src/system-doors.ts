// Where a command finds the platform: an address that was given, else the running platform of a data directory, else
// the default addresses. Clients are loaded when a command calls: nobody waits for them who asks for help.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { WireError, CODES, type Code } from "@millrace/base";
import { SETTINGS } from "@millrace/server";
import { Option, type Command } from "commander";
import type { Dispatcher } from "undici";
import { UsageError } from "./cli-io.ts";

export type Door = "broker" | "api" | "warehouse";

export interface DoorOptions {
  readonly address?: string;
  readonly data?: string;
  readonly token?: string;
}

export const DEFAULT_DATA = SETTINGS.data.default;

/** Adds the options that {@link doorAddress} and {@link callDoor} read. */
export function addDoorOptions(command: Command, door: Door): Command {
  return command
    .option("--address <URL>", `address of the ${door} (default: of the platform that runs on --data)`)
    .addOption(dataOption("data directory of a platform on this machine"))
    .addOption(new Option("--token <TOKEN>", "token to send").env("MILLRACE_AUTH_TOKEN"));
}

/** `--data`, without a default value: whoever names a directory means that one. */
export function dataOption(help: string): Option {
  return new Option("--data <DIR>", `${help} (default: ${DEFAULT_DATA})`).env("MILLRACE_DATA");
}

/**
 * @throws {UsageError} for an address that is none
 * @throws {WireError} UNAVAILABLE when nothing runs on the directory that was named, or when it runs without the door
 */
export function doorAddress(door: Door, options: DoorOptions): string {
  const { address, data } = options;
  if (address !== undefined) {
    if (!/^https?:\/\/[^/]+/.test(address) || !URL.canParse(address))
      throw new UsageError(`--address ${address}: expected http://HOST:PORT`);
    return address.replace(/\/$/, "");
  }
  const file = join(data ?? DEFAULT_DATA, "endpoints.json");
  if (!existsSync(file)) {
    if (data === undefined) return `http://${SETTINGS[`${door}.listen`].default}`;
    throw new WireError(
      "UNAVAILABLE",
      `no platform runs on ${data}: start one with millrace up --data ${data}`,
    );
  }
  const endpoints = JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, string>>;
  const found = endpoints[door];
  if (found !== undefined) return found;
  const names = Object.keys(endpoints).filter((name) => name !== "pid");
  throw new WireError(
    "UNAVAILABLE",
    `the platform of ${data ?? DEFAULT_DATA} has no ${door}, only ${names.join(", ")}`,
  );
}

/**
 * One request with a JSON body.
 * @throws {WireError} of the answer's status, with its message, unless it is 2xx; UNAVAILABLE when nobody answers
 */
export function callDoor(
  door: Door,
  options: DoorOptions,
  call: DoorCall,
  signal: AbortSignal,
): Promise<string> {
  const { token = "" } = options;
  const authorization = token === "" ? "" : `Bearer ${token}`;
  const isNamed = options.address !== undefined;
  return callAddress(doorAddress(door, options), { ...call, authorization, isNamed }, signal);
}

export interface DoorCall {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly accept?: string;
}

/** As {@link callDoor}, with an Authorization header, unless it is "", and connections of `via`. */
export async function callAddress(
  address: string,
  call: DoorCall & {
    readonly authorization: string;
    readonly via?: Dispatcher;
    /** Somebody has given the address. */
    readonly isNamed: boolean;
  },
  signal: AbortSignal,
): Promise<string> {
  const headers = {
    accept: call.accept ?? "application/json",
    ...(call.authorization === "" ? {} : { authorization: call.authorization }),
    ...(call.body === undefined ? {} : { "content-type": "application/json" }),
  };
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const { status, body: text } = await requestAt(address, { ...call, headers, body }, signal);
  if (status < 300) return text;
  const codes = Object.keys(CODES) as Code[];
  const code = codes.find((each) => CODES[each].status === status) ?? "INTERNAL";
  throw new WireError(code, messageOf(text, status));
}

/** One request and its whole answer, whatever its status. @throws {WireError} UNAVAILABLE when nobody answers */
export async function requestAt(
  address: string,
  call: {
    readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | undefined;
    readonly via?: Dispatcher;
    readonly isNamed: boolean;
  },
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  const { request } = await import("undici");
  const answer = await request(address + call.path, {
    method: call.method,
    headers: call.headers,
    signal,
    ...(call.via === undefined ? {} : { dispatcher: call.via }),
    ...(call.body === undefined ? {} : { body: call.body }),
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw noAnswer(address, error, call.isNamed);
  });
  return { status: answer.statusCode, body: await answer.body.text() };
}

/** What a person is told when a connection fails. @param isNamed as of {@link nothingListens} */
export function noAnswer(address: string, error: unknown, isNamed: boolean): WireError {
  if (isRefusal(error)) return nothingListens(address, isNamed);
  const tls = tlsFailure(address, (error as NodeJS.ErrnoException).code);
  if (tls !== undefined) return tls;
  const message = error instanceof Error ? error.message : String(error);
  return new WireError("UNAVAILABLE", `no answer from ${address}: ${message}`);
}

/** @param isNamed somebody has given the address: what runs there, or should, is not this machine's platform */
export function nothingListens(address: string, isNamed: boolean): WireError {
  const advice = isNamed
    ? "is the address right, and is what should answer there up? It may still be starting"
    : "is the platform up? Start it with millrace up";
  return new WireError("UNAVAILABLE", `nothing listens on ${address}: ${advice}`);
}

/** Codes of certificates that no authority vouches for, as OpenSSL names them. */
const UNTRUSTED = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|CERT_UNTRUSTED|UNABLE_TO_\w+)$/;

/** In the place of Node's code: a TLS connection ended, and nobody said why. */
export const CLOSED_UNTOLD = "closed";

/** As that, before the handshake was over: a port without TLS takes it for nothing that it knows. */
export const CLOSED_EARLY = "closed in the handshake";

/** @param code of Node's error, or one of the above; undefined when it is not about TLS */
export function tlsFailure(address: string, code: string | undefined): WireError | undefined {
  const because = (what: string): WireError => new WireError("UNAVAILABLE", `${address} ${what} (${code})`);
  if (code === undefined) return undefined;
  if (UNTRUSTED.test(code))
    return because("has a certificate of an authority that is not trusted: set --broker.trusted-ca-file");
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return because("has a certificate of another host");
  if (code.startsWith("CERT_")) return because("has a certificate that is not valid now");
  if (/^ERR_SSL_\w*(?:CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)/.test(code))
    return because("refuses this side: set --broker.cert-file and --broker.cert-key-file to what it trusts");
  if (code === CLOSED_UNTOLD) {
    const remedy =
      "if it asks for a certificate, set --broker.cert-file and --broker.cert-key-file to what it trusts";
    return because(`ends the connection behind the handshake: ${remedy}`);
  }
  if (code === CLOSED_EARLY || code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "EPROTO")
    return because("speaks no TLS: is it http://");
  return undefined;
}

export function isRefusal(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
}

function messageOf(text: string, status: number): string {
  try {
    const { message, position } = JSON.parse(text) as { message?: string; position?: number };
    const at = position === undefined ? "" : ` (at position ${position})`;
    if (message !== undefined) return `${message}${at}`;
  } catch {
    // Not JSON: shown as it is.
  }
  return text.trim() === "" ? `HTTP status ${status}` : text.trim();
}
