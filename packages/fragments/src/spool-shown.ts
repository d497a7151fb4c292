// Up to where the bytes that a spool has synced are shown (P5 of durable-spool.ts).
import { assert } from "@millrace/base";

interface Span {
  readonly begin: number;
  readonly end: number;
}

const NOTHING: Span = { begin: 0, end: 0 };

export class ShownEnd {
  #confirmed = Number.POSITIVE_INFINITY;
  /** A direct append that was hidden when it was synced: shown as a whole, since only its file has its bytes. */
  #direct = NOTHING;

  of(syncedEnd: number): number {
    const end = Math.min(syncedEnd, this.#confirmed);
    return this.#direct.begin < end && end < this.#direct.end ? this.#direct.begin : end;
  }

  hide(from: number, syncedEnd: number): void {
    assert(from <= this.of(syncedEnd) || from >= syncedEnd, "what is hidden is not shown by it", { from });
    this.#confirmed = from;
  }

  /** @returns whether more may be shown now */
  confirm(end: number): boolean {
    if (end <= this.#confirmed) return false;
    this.#confirmed = end;
    return true;
  }

  /** @returns whether the append is hidden, though synced */
  hidesDirect(append: Span): boolean {
    if (append.end <= this.#confirmed) return false;
    this.#direct = append;
    return true;
  }

  cut(begin: number): void {
    if (begin < this.#direct.end) this.#direct = NOTHING;
  }
}
