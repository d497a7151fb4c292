// What was handed to a spool and waits for the log, in order: commits, rolls and cuts.
import type { WireError } from "@millrace/base";
import type { LogListener } from "@millrace/wal";
import type { RegistersChange } from "./spool-registers.ts";
import type { CommitOutcome } from "./spools.ts";
import type { FragmentSums } from "./spool-sums.ts";

/** A direct append: its bytes are in the spool file when `finish` resolves, though not synced. */
export interface DirectBytes {
  readonly crc: number;
  /** Sums of the fragment with the append. */
  readonly whole: FragmentSums;
  finish(signal: AbortSignal): Promise<void>;
}

/** Who is told that an entry's records were logged, or not. */
export interface EntryOwner {
  onEntryLogged(entry: SpoolEntry, failure: WireError | undefined): void;
}

export class SpoolEntry implements LogListener {
  readonly #owner: EntryOwner;
  readonly kind: "commit" | "roll" | "cut";
  /** A commit covers [begin, end); a roll and a cut have begin = end. */
  readonly begin: number;
  readonly end: number;
  readonly registers: RegistersChange;
  readonly direct: DirectBytes | undefined;
  readonly timeMs: number;
  readonly onOutcome: ((outcome: CommitOutcome) => void) | undefined;
  /** waiting: not handed to the log; logging: handed; logged: durable; failed: see `failure`. */
  state: "waiting" | "logging" | "logged" | "failed" = "waiting";
  failure: WireError | undefined;
  next: SpoolEntry | undefined;

  constructor(
    owner: EntryOwner,
    fields: Pick<SpoolEntry, "kind" | "begin" | "end" | "registers" | "direct" | "timeMs" | "onOutcome">,
  ) {
    this.#owner = owner;
    this.kind = fields.kind;
    this.begin = fields.begin;
    this.end = fields.end;
    this.registers = fields.registers;
    this.direct = fields.direct;
    this.timeMs = fields.timeMs;
    this.onOutcome = fields.onOutcome;
  }

  /** A commit that changes nothing. */
  get isNothing(): boolean {
    return this.kind === "commit" && this.end === this.begin && this.registers === undefined;
  }

  /** Where registers are unknown from, if they are behind this: what stood before it stands where it begins. */
  get doubtfulFrom(): number {
    return this.end > this.begin ? this.begin + 1 : this.begin;
  }

  onLogged(failure: WireError | undefined): void {
    this.#owner.onEntryLogged(this, failure);
  }

  fail(failure: WireError): void {
    this.state = "failed";
    this.failure = failure;
  }

  outcome(): CommitOutcome {
    if (this.failure === undefined) return { kind: "acknowledged", begin: this.begin, end: this.end };
    const kind = this.failure.code === "OUTCOME_UNKNOWN" ? "unknown" : "refused";
    return { kind, error: this.failure };
  }
}
