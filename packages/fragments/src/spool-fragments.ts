// The fragments of one spool: closed ones, and the open one at the end.
import { assert } from "@millrace/base";
import type { SpoolFragment } from "./spool-fragment.ts";

export class SpoolFragments {
  /** Closed, not released, ascending. */
  readonly closed: SpoolFragment[] = [];
  open: SpoolFragment;
  /** Released, but the log does not have it yet: a checkpoint still names them. */
  readonly releasing = new Set<SpoolFragment>();
  /** Released, and their files are still there. */
  readonly removing = new Set<SpoolFragment>();
  /** Whether fragments came, went, or were cut, since somebody was told; and what was shown then. */
  #isOther = true;
  #toldEnd = -1;

  constructor(closed: readonly SpoolFragment[], open: SpoolFragment) {
    this.closed.push(...closed);
    this.open = open;
  }

  /** All with bytes, ascending. */
  list(): SpoolFragment[] {
    return this.open.isEmpty ? [...this.closed] : [...this.closed, this.open];
  }

  /** Whether it differs from the last time, as far as it is shown. */
  isNews(shownEnd: number): boolean {
    if (!this.#isOther && this.#toldEnd === shownEnd) return false;
    this.#isOther = false;
    this.#toldEnd = shownEnd;
    return true;
  }

  /** Their ranges, those that meet as one. */
  held(): { readonly begin: number; readonly end: number }[] {
    const held: { begin: number; end: number }[] = [];
    for (const { begin, end } of this.list()) {
      const last = held.at(-1);
      if (last?.end === begin) last.end = end;
      else held.push({ begin, end });
    }
    return held;
  }

  /** The fragment that holds the acknowledged byte at `offset`. */
  at(offset: number): SpoolFragment | undefined {
    if (offset >= this.open.begin) return offset < this.open.end ? this.open : undefined;
    let low = 0;
    let high = this.closed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.closed[middle]!.end <= offset) low = middle + 1;
      else high = middle;
    }
    const found = this.closed[low];
    return found !== undefined && found.begin <= offset ? found : undefined;
  }

  /**
   * Closes the open fragment, unless it is empty, and puts `next` in its place.
   * @param acknowledged end of what may be summed
   * @returns the closed one
   */
  roll(next: SpoolFragment, acknowledged: number): SpoolFragment | undefined {
    this.#isOther = true;
    const last = this.open;
    this.open = next;
    if (last.isEmpty) return undefined;
    last.close(acknowledged);
    this.closed.push(last);
    return last;
  }

  /**
   * Forgets what stands at and behind `end`: the fragment that holds the byte before it is open again, or `next`,
   * which begins there, when that one was released or there is none.
   * @returns those of which nothing is left
   */
  cut(end: number, next: SpoolFragment): SpoolFragment[] {
    this.#isOther = true;
    const all = [...this.closed, this.open];
    const gone = all.filter((fragment) => fragment.begin >= end && !fragment.isEmpty);
    const kept = all.filter(({ begin }) => begin < end);
    const last = kept.at(-1);
    const isWithin = last !== undefined && last.end > end;
    const goesOn = last !== undefined && (isWithin || (last === this.open && last.end === end));
    if (isWithin) last.cut(end);
    this.open = goesOn ? last : next;
    this.closed.splice(0, Infinity, ...kept.filter((fragment) => fragment !== this.open));
    return gone;
  }

  /** Takes a closed fragment out. */
  release(range: { begin: number; end: number }): SpoolFragment {
    const at = this.closed.findIndex(({ begin, end }) => begin === range.begin && end === range.end);
    assert(at >= 0, "a closed fragment is released once", { begin: range.begin, end: range.end });
    this.#isOther = true;
    const [fragment] = this.closed.splice(at, 1);
    this.releasing.add(fragment!);
    return fragment!;
  }

  /** All with files. */
  present(): SpoolFragment[] {
    return [...this.list(), ...this.releasing, ...this.removing];
  }

  /** Puts a closed fragment where nothing is. */
  adopt(fragment: SpoolFragment): void {
    const at = this.closed.findIndex(({ begin }) => begin >= fragment.end);
    const before = this.closed[(at < 0 ? this.closed.length : at) - 1];
    const fits = (before?.end ?? 0) <= fragment.begin && fragment.end <= this.open.begin;
    assert(fits, "nothing is adopted over what is here", { begin: fragment.begin, end: fragment.end });
    this.#isOther = true;
    this.closed.splice(at < 0 ? this.closed.length : at, 0, fragment);
  }

  /** Those whose files have bytes that no sync covered. */
  dirty(): SpoolFragment[] {
    return [...this.closed, ...this.releasing, this.open].filter(({ dirty }) => dirty);
  }

  /** All that a checkpoint must name beside the open one, ascending. */
  kept(): SpoolFragment[] {
    return [...this.closed, ...this.releasing].sort((a, b) => a.begin - b.begin);
  }
}
