// Columns of numbers that keep their newest `capacity` rows: what a chart of the last minutes draws.

/** A row's first value is its x and grows; null is a gap. */
export type SeriesRow = readonly [x: number, ...values: (number | null)[]];

export class SeriesRing {
  readonly capacity: number;
  readonly #columns: (number | null)[][];
  #begin = 0;
  #count = 0;

  /** @param columns x and its values, together at least 2 */
  constructor(columns: number, capacity: number) {
    this.capacity = capacity;
    this.#columns = Array.from({ length: columns }, () => Array.from({ length: capacity }, () => null));
  }

  get count(): number {
    return this.#count;
  }

  /** x of the newest row. */
  get newest(): number | undefined {
    if (this.#count === 0) return undefined;
    return this.#columns[0]?.[(this.#begin + this.#count - 1) % this.capacity] ?? undefined;
  }

  push(row: SeriesRow): void {
    const at = (this.#begin + this.#count) % this.capacity;
    for (const [i, column] of this.#columns.entries()) column[at] = row[i] ?? null;
    if (this.#count < this.capacity) this.#count += 1;
    else this.#begin = (this.#begin + 1) % this.capacity;
  }

  clear(): void {
    this.#begin = 0;
    this.#count = 0;
  }

  /** Copies of the wanted columns, the oldest row first. */
  columns(indexes: readonly number[]): (number | null)[][] {
    const end = this.#begin + this.#count;
    return indexes.map((index) => {
      const column = this.#columns[index] ?? [];
      if (end <= this.capacity) return column.slice(this.#begin, end);
      return [...column.slice(this.#begin), ...column.slice(0, end - this.capacity)];
    });
  }
}
