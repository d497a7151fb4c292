// The book of the workflow test: which configurations each record may have met, and what a sink must therefore have.
//
// W1 A record has met one of the configurations that may have been in force between its first attempt that may have
//    been taken and its acknowledgement. One that was asked for may be in force; one that it replaces may be too, until
//    every door has seen the new one.
// W2 What a sink has of an acknowledged record is what one of these makes of it: one row of that mapping, a dead
//    letter, or nothing where the sink was disabled. Of one that is not acknowledged it has that, or nothing.
// W3 A replay makes one row of each letter that its mapping takes; it may be any since the record's first attempt.
// W4 Nothing is there that was never sent, and what is there is as it was sent.
import { createHash } from "node:crypto";

/** What is in force for a sink. Mappings are told from each other by their tag, which each row has in a column. */
export interface Configuration {
  readonly tag: number;
  readonly isEnabled: boolean;
  /** Its mapping has a default for whatever a record lacks. */
  readonly isMended: boolean;
}

/** A row as the table has it. */
export interface WorkflowRow {
  readonly id: number;
  readonly check: string;
  readonly tag: number;
  /** A column that only mappings of odd tags have, and mended ones. */
  readonly extra: string;
}

/** `good` ones every mapping takes, `bad` ones none that is not mended, `odd` ones none with an odd tag. */
export type RecordKind = "good" | "bad" | "odd";

/** Records that are sent together, and again and again until they are acknowledged. */
export interface WorkflowBatch {
  readonly first: number;
  readonly count: number;
  readonly lines: readonly string[];
}

type Fate = "row" | "letter" | "nothing";

const BAD_SHARE = 100;
const ODD_SHARE = 50;
const LARGE_SHARE = 200;
const LARGE_CHARS = 4096;
const SMALL_CHARS = 120;
const NEVER = -1;
const FAULTS_LISTED_MAX = 10;
/** Of a mended mapping. */
export const MENDED = "mended";

/** What may have become of the records of a sink. */
export interface SinkStory {
  /** Configurations that record `id` may have met. */
  readonly met: (this: void, id: number) => readonly Configuration[];
  /** Those by which its letter may have been replayed. */
  readonly replays: (this: void, id: number) => readonly Configuration[];
}

/** Configurations of a sink in the order in which they were asked for. */
export class ConfigurationHistory {
  readonly #all: Configuration[];
  /** Which ones letters were replayed by. */
  readonly #replays: number[] = [];
  #oldest = 0;

  constructor(first: Configuration) {
    this.#all = [first];
  }

  get newest(): Configuration {
    return this.#all.at(-1)!;
  }

  get newestIndex(): number {
    return this.#all.length - 1;
  }

  /** The oldest one that may be in force. */
  get oldestIndex(): number {
    return this.#oldest;
  }

  /** From now on it may be in force. */
  ask(next: Configuration): void {
    this.#all.push(next);
  }

  /** Every door has seen the newest one. */
  settle(): void {
    this.#oldest = this.newestIndex;
  }

  /** Letters are replayed by the newest one. */
  replay(): void {
    this.#replays.push(this.newestIndex);
  }

  between(first: number, last: number): readonly Configuration[] {
    return this.#all.slice(first, last + 1);
  }

  replaysSince(first: number): readonly Configuration[] {
    return this.#replays.filter((index) => index >= first).map((index) => this.#all[index]!);
  }
}

export class WorkflowBook {
  readonly history: ConfigurationHistory;
  readonly #seed: string;
  /** Of each record: the configuration before which it was not taken, and that after which it was. */
  readonly #first: number[] = [];
  readonly #last: number[] = [];
  readonly #checks: string[] = [];
  #acknowledged = 0;

  constructor(seed: string, first: Configuration) {
    this.#seed = seed;
    this.history = new ConfigurationHistory(first);
  }

