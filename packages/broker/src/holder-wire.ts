// Requests and answers of holders as messages, and back.
import { WireError } from "@millrace/base";
import {
  validateFetchRequest,
  validateHoldRequest,
  validateHoldResponse,
  type FetchRequestMessage,
  type HoldOutcome,
  type HoldRequestMessage,
  type HoldResponseMessage,
  type HoldWants,
  EMPTY_LABELS,
} from "@millrace/protocol";
import type { FetchRequest, HoldAnswer, HoldRefusal, HoldRequest } from "./peer-network.ts";

const WANTS = { fence: "FENCE", ask: "ASK", bring: "BRING", level: "LEVEL" } as const satisfies Record<
  HoldRequest["wants"],
  HoldWants
>;

const REFUSALS = {
  WRONG_ROUTE: "WRONG_ROUTE",
  WRONG_STREAM: "WRONG_STREAM",
  "not-held": "NOT_HELD",
  different: "DIFFERENT",
} as const satisfies Record<HoldRefusal, HoldOutcome>;

const WHY = {
  WRONG_ROUTE: "WRONG_ROUTE",
  WRONG_STREAM: "WRONG_STREAM",
  NOT_HELD: "not-held",
  DIFFERENT: "different",
} as const satisfies Record<Exclude<HoldOutcome, "TAKEN">, HoldRefusal>;

export function holdRequestMessage(request: HoldRequest): HoldRequestMessage {
  const { journal, createRevision, header, epoch, stream } = request;
  const attempt = { journal, createRevision, header, epoch, stream, wants: WANTS[request.wants] };
  if (!("begin" in request)) return { ...attempt, begin: 0, end: 0, registers: EMPTY_LABELS };
  const { begin, end, source, registers } = request;
  return { ...attempt, begin, end, registers, ...(source && { source }) };
}

/** @throws {ValidationError} */
export function holdRequestOf(message: HoldRequestMessage): HoldRequest {
  validateHoldRequest(message);
  const { journal, createRevision, header, epoch, stream, begin, end, source, registers } = message;
  const attempt = { journal, createRevision, header, epoch, stream };
  switch (message.wants) {
    case "FENCE":
      return { ...attempt, wants: "fence" };
    case "ASK":
      return { ...attempt, wants: "ask" };
    case "BRING":
      return { ...attempt, wants: "bring", begin, end, source, registers };
    case "LEVEL":
      return { ...attempt, wants: "level", begin, end, source, registers };
  }
}

export function holdResponseMessage(answer: HoldAnswer): HoldResponseMessage {
  if (answer.kind === "refused") {
    const nothing = {
      base: 0,
      confirmed: 0,
      end: 0,
      registers: EMPTY_LABELS,
      sure: [],
      whole: 0,
      isUnsure: false,
      found: 0,
    };
    return { outcome: REFUSALS[answer.why], header: answer.header, ...nothing };
  }
  const { held, registers, sure, whole, found = 0 } = answer;
  const known = { registers: registers ?? EMPTY_LABELS, isUnsure: registers === undefined };
  return { outcome: "TAKEN", ...held, ...known, sure, whole, found };
}

/** @throws {WireError} INVALID_ARGUMENT */
export function holdAnswerOf(message: HoldResponseMessage): HoldAnswer {
  validateHoldResponse(message);
  const { outcome, header, base, confirmed, end, registers, sure, whole, isUnsure, found } = message;
  const known = isUnsure ? undefined : registers;
  if (outcome === "TAKEN")
    return { kind: "taken", held: { base, confirmed, end }, registers: known, sure, whole, found };
  if (header === undefined) throw new WireError("INVALID_ARGUMENT", `${outcome} without a header`);
  return { kind: "refused", why: WHY[outcome], header };
}

/** @throws {ValidationError} */
export function fetchRequestOf(message: FetchRequestMessage): FetchRequest {
  validateFetchRequest(message);
  return message;
}
