// JSON bodies of requests and answers.
import type { IncomingMessage, ServerResponse } from "node:http";
import { WireError } from "@millrace/base";

/** @throws {WireError} TOO_LARGE */
export async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > bytesMax) {
      throw new WireError("TOO_LARGE", `the body of a request is larger than ${bytesMax} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** @throws {WireError} INVALID_ARGUMENT; no body is an empty message */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (error) {
    throw new WireError("INVALID_ARGUMENT", `the body is not JSON: ${(error as Error).message}`);
  }
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}
