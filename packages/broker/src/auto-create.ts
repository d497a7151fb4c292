// Creation of journals by their first append: a configured list of prefixes, each with the spec that its journals
// get.
import { WireError } from "@millrace/base";
import type { ApplyResponse, JournalSpec } from "@millrace/protocol";

export interface AutoCreateRule {
  /** Journals whose name starts with this. */
  readonly prefix: string;
  /** Their spec, but for the name. */
  readonly template: Omit<JournalSpec, "name">;
}

/** The spec of a missing journal, or undefined when no rule wants it. Of several rules the longest prefix counts. */
export function specFromRules(rules: readonly AutoCreateRule[], journal: string): JournalSpec | undefined {
  let best: AutoCreateRule | undefined;
  for (const rule of rules) {
    const fits = journal.startsWith(rule.prefix) && journal.length > rule.prefix.length;
    if (fits && rule.prefix.length > (best?.prefix.length ?? -1)) best = rule;
  }
  return best === undefined ? undefined : { ...best.template, name: journal };
}

/** Creates missing journals; calls for the same journal at the same time share one transaction. */
export class AutoCreator {
  readonly #rules: readonly AutoCreateRule[];
  readonly #create: (spec: JournalSpec) => Promise<ApplyResponse>;
  readonly #running = new Map<string, Promise<number>>();

  /** @param create applies the spec, expecting that the journal does not exist */
  constructor(rules: readonly AutoCreateRule[], create: (spec: JournalSpec) => Promise<ApplyResponse>) {
    this.#rules = rules;
    this.#create = create;
  }

  wants(journal: string): boolean {
    return specFromRules(this.#rules, journal) !== undefined;
  }

  /** @returns the revision from which on the journal is there, whoever made it */
  ensure(journal: string): Promise<number> {
    const spec = specFromRules(this.#rules, journal);
    if (spec === undefined) throw new WireError("JOURNAL_NOT_FOUND", `journal ${journal} does not exist`);
    let running = this.#running.get(journal);
    if (running === undefined) {
      // ETCD_TRANSACTION_FAILED: somebody else was first, which is as good.
      running = this.#create(spec)
        .then(({ header }) => header.etcd.revision)
        .finally(() => this.#running.delete(journal));
      this.#running.set(journal, running);
    }
    return running;
  }
}