  get sent(): number {
    return this.#first.length;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** The next records. */
  next(count: number): WorkflowBatch {
    const first = this.#first.length;
    for (let id = first; id < first + count; id++) {
      this.#first.push(NEVER);
      this.#last.push(NEVER);
      this.#checks.push(createHash("sha1").update(`${this.#seed}/${id}`).digest("hex").slice(0, 12));
    }
    const lines = Array.from({ length: count }, (_, i) => this.#line(first + i));
    return { first, count, lines };
  }

  /** It is sent now. @returns whether it may have been taken before */
  attempt({ first, count }: WorkflowBatch): boolean {
    if (this.#first[first] !== NEVER) return true;
    this.#first.fill(this.history.oldestIndex, first, first + count);
    return false;
  }

  /** The attempt, the only one so far, was certainly not taken. */
  withdraw({ first, count }: WorkflowBatch): void {
    this.#first.fill(NEVER, first, first + count);
  }

  acknowledge({ first, count }: WorkflowBatch): void {
    this.#last.fill(this.history.newestIndex, first, first + count);
    this.#acknowledged += count;
  }

  /** Acknowledged records that have met one configuration and no other. */
  get certain(): number {
    return this.#last.filter((last, id) => last !== NEVER && last === this.#first[id]).length;
  }

  /** Of the sink that the history is about. */
  get story(): SinkStory {
    return {
      met: (id) => {
        const last = this.#last[id]!;
        return this.history.between(this.#first[id]!, last === NEVER ? this.history.newestIndex : last);
      },
      replays: (id) => this.history.replaysSince(this.#first[id]!),
    };
  }

  /** Acknowledged records of a kind. */
  count(kind: RecordKind): number {
    return this.#last.filter((last, id) => last !== NEVER && this.kindOf(id) === kind).length;
  }

  /**
   * What is wrong with a table's rows, once everything is loaded.
   * @param isReplayed whether no letter is left
   */
  faults(rows: Iterable<WorkflowRow>, story: SinkStory, isReplayed: boolean): readonly string[] {
    const found: string[] = [];
    const seen = new Uint8Array(this.sent);
    for (const row of rows) {
      if (found.length >= FAULTS_LISTED_MAX) return [...found, "…"];
      const fault = this.#rowFault(row, seen, story);
      if (fault !== undefined) found.push(`record ${row.id}: ${fault}`);
    }
    for (let id = 0; id < this.sent; id++) {
      if (found.length >= FAULTS_LISTED_MAX) return [...found, "…"];
      if (seen[id] === 1 || this.#last[id] === NEVER) continue;
      const isRow = (fate: Fate): boolean => fate === "row" || (fate === "letter" && isReplayed);
      if (story.met(id).every((one) => isRow(this.#fate(id, one)))) {
        found.push(`record ${id}: acknowledged and not in the table`);
      }
    }
    return found;
  }

  /** What is wrong with the letters that wait; a letter may stand more than once. */
  letterFaults(ids: Iterable<number>, story: SinkStory): readonly string[] {
    const found: string[] = [];
    const waiting = new Set(ids);
    for (let id = 0; id < this.sent && found.length < FAULTS_LISTED_MAX; id++) {
      const isSent = this.#first[id] !== NEVER;
      const fates = isSent ? story.met(id).map((one) => this.#fate(id, one)) : [];
      if (waiting.delete(id)) {
        if (!fates.includes("letter")) found.push(`record ${id}: is a letter, though its mapping took it`);
      } else if (this.#last[id] !== NEVER && fates.every((fate) => fate === "letter")) {
        if (story.replays(id).length > 0) continue;
        found.push(`record ${id}: acknowledged, could not be mapped, and is no letter`);
      }
    }
    for (const id of waiting) {
      if (found.length < FAULTS_LISTED_MAX) found.push(`record ${id}: was never sent`);
    }
    return found;
  }

  kindOf(id: number): RecordKind {
    const drawn = Number.parseInt(this.#check(id).slice(0, 6), 16);
    if (drawn % BAD_SHARE === 0) return "bad";
    return drawn % ODD_SHARE === 1 ? "odd" : "good";
  }

  #rowFault({ id, check, tag, extra }: WorkflowRow, seen: Uint8Array, story: SinkStory): string | undefined {
    if (!(id < this.sent) || this.#first[id] === NEVER) return "was never sent";
    if (seen[id] === 1) return "is there twice";
    seen[id] = 1;
    if (check !== this.#check(id)) return `has the wrong check ${check}`;
    const met = story.met(id);
    const isLetter = met.some((one) => this.#fate(id, one) === "letter");
    const allowed = [...met, ...(isLetter ? story.replays(id) : [])].filter(
      (one) => this.#fate(id, one) === "row",
    );
    const maker = allowed.find((one) => one.tag === tag);
    if (maker === undefined) {
      const tags = allowed.map((one) => one.tag).join(", ");
      return `was mapped by ${tag}, and only ${tags === "" ? "none" : tags} may have been`;
    }
    const expected = this.#extra(id, maker);
    return extra === expected ? undefined : `has "${extra}" where mapping ${tag} makes "${expected}"`;
  }

  #fate(id: number, { tag, isEnabled, isMended }: Configuration): Fate {
    if (!isEnabled) return "nothing";
    if (isMended) return "row";
    const kind = this.kindOf(id);
    return kind === "bad" || (kind === "odd" && tag % 2 === 1) ? "letter" : "row";
  }

  #extra(id: number, { tag, isMended }: Configuration): string {
    if (isMended) return this.kindOf(id) === "odd" ? MENDED : this.#check(id);
    return tag % 2 === 1 ? this.#check(id) : "";
  }

  #check(id: number): string {
    return this.#checks[id]!;
  }

  #line(id: number): string {
    const check = this.#check(id);
    const kind = this.kindOf(id);
    const drawn = Number.parseInt(check.slice(6), 16);
    const pad = "x".repeat(drawn % LARGE_SHARE === 0 ? LARGE_CHARS : drawn % SMALL_CHARS);
    const need = kind === "bad" ? {} : { need: "there" };
    const extra = kind === "odd" ? {} : { extra: check };
    return JSON.stringify({ id, check, ...need, ...extra, pad });
  }
}
