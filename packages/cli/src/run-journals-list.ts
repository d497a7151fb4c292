// `millrace journals list`.
import { watchJournals, listJournals } from "@millrace/client";
import {
  listResponseToJson,
  listResponseToText,
  plainOfJournalTree,
  suspension,
  treeOfListing,
  valuesOf,
  type ListedJournal,
  type ListResponse,
} from "@millrace/protocol";
import { columnTitle, renderBoxTable } from "./box-table.ts";
import type { CliIo } from "./cli-io.ts";
import { goYaml } from "./go-yaml.ts";
import { selectorOf } from "./journal-selection.ts";
import { withBroker, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface ListOptions extends BrokerDoorOptions {
  readonly selector?: string;
  readonly format: "table" | "yaml" | "json" | "proto";
  readonly json?: true;
  readonly labelColumns?: readonly string[];
  readonly primary?: true;
  readonly replicas?: true;
  readonly rf?: true;
  readonly stores?: true;
  readonly watch?: true;
}

export async function runList(options: ListOptions, io: CliIo): Promise<void> {
  await withBroker(options, io, async (door) => {
    const { transport } = door;
    const selector = selectorOf(options.selector);
    // Also before a watch, which goes on asking when nobody listens.
    const listing = await listJournals(transport, selector, io.signal);
    warnOfReduced(listing, options, io);
    if (options.watch !== true) {
      io.out(await renderListing(listing, options));
      return;
    }
    try {
      for await (const journals of watchJournals(door, selector, io.signal)) {
        io.out(await renderListing({ ...listing, journals }, options));
      }
    } catch (error) {
      if (!io.signal.aborted) throw error;
    }
  });
}

const ACKNOWLEDGEMENT_LABELS: readonly string[] = ["millrace.dev/ack", "millrace.dev/min-replicas"];

/** What table and YAML do not show: labels that are not in force (docs/cluster.md). */
export function warnOfReduced(
  { journals }: Pick<ListResponse, "journals">,
  { json, format }: Pick<ListOptions, "json" | "format">,
  io: Pick<CliIo, "err">,
): void {
  if (json === true || format === "json" || format === "proto") return;
  const reduced = journals.filter(
    ({ spec, acknowledgement }) =>
      acknowledgement?.isReduced === true &&
      spec.labels.labels.some(({ name }) => ACKNOWLEDGEMENT_LABELS.includes(name)),
  );
  const [first] = reduced;
  if (first === undefined) return;
  const more = reduced.length === 1 ? "" : ` and ${reduced.length - 1} more`;
  io.err(
    `millrace: a broker that is no Millrace is in the cluster: ${first.spec.name}${more} acknowledge as it does, ` +
      `on all replicas and before they have synced, whatever their labels say\n`,
  );
}

export async function renderListing(listing: ListResponse, options: ListOptions): Promise<string> {
  const { format } = options;
  if (options.json === true) return `${JSON.stringify(listResponseToJson(listing))}\n`;
  if (format === "json")
    return `${JSON.stringify(withProtoNames(listResponseToJson(asGazettes(listing))))}\n`;
  if (format === "proto") return listResponseToText(asGazettes(listing));
  if (format === "yaml") {
    if (listing.journals.length === 0) return "{}\n";
    return goYaml(plainOfJournalTree(treeOfListing(listing)));
  }
  const columns = columnsOf(options);
  const rows = listing.journals.map((journal) => columns.map((column) => column.cell(journal)));
  return renderBoxTable(
    columns.map((column) => column.header),
    rows,
  );
}

/** Without the fields that Gazette's definition lacks: parsers of its texts refuse what they do not know. */
function asGazettes(listing: ListResponse): ListResponse {
  const journals = listing.journals.map(({ spec, modRevision, route, createRevision }) => {
    return { spec, modRevision, route, createRevision };
  });
  return { ...listing, journals };
}

/** The fields by their names in the protocol's definition, as gazctl prints them: `mod_revision`. */
function withProtoNames(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withProtoNames);
  if (typeof json !== "object" || json === null) return json;
  const named = Object.entries(json).map(([name, value]) => [
    name.replaceAll(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`),
    withProtoNames(value),
  ]);
  return Object.fromEntries(named) as unknown;
}

interface Column {
  readonly header: string;
  readonly cell: (journal: ListedJournal) => string;
}

function columnsOf(options: ListOptions): readonly Column[] {
  const columns: Column[] = [{ header: "NAME", cell: ({ spec }) => spec.name }];
  if (options.rf) columns.push({ header: "RF", cell: ({ spec }) => String(spec.replication) });
  if (options.primary) columns.push({ header: "PRIMARY", cell: primaryCell });
  if (options.replicas) columns.push({ header: "REPLICAS", cell: replicasCell });
  if (options.stores)
    columns.push({ header: "STORES", cell: ({ spec }) => spec.fragment.stores[0] ?? "<none>" });
  for (const name of options.labelColumns ?? []) {
    columns.push({
      header: columnTitle(name),
      cell: ({ spec }) => valuesOf(spec.labels, name).join(",") || "<none>",
    });
  }
  return columns;
}

function primaryCell({ spec, route }: ListedJournal): string {
  const primary = route.members[route.primary]?.suffix ?? "<none>";
  return suspension(spec).level === "NONE" ? primary : `${primary} <S>`;
}

function replicasCell({ route }: ListedJournal): string {
  return route.members
    .filter((_, i) => i !== route.primary)
    .map((member) => member.suffix)
    .join(",");
}
