// `millrace journals fragments`.
import { systemClock } from "@millrace/base";
import { listFragments } from "@millrace/client";
import { parseDuration, suspension, type ListedFragment } from "@millrace/protocol";
import { renderBoxTable } from "./box-table.ts";
import { UsageError, type CliIo } from "./cli-io.ts";
import { selectedJournals } from "./journal-selection.ts";
import { withTransport, type DoorOptions } from "./system-doors.ts";

export interface FragmentsOptions extends DoorOptions {
  readonly selector: string;
  readonly format: "table" | "json";
  readonly json?: true;
  readonly from?: string;
  readonly to?: string;
  readonly urlTtl?: string;
}

export async function runFragments(options: FragmentsOptions, io: CliIo): Promise<void> {
  await withTransport(options, async (transport) => {
    const wanted = {
      beginModTime: unixSeconds("--from", options.from),
      endModTime: unixSeconds("--to", options.to),
      ...(options.urlTtl === undefined ? {} : { signatureTtlMs: parseDuration(options.urlTtl) }),
    };
    const journals = await selectedJournals(transport, options.selector, io.signal);
    const found: ListedFragment[] = [];
    for (const { spec } of journals) {
      if (suspension(spec).level === "FULL") continue;
      for await (const fragment of listFragments(transport, { journal: spec.name, ...wanted }, io.signal))
        found.push(fragment);
    }
    if (options.json === true || options.format === "json") {
      for (const { spec, signedUrl } of found) io.out(`${JSON.stringify({ spec, signedUrl })}\n`);
    } else {
      io.out(renderFragments(found, options.urlTtl !== undefined));
    }
  });
}

function unixSeconds(option: string, text: string | undefined): number {
  const seconds = Number(text ?? "0");
  if (!/^\d+$/.test(text ?? "0") || !Number.isSafeInteger(seconds)) {
    throw new UsageError(`${option} ${text}: expected Unix seconds, a whole number`);
  }
  return seconds;
}

function renderFragments(fragments: readonly ListedFragment[], withUrls: boolean): string {
  const header = [
    "JOURNAL",
    "OFFSET",
    "LENGTH",
    "PERSISTED",
    "SHA 1",
    "COMPRESSION",
    ...(withUrls ? ["URL"] : []),
  ];
  const nowSeconds = systemClock.wallMs() / 1000;
  const rows = fragments.map(({ spec, signedUrl }) => [
    spec.journal,
    String(spec.begin),
    iecBytes(spec.end - spec.begin),
    spec.modTime === 0 ? "" : ago(nowSeconds - spec.modTime),
    `${spec.sum.slice(0, 12)}...`,
    spec.compressionCodec,
    ...(withUrls ? [signedUrl] : []),
  ]);
  return renderBoxTable(header, rows);
}

export function iecBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return unit === "B" ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

export function ago(seconds: number): string {
  for (const [unit, size] of [
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
    ["second", 1],
  ] as const) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  }
  return "0 seconds ago";
}
