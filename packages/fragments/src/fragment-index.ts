// What a broker knows of one journal's fragments: those of its stores and those on this disk, as one cover set.
// I1 The set is remote ∪ (local that no run of contiguous remote fragments covers).
// I2 A fragment that this process persisted and confirmed stays in the set although a listing does not show it yet:
//    its local copy is gone, and a hole there would turn readers away. It stays for `graceMs` after its confirmation,
//    or until its store says that it is not there: then it was removed.
// I3 The index never releases local bytes: a listing says only that a name exists (D18). The persister does.
// Spools report growth after every batch of appends, so growth of the last local fragment costs O(1).
import { assert, Gate } from "@millrace/base";
import type { Fragment } from "@millrace/protocol";
import { addCover, coverDifference, firstEndingAfter, longestOverlapping } from "./fragment-index-cover.ts";
import type { LocalFragment } from "./spools.ts";

/** A fragment in a store. `fragment.backingStore` and `fragment.modTime` are set. */
export interface RemoteEntry {
  readonly kind: "remote";
  readonly begin: number;
  readonly end: number;
  readonly fragment: Fragment;
}

/** A span on this disk, as it was when the index was told. */
export interface LocalEntry {
  readonly kind: "local";
  readonly begin: number;
  readonly end: number;
  readonly fragment: LocalFragment;
}

export type FragmentEntry = RemoteEntry | LocalEntry;

export interface IndexSummary {
  readonly begin: number;
  readonly end: number;
  /** When the last fragment was persisted, Unix seconds; 0 when it is local or there is none. */
  readonly lastModTime: number;
}

interface Confirmed {
  readonly entry: RemoteEntry;
  readonly atMs: number;
}

/** Default of I2: longer than any store's listing lag and than a listing takes. */
const CONFIRMED_GRACE_MS = 15 * 60 * 1000;

export function remoteEntry(fragment: Fragment): RemoteEntry {
  return { kind: "remote", begin: fragment.begin, end: fragment.end, fragment };
}

export class FragmentIndex {
  /** Opens after each change. */
  readonly changed = new Gate();
  readonly #graceMs: number;
  #remote: RemoteEntry[] = [];
  #local: readonly LocalEntry[] = [];
  readonly #confirmed = new Map<string, Confirmed>();
  #refreshed = false;
  #settled = false;
  /** The set is `#remote[0, #headCount)` followed by `#tail`. */
  #headCount = 0;
  #tail: FragmentEntry[] = [];

  constructor(options: { readonly graceMs?: number } = {}) {
    this.#graceMs = options.graceMs ?? CONFIRMED_GRACE_MS;
  }

  /** Whether the stores were listed once. Until then appends and fragment listings wait on {@link changed}. */
  get isRefreshed(): boolean {
    return this.#refreshed;
  }

  /**
   * Whether nothing that an earlier process stored can be missing: a listing has come in that began after all of that
   * had to be listed.
   */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** The listing that {@link setRemote} is given next shows all that an earlier process stored. */
  settle(): void {
    this.#settled = true;
  }

  /** Members of the cover set. */
  get count(): number {
    return this.#headCount + this.#tail.length;
  }

  /** @param index 0 <= index < count, in order of offsets */
  at(index: number): FragmentEntry {
    const entry = index < this.#headCount ? this.#remote[index] : this.#tail[index - this.#headCount];
    assert(entry !== undefined, "0 <= index < count", { index, count: this.count });
    return entry;
  }

  *entries(): Generator<FragmentEntry> {
    for (let i = 0; i < this.count; i++) yield this.at(i);
  }

