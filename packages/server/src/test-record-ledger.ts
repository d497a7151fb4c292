// The sender's own book of records: what was sent, what was acknowledged, and what a table must therefore hold.
//
// L1 An acknowledged record is in the table exactly once.
// L2 A record of unknown outcome is there at most once.
// L3 Nothing is there that was never sent, and what is there is as it was sent.
// L4 In journal order the records of a connection stand in the order in which it sent them: it waits for each answer.
import { createHash } from "node:crypto";

type Fate = 0 | 1 | 2;
/** Sent; there was no answer, or one that leaves it open. */
const UNKNOWN: Fate = 0;
const ACKNOWLEDGED: Fate = 1;
/** Answered as not accepted. */
const REFUSED: Fate = 2;

/** A row as the table has it, in journal order. */
export interface StoredRecord {
  readonly journal: string;
  readonly connection: number;
  readonly sequence: number;
  readonly check: string;
  readonly bodyLength: number;
}

export interface RecordCounts {
  sent: number;
  acknowledged: number;
  unknown: number;
  refused: number;
}

const VIOLATIONS_LISTED_MAX = 10;

export class RecordLedger {
  readonly #seed: string;
  readonly #fates: Fate[][];
  readonly #checks: string[][];

  constructor(seed: string, connections: number) {
    this.#seed = seed;
    this.#fates = Array.from({ length: connections }, () => []);
    this.#checks = Array.from({ length: connections }, () => []);
  }

  /** The next record of a connection, booked as sent. */
  next(connection: number): { readonly sequence: number; readonly line: string } {
    const sequence = this.#fates[connection]!.push(UNKNOWN) - 1;
    const hash = createHash("sha1").update(`${this.#seed}/${connection}/${sequence}`);
    this.#checks[connection]!.push(hash.digest("hex").slice(0, 16));
    return { sequence, line: this.#line(connection, sequence) };
  }

  acknowledge(connection: number, sequence: number): void {
    this.#fates[connection]![sequence] = ACKNOWLEDGED;
  }

  refuse(connection: number, sequence: number): void {
    this.#fates[connection]![sequence] = REFUSED;
  }

  counts(): RecordCounts {
    const counts = { sent: 0, acknowledged: 0, unknown: 0, refused: 0 };
    for (const fate of this.#fates.flat()) {
      counts.sent++;
      if (fate === ACKNOWLEDGED) counts.acknowledged++;
      else if (fate === REFUSED) counts.refused++;
      else counts.unknown++;
    }
    return counts;
  }

  /**
   * What is wrong with a table's rows, which are given in journal order.
   * @param isComplete whether every acknowledged record must be there by now (L1)
   */
  violations(rows: Iterable<StoredRecord>, isComplete: boolean): readonly string[] {
    const found: string[] = [];
    const seen = this.#fates.map((fates) => new Uint8Array(fates.length));
    const last = new Map<string, number>();
    for (const row of rows) {
      if (found.length >= VIOLATIONS_LISTED_MAX) return [...found, "…"];
      const problem = this.#check(row, seen, last);
      if (problem !== undefined)
        found.push(`connection ${row.connection}, record ${row.sequence}: ${problem}`);
    }
    if (!isComplete) return found;
    for (const [connection, fates] of this.#fates.entries()) {
      for (const [sequence, fate] of fates.entries()) {
        if (found.length >= VIOLATIONS_LISTED_MAX) return [...found, "…"];
        if (fate !== ACKNOWLEDGED || seen[connection]![sequence] === 1) continue;
        found.push(`connection ${connection}, record ${sequence}: acknowledged and not in the table`);
      }
    }
    return found;
  }

  #check(row: StoredRecord, seen: Uint8Array[], last: Map<string, number>): string | undefined {
    const { journal, connection, sequence } = row;
    const fate = this.#fates[connection]?.[sequence];
    if (fate === undefined) return "was never sent";
    if (seen[connection]![sequence] === 1) return "is there twice";
    seen[connection]![sequence] = 1;
    if (fate === REFUSED) return "was refused and is there";
    if (row.check !== this.#checks[connection]![sequence]) return `has the wrong check ${row.check}`;
    const length = this.#line(connection, sequence).length;
    if (row.bodyLength !== length) return `has a body of ${row.bodyLength} bytes instead of ${length}`;
    const key = `${journal} ${connection}`;
    const before = last.get(key) ?? -1;
    last.set(key, sequence);
    return sequence > before ? undefined : `stands behind record ${before} in ${journal}`;
  }

  #line(connection: number, sequence: number): string {
    const check = this.#checks[connection]![sequence]!;
    const pad = "x".repeat(Number.parseInt(check.slice(0, 2), 16));
    return `{"connection":${connection},"sequence":${sequence},"check":"${check}","pad":"${pad}"}`;
  }
}
