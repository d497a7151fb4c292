// Removes fragments of partition journals that are imported and no longer kept (D27).
import { WireError, type Logger } from "@millrace/base";
import { listFragments, type JournalTransport } from "@millrace/client";
import { contentPath, type Fragment } from "@millrace/protocol";
import type { ObjectStores } from "@millrace/stores";
import { WINDOW_MS } from "./key-window.ts";

export interface FragmentPolicy {
  readonly keptMs: number;
  /** Of one sink's fragments that are imported. */
  readonly keptBytes: number;
}

/** A partition journal, and the offset below which everything was imported. */
export interface ImportedJournal {
  readonly journal: string;
  readonly imported: number;
  /** From where on keys of rows may be looked for again (key-window.ts). */
  readonly keysBegin: number;
  /** Rows wait for their table: keys matter however old they are; otherwise for the time of the window. */
  readonly isBehind: boolean;
  /** Everything below is staged. What is persisted above for UNREAD_MS waits too, whoever should read it. */
  readonly stagedEnd: number;
}

/** Longer than rows are held before they are staged, while their reader is there. */
const UNREAD_MS = 3_600_000;

/** Removes what lies below an offset of a journal from wherever it is kept. */
export interface JournalTrimmer {
  /**
   * @returns what was removed, and ms until more may be removable without another import (undefined: nothing is left)
   * @throws {WireError} of the broker and the store; trimming again is right
   */
  trim(
    journals: readonly ImportedJournal[],
    policy: FragmentPolicy,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly removed: number; readonly againMs: number | undefined }>;
}

/** Fragments to remove, oldest first, and ms until the next one is old enough. Pure. */
export function removableFragments(
  imported: readonly Fragment[],
  policy: FragmentPolicy,
  nowMs: number,
): { readonly remove: readonly Fragment[]; readonly againMs: number | undefined } {
  const ordered = [...imported].sort((a, b) => a.modTime - b.modTime || a.begin - b.begin);
  let bytes = ordered.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const remove: Fragment[] = [];
  for (const fragment of ordered) {
    const ageMs = nowMs - fragment.modTime * 1000;
    if (ageMs < policy.keptMs && bytes <= policy.keptBytes) return { remove, againMs: policy.keptMs - ageMs };
    remove.push(fragment);
    bytes -= fragment.end - fragment.begin;
  }
  return { remove, againMs: undefined };
}

function waits({ backingStore, end, modTime }: Fragment, stagedEnd: number, nowMs: number): boolean {
  return backingStore !== "" && end > stagedEnd && nowMs - modTime * 1000 >= UNREAD_MS;
}

/** Trims by removing the objects of persisted fragments. What is only local stays until it was persisted (D19). */
export class StoreTrimmer implements JournalTrimmer {
  readonly #transport: JournalTransport;
  readonly #stores: ObjectStores;
  readonly #logger: Logger;
  readonly #onRemoved: (fragment: Fragment) => void;
  /** By journal: ends of fragments that were removed and may still be listed for a while. */
  readonly #removed = new Map<string, number>();

  constructor(ports: {
    transport: JournalTransport;
    stores: ObjectStores;
    logger: Logger;
    /** Told of each object that was removed. */
    onRemoved: (fragment: Fragment) => void;
  }) {
    this.#onRemoved = ports.onRemoved;
    this.#transport = ports.transport;
    this.#stores = ports.stores;
    this.#logger = ports.logger;
  }

  async trim(
    journals: readonly ImportedJournal[],
    policy: FragmentPolicy,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<{ removed: number; againMs: number | undefined }> {
    const imported: Fragment[] = [];
    let isWaiting = false;
    for (const { journal, imported: below, keysBegin, isBehind, stagedEnd } of journals) {
      const gone = this.#removed.get(journal) ?? 0;
      const fragments = await this.#fragments(journal, signal);
      const isUnread = isBehind || fragments.some((spec) => waits(spec, stagedEnd, nowMs));
      for (const spec of fragments) {
        const isRecent = isUnread || nowMs - spec.modTime * 1000 < WINDOW_MS;
        const hasKeys = spec.end > keysBegin && isRecent;
        if (spec.backingStore === "" || spec.end > below || hasKeys) isWaiting ||= spec.begin < below;
        else if (spec.end > gone) imported.push(spec);
      }
    }
    const { remove, againMs } = removableFragments(imported, policy, nowMs);
    for (const fragment of remove) {
      await this.#stores.open(fragment.backingStore).remove(contentPath(fragment), signal);
      const { journal, end } = fragment;
      this.#removed.set(journal, Math.max(end, this.#removed.get(journal) ?? 0));
      this.#onRemoved(fragment);
      this.#logger.debug("fragment-removed", { journal, begin: fragment.begin, end });
    }
    // What is imported and cannot go yet is kept for its time at least, and no import may come to look again.
    return {
      removed: remove.length,
      againMs: isWaiting ? Math.min(againMs ?? policy.keptMs, policy.keptMs) : againMs,
    };
  }
  /** None of a suspended journal: it is suspended without any broker only when it has none. */
  async #fragments(journal: string, signal: AbortSignal): Promise<readonly Fragment[]> {
    const found: Fragment[] = [];
    try {
      for await (const { spec } of listFragments(this.#transport, { journal }, signal)) found.push(spec);
    } catch (thrown) {
      if (signal.aborted || WireError.from(thrown).code !== "SUSPENDED") throw thrown;
    }
    return found;
  }
}