  /** As {@link longestOverlapping} over the set. */
  find(offset: number): { index: number; found: boolean } {
    const inTail = longestOverlapping(this.#tail, offset);
    if (inTail.found) return { index: this.#headCount + inTail.index, found: true };
    const lastOfHead = this.#headCount === 0 ? undefined : this.#remote[this.#headCount - 1]!;
    if (lastOfHead === undefined || lastOfHead.end <= offset) {
      return { index: this.#headCount + inTail.index, found: false };
    }
    const { index, found } = longestOverlapping(this.#remote, offset);
    // Beyond the head stands the tail: its members begin after `offset`, or they would have been found.
    return { index: Math.min(index, this.#headCount), found: found && index < this.#headCount };
  }

  /** The local fragment that holds `offset`, also when the set shows a remote one there: reading it is cheaper. */
  localAt(offset: number): LocalEntry | undefined {
    const entry = this.#local[firstEndingAfter(this.#local, offset)];
    return entry !== undefined && entry.begin <= offset ? entry : undefined;
  }

  summary(): IndexSummary {
    if (this.count === 0) return { begin: 0, end: 0, lastModTime: 0 };
    const last = this.at(this.count - 1);
    const lastModTime = last.kind === "remote" ? last.fragment.modTime : 0;
    return { begin: this.at(0).begin, end: last.end, lastModTime };
  }

  /** End of the last fragment in a store. */
  get remoteEnd(): number {
    return this.#remote.at(-1)?.end ?? 0;
  }

  /** End of the last fragment: the write head as far as fragments show it. */
  get end(): number {
    return this.summary().end;
  }

  /** Replaces the local fragments by what the spool reports: ascending, none overlapping. Empty ones are left out. */
  setLocal(fragments: readonly LocalFragment[]): void {
    const local: LocalEntry[] = [];
    for (const fragment of fragments) {
      const { begin, end } = fragment;
      if (end > begin) local.push({ kind: "local", begin, end, fragment });
    }
    const before = this.#local;
    this.#local = local;
    if (!this.#growLast(before)) this.#rebuild();
    this.changed.open();
  }

  /**
   * Adds a fragment that was persisted and confirmed. Call it before the local copy is released.
   * @param nowMs monotonic time, ms: a clock that is set must not end the grace of I2
   */
  confirm(entry: RemoteEntry, nowMs: number): void {
    this.#confirmed.set(nameOf(entry), { entry, atMs: nowMs });
    if (addCover(this.#remote, entry)) this.#rebuild();
    this.changed.open();
  }

  /** Fragments that were confirmed before a listing began that does not show them: it lags, or they were removed. */
  unlisted(listed: readonly RemoteEntry[], startedMs: number): readonly RemoteEntry[] {
    const before = [...this.#confirmed.values()].filter(({ atMs }) => atMs <= startedMs);
    if (before.length === 0) return [];
    const seen = new Set(listed.map(nameOf));
    return before.map(({ entry }) => entry).filter((entry) => !seen.has(nameOf(entry)));
  }

  /** A fragment was removed from its store: it is not missed, and no reader is sent to it. */
  forget(fragment: Fragment): void {
    const name = nameOf(remoteEntry(fragment));
    const before = this.#remote.length;
    this.#remote = this.#remote.filter((entry) => nameOf(entry) !== name);
    if (!this.#confirmed.delete(name) && this.#remote.length === before) return;
    this.#rebuild();
    this.changed.open();
  }

  /**
   * Replaces the remote fragments by what a listing of all stores showed.
   * @param listed in the order of the stores: of twins, the last one counts
   * @param startedMs monotonic time at which the listing began, ms
   * @returns fragments that this process confirmed, longer than the grace ago, and that the listing does not show
   */
  setRemote(listed: Iterable<RemoteEntry>, startedMs: number): readonly RemoteEntry[] {
    const remote: RemoteEntry[] = [];
    const seen = new Set<string>();
    for (const entry of listed) {
      if (this.#confirmed.size > 0) seen.add(nameOf(entry));
      addCover(remote, entry);
    }
    const missing: RemoteEntry[] = [];
    for (const [name, { entry, atMs }] of this.#confirmed) {
      if (seen.has(name)) this.#confirmed.delete(name);
      else if (atMs + this.#graceMs >= startedMs) addCover(remote, entry);
      else {
        this.#confirmed.delete(name);
        missing.push(entry);
      }
    }
    this.#remote = remote;
    this.#refreshed = true;
    this.#rebuild();
    this.changed.open();
    return missing;
  }

  /** The frequent case: nothing but the end of the last local fragment, which ends the set, has changed. */
  #growLast(before: readonly LocalEntry[]): boolean {
    const local = this.#local;
    const tail = this.#tail;
    const last = local.at(-1);
    const was = before.at(-1);
    if (last === undefined || was === undefined || local.length !== before.length) return false;
    if (tail.at(-1) !== was || last.begin !== was.begin || last.end < was.end) return false;
    for (let i = 0; i < local.length - 1; i++) {
      if (local[i]!.fragment !== before[i]!.fragment || local[i]!.end !== before[i]!.end) return false;
    }
    tail[tail.length - 1] = last;
    return true;
  }

  #rebuild(): void {
    const remaining = coverDifference(this.#local, this.#remote);
    const first = remaining[0];
    this.#headCount = first === undefined ? this.#remote.length : firstEndingAfter(this.#remote, first.begin);
    // Members that end at or before `first` begins can neither hold nor be held by any remaining local fragment.
    this.#tail = this.#remote.slice(this.#headCount);
    for (const entry of remaining) {
      const added = addCover(this.#tail, entry);
      assert(added, "a local fragment that is not covered joins the set", {
        begin: entry.begin,
        end: entry.end,
      });
    }
  }
}

/** Equal for what is the same content at the same place, whatever its store, codec and postfix. */
function nameOf(entry: RemoteEntry): string {
  return `${entry.begin}-${entry.end}-${entry.fragment.sum}`;
}
