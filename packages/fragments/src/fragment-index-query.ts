// What Read and ListFragments ask of the index (gazette-broker.md 5.2 step 2 and 5.5).
import type { FragmentEntry, FragmentIndex } from "./fragment-index.ts";

/** A reader passes over a hole when what follows was persisted longer ago than this: nobody uploads it any more. */
const OFFSET_JUMP_AGE_SECONDS = 6 * 60 * 60;
const PAGE_LIMIT_DEFAULT = 1000;

export interface IndexRequest {
  /** First wanted offset; -1: the write head. */
  readonly offset: number;
  /** Unix seconds: pass over persisted fragments that are older. */
  readonly beginModTime: number;
  /** End of what this disk knows to be acknowledged: a listing that ends below it is stale (D1). */
  readonly head: number;
}

export type IndexAnswer =
  /** `entry` holds `offset`, which may be beyond the requested one. */
  | {
      readonly kind: "found";
      readonly offset: number;
      readonly writeHead: number;
      readonly entry: FragmentEntry;
    }
  /** Ask again when the index has changed, or at `jumpAtMs` (Unix ms) if given: then a hole may be passed over. */
  | {
      readonly kind: "not-yet";
      readonly offset: number;
      readonly writeHead: number;
      readonly jumpAtMs?: number;
    };

/** @param nowMs wall time, Unix ms */
export function queryIndex(index: FragmentIndex, request: IndexRequest, nowMs: number): IndexAnswer {
  const writeHead = Math.max(index.end, request.head);
  let offset = request.offset === -1 ? writeHead : request.offset;
  for (;;) {
    const { index: at, found } = index.find(offset);
    if (at === index.count) return { kind: "not-yet", offset, writeHead };
    const entry = index.at(at);
    const modTime = modTimeOf(entry);
    if (!found) {
      // Before the stores were listed a hole may be what they hold: one fragment persisted since then says nothing.
      if (modTime === 0 || !index.isRefreshed) return { kind: "not-yet", offset, writeHead };
      // At the begin a hole is what was pruned, once the stores cannot hide anything of an earlier process any more.
      const isPruned = at === 0 && index.isSettled;
      const jumpAtMs = (modTime + OFFSET_JUMP_AGE_SECONDS + 1) * 1000;
      if (!isPruned && nowMs < jumpAtMs) return { kind: "not-yet", offset, writeHead, jumpAtMs };
      offset = entry.begin;
    }
    if (modTime === 0 || modTime >= request.beginModTime) return { kind: "found", offset, writeHead, entry };
    offset = entry.end;
  }
}

export interface IndexPageRequest {
  /** Unix seconds. */
  readonly beginModTime: number;
  /** Unix seconds, inclusive; 0: no bound, and fragments that are not persisted too. */
  readonly endModTime: number;
  readonly nextPageToken: number;
  /** 0: 1000. */
  readonly pageLimit: number;
}

export interface IndexPage {
  readonly entries: readonly FragmentEntry[];
  /** Begin of the first fragment that was not looked at; 0 when all were. */
  readonly nextPageToken: number;
}

export function pageOfIndex(index: FragmentIndex, request: IndexPageRequest): IndexPage {
  const limit = request.pageLimit === 0 ? PAGE_LIMIT_DEFAULT : request.pageLimit;
  const entries: FragmentEntry[] = [];
  let at = firstBeginningAt(index, request.nextPageToken);
  for (; at < index.count && entries.length < limit; at++) {
    const entry = index.at(at);
    const modTime = modTimeOf(entry);
    if (modTime !== 0 && modTime < request.beginModTime) continue;
    if (request.endModTime !== 0 && (modTime === 0 || modTime > request.endModTime)) continue;
    entries.push(entry);
  }
  return { entries, nextPageToken: at < index.count ? index.at(at).begin : 0 };
}

/** Unix seconds; 0 for a fragment that is not persisted. */
export function modTimeOf(entry: FragmentEntry): number {
  return entry.kind === "remote" ? entry.fragment.modTime : 0;
}

function firstBeginningAt(index: FragmentIndex, offset: number): number {
  let low = 0;
  let high = index.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (index.at(middle).begin >= offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
