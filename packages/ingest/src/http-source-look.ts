// Makes the content of a single record known to its mappings. A body that is not what its content type says is refused
// by the sinks that look into it, and by no others (keboola-stream specification 2.4).
import { BodyBytes, text } from "@millrace/base";
import { decodeForm, type FormOutcome } from "./body-form.ts";
import { boundaryOf, decodeMultipart } from "./body-multipart.ts";
import { isUtf8 } from "./body-utf8.ts";
import type { BodyKind } from "./http-source-content.ts";
import type { DoorRecord } from "./http-source-record.ts";

const ARRAY = 0x5b;

/** Looks into the record's body, which start() has told it. */
export function lookInto(record: DoorRecord, kind: BodyKind): void {
  const { scanner, body, bodyBegin, bodyEnd } = record;
  record.kind = kind;
  record.form = "scanned";
  record.bodyIsText = false;
  switch (kind) {
    case "json":
      if (scanner.scanWhole(body, bodyBegin, bodyEnd)) record.bodyIsText = true;
      else record.refuse(`invalid JSON: ${scanner.problem} at position ${scanner.problemAt - bodyBegin}`);
      return;
    case "form":
    case "multipart": {
      const problem = scanForm(record, kind === "form" ? urlencoded(record) : multipart(record));
      if (problem !== undefined) record.refuse(`invalid form data: ${problem}`);
      return;
    }
    case "opaque":
      record.form = "opaque";
  }
}

/** Whether a JSON body is a batch of records. */
export function isArrayBody(bytes: Uint8Array, begin: number, end: number): boolean {
  for (let at = begin; at < end; at++) if (bytes[at]! > 0x20) return bytes[at] === ARRAY;
  return false;
}

function scanForm({ scanner }: DoorRecord, form: FormOutcome): string | undefined {
  if (form.kind === "invalid") return form.reason;
  // The body itself stays as it was received: for columns and functions that want its text.
  scanner.scanWhole(new BodyBytes(form.bytes), 0, form.bytes.length);
  return undefined;
}

function urlencoded({ body, bodyBegin, bodyEnd }: DoorRecord): FormOutcome {
  if (!isUtf8(body.bytes, bodyBegin, bodyEnd)) return { kind: "invalid", reason: "not UTF-8" };
  return decodeForm(text(body.bytes.subarray(bodyBegin, bodyEnd)));
}

function multipart(record: DoorRecord): FormOutcome {
  const { body, bodyBegin, bodyEnd } = record;
  const boundary = boundaryOf(record.headers().get("Content-Type") ?? "");
  if (boundary === undefined) return { kind: "invalid", reason: "the content type has no valid boundary" };
  return decodeMultipart(body.bytes.subarray(bodyBegin, bodyEnd), boundary);
}
