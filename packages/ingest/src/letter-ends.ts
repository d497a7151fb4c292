// Where the dead-letter journals of sinks have ended, as far as this process knows: what it appended or saw itself, and
// where replays stood when it looked.
//
// N1 An end is kept as long as there is this life of its sink.
// N2 It says nothing of the next append when the journal may have gone back behind it; a person is told it all the
//    same, until the journal is found whole.
import { deadLetterJournal, incarnationOf, type SinkLife } from "./definitions.ts";
import type { SinkCatalog } from "./storage-catalog.ts";

interface LetterEnd {
  readonly sink: SinkLife;
  /** The next append stands behind it. */
  known: number;
  heard: number;
}

/** Ends of sinks that are gone are looked for when there are so many, or twice those that were left. */
const SWEPT_AT_MIN = 1024;

export class LetterEnds {
  readonly #catalog: Pick<SinkCatalog, "sink">;
  /** By journal. */
  readonly #ends = new Map<string, LetterEnd>();
  #sweptAt = SWEPT_AT_MIN;

  constructor(catalog: Pick<SinkCatalog, "sink">) {
    this.#catalog = catalog;
  }

  /** 0: nothing is known. */
  known(sink: SinkLife): number {
    return this.#ends.get(deadLetterJournal(sink))?.known ?? 0;
  }

  /** The same, with what was forgotten since (N2). */
  heard(sink: SinkLife): number {
    return this.#ends.get(deadLetterJournal(sink))?.heard ?? 0;
  }

  /** The journal has ended at `end`. */
  note(sink: SinkLife, end: number): void {
    const found = this.#of(sink);
    found.known = Math.max(found.known, end);
    found.heard = Math.max(found.heard, end);
  }

  /** The journal is whole, and ends at `end` or later. */
  noteWhole(sink: SinkLife, end: number): void {
    this.note(sink, end);
    const found = this.#of(sink);
    found.heard = found.known;
  }

  /** N2 */
  forget(sink: SinkLife): void {
    const found = this.#ends.get(deadLetterJournal(sink));
    if (found !== undefined) found.known = 0;
  }

  #of(sink: SinkLife): LetterEnd {
    const journal = deadLetterJournal(sink);
    let found = this.#ends.get(journal);
    if (found === undefined) {
      if (this.#ends.size >= this.#sweptAt) this.#sweep();
      this.#ends.set(journal, (found = { sink, known: 0, heard: 0 }));
    }
    return found;
  }

  /** N1 */
  #sweep(): void {
    for (const [journal, { sink }] of this.#ends) {
      const known = this.#catalog.sink(sink);
      if (known === undefined || incarnationOf(known) !== incarnationOf(sink)) this.#ends.delete(journal);
    }
    this.#sweptAt = Math.max(SWEPT_AT_MIN, 2 * this.#ends.size);
  }
}
