// The books against what disks and stores hold while nobody runs.
//
// O1 Each byte of an acknowledged append is on some disk or in a store.
// O2 A store has no other bytes there: only what was acknowledged may be shown from it. A disk may, of an append that
//    lost: its broker is told so when it runs again.
import type { JournalLedger, Standing } from "./test-journal-ledger.ts";

interface Booked {
  readonly append: Standing;
  /** Offsets at which right bytes begin and end, merged when asked. */
  readonly spans: [begin: number, end: number][];
}

export class OfflineLedger {
  readonly #journal: string;
  readonly #booked: readonly Booked[];
  readonly #problems: string[] = [];

  constructor(ledger: JournalLedger) {
    this.#journal = ledger.journal;
    this.#booked = ledger.standing.map((append) => ({ append, spans: [] }));
  }

  take(offset: number, bytes: Uint8Array, isStored: boolean): void {
    const limit = offset + bytes.length;
    for (let i = this.#firstEndingAfter(offset); i < this.#booked.length; i++) {
      const { append, spans } = this.#booked[i]!;
      if (append.begin >= limit) break;
      const [begin, end] = [Math.max(offset, append.begin), Math.min(limit, append.end)];
      const expected = append.content().subarray(begin - append.begin, end - append.begin);
      if (expected.equals(bytes.subarray(begin - offset, end - offset))) spans.push([begin, end]);
      else if (isStored)
        this.#problems.push(`${this.#nameOf(append)}: a store has other bytes in [${begin}, ${end})`);
    }
  }

  violations(): readonly string[] {
    const missing = this.#booked.filter(({ append, spans }) => coveredTo(append.begin, spans) < append.end);
    return [
      ...this.#problems,
      ...missing.map(
        ({ append, spans }) => `${this.#nameOf(append)}: nobody has ${coveredTo(append.begin, spans)}`,
      ),
    ];
  }

  #nameOf({ number, begin, end }: Standing): string {
    return `${this.#journal}, append ${number} at [${begin}, ${end})`;
  }

  /** Appends do not overlap. */
  #firstEndingAfter(offset: number): number {
    let [low, high] = [0, this.#booked.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#booked[middle]!.append.end > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The first offset from `begin` on that no span has. */
function coveredTo(begin: number, spans: readonly (readonly [number, number])[]): number {
  let at = begin;
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    if (from > at) break;
    at = Math.max(at, to);
  }
  return at;
}
