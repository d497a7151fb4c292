// Whether stores work (gazette-broker.md 6.6): a small object is put, read, listed and, over a signed URL, fetched.
// A store is checked from its first use on, until nobody has used it for an hour or two; at once when somebody who used
// it says that it failed. Who merely asks for one that is not in use gets a check of his own, and it is forgotten:
// anybody can name any store. The object is the same for all, and stays: brokers need not be allowed to remove
// anything, and of those who ask at the same time none takes away what another one looks for.
import { abortScope, Gate, InvariantError, text, utf8, waitUntil, WireError } from "@millrace/base";
import type { Clock, Logger, Metrics, Random, TaskGroup } from "@millrace/base";
import { compareText, goQuote } from "@millrace/protocol";
import type { ObjectStore, ObjectStores, StoreUse } from "@millrace/stores";
import { storeHealthMetrics, type StoreHealthMetrics } from "./store-health-metrics.ts";

export interface StoreHealthPorts {
  readonly stores: ObjectStores;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Fetches a signed http(s) URL. */
  readonly fetch: (url: string, signal: AbortSignal) => Promise<{ status: number; body: Uint8Array }>;
}

const FIRST = "first health check hasn't completed yet";
const LAST = "health checks have stopped";
const TEST_PATH = ".test/health-check";
const TEST_CONTENT = "health-check\n";
const PROBE_CONTENT = "gazette-delete-probe\n";
const CHECK_MS_MAX = 60_000;
const SIGNED_MS = 5 * 60_000;
const HEALTHY_INTERVAL_MS = 30 * 60_000;
/** By number of failures so far; later ones wait for UNHEALTHY_INTERVAL_MS. */
const RETRY_MS = [0, 100, 1000, 1000, 10_000, 10_000];
const UNHEALTHY_INTERVAL_MS = 100_000;
const SWEEP_INTERVAL_MS = 60 * 60_000;
/** At least so long between the end of a check and one that a failure elsewhere has prompted. */
const PROMPTED_INTERVAL_MS = 10_000;

/** Checks for those who merely ask, at a time: each holds a connection, for up to a minute where nobody answers. */
const ASKED_AT_ONCE_MAX = 16;

interface Checked {
  readonly url: string;
  /** What is wrong, or undefined. */
  error: string | undefined;
  /** Used since the last sweep. */
  marked: boolean;
  /** Checks that ended. */
  checks: number;
  /** Monotonic, of the last check's end. */
  checkedMs: number;
  /** The next check may begin. */
  isDue: boolean;
  readonly due: Gate;
}

/** A store whose last check failed. */
export interface FailingStore {
  readonly url: string;
  readonly reason: string;
}

export class StoreHealth {
  readonly #ports: StoreHealthPorts;
  readonly #tasks: TaskGroup;
  readonly #metrics: StoreHealthMetrics;
  readonly #stores = new Map<string, Checked>();
  /** Opens after each check. */
  readonly checked = new Gate();
  #isSweeping = false;
  /** Checks under way for those who merely ask. */
  #asked = 0;

  /** @param tasks owns the checks: they end when it closes */
  constructor(ports: StoreHealthPorts, tasks: TaskGroup) {
    this.#ports = ports;
    this.#tasks = tasks;
    this.#metrics = storeHealthMetrics(ports.metrics);
    this.#report();
  }

  /** What is wrong with the store now, or undefined when its last check succeeded. Starts checks at the first call. */
  problem(url: string): string | undefined {
    return this.#of(url).error;
  }

  /**
   * Like {@link problem}, after the first check and, while that has failed, after up to `retries` more.
   * @param signal ends the wait
   */
  async settledProblem(url: string, retries: number, signal: AbortSignal): Promise<string | undefined> {
    return this.#settled(this.#of(url), retries, signal);
  }

