// REST under /v1/journals (section 7.3): list and read as streams of JSON lines; apply, fragments and store-health as
// one answer each. These are Millrace's, in the same JSON mapping.
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import { WireError } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import {
  applyRequestFromJson,
  applyResponseToJson,
  EMPTY_PROCESS_ID,
  EMPTY_ROUTE,
  fragmentsRequestFromJson,
  fragmentStoreHealthRequestFromJson,
  fragmentStoreHealthResponseToJson,
  fragmentsResponseToJson,
  listRequestFromJson,
  listResponseToJson,
  readRequestFromJson,
  readResponseToJson,
  validateApplyRequest,
  validateFragmentsRequest,
  validateListRequest,
  validateReadRequest,
  type FragmentStoreHealthRequest,
  type FragmentStoreHealthResponse,
  type Header,
  type ListRequest,
  type ListResponse,
  type ReadRequest,
} from "@millrace/protocol";
import { refuseExpired } from "./expiring-transport.ts";
import { grpcCodeOf } from "./http-answers.ts";
import { parseJson, sendJson, type RequestBodies } from "./http-json.ts";
import { LIST_MESSAGE_JOURNALS } from "./limits.ts";

/** A listing of 10,000 journals as an Apply of all of them fits. */
const APPLY_BYTES_MAX = 16 * 1024 * 1024;
/** Of the other methods: names, selectors and numbers. */
const BODY_BYTES_MAX = 256 * 1024;
/** Continuation messages of a listing carry no header. */
const ZERO_HEADER: Header = {
  processId: EMPTY_PROCESS_ID,
  route: EMPTY_ROUTE,
  etcd: { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0n },
};

type UnaryMethod = "apply" | "fragments" | "store-health";
export type RestMethod = "list" | "read" | UnaryMethod;

/** Answers whether a store works, whoever asks. */
export type CheckStore = (
  request: FragmentStoreHealthRequest,
  signal: AbortSignal,
) => Promise<FragmentStoreHealthResponse>;

/** What REST is served from. */
export interface RestDoors {
  readonly transport: JournalTransport;
  readonly storeHealth: CheckStore;
  readonly bodies: RequestBodies;
}

/** The method of a path below /v1, or undefined when there is none. */
export function restMethodOf(path: string, method: string): RestMethod | undefined {
  if (method !== "POST") return undefined;
  const name = /^\/v1\/journals\/(list|read|apply|fragments|store-health)$/.exec(path)?.[1];
  return name as RestMethod | undefined;
}

export async function serveRest(
  doors: RestDoors,
  method: RestMethod,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort(new WireError("UNAVAILABLE", "the client went away")));
  try {
    const bytesMax = method === "apply" ? APPLY_BYTES_MAX : BODY_BYTES_MAX;
    // As protobuf's JSON mapping has it, null is a message without fields.
    const json = parseJson(await doors.bodies.read(request, response, bytesMax)) ?? {};
    if (!isStream(method)) {
      const answer = await callUnary(doors, method, json, gone.signal);
      sendJson(response, 200, answer);
      return;
    }
    await pipe(streamOf(doors.transport, requestOf(method, json), gone.signal), response, gone.signal);
  } catch (error) {
    if (!gone.signal.aborted) answerRestError(response, error);
  }
}

/** Whether its answer is a line for each message. */
export function isStream(method: RestMethod): method is "list" | "read" {
  return method === "list" || method === "read";
}

/** The error of a call that has sent nothing, and would send one answer; or whose request could not be read. */
export function answerRestError(response: ServerResponse, thrown: unknown): void {
  const error = WireError.from(thrown);
  const { code } = grpcCodeOf(error);
  setErrorHeaders(response, error);
  sendJson(response, error.status, { code, message: error.message, details: [] });
}

/** The error of a call of many messages that has sent none. */
export function answerStreamError(response: ServerResponse, thrown: unknown): void {
  const error = WireError.from(thrown);
  setErrorHeaders(response, error);
  sendJson(response, error.status, lastMessage(error));
}

