// An HTTP proxy for tests, between a store and its server, that does what networks and services do: refuses, loses
// answers, cuts them, gives old ones, says nothing.
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

export type ProxyFault =
  /** 503 before the server hears of it. */
  | "refuse"
  /** The server does it, and its answer never arrives. */
  | "lose-answer"
  /** Half of the answer's body arrives. */
  | "cut-answer"
  /** The answer's body has bytes of another range, as its header says. */
  | "wrong-range"
  /** The answer that this request had the first time. */
  | "stale"
  /** Nothing ever comes back, and the server hears nothing. */
  | "silence";

export interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
}

interface Recorded {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export class FaultProxy {
  /** What goes wrong with a request; undefined: nothing. */
  script: ((request: ProxiedRequest) => ProxyFault | undefined) | undefined;
  /** Every request, in order. */
  readonly requests: ProxiedRequest[] = [];
  /** Requests met with silence whose client has gone. */
  goneCount = 0;
  readonly #target: URL;
  readonly #recorded = new Map<string, Recorded>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  constructor(target: string) {
    this.#target = new URL(target);
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = { method: request.method ?? "", path: request.url ?? "" };
    this.requests.push(asked);
    const fault = this.script?.(asked);
    response.on("error", () => undefined);
    try {
      const body = await bodyOf(request);
      if (fault === "silence") return void response.once("close", () => this.goneCount++);
      if (fault === "refuse") return void response.writeHead(503, { "content-length": 0 }).end();
      const key = `${asked.method} ${asked.path}`;
      const answer = await this.#forward(request, body);
      if (fault === "lose-answer") return void response.destroy();
      const given = fault === "stale" ? (this.#recorded.get(key) ?? answer) : answer;
      if (!this.#recorded.has(key)) this.#recorded.set(key, answer);
      give(response, fault, given, asked.method === "HEAD");
    } catch {
      response.destroy();
    }
  }

  #forward(request: IncomingMessage, body: Buffer): Promise<Recorded> {
    return new Promise((resolve, reject) => {
      const { hostname: host, port } = this.#target;
      // The host is as the client signed it.
      const headers = { ...request.headers, connection: "close" };
      const { method, url: path } = request;
      const forwarded = httpRequest({ host, port, method, path, headers }, (answer) => {
        bodyOf(answer).then(
          (bytes) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: bytes }),
          reject,
        );
      });
      forwarded.on("error", reject);
      forwarded.end(body);
    });
  }
}

function give(
  response: ServerResponse,
  fault: ProxyFault | undefined,
  { status, headers, body }: Recorded,
  isHead: boolean,
): void {
  const { connection: _, "transfer-encoding": __, ...rest } = headers;
  const length = isHead ? {} : { "content-length": body.length };
  if (fault === "wrong-range") {
    const [, size] = (rest["content-range"] ?? "").split("/");
    rest["content-range"] = `bytes 0-${body.length - 1}/${size}`;
  }
  response.writeHead(status, { ...rest, ...length });
  if (fault === "cut-answer") response.write(body.subarray(0, body.length >> 1), () => response.destroy());
  else response.end(isHead ? undefined : body);
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of message) parts.push(chunk as Buffer);
  return Buffer.concat(parts);
}
