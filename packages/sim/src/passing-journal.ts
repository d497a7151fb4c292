// What is known of a journal without a store that is deleted and made again: each of its lives begins empty, and
// nothing of an earlier one comes back (D1).
import { RawJournal } from "./raw-journal.ts";

export class PassingJournal {
  readonly name: string;
  current: RawJournal;
  /** Of the current life; undefined while nobody has seen it. */
  createRevision: number | undefined;
  /** A deletion was asked for and its outcome is not known. */
  mayBeGone = false;
  lives = 1;

  constructor(name: string) {
    this.name = name;
    this.current = new RawJournal(name);
  }

  /** The next life begins. */
  renew(): void {
    this.current = new RawJournal(this.name);
    this.createRevision = undefined;
    this.mayBeGone = false;
    this.lives++;
  }
}
