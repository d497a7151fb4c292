// The calls of a Target from other processes (target-wire.ts). Who may call is decided before a call gets here.
import type { IncomingMessage, ServerResponse } from "node:http";
import { concatBytes, strictText, unreachable, WireError, type Clock, type Logger } from "@millrace/base";
import type { Target } from "@millrace/ingest";
import {
  BEAT_MS,
  CALL_BYTES_MAX,
  decodeCall,
  encodeFailure,
  TARGET_PATH,
  type TargetCall,
} from "./target-wire.ts";

export interface TargetDoorPorts {
  readonly target: Target;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Answers a request below {@link TARGET_PATH}. @throws {WireError} as long as nothing was answered */
export async function answerTargetCall(
  ports: TargetDoorPorts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "POST") {
    response.setHeader("allow", "POST");
    throw new WireError("METHOD_NOT_ALLOWED", `${request.method} is not allowed: use POST`);
  }
  const path = (request.url ?? "").split("?", 1)[0]!;
  const call = decodeCall(path.slice(TARGET_PATH.length), await bodyOf(request));
  const abort = new AbortController();
  const onClose = (): void => abort.abort(new WireError("REQUEST_TIMEOUT", "the caller went away"));
  response.once("close", onClose);
  if (response.destroyed) onClose();
  response.writeHead(200, { "content-type": "application/json" });
  const endBeats = beat(ports.clock, response);
  let answer: string;
  try {
    answer = JSON.stringify(await perform(ports.target, call, abort.signal));
  } catch (thrown) {
    const error = WireError.from(thrown);
    if (error.status >= 500) ports.logger.warn("target-call-failed", { call: call.kind, error });
    answer = encodeFailure(error);
  } finally {
    endBeats();
    response.off("close", onClose);
  }
  response.end(`${answer}\n`);
}

async function perform(target: Target, call: TargetCall, signal: AbortSignal): Promise<object> {
  switch (call.kind) {
    case "check": {
      const problem = await target.check(call.tableId, call.columns, signal, call.fit);
      return problem === undefined ? {} : { problem };
    }
    case "prepare":
      await target.prepare(call.tableId, call.columns, signal, call.fit);
      return {};
    case "drop":
      await target.drop(call.tableId, call.journals, signal);
      return {};
    case "loaded-ends":
      return { ends: [...(await target.loadedEnds(call.tableId, signal))] };
    case "load":
      return target.load(call.request, signal);
    default:
      return unreachable(call);
  }
}

/** A caller that hears nothing takes this process for dead. */
function beat(clock: Clock, response: ServerResponse): () => void {
  let cancel = (): void => undefined;
  const next = (): void => {
    cancel = clock.after(BEAT_MS, () => {
      response.write(" ");
      next();
    });
  };
  next();
  return () => cancel();
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > CALL_BYTES_MAX)
      throw new WireError("TOO_LARGE", `the request is over ${CALL_BYTES_MAX} bytes`);
    parts.push(part);
  }
  const body = strictText(concatBytes(parts));
  if (body === undefined) throw new WireError("INVALID_ARGUMENT", "the body is not UTF-8");
  return body;
}
