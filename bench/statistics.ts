// Medians and spreads of repeated measurements.

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    runs: sorted.length,
  };
}

/** Quantile `q` of ascending values: between two neighbours where it falls between them; NaN of none. */
export function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const below = sorted.at(Math.floor(at)) ?? Number.NaN;
  const above = sorted.at(Math.ceil(at)) ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}
