// `multipart/form-data` (RFC 7578): fields of a form, each a part between delimiters. The result is JSON, nested keys
// as in other forms (body-form.ts). Strict: what two readers might take for different fields is refused.
//
//   body      = *delimiter CRLF part* "--" boundary "--" [CRLF]
//   part      = "--" boundary CRLF 1*(header CRLF) CRLF value CRLF
//
// M1 Bounds are checked before what they bound is looked into: parts, bytes of a part's head, bytes of a name.
// M2 A part that is a file is refused: a table would have its bytes, and those come as a body of their own.
// M3 The delimiter's text in the midst of a line is refused: some readers find one there.
import { strictText } from "@millrace/base";
import { FormFields, type FormOutcome } from "./body-form.ts";

export const MULTIPART_LIMITS = { parts: 1000, headBytes: 4096, headLines: 16, nameBytes: 1024 } as const;

/** RFC 2046: 1 to 70 of these, the last no blank. */
const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;
const PARAMETER =
  /^[ \t]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s"();,<>@\\]+))[ \t]*(?:;|$)/;
const HEADER = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*(.*?)[ \t]*$/;

/** The boundary that a content type names, if it is a valid one. */
export function boundaryOf(contentType: string): string | undefined {
  const semicolon = contentType.indexOf(";");
  const parameters = semicolon < 0 ? undefined : parametersOf(contentType.slice(semicolon + 1));
  const boundary = parameters?.get("boundary");
  return boundary !== undefined && BOUNDARY.test(boundary) ? boundary : undefined;
}

/** Undefined when they are malformed, or one is given twice. */
function parametersOf(text: string): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  for (let rest = text; rest.trim() !== "";) {
    const match = PARAMETER.exec(rest);
    if (match === null) return undefined;
    const [all, name = "", quoted, plain = ""] = match;
    const key = name.toLowerCase();
    if (parameters.has(key)) return undefined;
    parameters.set(key, quoted ?? plain);
    rest = rest.slice(all.length);
  }
  return parameters;
}

/** @param boundary of the content type */
export function decodeMultipart(bytes: Uint8Array, boundary: string): FormOutcome {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  const fields = new FormFields();
  const invalid = (reason: string): FormOutcome => ({ kind: "invalid", reason });
  if (!startsWith(body, delimiter.subarray(2), 0)) return invalid("it does not begin with its boundary");
  let at = delimiter.length - 2;
  for (let part = 1; ; part++) {
    if (startsWith(body, CLOSE, at)) {
      at += CLOSE.length;
      if (startsWith(body, CRLF, at)) at += CRLF.length;
      if (at !== body.length) return invalid("something stands behind its last boundary");
      return { kind: "json", bytes: fields.json() };
    }
    if (!startsWith(body, CRLF, at)) return invalid(`boundary ${part} is not followed by a line end`);
    if (part > MULTIPART_LIMITS.parts) return invalid(`it has more than ${MULTIPART_LIMITS.parts} parts`); // M1
    at += CRLF.length;
    const head = body.subarray(at, at + MULTIPART_LIMITS.headBytes).indexOf(HEAD_END);
    if (head < 0) {
      return invalid(`part ${part} has no head of up to ${MULTIPART_LIMITS.headBytes} bytes`);
    }
    const name = nameOf(body.subarray(at, at + head));
    if (typeof name !== "string") return invalid(`part ${part} ${name.problem}`);
    at += head + HEAD_END.length;
    // The line end before the delimiter is its own, also of a part that is empty.
    const end = body.indexOf(delimiter, at);
    if (end < 0) return invalid(`part ${part} has no end`);
    if (body.indexOf(delimiter.subarray(CRLF.length), at) !== end + CRLF.length) {
      return invalid(`part ${part} has the boundary in a line`); // M3
    }
    const value = strictText(body.subarray(at, end));
    if (value === undefined) return invalid(`part ${part} is not UTF-8`);
    const problem = fields.add(name, value);
    if (problem !== undefined) return invalid(problem);
    at = end + delimiter.length;
  }
}

const CRLF = Buffer.from("\r\n");
const HEAD_END = Buffer.from("\r\n\r\n");
const CLOSE = Buffer.from("--");

function startsWith(body: Buffer, wanted: Buffer, at: number): boolean {
  return body.compare(wanted, 0, wanted.length, at, Math.min(body.length, at + wanted.length)) === 0;
}

/** The field's name, from the part's head. */
function nameOf(head: Buffer): string | { readonly problem: string } {
  const text = strictText(head);
  if (text === undefined) return { problem: "has a head that is not UTF-8" };
  const lines = text.split("\r\n");
  if (lines.length > MULTIPART_LIMITS.headLines) {
    return { problem: `has more than ${MULTIPART_LIMITS.headLines} headers` };
  }
  let name: string | undefined;
  for (const line of lines) {
    const [, header = "", value = ""] = HEADER.exec(line) ?? [];
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    if (header === "" || /[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
      return { problem: "has a malformed header" };
    const known = header.toLowerCase();
    if (known === "content-transfer-encoding" && !/^(7bit|8bit|binary)$/i.test(value)) {
      return { problem: `has the transfer encoding ${JSON.stringify(value.slice(0, 60))}` };
    }
    if (known !== "content-disposition") continue;
    if (name !== undefined) return { problem: "has two dispositions" };
    const disposition = /^form-data[ \t]*;(.*)$/i.exec(value);
    const parameters = disposition === null ? undefined : parametersOf(disposition[1]!);
    const given = parameters?.get("name");
    if (given === undefined || parameters === undefined) return { problem: "has no name" };
    if (parameters.has("filename") || parameters.has("filename*")) return { problem: "is a file" }; // M2
    if (Buffer.byteLength(given) > MULTIPART_LIMITS.nameBytes) {
      return { problem: `has a name of more than ${MULTIPART_LIMITS.nameBytes} bytes` };
    }
    // As browsers write what would end the name (RFC 7578, 4.2 and the HTML standard).
    name = given.replace(/%(0A|0D|22)/gi, (escape) => decodeURIComponent(escape));
  }
  return name ?? { problem: "has no name" };
}
