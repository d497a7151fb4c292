// What senders know of the records for one table, and what the table may therefore hold: the outside judge of the way
// from record to row.
//
// L1 Every acknowledged record is one row. L2 A record whose answer never came is at most one row. L3 There is no other
// row, and each has the values that were sent. L4 Rows of a partition stand in the order of their offsets.
import { assert } from "@millrace/base";
import type { ModelRow, ModelTable } from "@millrace/ingest/testkit";

type Knowledge = "under way" | "acknowledged" | "unknown" | "refused";

export class RecordLedger {
  readonly #records = new Map<string, { knowledge: Knowledge; readonly body: string }>();
  readonly #underWay = new Set<string>();
  readonly #rows = new Set<string>();
  /** By partition: offset of its newest row. */
  readonly #newest = new Map<string, number>();
  #observed = 0;
  acknowledged = 0;

  get rows(): number {
    return this.#rows.size;
  }

  send(id: string, body: string): void {
    assert(!this.#records.has(id), "a record is sent once", { id });
    this.#records.set(id, { knowledge: "under way", body });
    this.#underWay.add(id);
  }

  settle(id: string, knowledge: Exclude<Knowledge, "under way">): void {
    assert(this.#underWay.delete(id), "a record is answered once", { id });
    assert(knowledge !== "refused" || !this.#rows.has(id), "a refused record is no row", { id });
    this.#records.get(id)!.knowledge = knowledge;
    if (knowledge === "acknowledged") this.acknowledged++;
  }

  /** The senders' process is gone: whatever is under way may have happened or not. */
  loseAll(): void {
    for (const id of this.#underWay) this.#records.get(id)!.knowledge = "unknown";
    this.#underWay.clear();
  }

  /** Looks at the rows that came since the last time: L2, L3, L4. */
  observe(table: ModelTable | undefined): void {
    if (table === undefined) return;
    for (; this.#observed < table.rows.length; this.#observed++) this.#see(table.rows[this.#observed]!);
  }

  /** Everything healed, and the table was observed: L1 as well. */
  checkWhole(): void {
    for (const [id, { knowledge }] of this.#records) {
      const isThere = knowledge !== "acknowledged" || this.#rows.has(id);
      assert(isThere, "an acknowledged record is a row", { id, rows: this.#rows.size });
    }
  }

  #see({ journal, offset, values }: ModelRow): void {
    const id = values["id"] ?? "";
    const record = this.#records.get(id);
    assert(record !== undefined, "a row was sent", { id });
    assert(record.knowledge !== "refused", "a refused record is no row", { id });
    assert(!this.#rows.has(id), "a record is at most one row", { id, journal, offset });
    this.#rows.add(id);
    assert(values["body"] === record.body, "a row has the values that were sent", { id });
    assert(offset > (this.#newest.get(journal) ?? -1), "rows stand in journal order", { journal, offset });
    this.#newest.set(journal, offset);
  }
}