function setErrorHeaders(response: ServerResponse, error: WireError): void {
  if (error.status === 503 || error.status === 429) response.setHeader("Retry-After", "1");
  if (error.code === "UNAUTHENTICATED") response.setHeader("WWW-Authenticate", "Bearer");
}

/** What ends a stream of messages, or stands in its place. */
function lastMessage(error: WireError): unknown {
  const { status: httpCode, message } = error;
  const httpStatus = STATUS_CODES[httpCode] ?? "";
  return { error: { grpcCode: grpcCodeOf(error).code, httpCode, message, httpStatus, details: [] } };
}

export function answerNotImplemented(response: ServerResponse): void {
  sendJson(response, 501, { code: 12, message: "Not Implemented", details: [] });
}

async function callUnary(
  { transport, storeHealth }: RestDoors,
  method: UnaryMethod,
  json: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (method === "store-health") {
    const request = fragmentStoreHealthRequestFromJson(json);
    return fragmentStoreHealthResponseToJson(await storeHealth(request, signal));
  }
  if (method === "apply") {
    const request = applyRequestFromJson(json);
    validateApplyRequest(request);
    return applyResponseToJson(await transport.apply(request, signal));
  }
  const request = fragmentsRequestFromJson(json);
  validateFragmentsRequest(request);
  return fragmentsResponseToJson(await transport.listFragments(request, signal));
}

type StreamRequest =
  | { readonly method: "read"; readonly request: ReadRequest }
  | { readonly method: "list"; readonly request: ListRequest };

/** @throws {WireError} INVALID_ARGUMENT about JSON that is no such request */
function requestOf(method: "list" | "read", json: unknown): StreamRequest {
  if (method === "read") return { method, request: readRequestFromJson(json) };
  return { method, request: listRequestFromJson(json) };
}

async function* streamOf(
  transport: JournalTransport,
  { method, request }: StreamRequest,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  if (method === "read") {
    validateReadRequest(request);
    for await (const message of transport.read(request, signal)) yield readResponseToJson(message);
    refuseExpired(transport);
    return;
  }
  validateListRequest(request);
  if (!request.watch) {
    for (const message of messagesOf(await transport.list(request, signal)))
      yield listResponseToJson(message);
    return;
  }
  for await (const snapshot of transport.watchList(request, signal)) {
    for (const message of messagesOf(snapshot)) yield listResponseToJson(message);
    // Marks the end of the snapshot.
    yield listResponseToJson({ status: "OK", header: ZERO_HEADER, journals: [] });
  }
  refuseExpired(transport);
}

/** A snapshot in messages of bounded length; the first has its status and header. */
function* messagesOf(snapshot: ListResponse): Generator<ListResponse> {
  const { journals } = snapshot;
  yield { ...snapshot, journals: journals.slice(0, LIST_MESSAGE_JOURNALS) };
  for (let at = LIST_MESSAGE_JOURNALS; at < journals.length; at += LIST_MESSAGE_JOURNALS) {
    yield { status: "OK", header: ZERO_HEADER, journals: journals.slice(at, at + LIST_MESSAGE_JOURNALS) };
  }
}

/**
 * Writes each message as a line; a failure before the first is the answer's status, one after it is the last
 * line.
 */
async function pipe(
  messages: AsyncIterable<unknown>,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  try {
    for await (const message of messages) {
      if (!response.headersSent) response.writeHead(200, { "Content-Type": "application/json" });
      const room = response.write(`{"result":${JSON.stringify(message)}}\n`);
      if (!room) await new Promise<void>((resolve) => response.once("drain", resolve).once("close", resolve));
      gone.throwIfAborted();
    }
    if (!response.headersSent) response.writeHead(200, { "Content-Type": "application/json" });
    response.end();
  } catch (thrown) {
    if (gone.aborted) return;
    const error = WireError.from(thrown);
    if (!response.headersSent) {
      answerStreamError(response, error);
      return;
    }
    response.end(`${JSON.stringify(lastMessage(error))}\n`);
  }
}
