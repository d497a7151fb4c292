// The trace of a run: a digest of everything that happened in its order, and its newest lines for when it fails.
import { createHash } from "node:crypto";

const LINES_KEPT = 50;

export class Trace {
  readonly #hash = createHash("sha256");
  readonly #newest: string[] = [];
  readonly #nowMs: () => number;
  readonly #linesKept: number;
  readonly #onLine: (line: string) => void;

  /** @param onLine given every line */
  constructor(nowMs: () => number, linesKept = LINES_KEPT, onLine: (line: string) => void = () => undefined) {
    this.#nowMs = nowMs;
    this.#linesKept = linesKept;
    this.#onLine = onLine;
  }

  add(line: string): void {
    const stamped = `${this.#nowMs().toFixed(3)} ${line}`;
    this.#hash.update(`${stamped}\n`);
    this.#onLine(stamped);
    this.#newest.push(stamped);
    if (this.#newest.length > this.#linesKept) this.#newest.shift();
  }

  get newest(): readonly string[] {
    return this.#newest;
  }

  /** Ends the trace. */
  digest(): string {
    return this.#hash.digest("hex");
  }
}
