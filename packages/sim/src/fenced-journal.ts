// What is known of a journal whose writers fence each other off with a register (D17).
import { RawJournal } from "./raw-journal.ts";

export class FencedJournal extends RawJournal {
  /** What the register may be: more than one value while the outcome of a change is not known. */
  readonly possible = new Set([""]);
  /** Values that it was. */
  readonly stale: string[] = [];

  settle(value: string): void {
    for (const other of this.possible) if (other !== value && other !== "") this.stale.push(other);
    this.possible.clear();
    this.possible.add(value);
  }
}
