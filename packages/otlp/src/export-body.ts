// From a body to what became of its records.
import { WireError } from "@millrace/base";
import { walkRequest } from "./export-request.ts";
import type { FlatRecords } from "./flat-records.ts";
import type { ExportBody, Exported, OtlpPorts, OtlpRefusal, Walked } from "./otlp-door.ts";
import type { ExportOutcome } from "./partial-success.ts";

const NOTHING = { total: 0, rejected: 0 } as const;

/** Opens, decodes, flattens and writes; an empty batch is a success. A source that takes nothing now is asked first. */
export async function exportBody<S>(source: S, body: ExportBody, ports: OtlpPorts<S>): Promise<Exported> {
  const refusal = ports.refusal(source);
  if (refusal !== undefined) return { kind: "refused", refusal };
  let { bytes } = body;
  if (body.isGzip) {
    const opened = await ports.gunzip(source, bytes);
    if (opened.kind === "refused") return opened;
    bytes = opened.bytes;
  }
  const walked = await flatten(source, body, bytes, ports);
  if (walked.kind === "refused") return walked;
  return { kind: "outcome", outcome: await write(source, walked.records, walked.release, ports) };
}

/** Not async: the records' memory is released when the writer counts it, and not a turn later or earlier. */
function write<S>(
  source: S,
  records: FlatRecords,
  release: () => void,
  ports: OtlpPorts<S>,
): Promise<ExportOutcome> | ExportOutcome {
  try {
    return records.count === 0 ? NOTHING : ports.write(source, records);
  } finally {
    release();
  }
}

async function flatten<S>(
  source: S,
  body: ExportBody,
  bytes: Uint8Array,
  ports: OtlpPorts<S>,
): Promise<Walked> {
  try {
    return await ports.walk(source, walkRequest(body, bytes, ports.limits), bytes.length);
  } catch (thrown) {
    return { kind: "refused", refusal: refusalOf(body, thrown) };
  }
}

/** @throws what is none of the request's matter */
function refusalOf({ signal }: ExportBody, thrown: unknown): OtlpRefusal {
  if (!(thrown instanceof WireError)) throw thrown;
  const { code, message } = thrown;
  if (code === "TOO_LARGE") return { status: 413, name: "bodyTooLarge", message: sentence(message) };
  if (code !== "INVALID_ARGUMENT") throw thrown;
  return {
    status: 400,
    name: "badRequest",
    message: `Cannot decode OTLP ${signal} payload: ${message}.`,
  };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
