// What the primary of a journal writes to the coordination store (section 2.5): the route in its assignments, and the
// suspension in its spec. Each compares everything that it was decided on.
import { WireError } from "@millrace/base";
import type { Compare, CoordinationStore, StoreOp } from "@millrace/metadata";
import { encodeJournalSpec, encodeRoute, equivalentRoutes, type Suspend } from "@millrace/protocol";
import type { Resolution } from "./resolver.ts";

/**
 * Writes the resolved route to the assignments that store another one.
 * @returns the revision at which the outcome can be read, be it written or overtaken
 */
export function updateAssignments(
  store: CoordinationStore,
  { assignments, header }: Resolution,
  signal: AbortSignal,
): Promise<number> {
  const value = encodeRoute({ ...header.route, endpoints: [] });
  const success: StoreOp[] = assignments
    .filter(({ route }) => !equivalentRoutes(route, header.route))
    .map(({ key }) => ({ kind: "put", key, value, ignoreLease: true }));
  return transact(store, assignments, success, signal);
}

/** Writes the suspension to the journal's spec. @returns as {@link updateAssignments} */
export function updateSuspend(
  store: CoordinationStore,
  { item, assignments }: Resolution,
  suspend: Suspend,
  signal: AbortSignal,
): Promise<number> {
  if (item === undefined) throw new WireError("INTERNAL", "a suspension concerns a journal that exists");
  const value = encodeJournalSpec({ ...item.spec, suspend });
  return transact(store, [item, ...assignments], [{ kind: "put", key: item.key, value }], signal);
}

/**
 * After a failed compare the store's revision may lie beyond the last change below the broker's root: the mirror gets
 * there with the watch's progress.
 */
async function transact(
  store: CoordinationStore,
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
  const { header } = await store.txn({ compare, success }, signal);
  return header.revision;
}
