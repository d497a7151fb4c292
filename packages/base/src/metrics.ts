// Metrics in the Prometheus text format (version 0.0.4). Declared at the head of a package, registered once with a
// MetricsRegistry that the composition root owns. Label values come from closed sets; a metric that Gazette labels by
// what users name keeps its labels, and is forgotten where what they name is gone.

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount?: number, labels?: Labels): void;
  value(labels?: Labels): number;
}
export interface Gauge {
  set(value: number, labels?: Labels): void;
  add(amount: number, labels?: Labels): void;
  value(labels?: Labels): number;
  /** Forgets the values of all labels. */
  clear(): void;
}
export interface Histogram {
  /** @param times that it was observed; default once */
  observe(value: number, labels?: Labels, times?: number): void;
  /** The smallest bucket bound that holds at least the fraction `q` of what was observed; NaN when nothing was. */
  quantile(q: number, labels?: Labels): number;
  count(labels?: Labels): number;
  /**
   * What was observed so far: observations in each bucket (not cumulative), by ascending upper bound, and all of them.
   */
  snapshot(labels?: Labels): HistogramSnapshot;
}

export interface HistogramSnapshot {
  readonly bounds: readonly number[];
  readonly buckets: readonly number[];
  readonly count: number;
}

export interface Metrics {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  /** @param buckets ascending upper bounds; +Inf is added */
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
  /**
   * `run` is called before the metrics are given to somebody: it sets those that would be dear to keep up to date.
   * @returns ends that
   */
  beforeRender(run: () => void): () => void;
}

/** Bounds for seconds, from 100 us to 10 s. */
export const SECONDS_BUCKETS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075,
  0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

interface Series {
  readonly labels: Labels;
  value: number;
  /** Histograms only: cumulative counts are made when rendered. */
  buckets: number[];
  count: number;
}

class Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly name: string;
  readonly help: string;
  readonly bounds: readonly number[];
  readonly series = new Map<string, Series>();
  /** Of the labels last used: whoever has one set of them for all its values does not pay for their text each time. */
  #recent: { readonly labels: Labels; readonly series: Series } | undefined;
  constructor(type: Family["type"], name: string, help: string, bounds: readonly number[]) {
    this.type = type;
    this.name = name;
    this.help = help;
    this.bounds = bounds;
  }

  of(labels: Labels | undefined): Series {
    if (labels !== undefined && labels === this.#recent?.labels) return this.#recent.series;
    const key = labels === undefined ? "" : renderLabels(labels);
    let series = this.series.get(key);
    if (series === undefined) {
      series = { labels: labels ?? {}, value: 0, buckets: this.bounds.map(() => 0), count: 0 };
      this.series.set(key, series);
    }
    if (labels !== undefined) this.#recent = { labels, series };
    return series;
  }

  add(amount = 1, labels?: Labels): void {
    this.of(labels).value += amount;
  }

  set(value: number, labels?: Labels): void {
    this.of(labels).value = value;
  }

  value(labels?: Labels): number {
    return this.of(labels).value;
  }

  clear(): void {
    this.series.clear();
    this.#recent = undefined;
  }

  observe(value: number, labels?: Labels, times = 1): void {
    const series = this.of(labels);
    series.value += value * times;
    series.count += times;
    const at = this.bounds.findIndex((bound) => value <= bound);
    if (at >= 0) series.buckets[at]! += times;
  }

  count(labels?: Labels): number {
    return this.of(labels).count;
  }

  snapshot(labels?: Labels): HistogramSnapshot {
    const series = this.of(labels);
    return { bounds: this.bounds, buckets: [...series.buckets], count: series.count };
  }

  quantile(q: number, labels?: Labels): number {
    const series = this.of(labels);
    if (series.count === 0) return Number.NaN;
    const wanted = q * series.count;
    let seen = 0;
    for (const [i, bound] of this.bounds.entries()) {
      seen += series.buckets[i]!;
      if (seen >= wanted) return bound;
    }
    return Number.POSITIVE_INFINITY;
  }
}

export class MetricsRegistry implements Metrics {
  readonly #families = new Map<string, Family>();
  readonly #before = new Set<() => void>();

  counter(name: string, help: string): Counter {
    return this.#family("counter", name, help, []);
  }

  gauge(name: string, help: string): Gauge {
    return this.#family("gauge", name, help, []);
  }

  histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    return this.#family("histogram", name, help, buckets);
  }

  beforeRender(run: () => void): () => void {
    this.#before.add(run);
    return () => this.#before.delete(run);
  }

  /** Everything in the text format. */
  render(): string {
    for (const run of this.#before) run();
    let out = "";
    for (const family of this.#families.values()) {
      out += `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
      for (const series of family.series.values()) out += renderSeries(family, series);
    }
    return out;
  }

  #family(type: Family["type"], name: string, help: string, bounds: readonly number[]): Family {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = new Family(type, name, help, bounds);
      this.#families.set(name, family);
    }
    return family;
  }
}

function renderSeries(family: Family, series: Series): string {
  if (family.type !== "histogram") return `${family.name}${renderLabels(series.labels)} ${series.value}\n`;
  let out = "";
  let total = 0;
  for (const [i, bound] of family.bounds.entries()) {
    total += series.buckets[i]!;
    out += `${family.name}_bucket${renderLabels({ ...series.labels, le: String(bound) })} ${total}\n`;
  }
  out += `${family.name}_bucket${renderLabels({ ...series.labels, le: "+Inf" })} ${series.count}\n`;
  out += `${family.name}_sum${renderLabels(series.labels)} ${series.value}\n`;
  return `${out}${family.name}_count${renderLabels(series.labels)} ${series.count}\n`;
}

function renderLabels(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
