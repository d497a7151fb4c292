// JSON bodies of requests and answers.
//
//  B1  A body is collected up to its own bound, and all bodies under way up to theirs. Whoever goes beyond is refused,
//      by its length before anything of it is read; what was collected is let go at once, and the connection is over
//      with the answer: nobody reads the rest.
import type { IncomingMessage, ServerResponse } from "node:http";
import { WireError } from "@millrace/base";

export class RequestBodies {
  readonly #allMax: number;
  #bytes = 0;

  /** @param allMax bytes of all bodies that are under way together */
  constructor(allMax: number) {
    this.#allMax = allMax;
  }

  /** Bytes that are collected now. */
  get held(): number {
    return this.#bytes;
  }

  /**
   * @param response is told to end the connection where the body is refused
   * @param bytesMax of this one @throws {WireError} TOO_LARGE, OVERLOADED
   */
  async read(request: IncomingMessage, response: ServerResponse, bytesMax: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let bytes = 0;
    const take = (more: number, isHere: boolean): void => {
      if (bytes + more > bytesMax)
        throw new WireError("TOO_LARGE", `the body of a request is larger than ${bytesMax} bytes`);
      if (this.#bytes + more > this.#allMax)
        throw new WireError("OVERLOADED", `bodies of requests take more than ${this.#allMax} bytes together`);
      if (!isHere) return;
      bytes += more;
      this.#bytes += more;
    };
    try {
      take(Number(request.headers["content-length"] ?? 0), false);
      for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        take(part.length, true);
        parts.push(part);
      }
      return Buffer.concat(parts);
    } catch (error) {
      response.setHeader("Connection", "close"); // B1
      throw error;
    } finally {
      this.#bytes -= bytes;
    }
  }
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
