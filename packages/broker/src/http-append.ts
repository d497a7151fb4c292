// PUT of a journal (section 7.2): the body is one append. Small bodies are collected before the append begins, so
// that a slow client never holds the journal; larger ones stream.
import type { IncomingMessage, ServerResponse } from "node:http";
import { never, WireError } from "@millrace/base";
import type { AppendContent, JournalTransport } from "@millrace/client";
import {
  newAppendRequest,
  validateAppendRequest,
  type AppendPreamble,
  type AppendResponse,
  type Status,
} from "@millrace/protocol";
import {
  answerError,
  headerValue,
  httpStatusOf,
  routeHeaders,
  sendAnswer,
  textAnswer,
  type TextAnswer,
} from "./http-answers.ts";
import { parseQuery } from "./http-query.ts";
import type { LateTimers } from "./late-timers.ts";

const APPEND_ARGUMENTS = { offset: "int64" } as const;
/** Said with a refusal that a request can mend. */
const HINTS: Partial<Record<Status, string>> = {
  INDEX_HAS_GREATER_OFFSET:
    "the store has fragments beyond the journal's end; GET ?offset=-1 says where they end (X-Write-Head), " +
    "and PUT ?offset=N goes on there",
};

/** Bodies up to this many bytes are collected. */
const COLLECT_BYTES_MAX = 256 * 1024;
/** Silence in the middle of a body after which its client is taken for gone. */
const BODY_IDLE_MS = 60_000;
/** Bytes of a refused body that are passed over, so that the client reads the refusal. */
const PASS_OVER_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Beyond the protocol's gateway it takes the offset at which the append must begin. It is the way on for a journal that
 * was deleted and made again over fragments of its earlier life: where a listing ends is not proof enough for writing
 * there (D1), so that a person says it.
 * @throws {WireError} INVALID_ARGUMENT
 */
export function parseAppendRequest(journal: string, query: string): AppendPreamble {
  const { offset = 0 } = parseQuery(query, APPEND_ARGUMENTS);
  const request = newAppendRequest({ journal, offset: Number(offset) });
  if (journal === "")
    throw new WireError("INVALID_ARGUMENT", "Journal: invalid length (0; expected 4 <= length <= 512)");
  validateAppendRequest(request);
  return request;
}

/**
 * @param bytesMax larger bodies are refused (413)
 * @param idleMs silence after which the connection of a body is cut
 */
export function serveAppend(
  transport: JournalTransport,
  append: AppendPreamble,
  request: IncomingMessage,
  response: ServerResponse,
  options: { readonly bytesMax: number; readonly idleMs?: number | undefined; readonly timers: LateTimers },
): void {
  const { bytesMax, idleMs = BODY_IDLE_MS, timers } = options;
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > bytesMax) {
    response.setHeader("Connection", "close");
    answerError(response, tooLarge(bytesMax));
    return;
  }
  collect(request, { idleMs, timers }, (parts, rest) => {
    if (rest === undefined) {
      transport.append(append, { kind: "bytes", bytes: parts }, never).then(
        (answer) => answerAppend(request, response, answer),
        (error: unknown) => answerError(response, error),
      );
      return;
    }
    const content: AppendContent = { kind: "chunks", chunks: body(parts, rest, { bytesMax, idleMs }) };
    transport.append(append, content, abortOnClose(response)).then(
      (answer) => afterBody(rest, response, () => answerAppend(request, response, answer)),
      (error: unknown) => afterBody(rest, response, () => answerError(response, error)),
    );
  });
}

/**
 * Answers once the rest of the body was passed over: a client that still sends may never see an answer that comes
 * before. One that has a lot left is cut off.
 */
function afterBody(rest: IncomingMessage, response: ServerResponse, answer: () => void): void {
  if (rest.complete || rest.destroyed) {
    answer();
    return;
  }
  let bytes = 0;
  const end = (): void => {
    rest.removeListener("data", onData).removeListener("end", end);
    answer();
  };
  const onData = (part: Buffer): void => {
    bytes += part.length;
    if (bytes <= PASS_OVER_BYTES_MAX) return;
    response.setHeader("Connection", "close");
    rest.pause();
    end();
  };
  rest.on("data", onData).on("end", end);
  rest.resume();
}

function answerAppend(request: IncomingMessage, response: ServerResponse, answer: AppendResponse): void {
  sendAnswer(response, appendAnswer(answer, request.url ?? "/"));
}

/** @param url of the request */
export function appendAnswer(answer: AppendResponse, url: string): TextAnswer {
  const { status, header, commit, storeHealthError } = answer;
  const headers = routeHeaders(header, url);
  if (commit !== undefined) {
    const end = String(commit.end);
    headers.push(["X-Commit-Begin", String(commit.begin)], ["X-Commit-End", end], ["X-Write-Head", end]);
    headers.push(["X-Commit-SHA1-Sum", commit.sum]);
  }
  if (storeHealthError !== "") headers.push(["X-Store-Health-Error", headerValue(storeHealthError)]);
  if (status === "OK") return { status: 204, headers, body: "" };
  headers.push(["X-Error-Code", status]);
  const hint = HINTS[status];
  return textAnswer(httpStatusOf(status), hint === undefined ? status : `${status}: ${hint}`, headers);
}

/**
 * Calls `then` once with the whole body, or with its beginning and the request for the rest. Not if the client
 * leaves.
 */
function collect(
  request: IncomingMessage,
  { idleMs, timers }: { readonly idleMs: number; readonly timers: LateTimers },
  then: (parts: readonly Uint8Array[], rest: IncomingMessage | undefined) => void,
): void {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const timer = timers.start(() => request.setTimeout(idleMs, () => request.destroy(silent(idleMs))));
  const stop = (): void => {
    request.removeListener("data", onData);
    request.removeListener("end", onEnd);
    if (!timer.cancel()) request.setTimeout(0);
  };
  const onData = (part: Buffer): void => {
    parts.push(part);
    bytes += part.length;
    if (bytes <= COLLECT_BYTES_MAX) return;
    stop();
    request.pause();
    then(parts, request);
  };
  const onEnd = (): void => {
    stop();
    then(parts, undefined);
  };
  request.on("error", () => undefined);
  request.on("data", onData);
  request.on("end", onEnd);
}

async function* body(
  parts: readonly Uint8Array[],
  rest: IncomingMessage,
  { bytesMax, idleMs }: { readonly bytesMax: number; readonly idleMs: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for (const part of parts) {
    bytes += part.length;
    yield part;
  }
  // Whoever stops pulling still wants to answer: the socket must stay.
  const pieces: AsyncIterable<Uint8Array> = rest.iterator({ destroyOnReturn: false });
  rest.setTimeout(idleMs, () => rest.destroy(silent(idleMs)));
  for await (const part of pieces) {
    bytes += part.length;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    // While we do not read the client is not to blame.
    rest.setTimeout(0);
    yield part;
    rest.setTimeout(idleMs);
  }
  rest.setTimeout(0);
  if (!rest.complete) throw new WireError("REQUEST_TIMEOUT", "the body ended before its end");
}

function abortOnClose(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) controller.abort(new WireError("UNAVAILABLE", "the client went away"));
  });
  return controller.signal;
}

function silent(idleMs: number): WireError {
  return new WireError("REQUEST_TIMEOUT", `no byte of the body came for ${idleMs} ms`);
}

function tooLarge(bytesMax: number): WireError {
  return new WireError("TOO_LARGE", `the body of an append is larger than ${bytesMax} bytes`);
}
