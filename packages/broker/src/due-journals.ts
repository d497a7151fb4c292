// Journals whose route is to be activated without an append that asks for it.
//
//  U1  Those of which appends are in limbo come first: somebody waits for each of them, and for a while only. A drain
//      gives a broker hundreds of journals with a new route at once.
import { Gate } from "@millrace/base";

export interface DueJournal {
  readonly journal: string;
  /** Monotonic. Appends are in limbo until its route is activated, and no longer than that; absent: it is new. */
  readonly awaitedUntilMs?: number;
}

export class DueJournals {
  readonly changed = new Gate();
  readonly #awaited = new Map<string, number>();
  readonly #routed = new Set<string>();

  get isEmpty(): boolean {
    return this.#awaited.size === 0 && this.#routed.size === 0;
  }

  /** One that is due already stays where it is, or becomes awaited. */
  add({ journal, awaitedUntilMs }: DueJournal): void {
    const before = this.#awaited.get(journal);
    if (awaitedUntilMs !== undefined) {
      this.#routed.delete(journal);
      this.#awaited.set(journal, Math.max(before ?? awaitedUntilMs, awaitedUntilMs));
    } else if (before === undefined) this.#routed.add(journal);
    this.changed.open();
  }

  /** What was taken, and failed: awaited only while somebody still waits. */
  addAgain({ journal, awaitedUntilMs }: DueJournal, nowMs: number): void {
    const isAwaited = awaitedUntilMs !== undefined && nowMs < awaitedUntilMs;
    this.add(isAwaited ? { journal, awaitedUntilMs } : { journal });
  }

  /** The first of those that are awaited, else of the others. U1 @returns undefined when there is none */
  take(): DueJournal | undefined {
    for (const [journal, awaitedUntilMs] of this.#awaited) {
      this.#awaited.delete(journal);
      return { journal, awaitedUntilMs };
    }
    for (const journal of this.#routed) {
      this.#routed.delete(journal);
      return { journal };
    }
    return undefined;
  }
}
