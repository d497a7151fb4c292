// What the primary of a journal writes to the coordination store (section 2.5): the route in its assignments, and the
// suspension in its spec. Each compares everything that it was decided on; those of many journals share requests.
import { WireError } from "@millrace/base";
import type { Compare, SharedTxns, StoreOp } from "@millrace/metadata";
import { encodeJournalSpec, encodeRoute, equivalentRoutes, type Suspend } from "@millrace/protocol";
import type { Item } from "./journal-table.ts";
import { asBroker } from "./own-rights.ts";
import type { Resolution } from "./resolver.ts";

/**
 * Writes the resolved route to the assignments that store another one.
 * @returns the revision at which the outcome can be read, be it written or overtaken
 */
export function updateAssignments(
  store: SharedTxns,
  { item, assignments, header }: Resolution,
  signal: AbortSignal,
): Promise<number> {
  const value = encodeRoute({ ...header.route, endpoints: [] });
  const success: StoreOp[] = assignments
    .filter(({ route }) => !equivalentRoutes(route, header.route))
    .map(({ key }) => ({ kind: "put", key, value, ignoreLease: true }));
  return transact(store, item, assignments, success, signal);
}

/** Writes the suspension to the journal's spec. @returns as {@link updateAssignments} */
export function updateSuspend(
  store: SharedTxns,
  { item, assignments }: Resolution,
  suspend: Suspend,
  signal: AbortSignal,
): Promise<number> {
  if (item === undefined) throw new WireError("INTERNAL", "a suspension concerns a journal that exists");
  const value = encodeJournalSpec({ ...item.spec, suspend });
  return transact(store, item, [item, ...assignments], [{ kind: "put", key: item.key, value }], signal);
}

/**
 * After a failed compare the store's revision may lie beyond the last change below the broker's root: the mirror gets
 * there with the watch's progress.
 */
async function transact(
  store: SharedTxns,
  journal: Item | undefined,
  seen: readonly { readonly key: string; readonly modRevision: number }[],
  success: readonly StoreOp[],
  signal: AbortSignal,
): Promise<number> {
  const compare: Compare[] = seen.map(({ key, modRevision }) => ({
    target: "mod",
    key,
    op: "=",
    revision: modRevision,
  }));
  const subject = journal?.spec.name ?? "";
  const { header } = await asBroker(store.txn({ subject, compare, success }, signal));
  return header.revision;
}
