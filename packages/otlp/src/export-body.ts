// From a body to what became of its records.
import { WireError } from "@millrace/base";
import { recordsOf } from "./export-request.ts";
import type { FlatRecords } from "./flat-records.ts";
import type { ExportBody, Exported, OtlpPorts, OtlpRefusal } from "./otlp-door.ts";

const NOTHING = { total: 0, rejected: 0 } as const;

/** Opens, decodes, flattens and writes; an empty batch is a success. */
export async function exportBody<S>(source: S, body: ExportBody, ports: OtlpPorts<S>): Promise<Exported> {
  let { bytes } = body;
  if (body.isGzip) {
    const opened = await ports.gunzip(source, bytes);
    if (opened.kind === "refused") return opened;
    bytes = opened.bytes;
  }
  const records = flatten(body, bytes, ports);
  if ("refusal" in records) return { kind: "refused", refusal: records.refusal };
  if (records.count === 0) return { kind: "outcome", outcome: NOTHING };
  return { kind: "outcome", outcome: await ports.write(source, records) };
}

function flatten<S>(
  body: ExportBody,
  bytes: Uint8Array,
  { limits }: OtlpPorts<S>,
): FlatRecords | { readonly refusal: OtlpRefusal } {
  try {
    return recordsOf(body, bytes, limits);
  } catch (thrown) {
    if (!(thrown instanceof WireError)) throw thrown;
    const { code, message } = thrown;
    if (code === "TOO_LARGE")
      return { refusal: { status: 413, name: "bodyTooLarge", message: sentence(message) } };
    if (code !== "INVALID_ARGUMENT") throw thrown;
    const text = `Cannot decode OTLP ${body.signal} payload: ${message}.`;
    return { refusal: { status: 400, name: "badRequest", message: text } };
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
