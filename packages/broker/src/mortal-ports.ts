// Ports for one life of a simulated process: once it is killed nothing that it waits for ever comes, and nothing
// that it asks for happens. What was under way at that moment may still happen, as outside a process it does.
import type { Clock } from "@millrace/base";
import type { CoordinationStore, WatchBatch } from "@millrace/metadata";
import type { ObjectStore, ObjectStores } from "@millrace/stores";

export class Life {
  #isAlive = true;

  kill(): void {
    this.#isAlive = false;
  }

  clock(real: Clock): Clock {
    const alive = (run: () => void) => (): void => {
      if (this.#isAlive) run();
    };
    return {
      wallMs: () => real.wallMs(),
      monotonicMs: () => real.monotonicMs(),
      after: (ms, run) => real.after(ms, alive(run)),
      sleep: (ms, signal) => this.#answer(real.sleep(ms, signal)),
    };
  }

  coordination(real: CoordinationStore): CoordinationStore {
    return {
      range: (request, signal) => this.#ask(() => real.range(request, signal)),
      txn: (request, signal) => this.#ask(() => real.txn(request, signal)),
      watch: (request, signal) => this.#batches(real.watch(request, signal)),
      grantLease: (ttl, signal) => this.#ask(() => real.grantLease(ttl, signal)),
      keepAlive: (lease, signal) => this.#ask(() => real.keepAlive(lease, signal)),
      revokeLease: (lease, signal) => this.#ask(() => real.revokeLease(lease, signal)),
      compact: (revision, signal) => this.#ask(() => real.compact(revision, signal)),
    };
  }

  stores(real: ObjectStores): ObjectStores {
    return { open: (url, use) => this.#store(real.open(url, use)) };
  }

  #store(real: ObjectStore): ObjectStore {
    return {
      url: real.url,
      listLagMsMax: real.listLagMsMax,
      list: (prefix, signal) => this.#items(real.list(prefix, signal)),
      get: (path, range, signal) => this.#items(real.get(path, range, signal)),
      head: (path, signal) => this.#ask(() => real.head(path, signal)),
      put: (path, body, options, signal) => this.#ask(() => real.put(path, body, options, signal)),
      sync: (path, signal) => this.#ask(() => real.sync(path, signal)),
      remove: (path, signal) => this.#ask(() => real.remove(path, signal)),
      signGet: (path, ttlMs) => this.#ask(() => real.signGet(path, ttlMs)),
    };
  }

  #ask<T>(call: () => Promise<T>): Promise<T> {
    return this.#isAlive ? this.#answer(call()) : forever();
  }

  async #answer<T>(answer: Promise<T>): Promise<T> {
    try {
      const value = await answer;
      return this.#isAlive ? value : await forever();
    } catch (error) {
      if (!this.#isAlive) return forever();
      throw error;
    }
  }

  async *#items<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const item of items) {
      if (!this.#isAlive) await forever();
      yield item;
    }
  }

  async *#batches(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch> {
    yield* this.#items(batches);
  }
}

function forever(): Promise<never> {
  return new Promise(() => undefined);
}
