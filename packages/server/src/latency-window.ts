// Quantiles of what a histogram observed since it was last asked.
import type { Histogram } from "@millrace/base";

export class LatencyWindow {
  readonly #histogram: Histogram;
  #seen: readonly number[] = [];
  #count = 0;

  constructor(histogram: Histogram) {
    this.#histogram = histogram;
  }

  /**
   * Upper bounds of the wanted quantiles over the window that ends now, in the histogram's unit; null when it is empty.
   */
  take(quantiles: readonly number[]): readonly (number | null)[] {
    const { bounds, buckets, count } = this.#histogram.snapshot();
    const delta = buckets.map((value, i) => value - (this.#seen[i] ?? 0));
    const observed = count - this.#count;
    this.#seen = buckets;
    this.#count = count;
    return quantiles.map((q) => (observed === 0 ? null : quantileOf(bounds, delta, q * observed)));
  }
}

function quantileOf(bounds: readonly number[], buckets: readonly number[], wanted: number): number {
  let seen = 0;
  for (const [i, bound] of bounds.entries()) {
    const inBucket = buckets[i] ?? 0;
    if (seen + inBucket >= wanted && inBucket > 0) {
      const below = i === 0 ? 0 : bounds[i - 1]!;
      return below + ((bound - below) * (wanted - seen)) / inBucket;
    }
    seen += inBucket;
  }
  return bounds.at(-1) ?? Number.NaN;
}
