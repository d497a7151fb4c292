// Leaving, over HTTP: `GET /v1/brokers/drain` reports, `POST` begins it, and with {"force":true} ends the waiting. It
// is about the broker that is asked.
import type { IncomingMessage, ServerResponse } from "node:http";
import { WireError } from "@millrace/base";
import type { Principal } from "./authoriser.ts";
import type { DrainProgress } from "./drain.ts";
import { parseJson, sendJson, type RequestBodies } from "./http-json.ts";

export const DRAIN_PATH = "/v1/brokers/drain";
const BODY_BYTES_MAX = 4096;

/** What the door needs of a broker that may leave. */
export interface DrainDoor {
  readonly canLeave: boolean;
  readonly progress: DrainProgress;
  begin(): void;
  force(): void;
}

/** @throws {WireError} FORBIDDEN, CONFLICT, INVALID_ARGUMENT, TOO_LARGE */
export async function serveDrain(
  door: DrainDoor,
  principal: Principal,
  bodies: RequestBodies,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // It names journals, and concerns all of them.
  if (principal.visible !== undefined) {
    throw new WireError("FORBIDDEN", "a broker is drained by those who may see all journals");
  }
  if (request.method === "POST") {
    if (!door.canLeave) throw new WireError("CONFLICT", "the broker is alone: nobody can take over");
    const body = parseJson(await bodies.read(request, response, BODY_BYTES_MAX));
    if (isForced(body)) door.force();
    else door.begin();
  }
  sendJson(response, 200, door.progress);
}

function isForced(body: unknown): boolean {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw refused("it is no object");
  for (const [name, value] of Object.entries(body)) {
    if (name !== "force")
      throw refused(`it has a field ${JSON.stringify(name.slice(0, 40))} that is not known`);
    if (typeof value !== "boolean") throw refused("force is neither true nor false");
  }
  return "force" in body && body.force === true;
}

function refused(why: string): WireError {
  return new WireError("INVALID_ARGUMENT", `the body of a drain: ${why}`);
}
