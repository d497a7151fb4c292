// Changes of journal specs in one transaction (section 5.4).
import { WireError, type Logger } from "@millrace/base";
import type { Compare, CoordinationStore, StoreOp } from "@millrace/metadata";
import {
  encodeJournalSpec,
  extendedLabels,
  itemKey,
  labelSet,
  matchesSelector,
  stripMeta,
  type ApplyRequest,
  type ApplyResponse,
  type LabelSelector,
} from "@millrace/protocol";
import { checkJournalName } from "@millrace/stores";
import { refuseAcknowledgement } from "./acknowledgement-rule.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { HoldersStore } from "./holders-store.ts";
import { asBroker } from "./own-rights.ts";
import type { Resolver } from "./resolver.ts";

export interface ApplyPorts {
  readonly coordination: CoordinationStore;
  readonly keyspace: BrokerKeyspace;
  readonly resolver: Resolver;
  readonly logger: Logger;
}

/**
 * Resolves once this broker's keyspace holds the change.
 * @param permitted new specs and deleted names outside are refused; so are changes of journals that are outside now
 * @throws {WireError} FORBIDDEN for who asks; INVALID_ARGUMENT for a name that a store cannot have, or for what labels
 * of ours say; what the store throws
 */
export async function applyJournals(
  ports: ApplyPorts,
  request: ApplyRequest,
  permitted: LabelSelector | undefined,
  signal: AbortSignal,
): Promise<ApplyResponse> {
  const compare: Compare[] = [];
  const success: StoreOp[] = [];
  for (const { upsert, delete: removed, expectModRevision } of request.changes) {
    const name = upsert?.name ?? stripMeta(removed);
    const labels = upsert === undefined ? labelSet(["name", name]) : extendedLabels(name, upsert.labels);
    const present = upsert && ports.keyspace.table.item(name)?.spec;
    const seen = present === undefined ? [labels] : [labels, extendedLabels(name, present.labels)];
    if (permitted !== undefined && !seen.every((each) => matchesSelector(permitted, each))) {
      throw new WireError("FORBIDDEN", `not authorized to ${name}`);
    }
    const refusal = upsert && refuseAcknowledgement(upsert.labels, upsert.replication);
    if (refusal !== undefined) throw new WireError("INVALID_ARGUMENT", `journal ${name}: ${refusal}`);
    for (const url of upsert?.fragment.stores ?? []) checkJournalName(url, name);
    const key = itemKey(ports.keyspace.root, name);
    if (expectModRevision !== -1) compare.push({ target: "mod", key, op: "=", revision: expectModRevision });
    success.push(
      upsert === undefined ? { kind: "delete", key } : { kind: "put", key, value: encodeJournalSpec(upsert) },
    );
  }
  const before = ports.resolver.header();
  const { header, succeeded, results } = await asBroker(ports.coordination.txn({ compare, success }, signal));
  const answered = { ...before, etcd: { ...before.etcd, revision: header.revision } };
  if (!succeeded) return { status: "ETCD_TRANSACTION_FAILED", header: answered };
  // A transaction that changed nothing (it deleted what is not there) makes no revision to wait for.
  const changed = results.some(
    (result) => result.kind === "put" || (result.kind === "delete" && result.deleted > 0),
  );
  if (changed) await ports.keyspace.waitForRevision(header.revision, signal);
  await forgetLists(ports, request, signal);
  return { status: "OK", header: answered };
}

/** Nobody is told when it fails: the journals are deleted all the same. */
async function forgetLists(
  { coordination, keyspace, logger }: ApplyPorts,
  { changes }: ApplyRequest,
  signal: AbortSignal,
): Promise<void> {
  const removed = changes
    .filter(({ upsert }) => upsert === undefined)
    .map((change) => stripMeta(change.delete))
    .map((journal) => ({ journal, itemKey: itemKey(keyspace.root, journal) }));
  if (removed.length === 0) return;
  try {
    await new HoldersStore(coordination, keyspace.root).forget(removed, signal);
  } catch (error) {
    logger.warn("holders-lists-not-removed", { error: WireError.from(error).message });
  }
}
