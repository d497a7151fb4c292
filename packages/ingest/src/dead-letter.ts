// A dead letter: a record that a sink could not map, as it was received, with the reason. In the sink's dead-letter
// journal it is a row of a frame (frame.ts), and as a row one line of JSON.
//
// Q1 What a client authenticates itself with is not kept.
// Q2 A letter holds all else that a mapping may ask of its record: a mended one maps it as it would have then.
import { BodyBytes, equalBytes, latin1, strictText, text, utf8, WireError } from "@millrace/base";
import type { RowBuffer } from "./csv-writer.ts";
import { isUtf8 } from "./body-utf8.ts";
import { BODY_KINDS, type BodyKind } from "./http-source-content.ts";
import { RecordHeaders } from "./http-source-headers.ts";
import { lookInto } from "./http-source-look.ts";
import type { DoorRecord } from "./http-source-record.ts";
import { LETTER_BYTES_MAX } from "./limits.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import type { MappingFailure, RecordContext } from "./mapping-record.ts";
import { isoTime, JsonFields, msOf, parseJson } from "./storage-json.ts";

export interface DeadLetter {
  /** When the record was accepted, UTC ISO 8601. */
  readonly receivedAt: string;
  readonly ip: string;
  /** What its content type says of the body. */
  readonly kind: BodyKind;
  /** Why its content cannot be looked into, if that was so. */
  readonly problem?: string;
  /** The first value of each, without those that authenticate (Q1). */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Of the sink whose mapping refused it, the last time. */
  readonly version: number;
  readonly status: number;
  readonly column: string;
  readonly reason: string;
  /** Mappings that refused it: 1, and one more for each replay. */
  readonly attempts: number;
}

const WITHHELD: ReadonlySet<string> = new Set([
  "Authorization",
  "Cookie",
  "Proxy-Authorization",
  "X-Storageapi-Token",
]);

/** A template may say anything. */
const REASON_CHARS_MAX = 4096;
const REASON_ROOM = 64 * 1024;

/** Why a record is a letter. */
export interface LetterCause {
  readonly failure: MappingFailure;
  readonly version: number;
  readonly attempts: number;
}

/** Whether a mapping's failure is the record's own: others pass. */
export function isLetter({ status }: MappingFailure): boolean {
  return status !== 503;
}

/** Appends the letter of `record` as a row. @returns false: it is larger than any may be, nothing is written */
export function putLetter(out: RowBuffer, record: RecordContext, cause: LetterCause): boolean {
  const { failure, version, attempts } = cause;
  const { body, bodyBegin, bodyEnd, clientIp } = record;
  const headers = Object.entries(record.headers().object()).filter(([name]) => !WITHHELD.has(name));
  const line = utf8(
    `${JSON.stringify({
      receivedAt: isoTime(record.acceptedAtMs),
      ip: latin1(clientIp, 0, clientIp.length),
      kind: record.kind,
      ...(record.form === "undecodable" ? { problem: record.problem } : {}),
      headers: Object.fromEntries(headers),
      ...bodyField(body.bytes.subarray(bodyBegin, bodyEnd)),
      version,
      status: failure.status,
      column: failure.column,
      reason: failure.message.slice(0, REASON_CHARS_MAX),
      attempts,
    })}\n`,
  );
  // A letter that is refused again may have a longer reason.
  if (line.length > LETTER_BYTES_MAX - (attempts === 1 ? REASON_ROOM : 0)) return false;
  out.reserve(line.length);
  out.bytes.set(line, out.at);
  out.at += line.length;
  return true;
}

/** Text where JSON makes it no longer than base64 would. */
function bodyField(bytes: Uint8Array): { readonly body: string } | { readonly bodyBase64: string } {
  if (isUtf8(bytes, 0, bytes.length)) {
    const body = text(bytes);
    // What a decoder drops or replaces must not be lost.
    const escaped = JSON.stringify(body);
    if (escaped.length <= 1.4 * bytes.length + 64 && equalBytes(utf8(body), bytes)) return { body };
  }
  return { bodyBase64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64") };
}

/** @param what names the letter in messages @throws {WireError} CORRUPT */
export function decodeLetter(line: Uint8Array, what: string): DeadLetter {
  const value = parseJson(line, what);
  const fields = new JsonFields(value, what);
  const { body, bodyBase64, headers } = value as Readonly<Record<string, unknown>>;
  const attempts = fields.integer("attempts", 1);
  fields.record("headers", (header) => typeof header === "string");
  if (typeof body !== "string" && typeof bodyBase64 !== "string") {
    throw new WireError("CORRUPT", `${what}: field body: expected a text, got nothing`);
  }
  const { column, problem } = value as { column?: unknown; problem?: unknown };
  return {
    receivedAt: fields.time("receivedAt"),
    ip: fields.text("ip"),
    kind: fields.oneOf("kind", BODY_KINDS),
    ...(typeof problem === "string" ? { problem } : {}),
    headers: headers as Readonly<Record<string, string>>,
    body: typeof body === "string" ? utf8(body) : Buffer.from(String(bodyBase64), "base64"),
    version: fields.integer("version", 1),
    status: fields.integer("status", 400),
    column: typeof column === "string" ? column : "",
    reason: fields.text("reason"),
    attempts,
  };
}

/** Makes `record` the one of the letter; its scanner has the tree of the mapping. end() must follow. */
export function startLetter(record: DoorRecord, letter: DeadLetter): void {
  const headers = new RecordHeaders(Object.entries(letter.headers));
  const budget = new TemplateBudget(letter.body.length);
  record.startRequest(msOf(letter.receivedAt), utf8(letter.ip), headers, budget);
  record.start(new BodyBytes(letter.body), 0, letter.body.length);
  lookInto(record, letter.kind);
  if (letter.problem !== undefined) record.refuse(letter.problem);
}

/** The body as text, if it is one. */
export function letterText({ body }: DeadLetter): string | undefined {
  return strictText(body);
}
