// Changes of journals, applied some at a time. A broker that refuses a transaction for its revisions does not say which
// journal it was: here those are named that are not at the revision that a change expects.
import { WireError } from "@millrace/base";
import { applyJournals, listJournals, type JournalTransport } from "@millrace/client";
import { ANY_LABELS, type ApplyChange } from "@millrace/protocol";

/** Journals that a message names. */
const NAMED_MAX = 5;

/** @returns the revision of the last one @throws {WireError} ETCD_TRANSACTION_FAILED naming the journals */
export async function applyChanges(
  transport: JournalTransport,
  changes: readonly ApplyChange[],
  changesMax: number,
  signal: AbortSignal,
): Promise<number> {
  let revision = 0;
  for (let begin = 0; begin < changes.length; begin += changesMax) {
    const some = changes.slice(begin, begin + changesMax);
    try {
      revision = await applyJournals(transport, some, signal, some.length);
    } catch (thrown) {
      if (!(thrown instanceof WireError) || thrown.code !== "ETCD_TRANSACTION_FAILED") throw thrown;
      const why = await conflicts(transport, some, signal);
      const done = begin === 0 ? "" : `; ${begin} changes before it are done`;
      throw new WireError(thrown.code, `${thrown.message}: ${why}${done}`, { cause: thrown });
    }
  }
  return revision;
}

async function conflicts(
  transport: JournalTransport,
  changes: readonly ApplyChange[],
  signal: AbortSignal,
): Promise<string> {
  const { journals } = await listJournals(transport, ANY_LABELS, signal);
  const revisions = new Map(journals.map(({ spec, modRevision }) => [spec.name, modRevision]));
  const texts: string[] = [];
  for (const { upsert, delete: deleted, expectModRevision: expected } of changes) {
    const name = upsert?.name ?? deleted;
    const found = revisions.get(name) ?? 0;
    if (expected === -1 || expected === found) continue;
    const wanted = expected === 0 ? "0: that it does not exist" : String(expected);
    const is = found === 0 ? "does not exist" : `is at revision ${found}`;
    texts.push(`${name} ${is}, expected is ${wanted}`);
  }
  if (texts.length === 0) return "somebody else changed one of them meanwhile";
  const more = texts.length - NAMED_MAX;
  return texts.slice(0, NAMED_MAX).join("; ") + (more > 0 ? `; and ${more} more` : "");
}
