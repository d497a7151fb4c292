// GET and HEAD of a journal (section 7.2): its bytes as one body without end, a piece for each commit, and at the
// end a trailer that says why it ended.
import type { IncomingMessage, ServerResponse } from "node:http";
import { WireError } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import {
  contentName,
  newReadRequest,
  validateReadRequest,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";
import { refuseExpired } from "./expiring-transport.ts";
import { answerError, answerText, headerValue, httpStatusOf, setRouteHeaders } from "./http-answers.ts";
import { parseQuery } from "./http-query.ts";

/** Bytes that may wait in a socket before reading pauses: some chunks, so that disk and network overlap. */
const SOCKET_QUEUE_BYTES_MAX = 1024 * 1024;
const INT64_MAX = "9223372036854775807";

/** @throws {WireError} INVALID_ARGUMENT */
export function parseReadRequest(journal: string, query: string, method: string): ReadRequest {
  const { offset, block } = parseQuery(query, { offset: "int64", block: "bool" });
  const request = newReadRequest({
    journal,
    offset: Number(offset ?? 0),
    block: block === true,
    metadataOnly: method === "HEAD",
  });
  validateReadRequest(request);
  return request;
}

export async function serveRead(
  transport: JournalTransport,
  read: ReadRequest,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort(new WireError("UNAVAILABLE", "the client went away")));
  try {
    const messages = transport.read(read, gone.signal)[Symbol.asyncIterator]();
    const first = await messages.next();
    if (first.done === true) {
      refuseExpired(transport);
      answerText(response, 503, "broker terminated RPC");
      return;
    }
    if (first.value.status !== "OK" || read.metadataOnly) {
      writeHead(request, response, first.value);
      await messages.return?.();
      if (!response.writableEnded) response.end();
      return;
    }
    // What cannot be read at all is told by the status: few look at trailers.
    const second = await messages.next();
    writeHead(request, response, first.value);
    await pump(messages, second, first.value.offset, response, gone.signal);
    if (response.writableEnded) return;
    // Whoever asks again with the same token is refused: it is told why its read has ended.
    refuseExpired(transport);
    endWith(response, "broker terminated RPC");
  } catch (error) {
    if (gone.signal.aborted) return;
    const { code, message } = WireError.from(error);
    if (response.headersSent) endWith(response, `${code}: ${message}`);
    else answerError(response, error);
  }
}

/**
 * Writes content until the stream ends; what says why ends the answer. @param first of the messages behind the metadata
 */
async function pump(
  messages: AsyncIterator<ReadResponse>,
  first: IteratorResult<ReadResponse>,
  begin: number,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  let offset = begin;
  try {
    for (let next = first; ; next = await messages.next()) {
      if (next.done === true) return;
      const { content, status, offset: at } = next.value;
      if (status !== "OK" || at !== offset) {
        endWith(response, status === "OK" ? "offset jump" : status);
        return;
      }
      if (content === undefined) continue;
      offset += content.length;
      if (!response.write(content) && response.writableLength >= SOCKET_QUEUE_BYTES_MAX)
        await drained(response, gone);
    }
  } finally {
    // Whoever left in the middle still has it in hand.
    await messages.return?.();
  }
}

function writeHead(request: IncomingMessage, response: ServerResponse, first: ReadResponse): void {
  const { status, header, fragment, fragmentUrl, offset, writeHead: head } = first;
  if (header !== undefined) setRouteHeaders(request, response, header);
  if (fragment !== undefined) {
    response.setHeader("X-Fragment-Name", contentName(fragment));
    if (fragment.modTime !== 0) {
      response.setHeader("X-Fragment-Last-Modified", new Date(fragment.modTime * 1000).toUTCString());
    }
    if (fragmentUrl !== "") response.setHeader("X-Fragment-Location", headerValue(fragmentUrl));
    response.setHeader("Content-Range", `bytes ${offset}-${INT64_MAX}/${INT64_MAX}`);
  }
  if (head !== 0) response.setHeader("X-Write-Head", String(head));
  if (status !== "OK") {
    response.setHeader("X-Error-Code", status);
    answerText(response, httpStatusOf(status), status);
    return;
  }
  response.setHeader("Content-Type", "application/octet-stream");
  if (request.method === "GET") response.setHeader("Trailer", "X-Close-Error");
  response.writeHead(206);
}

function endWith(response: ServerResponse, why: string): void {
  response.addTrailers({ "X-Close-Error": headerValue(why) });
  response.end();
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      gone.removeEventListener("abort", onGone);
      resolve();
    };
    const onGone = (): void => {
      response.removeListener("drain", onDrain);
      reject(gone.reason as Error);
    };
    if (gone.aborted) {
      reject(gone.reason as Error);
      return;
    }
    response.once("drain", onDrain);
    gone.addEventListener("abort", onGone, { once: true });
  });
}
