// `millrace journals fragments`.
import { systemClock } from "@millrace/base";
import { listAllFragments } from "@millrace/client";
import { fragmentsResponseToText, type FragmentsResponse, type ListedFragment } from "@millrace/protocol";
import { renderBoxTable } from "./box-table.ts";
import type { CliIo } from "./cli-io.ts";
import { durationOption } from "./duration-option.ts";
import { goFragmentLine } from "./go-fragment-line.ts";
import { awake, selectedJournals } from "./journal-selection.ts";
import { ago, iecBytes } from "./readable-amounts.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";
import { unixSeconds } from "./unix-seconds.ts";

export interface FragmentsOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly format: "table" | "json" | "proto";
  readonly json?: true;
  readonly from?: string;
  readonly to?: string;
  readonly urlTtl?: string;
}

export async function runFragments(options: FragmentsOptions, io: CliIo): Promise<void> {
  await withBroker(options, io, async ({ transport }) => {
    const wanted = {
      beginModTime: unixSeconds("--from", options.from),
      endModTime: unixSeconds("--to", options.to),
      ...signatureTtl(options.urlTtl),
    };
    const journals = await selectedJournals(transport, options.selector, io.signal);
    const answers: FragmentsResponse[] = [];
    for (const { spec } of awake(journals)) {
      answers.push(await listAllFragments(transport, { journal: spec.name, ...wanted }, io.signal));
    }
    const found = answers.flatMap(({ fragments }) => fragments);
    if (options.json === true) {
      for (const { spec, signedUrl } of found) io.out(`${JSON.stringify({ spec, signedUrl })}\n`);
    } else if (options.format === "json") {
      for (const fragment of found) io.out(goFragmentLine(fragment));
    } else if (options.format === "proto") {
      for (const answer of answers) io.out(`${fragmentsResponseToText(answer)}\n`);
    } else {
      io.out(renderFragments(found, wanted.signatureTtlMs !== undefined));
    }
  });
}

/** None, or 0: no URLs are signed. */
function signatureTtl(text: string | undefined): { signatureTtlMs?: number } {
  const signatureTtlMs = text === undefined ? 0 : durationOption("--url-ttl", text);
  return signatureTtlMs === 0 ? {} : { signatureTtlMs };
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
