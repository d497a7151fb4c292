// The console: its page, its live feed, and the two things that it shows of other doors (SQL, a journal's tail) on the
// page's own origin, so that no other address has to trust it.
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import fastifyStatic from "@fastify/static";
import { WireError, type Clock, type Logger } from "@millrace/base";
import { readHead, readJournal, type JournalTransport } from "@millrace/client";
import { siteUrl } from "@millrace/console";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ConsoleFeed } from "./console-feed.ts";

/** Bytes of a journal that its tail starts with. */
const TAIL_BYTES = 16 * 1024;
/** Bytes a second that a tail sends at most; a busy journal jumps ahead. */
const TAIL_BYTES_PER_SECOND = 256 * 1024;
const TAIL_PAUSE_MS = 1000;

export interface ConsoleDoors {
  readonly feed: ConsoleFeed;
  readonly transport: JournalTransport;
  /** Runs a query: passes body and Accept on, and gives what the warehouse answers. */
  readonly sql: (body: string, accept: string, signal: AbortSignal) => Promise<SqlAnswer>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SqlAnswer {
  readonly status: number;
  readonly contentType: string;
  /** Read as far as the client takes it. */
  readonly body: Readable;
}

export async function addConsoleRoutes(app: FastifyInstance, doors: ConsoleDoors): Promise<void> {
  await app.register(fastifyStatic, { root: fileURLToPath(siteUrl), prefix: "/console/", redirect: true });
  app.get("/console/api/feed", (request, reply) => {
    const stream = openStream(request, reply);
    const unsubscribe = doors.feed.subscribe((snapshot) => stream.send("snapshot", snapshot));
    stream.signal.addEventListener("abort", unsubscribe, { once: true });
  });
  app.post("/console/api/sql", async (request, reply) => {
    const abort = abortOnClose(reply);
    const accept = request.headers.accept ?? "application/json";
    const answer = await doors.sql(JSON.stringify(request.body), accept, abort);
    return reply.code(answer.status).header("content-type", answer.contentType).send(answer.body);
  });
  app.get<{ Querystring: { journal?: string } }>("/console/api/tail", (request, reply) => {
    const journal = request.query.journal;
    if (journal === undefined || journal === "")
      throw new WireError("INVALID_ARGUMENT", '"journal" is missing');
    followTail(doors, journal, openStream(request, reply));
  });
}

interface EventStream {
  readonly signal: AbortSignal;
  send(event: string, data: unknown): void;
  end(): void;
}

/** A stream of server-sent events. A reader that does not keep up is cut off rather than buffered for. */
function openStream(request: FastifyRequest, reply: FastifyReply): EventStream {
  reply.hijack();
  const response = reply.raw;
  const signal = abortOnClose(reply);
  request.raw.socket.setNoDelay(true);
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.write(": open\n\n");
  return {
    signal,
    send: (event, data) => {
      if (response.writableLength > 4 * 1024 * 1024) response.destroy();
      else response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    end: () => response.end(),
  };
}

function abortOnClose(reply: FastifyReply): AbortSignal {
  const abort = new AbortController();
  reply.raw.on("close", () => abort.abort(new WireError("REQUEST_TIMEOUT", "the client went away")));
  return abort.signal;
}

/** Sends the end of a journal as it grows. What comes faster than a person could read is skipped, not queued. */
function followTail(doors: ConsoleDoors, journal: string, stream: EventStream): void {
  const follow = async (): Promise<void> => {
    const { writeHead } = await readHead(doors.transport, journal, stream.signal);
    let offset = Math.max(0, writeHead - TAIL_BYTES);
    for (;;) {
      offset = await followWindow(doors, journal, offset, stream);
      const { writeHead: head } = await readHead(doors.transport, journal, stream.signal);
      offset = Math.max(offset, head - TAIL_BYTES);
    }
  };
  follow()
    .catch((thrown: unknown) => {
      if (stream.signal.aborted) return;
      stream.send("failed", { message: WireError.from(thrown).message });
    })
    .finally(() => stream.end())
    .catch((error: unknown) => doors.logger.error("tail-failed", { error }));
}

/** Follows until a second's worth of bytes was sent; then waits the second out. @returns the next offset */
async function followWindow(
  doors: ConsoleDoors,
  journal: string,
  begin: number,
  stream: EventStream,
): Promise<number> {
  const startMs = doors.clock.monotonicMs();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let at = begin;
  for await (const event of readJournal(doors, { journal, offset: begin, block: true }, stream.signal)) {
    if (event.kind !== "content") continue;
    // A character that a chunk cuts comes whole with the next one.
    stream.send("content", { offset: event.offset, text: decoder.decode(event.bytes, { stream: true }) });
    at = event.offset + event.bytes.length;
    const allowedBytes = TAIL_BYTES_PER_SECOND * Math.max(1, (doors.clock.monotonicMs() - startMs) / 1000);
    if (at - begin < allowedBytes) continue;
    await doors.clock.sleep(TAIL_PAUSE_MS, stream.signal);
    return at;
  }
  return at;
}
