// The brokers of the cluster, as the keyspace of one of them has them.
import { compareText, equalProcessIds, type ProcessId } from "@millrace/protocol";
import { memberName, type JournalTable } from "./journal-table.ts";

export interface ListedBroker {
  readonly zone: string;
  readonly id: string;
  readonly endpoint: string;
  /** Journals that it takes on at most. */
  readonly journalLimit: number;
  /** It is leaving. */
  readonly exiting: boolean;
  /** `millrace` where it is this broker, or announces a data directory, which others do not. */
  readonly product: "millrace" | "other";
  /** Journals that are assigned to it. */
  readonly primaries: number;
  readonly replicas: number;
}

/** Every member, by zone and id, as the broker `self` sees them. */
export function listBrokers(table: JournalTable, self: ProcessId): readonly ListedBroker[] {
  const counts = new Map<string, { primaries: number; replicas: number }>();
  for (const journal of table.assigned()) {
    for (const { member, slot } of table.assignments(journal)) {
      const name = memberName(member);
      const count = counts.get(name) ?? { primaries: 0, replicas: 0 };
      if (slot === 0) count.primaries++;
      else count.replicas++;
      counts.set(name, count);
    }
  }
  const listed = [...table.members()].map(({ spec }): ListedBroker => {
    const { id, endpoint, journalLimit, exiting, holder } = spec;
    const count = counts.get(memberName(id)) ?? { primaries: 0, replicas: 0 };
    const product = holder !== "" || equalProcessIds(id, self) ? "millrace" : "other";
    return { zone: id.zone, id: id.suffix, endpoint, journalLimit, exiting, product, ...count };
  });
  return listed.sort((a, b) => compareText(a.zone, b.zone) || compareText(a.id, b.id));
}
