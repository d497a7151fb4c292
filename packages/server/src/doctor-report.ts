// What `millrace doctor` found: one check after the other, each with a verdict, counts and the problems behind it.

/** `skipped`: what it needs is damaged, another check says how. */
export type Verdict = "ok" | "warn" | "bad" | "skipped";

export interface DoctorProblem {
  readonly verdict: "warn" | "bad";
  /** Says what and where. */
  readonly message: string;
}

export interface DoctorCheck {
  readonly name: string;
  readonly verdict: Verdict;
  /** One line: what was looked at. */
  readonly found: string;
  readonly counts: Readonly<Record<string, number>>;
  /** The first ones; `problemCount` says how many there are. */
  readonly problems: readonly DoctorProblem[];
  readonly problemCount: number;
}

export interface DoctorReport {
  readonly dataDirectory: string;
  /** No check is bad. */
  readonly sound: boolean;
  readonly checks: readonly DoctorCheck[];
  readonly bad: number;
  readonly warnings: number;
  readonly seconds: number;
}

/** Problems kept of one check: a directory that is damaged all over needs no longer list. */
const PROBLEMS_MAX = 50;

/** A check while it is made. */
export class CheckNotes {
  readonly #name: string;
  readonly #counts: Record<string, number> = {};
  readonly #problems: DoctorProblem[] = [];
  #problemCount = 0;
  #verdict: "ok" | "warn" | "bad" = "ok";

  /** @param counts names of its counts, in the order in which they are shown */
  constructor(name: string, counts: readonly string[]) {
    this.#name = name;
    for (const count of counts) this.#counts[count] = 0;
  }

  add(count: string, by = 1): void {
    this.#counts[count] = (this.#counts[count] ?? 0) + by;
  }

  count(name: string): number {
    return this.#counts[name] ?? 0;
  }

  warn(message: string): void {
    if (this.#verdict === "ok") this.#verdict = "warn";
    this.#note({ verdict: "warn", message });
  }

  bad(message: string): void {
    this.#verdict = "bad";
    this.#note({ verdict: "bad", message });
  }

  finish(found: string): DoctorCheck {
    return this.#checked(this.#verdict, found);
  }

  /** Ends a check that could not be made. */
  skip(why: string): DoctorCheck {
    return this.#checked(this.#verdict === "ok" ? "skipped" : this.#verdict, why);
  }

  #note(problem: DoctorProblem): void {
    this.#problemCount++;
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem);
  }

  #checked(verdict: Verdict, found: string): DoctorCheck {
    return {
      name: this.#name,
      verdict,
      found,
      counts: this.#counts,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }
}

export function reportOf(
  dataDirectory: string,
  checks: readonly DoctorCheck[],
  seconds: number,
): DoctorReport {
  const count = (verdict: Verdict): number => checks.filter((check) => check.verdict === verdict).length;
  const bad = count("bad");
  return { dataDirectory, sound: bad === 0, checks, bad, warnings: count("warn"), seconds };
}

/** `1 journal`, `2 journals`, `3 objects`. */
export function counted(count: number, what: string): string {
  return `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`;
}

/** `406 B`, `7.4 MiB`. */
export function sized(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return unit === "B" ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}
