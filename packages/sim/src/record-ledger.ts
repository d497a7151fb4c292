// What senders know of their records, and what the table may therefore hold: the outside judge of the way from record to row.
//
// L1 Every acknowledged record is one row. L2 A record whose answer never came is at most one row. L3 There is no other row.
// L4 Rows of a partition stand in the order of their offsets.
import { assert } from "@millrace/base";
import type { ModelTable } from "@millrace/ingest/testkit";

type Knowledge = "under way" | "acknowledged" | "unknown" | "refused";

export class RecordLedger {
  readonly #records = new Map<string, Knowledge>();
  acknowledged = 0;

  send(id: string): void {
    assert(!this.#records.has(id), "a record is sent once", { id });
    this.#records.set(id, "under way");
  }

  settle(id: string, knowledge: Exclude<Knowledge, "under way">): void {
    assert(this.#records.get(id) === "under way", "a record is answered once", { id });
    this.#records.set(id, knowledge);
    if (knowledge === "acknowledged") this.acknowledged++;
  }

  /** The sender's process is gone: whatever is under way may have happened or not. */
  loseAll(): void {
    for (const [id, knowledge] of this.#records) if (knowledge === "under way") this.#records.set(id, "unknown");
  }

  /** Rows that are there now: L2, L3, L4. @returns rows by record */
  checkRows(table: ModelTable): ReadonlySet<string> {
    const seen = new Set<string>();
    const ends = new Map<string, number>();
    for (const { journal, offset, values } of table.rows) {
      const id = values["id"] ?? "";
      const knowledge = this.#records.get(id);
      assert(knowledge !== undefined && knowledge !== "refused", "a row was sent and not refused", { id, knowledge });
      assert(!seen.has(id), "a record is at most one row", { id });
      seen.add(id);
      assert(offset > (ends.get(journal) ?? -1), "rows stand in journal order", { journal, offset });
      ends.set(journal, offset);
    }
    return seen;
  }

  /** Everything healed: L1 as well. */
  checkWhole(table: ModelTable): void {
    const seen = this.checkRows(table);
    for (const [id, knowledge] of this.#records) {
      assert(knowledge !== "acknowledged" || seen.has(id), "an acknowledged record is a row", { id, rows: seen.size });
    }
  }
}