  /**
   * For who does not use the store: what its checks say if somebody does, or one check now, of which nothing is kept
   * here.
   * @param deletes a prefix below which to put and remove an object besides
   * @param signal ends the wait
   * @returns what is wrong, or undefined
   * @throws {WireError} OVERLOADED when too many ask at a time
   */
  async askedProblem(
    url: string,
    deletes: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (this.#asked >= ASKED_AT_ONCE_MAX) {
      const text = `${this.#asked} checks of stores are under way (at most ${ASKED_AT_ONCE_MAX})`;
      throw new WireError("OVERLOADED", text);
    }
    this.#asked++;
    try {
      const store = this.#stores.get(url);
      const problem = await (store === undefined
        ? this.#check(url, "once", signal)
        : this.#settled(store, 0, signal));
      if (problem !== undefined || deletes === undefined) return problem;
      return await this.#deleteProblem(url, deletes, signal);
    } finally {
      this.#asked--;
    }
  }

  /** Stores whose last check failed, by URL. A store is not in it before its first check has ended. */
  failing(): readonly FailingStore[] {
    const failing: FailingStore[] = [];
    for (const { url, error, checks } of this.#stores.values()) {
      if (error !== undefined && checks > 0) failing.push({ url, reason: error });
    }
    return failing.sort((a, b) => compareText(a.url, b.url));
  }

  /** Somebody failed at using the store: it is checked soon, not only when its next check is due. */
  suspect(url: string): void {
    const store = this.#of(url);
    // One that fails is checked often enough, and one that works may have refused a single object.
    if (store.checks === 0 || store.error !== undefined) return;
    if (this.#ports.clock.monotonicMs() - store.checkedMs < PROMPTED_INTERVAL_MS) return;
    store.isDue = true;
    store.due.open();
  }

  /** Ends the checks of stores that nobody used since the previous sweep. Runs by itself every hour. */
  sweep(): void {
    for (const [url, store] of this.#stores) {
      if (!store.marked) {
        store.error = LAST;
        this.#stores.delete(url);
      }
      store.marked = false;
    }
    this.#report();
    this.checked.open();
  }

  async #settled(store: Checked, retries: number, signal: AbortSignal): Promise<string | undefined> {
    const last = Math.max(1, store.checks) + retries;
    await waitUntil(
      this.checked,
      () => store.error === undefined || store.checks >= last || this.#stores.get(store.url) !== store,
      signal,
    );
    return store.error;
  }

  /** Puts and removes an object below `prefix`. @returns what went wrong, or undefined */
  async #deleteProblem(url: string, prefix: string, signal: AbortSignal): Promise<string | undefined> {
    const path = `${prefix}.gazette-delete-probe`;
    let what = "PUT";
    try {
      return await this.#bounded(signal, async (bounded) => {
        const store = this.#ports.stores.open(url, "once");
        await store.put(path, once(PROBE_CONTENT), { bytes: PROBE_CONTENT.length }, bounded);
        what = "DELETE";
        await store.remove(path, bounded);
        return undefined;
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      return `delete-probe ${what} failed: ${messageOf(error)}`;
    }
  }

