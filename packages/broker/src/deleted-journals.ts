// What is open here of journals that were deleted, whether they were assigned to this broker or not, is forgotten (O3
// of local-journal.ts): a journal that left, or is suspended, goes on to its store, and one that is over must not.
import type { TaskGroup } from "@millrace/base";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import type { LocalJournals } from "./local-journal.ts";
import type { Resolver } from "./resolver.ts";

export interface DeletedJournalsPorts {
  readonly keyspace: BrokerKeyspace;
  /** It hears of changes first. */
  readonly resolver: Pick<Resolver, "closed">;
  readonly journals: Pick<LocalJournals, "hasOthers" | "endOthers">;
}

/** Looks at each change of the keyspace. @param tasks own what waits */
export function forgetDeleted(
  { keyspace, resolver, journals }: DeletedJournalsPorts,
  tasks: TaskGroup,
): void {
  const createRevisionOf = (journal: string): number | undefined =>
    keyspace.table.item(journal)?.createRevision;
  keyspace.onUpdate((changed) => {
    for (const journal of changed) {
      if (!journals.hasOthers(journal, createRevisionOf(journal))) continue;
      tasks.spawn(`forget ${journal}`, async () => {
        // A replica that was here lets its appends end, and forgets the journal itself.
        await resolver.closed(journal);
        await journals.endOthers(journal, () => createRevisionOf(journal));
      });
    }
  });
}
