// Counts what is done with a store. Names and labels are Gazette's: `store` is its URL, as specs have it. A store that
// is named no more keeps its series, as it does there.
import type { Clock, Counter, Histogram, Metrics } from "@millrace/base";
import type { ObjectEntry, ObjectStore, PutOptions } from "./object-store.ts";

const SECONDS = [0.01, 0.04, 0.16, 0.64, 2.56, 10.24];
const ITEMS = [10, 40, 160, 640, 2560, 10_240];

export interface StoreMetrics {
  /** Labels: store, operation, status = success | error. */
  readonly operations: Counter;
  readonly seconds: Histogram;
  /** Labels: store, encoding = gzip | none. */
  readonly putBytes: Counter;
  /** Labels: store. */
  readonly listItems: Histogram;
}

export function storeMetrics(metrics: Metrics): StoreMetrics {
  return {
    operations: metrics.counter("gazette_store_operation_total", "Operations on stores, by outcome."),
    seconds: metrics.histogram(
      "gazette_store_operation_duration_seconds",
      "Time of an operation on a store.",
      SECONDS,
    ),
    putBytes: metrics.counter("gazette_store_put_bytes_total", "Bytes of objects that were put."),
    listItems: metrics.histogram("gazette_store_list_items_count", "Objects in one listing.", ITEMS),
  };
}

type Operation = "signget" | "exists" | "get" | "put" | "list" | "remove" | "sync";

export class MeteredStore implements ObjectStore {
  readonly url: string;
  readonly listLagMsMax: number;
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #metrics: StoreMetrics;

  constructor(store: ObjectStore, clock: Clock, metrics: StoreMetrics) {
    this.url = store.url;
    this.listLagMsMax = store.listLagMsMax;
    this.#store = store;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectEntry> {
    let items = 0;
    for await (const entry of this.#stream("list", this.#store.list(prefix, signal))) {
      items++;
      yield entry;
    }
    this.#metrics.listItems.observe(items, { store: this.url });
  }

  get(path: string, range: { begin?: number; end?: number }, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#stream("get", this.#store.get(path, range, signal));
  }

  head(path: string, signal: AbortSignal): Promise<ObjectEntry | undefined> {
    return this.#measured("exists", () => this.#store.head(path, signal));
  }

  async put(
    path: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
    signal: AbortSignal,
  ): Promise<void> {
    let bytes = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        bytes += chunk.length;
        yield chunk;
      }
    }
    await this.#measured("put", () => this.#store.put(path, counted(), options, signal));
    const labels = { store: this.url, encoding: options.contentEncoding ?? "none" };
    this.#metrics.putBytes.add(bytes, labels);
  }

  sync(path: string, signal: AbortSignal): Promise<void> {
    return this.#measured("sync", () => this.#store.sync(path, signal));
  }

  remove(path: string, signal: AbortSignal): Promise<void> {
    return this.#measured("remove", () => this.#store.remove(path, signal));
  }

  signGet(path: string, ttlMs: number): Promise<string> {
    return this.#measured("signget", () => this.#store.signGet(path, ttlMs));
  }

  async #measured<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    const beganMs = this.#clock.monotonicMs();
    let status = "error";
    try {
      const result = await run();
      status = "success";
      return result;
    } finally {
      this.#count(operation, status, beganMs);
    }
  }

  /** A reader that stops early has not failed. */
  async *#stream<T>(operation: Operation, source: AsyncIterable<T>): AsyncGenerator<T> {
    const beganMs = this.#clock.monotonicMs();
    let status = "success";
    try {
      yield* source;
    } catch (error) {
      status = "error";
      throw error;
    } finally {
      this.#count(operation, status, beganMs);
    }
  }

  #count(operation: Operation, status: string, beganMs: number): void {
    const labels = { store: this.url, operation, status };
    this.#metrics.operations.add(1, labels);
    this.#metrics.seconds.observe((this.#clock.monotonicMs() - beganMs) / 1000, labels);
  }
}
