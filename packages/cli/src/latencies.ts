// Latencies of a run, exact: every one is kept, as 32-bit floats.

export class Latencies {
  #values = new Float32Array(1024);
  #count = 0;

  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float32Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++] = ms;
  }

  /** Milliseconds at p50, p90, p99, p999 and the largest; null when nothing was added. */
  summary(): Readonly<Record<"p50" | "p90" | "p99" | "p999" | "max", number>> | null {
    if (this.#count === 0) return null;
    const sorted = this.#values.slice(0, this.#count).sort();
    const at = (q: number): number => round(sorted[Math.min(this.#count - 1, Math.floor(q * this.#count))]!);
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