  #of(url: string): Checked {
    let store = this.#stores.get(url);
    if (store === undefined) {
      const never = { error: FIRST, marked: true, checks: 0, checkedMs: 0, isDue: false };
      const created: Checked = { url, ...never, due: new Gate() };
      this.#stores.set(url, created);
      this.#report();
      this.#tasks.spawn(`health of ${url}`, (signal) => this.#checkLoop(created, signal));
      store = created;
    }
    store.marked = true;
    this.#startSweeping();
    return store;
  }

  #startSweeping(): void {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    this.#tasks.spawn("sweep of unused stores", async (signal) => {
      for (;;) {
        await this.#ports.clock.sleep(SWEEP_INTERVAL_MS, signal);
        this.sweep();
      }
    });
  }

  async #checkLoop(store: Checked, signal: AbortSignal): Promise<void> {
    const { clock, logger, random } = this.#ports;
    for (let failures = 0; this.#stores.get(store.url) === store;) {
      const error = await this.#check(store.url, "kept", signal);
      if (this.#stores.get(store.url) !== store) return;
      const fields = { store: store.url, failures };
      if (error === undefined && store.error !== undefined) logger.info("store-healthy", fields);
      if (error !== undefined) logger.warn("store-unhealthy", { ...fields, reason: error });
      this.#metrics.checks.add(1, { store: store.url, status: error === undefined ? "ok" : "error" });
      store.error = error;
      store.checks++;
      store.checkedMs = clock.monotonicMs();
      this.#report();
      this.checked.open();
      const ms = error === undefined ? HEALTHY_INTERVAL_MS : (RETRY_MS[failures] ?? UNHEALTHY_INTERVAL_MS);
      failures = error === undefined ? 0 : failures + 1;
      await this.#untilDue(store, jittered(ms, random), signal);
    }
  }

  async #untilDue(store: Checked, ms: number, signal: AbortSignal): Promise<void> {
    store.isDue = false;
    const cancel = this.#ports.clock.after(ms, () => {
      store.isDue = true;
      store.due.open();
    });
    try {
      await waitUntil(store.due, () => store.isDue, signal);
    } finally {
      cancel();
    }
  }

  #report(): void {
    this.#metrics.active.set(this.#stores.size);
    this.#metrics.failing.set(this.failing().length);
  }

  async #check(url: string, use: StoreUse, signal: AbortSignal): Promise<string | undefined> {
    try {
      const store = this.#ports.stores.open(url, use);
      return await this.#bounded(signal, (bounded) => this.#checkStore(store, bounded));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      return messageOf(error);
    }
  }

  /** @returns what is wrong */
  async #checkStore(store: ObjectStore, signal: AbortSignal): Promise<string | undefined> {
    let doing = "PUT failed";
    try {
      await store.put(TEST_PATH, once(TEST_CONTENT), { bytes: TEST_CONTENT.length }, signal);
      doing = "GET failed";
      const got = await contentOf(store, TEST_PATH, signal);
      if (got !== TEST_CONTENT) return `health check content mismatch: ${gotAndWant(got)}`;
      doing = "LIST failed";
      let found = false;
      for await (const { path } of store.list(".test/", signal)) found ||= path === TEST_PATH;
      if (!found) return "health check LIST did not find test file";
      doing = "SignGet failed";
      const url = await store.signGet(TEST_PATH, SIGNED_MS);
      if (!url.startsWith("http")) return undefined;
      doing = "fetch failed";
      const { status, body } = await this.#ports.fetch(url, signal);
      if (status !== 200) return `health check fetch returned status ${status}`;
      const fetched = text(body);
      return fetched === TEST_CONTENT
        ? undefined
        : `health check fetch content mismatch: ${gotAndWant(fetched)}`;
    } catch (error) {
      return `health check ${doing}: ${messageOf(error)}`;
    }
  }

  async #bounded<T>(signal: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const scope = abortScope(signal);
    const slow = new WireError("UNAVAILABLE", `took more than ${CHECK_MS_MAX} ms`);
    const cancel = this.#ports.clock.after(CHECK_MS_MAX, () => scope.abort(slow));
    try {
      return await run(scope.signal);
    } finally {
      cancel();
      scope.dispose();
    }
  }
}

/** `ms` more or less 20 percent. */
function jittered(ms: number, random: Random): number {
  return ms * (0.8 + (0.4 * random.below(1000)) / 1000);
}

async function contentOf(store: ObjectStore, at: string, signal: AbortSignal): Promise<string> {
  let got = "";
  for await (const chunk of store.get(at, {}, signal)) {
    got += text(chunk);
    if (got.length > 10 * TEST_CONTENT.length) break;
  }
  return got;
}

async function* once(content: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(utf8(content));
}

function gotAndWant(got: string): string {
  return `got ${goQuote(got)}, want ${goQuote(TEST_CONTENT)}`;
}

function messageOf(error: unknown): string {
  if (error instanceof InvariantError) throw error;
  return error instanceof Error ? error.message : String(error);
}
