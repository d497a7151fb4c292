// A Target that another process has, over HTTP (target-wire.ts).
//
//  R1  A call that nobody has seen is UNAVAILABLE; one that may have been seen and was not answered is OUTCOME_UNKNOWN:
//      the loaded end tells (D23).
//  R2  Loads and questions for loaded ends wait a while for a process that is starting; what a person waits for does
//      not.
//  R3  A process that works shows it every BEAT_MS. One that is silent for longer is given up: its machine may be gone.
import { request as httpRequest } from "node:http";
import { abortScope, concatBytes, text, WireError, type Clock } from "@millrace/base";
import type { Column, JsonFields, LoadOutcome, LoadRequest, TableFit, Target } from "@millrace/ingest";
import {
  BEAT_MS,
  CALL_BYTES_MAX,
  decodeAnswer,
  decodeEnds,
  decodeOutcome,
  encodeCall,
  TARGET_PATH,
  type TargetCall,
} from "./target-wire.ts";

export interface RemoteTargetPorts {
  /** Base URL of the process that has the target now; undefined: nobody says that it has. */
  readonly address: () => string | undefined;
  /** Value of the Authorization header; undefined: none is needed. */
  readonly authorization: () => string | undefined;
  /** What is not there, in a message: `the warehouse`. */
  readonly name: string;
  readonly clock: Clock;
}

const SILENCE_MS = 10 * BEAT_MS;
const CONNECT_MS = 5000;
const WAIT_MS = 30_000;
const LOOK_MS = 250;
/** Codes of a connection that was never made. */
const UNSEEN: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH"]);

export class RemoteTarget implements Target {
  readonly #ports: RemoteTargetPorts;

  constructor(ports: RemoteTargetPorts) {
    this.#ports = ports;
  }

  async check(
    tableId: string,
    columns: readonly Column[],
    signal: AbortSignal,
    fit: TableFit = "same",
  ): Promise<string | undefined> {
    const answer = await this.#call({ kind: "check", tableId, columns, fit }, signal);
    return answer.has("problem") ? answer.text("problem") : undefined;
  }

  async prepare(
    tableId: string,
    columns: readonly Column[],
    signal: AbortSignal,
    fit: TableFit = "same",
  ): Promise<void> {
    await this.#call({ kind: "prepare", tableId, columns, fit }, signal);
  }

  async drop(tableId: string, journals: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#call({ kind: "drop", tableId, journals }, signal);
  }

  async load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    return decodeOutcome(await this.#patiently({ kind: "load", request }, signal));
  }

  async loadedEnds(tableId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    return decodeEnds(await this.#patiently({ kind: "loaded-ends", tableId }, signal));
  }

  /** R2 */
  async #patiently(call: TargetCall, signal: AbortSignal): Promise<JsonFields> {
    const { clock } = this.#ports;
    const endMs = clock.monotonicMs() + WAIT_MS;
    for (;;) {
      try {
        return await this.#call(call, signal);
      } catch (thrown) {
        const isUnseen = thrown instanceof Unseen;
        if (!isUnseen || clock.monotonicMs() >= endMs) throw thrown;
        await clock.sleep(LOOK_MS, signal);
      }
    }
  }

  async #call(call: TargetCall, signal: AbortSignal): Promise<JsonFields> {
    const { address, authorization, name } = this.#ports;
    const base = address();
    if (base === undefined) throw new Unseen(`${name} is not there: no process says that it has it`);
    const sent = { url: new URL(TARGET_PATH + call.kind, base), authorization: authorization(), name };
    return decodeAnswer(await post(sent, encodeCall(call), this.#ports.clock, signal));
  }
}

/** Thrown when nobody has seen a call. */
class Unseen extends WireError {
  constructor(message: string, cause?: unknown) {
    super("UNAVAILABLE", message, { cause });
  }
}

interface Destination {
  readonly url: URL;
  readonly authorization: string | undefined;
  readonly name: string;
}

/** @returns the body of an answer with status 200 @throws {WireError} R1 */
function post(
  { url, authorization, name }: Destination,
  body: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  const scope = abortScope(signal);
  let isConnected = false;
  const where = `${name} at ${url.host}`;
  const late = clock.after(CONNECT_MS, () => {
    if (!isConnected) scope.abort(new Unseen(`${where} does not answer`));
  });
  return new Promise<string>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (scope.signal.aborted) return reject(scope.signal.reason as Error);
      const message = `${where}: ${error.message}`;
      if (!isConnected || UNSEEN.has(error.code ?? "")) return reject(new Unseen(message, error));
      reject(new WireError("OUTCOME_UNKNOWN", message, { cause: error }));
    };
    const outgoing = httpRequest(url, {
      method: "POST",
      // A connection of its own: one that was kept may just be closing, and there are few calls.
      agent: false,
      signal: scope.signal,
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        ...(authorization === undefined ? {} : { authorization }),
      },
    });
    outgoing.once("socket", (socket) => socket.once("connect", () => (isConnected = true)));
    outgoing.setTimeout(SILENCE_MS, () => outgoing.destroy(new Error(`silent for ${SILENCE_MS} ms`))); // R3
    outgoing.on("error", fail);
    outgoing.on("response", (response) => {
      const parts: Uint8Array[] = [];
      let bytes = 0;
      response.on("data", (part: Uint8Array) => {
        bytes += part.length;
        if (bytes > CALL_BYTES_MAX) outgoing.destroy(new Error("the answer is too long"));
        else parts.push(part);
      });
      response.on("error", fail);
      response.on("end", () => {
        const answer = text(concatBytes(parts));
        if (response.statusCode === 200) resolve(answer);
        else reject(refusal(where, response.statusCode, answer));
      });
    });
    outgoing.end(body);
  }).finally(() => {
    late();
    scope.dispose();
  });
}

/** What was said of the call before it was taken. */
function refusal(where: string, status: number | undefined, answer: string): WireError {
  const code = status === 401 ? "UNAUTHENTICATED" : status === 403 ? "FORBIDDEN" : "UNAVAILABLE";
  return new WireError(code, `${where} refuses the call (${status}): ${answer.trim().slice(0, 300)}`);
}
