// What a list of holders says of a spool's hidden bytes, done to the spool (durability.md D11). A shell over
// judged-spool.ts.
import { WireError, type Logger } from "@millrace/base";
import type { Spool } from "@millrace/fragments";
import { heldBytes } from "./held-bytes.ts";
import type { HolderId, HoldersList } from "./holders-list.ts";
import { RESET_HEAD_REMEDY, type HoldersStore } from "./holders-store.ts";
import { judgeSpool } from "./judged-spool.ts";

/** Bytes that no list judges. */
export function unlisted(journal: string): WireError {
  const text = `journal ${journal} has bytes here and no list of holders; ${RESET_HEAD_REMEDY}${journal}`;
  return new WireError("UNAVAILABLE", text, { facts: { journal } });
}

export interface VerdictOptions {
  /** Whoever has appends under way in the spool hears of it. */
  readonly cut?: (begin: number) => Promise<void>;
  /** What is here from there on, without a gap, is left as it is: it is compared with what others have. */
  readonly comparedFrom?: number | undefined;
}

/** Shows what the list says is acknowledged, and puts aside what it says is not. */
export async function applyVerdict(
  spool: Spool,
  list: HoldersList,
  { self, logger }: { readonly self: HolderId; readonly logger: Logger },
  { cut = (begin) => spool.cut(begin), comparedFrom }: VerdictOptions = {},
): Promise<void> {
  const { journal } = spool.life;
  const { end: shown, syncedEnd: end } = spool;
  const verdict = judgeSpool(list, self, { held: spool.held(), shown, end });
  if (verdict === undefined) {
    const text = `what is here of journal ${journal} does not fit its list of holders`;
    throw new WireError("CORRUPT", text, { facts: { journal, shown, end } });
  }
  spool.confirm(verdict.shown);
  const from = Math.max(comparedFrom ?? end, spool.end);
  const isCompared = verdict.kept >= from && heldBytes(spool).base <= from;
  if (isCompared || verdict.kept >= end) return;
  const facts = { journal, begin: verdict.kept, end };
  logger.warn("journal-bytes-set-aside", facts);
  await cut(Math.max(verdict.kept, spool.end));
}

interface VerdictPorts {
  readonly lists: Pick<HoldersStore, "read">;
  readonly self: HolderId;
  readonly logger: Logger;
}

/**
 * Shows what a void list names this member for, and puts aside whatever else is hidden: others go on without it (D15).
 * @throws {WireError} UNAVAILABLE: there is no list, or it is void no more; of the store; CORRUPT
 */
export async function cutLeftovers(
  spool: Spool,
  ports: VerdictPorts,
  cut: (begin: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (spool.end === spool.syncedEnd) return;
  const { journal, createRevision } = spool.life;
  const { list } = await ports.lists.read(journal, createRevision, signal);
  if (list?.tail.kind !== "void")
    throw new WireError("UNAVAILABLE", `the list of holders of ${journal} is not void`);
  await applyVerdict(spool, list, ports, { cut });
  if (spool.end < spool.syncedEnd) await cut(spool.end);
}
