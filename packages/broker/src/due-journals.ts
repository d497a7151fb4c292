// Journals whose route is to be activated without an append that asks for it.
//
//  U1  Those of which appends are in limbo come first: somebody waits for each of them, and for a while only. A drain
//      gives a broker hundreds of journals with a new route at once.
import { Gate } from "@millrace/base";

export interface DueJournal {
  readonly journal: string;
  /** Appends are in limbo until its route is activated; else its route is just new. */
  readonly isAwaited: boolean;
}

export class DueJournals {
  readonly changed = new Gate();
  readonly #awaited = new Set<string>();
  readonly #routed = new Set<string>();

  get isEmpty(): boolean {
    return this.#awaited.size === 0 && this.#routed.size === 0;
  }

  /** One that is due already stays where it is, or becomes awaited. */
  add({ journal, isAwaited }: DueJournal): void {
    if (isAwaited) {
      this.#routed.delete(journal);
      this.#awaited.add(journal);
    } else if (!this.#awaited.has(journal)) this.#routed.add(journal);
    this.changed.open();
  }

  /** The first of those that are awaited, else of the others. U1 @returns undefined when there is none */
  take(): DueJournal | undefined {
    return takeFirst(this.#awaited, true) ?? takeFirst(this.#routed, false);
  }
}

function takeFirst(names: Set<string>, isAwaited: boolean): DueJournal | undefined {
  for (const journal of names) {
    names.delete(journal);
    return { journal, isAwaited };
  }
  return undefined;
}
