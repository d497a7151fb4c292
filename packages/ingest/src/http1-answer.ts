// Bytes of answers, one char each ("binary" strings: what a socket writes fastest). No Date, no Content-Type unless
// there is a body (keoola-stream specification 2.1).
import { latin1, utf8 } from "@millrace/base";

export interface Answer {
  readonly status: number;
  /** Names as they are written; values are ASCII. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  202: "Accepted",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
  507: "Insufficient Storage",
};

/** `HTTP/1.1 404`: the first digit. */
const STATUS_AT = 9;
const DIGIT_4 = 0x34;

export const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/** Of what `encodeAnswer` made, or begins as that does: whether its status is 4xx or 5xx. */
export function isErrorAnswer(answer: string): boolean {
  return answer.charCodeAt(STATUS_AT) >= DIGIT_4;
}

/** @param isLast adds `Connection: close` */
export function encodeAnswer(answer: Answer, isLast: boolean): string {
  let head = `HTTP/1.1 ${answer.status} ${REASONS[answer.status] ?? "Unknown"}\r\n`;
  for (const [name, value] of answer.headers) head += `${name}: ${value}\r\n`;
  if (isLast) head += "Connection: close\r\n";
  const body = typeof answer.body === "string" ? binary(answer.body) : charOfEachByte(answer.body);
  return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
}

function binary(text: string): string {
  return isAscii(text) ? text : charOfEachByte(utf8(text));
}

function charOfEachByte(bytes: Uint8Array): string {
  return latin1(bytes, 0, bytes.length);
}

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return /^[\x00-\x7f]*$/.test(text);
}
