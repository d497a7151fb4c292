// Load from `wrk`: one fixed request over kept connections.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./processes.ts";

export interface WrkResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were not 2xx, and socket errors. */
  readonly failures: number;
}

export interface RequestLoad {
  readonly method: "POST" | "PUT";
  readonly body: string;
  readonly contentType?: string;
  readonly connections: number;
  readonly seconds: number;
}

export function postLoad(
  url: string,
  body: string,
  options: Omit<RequestLoad, "method" | "body">,
): Promise<WrkResult> {
  return requestLoad(url, { method: "POST", body, ...options });
}

export async function requestLoad(url: string, load: RequestLoad): Promise<WrkResult> {
  const { method, body, connections, seconds, contentType = "application/json" } = load;
  const directory = mkdtempSync(join(tmpdir(), "millrace-wrk-"));
  const script = join(directory, "request.lua");
  const headers = `wrk.headers["Content-Type"] = "${contentType}"`;
  writeFileSync(script, `wrk.method = "${method}"\n${headers}\nwrk.body = ${luaString(body)}\n`);
  try {
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "-s", script, url];
    return parseWrk(await run("wrk", args));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function luaString(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

export function parseWrk(output: string): WrkResult {
  const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? 0);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output);
  const socketErrors = sockets === null ? 0 : sockets.slice(1).reduce((sum, each) => sum + Number(each), 0);
  return {
    requests: number(/(\d+) requests in/),
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: milliseconds(/^ +50% +(\S+)/m.exec(output)?.[1]),
    p99Ms: milliseconds(/^ +99% +(\S+)/m.exec(output)?.[1]),
    failures: number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors,
  };
}

function milliseconds(text: string | undefined): number {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? "");
  if (match === null) return Number.NaN;
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1000, m: 60_000 }[match[2] as "us" | "ms" | "s" | "m"];
}

/** A flight-like record of about `bytes` bytes. */
export function sampleRecord(bytes: number): string {
  const record = {
    date: "2001/01/01 00:47",
    delay: 66,
    distance: 1750,
    origin: "DTW",
    destination: "LAS",
    note: "",
  };
  const missing = bytes - JSON.stringify(record).length;
  return JSON.stringify({ ...record, note: "x".repeat(Math.max(0, missing)) });
}
