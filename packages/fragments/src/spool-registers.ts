// Which registers stood behind which bytes of a spool, as far back as something may be cut: a cut leaves those that
// stood behind the bytes that stay. Pure.
//
//  G1  A change is known from the end of the append that made it on. Within that append those before it stand: what is
//      committed together changes registers with its last append at most (C10 of peer-commits.ts).
//  G2  What is copied from another broker says nothing of registers, until the copy is whole and they are given.
//  G3  What nobody knows is said to be unknown; the last ones that were known are kept beside that, to be shown.
//  G4  Older changes than the last that is shown are forgotten, and the oldest ones when there are too many: what stood
//      there is unknown then.
import type { LabelSet } from "@millrace/protocol";
import { REGISTER_MARKS_MAX } from "./spool-limits.ts";

/** From an offset on, up to the next mark's. */
export interface RegisterMark {
  readonly from: number;
  readonly registers: LabelSet;
  /** Whether these are the ones; else the last that were known. */
  readonly isKnown: boolean;
}

/** What an append, a roll or a cut does to registers; undefined: they stay. */
export type RegistersChange = LabelSet | "unknown" | undefined;

export interface RegistersEntry {
  readonly kind: "commit" | "roll" | "cut";
  readonly end: number;
  readonly registers: RegistersChange;
  /** Where they are unknown from, if they are unknown behind it. */
  readonly doubtfulFrom: number;
}

export class RegisterMarks {
  #marks: RegisterMark[];

  /** @param marks ascending, at least one */
  constructor(marks: readonly RegisterMark[]) {
    this.#marks = [...marks];
  }

  get all(): readonly RegisterMark[] {
    return this.#marks;
  }

  /** The newest, or the last that were known. */
  get newest(): LabelSet {
    return this.#marks.at(-1)!.registers;
  }

  /** Behind the bytes below `offset`; undefined: nobody knows here. */
  at(offset: number): LabelSet | undefined {
    const mark = this.#marks.findLast(({ from }) => from <= offset);
    return mark?.isKnown === true ? mark.registers : undefined;
  }

  /** The greatest offset up to `end` at which they are known. */
  knownUpTo(end: number): number | undefined {
    let limit = end;
    for (const { from, isKnown } of this.#marks.toReversed()) {
      if (from > limit) continue;
      if (isKnown) return limit;
      limit = from - 1;
    }
    return undefined;
  }

  set(from: number, registers: LabelSet): void {
    this.#push({ from, registers, isKnown: true });
  }

  /** From there on nobody knows. */
  doubt(from: number): void {
    if (this.#marks.at(-1)!.isKnown) this.#push({ from, registers: this.newest, isKnown: false });
  }

  /** What was logged; below `shown` nothing is cut any more. */
  apply({ kind, end, registers, doubtfulFrom }: RegistersEntry, shown: number): void {
    this.forget(shown);
    if (kind === "cut") this.cut(end);
    if (registers === "unknown") this.doubt(doubtfulFrom);
    else if (registers !== undefined) this.set(end, registers);
  }

  /** The bytes end at `end` again. */
  cut(end: number): void {
    const { newest } = this;
    this.#marks = this.#marks.filter(({ from }) => from <= end);
    if (this.#marks.length === 0) this.#marks.push({ from: end, registers: newest, isKnown: false }); // G3
  }

  /** Nothing below `shown` is cut any more. */
  forget(shown: number): void {
    while (this.#marks.length > 1 && this.#marks[1]!.from <= shown) this.#marks.shift();
  }

  #push(mark: RegisterMark): void {
    while (this.#marks.length > 0 && this.#marks.at(-1)!.from >= mark.from) this.#marks.pop();
    this.#marks.push(mark);
    if (this.#marks.length > REGISTER_MARKS_MAX) this.#marks.shift(); // G4
  }
}

/** What stands behind a change, or the last that were known. */
export function changed(before: LabelSet, change: RegistersChange): LabelSet {
  return change === undefined || change === "unknown" ? before : change;
}
