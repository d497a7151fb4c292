// Work that is done one piece after the other, what somebody waits for before what can wait: a change of a sink's
// mapping would otherwise stand behind every load that is queued.
//
// T1 What is under way is not interrupted; among pieces as urgent as each other the first one comes first.
// T2 A piece that fails is its caller's alone to know of: the next one has its turn.
// T3 How many wait is bounded by those who ask: importers have slots, the API has its requests.

/** `soon`: a person waits for it, and it is over in a moment. */
export type Urgency = "soon" | "later";

export class WorkTurns {
  readonly #waiting: Readonly<Record<Urgency, (() => Promise<void>)[]>> = { soon: [], later: [] };
  #running: Promise<void> | undefined;

  /** Does `work` when it has its turn. @returns what it returns @throws what it throws */
  take<T>(urgency: Urgency, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting[urgency].push(() => work().then(resolve, reject));
      this.#running ??= Promise.resolve().then(() => this.#run());
    });
  }

  /** Resolves once nothing is under way, nor waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { soon, later } = this.#waiting;
    for (let next = soon.shift() ?? later.shift(); next !== undefined; next = soon.shift() ?? later.shift()) {
      await next();
    }
    this.#running = undefined;
  }
}
