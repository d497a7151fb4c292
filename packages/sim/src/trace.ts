// The trace of a run: a digest of everything that happened in its order, and its newest lines for when it fails.
import { createHash } from "node:crypto";

const KEPT = 50;

export class Trace {
  readonly #hash = createHash("sha256");
  readonly #newest: string[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(line: string): void {
    const stamped = `${this.#nowMs().toFixed(3)} ${line}`;
    this.#hash.update(`${stamped}\n`);
    this.#newest.push(stamped);
    if (this.#newest.length > KEPT) this.#newest.shift();
  }

  get newest(): readonly string[] {
    return this.#newest;
  }

  /** Ends the trace. */
  digest(): string {
    return this.#hash.digest("hex");
  }
}
