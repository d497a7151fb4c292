// A server for tests of the page: the built site and the routes of the console, every answer scripted by the test.
import { createReadStream, existsSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import type { FeedSnapshot } from "./feed.ts";
import { siteUrl } from "./index.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

export interface FakeAnswer {
  readonly status: number;
  readonly body: unknown;
}

export class FakeServer {
  /** Snapshots that a new reader of the feed gets at once. */
  backlog: () => readonly FeedSnapshot[] = () => [];
  sql: (query: string) => FakeAnswer | Promise<FakeAnswer> = () => ({ status: 404, body: {} });
  api: (path: string, method: string) => FakeAnswer = () => ({ status: 404, body: {} });
  /** What a reader of a journal gets at once. */
  tail: (journal: string) => readonly { event: string; data: unknown }[] = () => [];
  /** "" when none is needed. */
  token = "";
  /** Whether the feed's readers are turned away. */
  isDown = false;
  /** Paths of all requests, in order. */
  readonly requests: string[] = [];
  readonly #feeds = new Set<ServerResponse>();
  readonly #tails = new Set<ServerResponse>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  sendSnapshot(snapshot: FeedSnapshot): void {
    for (const feed of this.#feeds) sendEvent(feed, "snapshot", snapshot);
  }

  sendTail(offset: number, text: string): void {
    for (const tail of this.#tails) sendEvent(tail, "content", { offset, text });
  }

  /** Breaks the streams that are open. */
  breakStreams(): void {
    for (const stream of [...this.#feeds, ...this.#tails]) stream.destroy();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://fake");
    this.requests.push(url.pathname);
    if (url.pathname.startsWith("/console/api/") || url.pathname.startsWith("/v1/")) {
      if (this.token !== "" && request.headers.authorization !== `Bearer ${this.token}`) {
        sendJson(response, {
          status: 401,
          body: { error: "UNAUTHENTICATED", message: "a token is required" },
        });
        return;
      }
    }
    switch (url.pathname) {
      case "/console/api/feed":
        if (this.isDown)
          sendJson(response, { status: 503, body: { message: "the server is shutting down" } });
        else this.#openFeed(response);
        return;
      case "/console/api/tail":
        this.#openTail(response, url.searchParams.get("journal") ?? "");
        return;
      case "/console/api/sql": {
        const { query } = JSON.parse(await bodyOf(request)) as { query: string };
        sendJson(response, await this.sql(query));
        return;
      }
      default:
        if (url.pathname.startsWith("/v1/"))
          sendJson(response, this.api(url.pathname, request.method ?? "GET"));
        else sendFile(response, url.pathname);
    }
  }

  #openFeed(response: ServerResponse): void {
    openStream(response, this.#feeds);
    for (const snapshot of this.backlog()) sendEvent(response, "snapshot", snapshot);
  }

  #openTail(response: ServerResponse, journal: string): void {
    openStream(response, this.#tails);
    for (const { event, data } of this.tail(journal)) sendEvent(response, event, data);
  }
}

function openStream(response: ServerResponse, streams: Set<ServerResponse>): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.write(": open\n\n");
  streams.add(response);
  response.on("close", () => streams.delete(response));
}

function sendEvent(response: ServerResponse, event: string, data: unknown): void {
  response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

function sendJson(response: ServerResponse, { status, body }: FakeAnswer): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function sendFile(response: ServerResponse, path: string): void {
  const name = path === "/console/" ? "index.html" : path.replace(/^\/console\//, "");
  const file = new URL(name, siteUrl);
  const isInside = /^[\w./-]+$/.test(name) && !name.includes("..");
  if (!isInside || !existsSync(file)) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}
