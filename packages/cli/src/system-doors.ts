// Where a command finds the platform: an address that was given, else the running platform of a data directory, else the
// default addresses.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HttpTransport } from "@millrace/client";
import { WireError, CODES, type Code } from "@millrace/base";
import { SETTINGS } from "@millrace/server";
import type { Command } from "commander";
import { request } from "undici";

export type Door = "broker" | "api" | "warehouse";

export interface DoorOptions {
  readonly address?: string;
  readonly data: string;
  readonly token?: string;
}

/** Adds the options that {@link doorAddress} and {@link doorToken} read. */
export function addDoorOptions(command: Command, door: Door): Command {
  return command
    .option("--address <URL>", `Address of the ${door} (default: endpoints.json of --data, else ${defaultAddress(door)})`)
    .option("--data <DIR>", "Data directory of a platform on this machine", "./millrace-data")
    .option("--token <TOKEN>", "Token to send (MILLRACE_AUTH_TOKEN)");
}

export function doorAddress(door: Door, options: DoorOptions): string {
  if (options.address !== undefined) return options.address.replace(/\/$/, "");
  try {
    const endpoints = JSON.parse(readFileSync(join(options.data, "endpoints.json"), "utf8")) as Record<string, string>;
    return endpoints[door] ?? defaultAddress(door);
  } catch {
    return defaultAddress(door);
  }
}

export function doorToken(options: DoorOptions): string {
  return options.token ?? process.env["MILLRACE_AUTH_TOKEN"] ?? "";
}

export function openTransport(options: DoorOptions): HttpTransport {
  return new HttpTransport({ address: doorAddress("broker", options), token: doorToken(options), connections: 16 });
}

function defaultAddress(door: Door): string {
  return `http://${SETTINGS[`${door}.listen`].default}`;
}

export interface DoorAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * One request with a JSON body. @throws {WireError} of the answer's status, with its message, unless it is 2xx;
 * UNAVAILABLE when nobody answers
 */
export async function callDoor(
  door: Door,
  options: DoorOptions,
  call: { method: "GET" | "POST"; path: string; body?: unknown; accept?: string },
  signal: AbortSignal,
): Promise<string> {
  const address = doorAddress(door, options);
  const token = doorToken(options);
  const answer = await request(address + call.path, {
    method: call.method,
    headers: {
      accept: call.accept ?? "application/json",
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(call.body === undefined ? {} : { "content-type": "application/json" }),
    },
    signal,
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new WireError("UNAVAILABLE", `no answer from ${address}: ${(error as Error).message} (is the platform up?)`);
  });
  const text = await answer.body.text();
  if (answer.statusCode < 300) return text;
  const codes = Object.keys(CODES) as Code[];
  const code = codes.find((each) => CODES[each].status === answer.statusCode) ?? "INTERNAL";
  throw new WireError(code, messageOf(text, answer.statusCode));
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
