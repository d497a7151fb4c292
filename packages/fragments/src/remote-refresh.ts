// Keeps a journal's index in step with its stores: a listing at the start, then one each refresh interval. A listing
// that fails leaves the index as it is; until the first one has succeeded it is tried again sooner.
import {
  abortScope,
  Gate,
  WireError,
  waitUntil,
  type Clock,
  type Metrics,
  type Random,
} from "@millrace/base";
import { contentPath } from "@millrace/protocol";
import type { FragmentIndex, RemoteEntry } from "./fragment-index.ts";
import { listRemoteFragments, type RemoteJournal, type RemotePorts } from "./remote-fragments.ts";

export interface RefreshPorts extends RemotePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
}

export interface RefreshedJournal extends RemoteJournal {
  readonly refreshIntervalMs: number;
}

/** Waits after failures before the first success. */
const FIRST_RETRY_MS = { min: 100, max: 10_000 } as const;
/** A listing that takes longer than this has failed. */
const LISTING_MS_MAX = 10 * 60 * 1000;

export class RemoteRefresh {
  readonly #ports: RefreshPorts;
  readonly #index: FragmentIndex;
  readonly #journal: () => RefreshedJournal | undefined;
  readonly #onListed: ((listed: readonly RemoteEntry[]) => void) | undefined;
  readonly #openedMs: number;
  readonly #wake = new Gate();
  #isDue = true;
  #failures = 0;
  #failure: WireError | undefined;
  #listedMs = Number.NEGATIVE_INFINITY;

  /**
   * @param journal its settings now: asked before each listing; undefined once it is removed, which ends run()
   * @param onListed told what each listing shows, once the index has it
   */
  constructor(
    ports: RefreshPorts,
    index: FragmentIndex,
    journal: () => RefreshedJournal | undefined,
    onListed?: (listed: readonly RemoteEntry[]) => void,
  ) {
    this.#ports = ports;
    this.#onListed = onListed;
    this.#index = index;
    this.#openedMs = ports.clock.monotonicMs();
    this.#journal = journal;
  }

  /** Why the last listing failed. */
  get failure(): WireError | undefined {
    return this.#failure;
  }

  /** When the last listing that succeeded began, monotonic. */
  get listedMs(): number {
    return this.#listedMs;
  }

  /** Lists the stores again without waiting for the interval: they have changed. */
  refreshNow(): void {
    this.#isDue = true;
    this.#wake.open();
  }

  /** Runs until the journal is removed, or rejects with `signal.reason`. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const journal = this.#journal();
      if (journal === undefined) return;
      this.#isDue = false;
      await this.#refresh(journal, signal);
      await this.#pause(this.#pauseMs(journal.refreshIntervalMs), signal);
    }
  }

  async #refresh(journal: RefreshedJournal, signal: AbortSignal): Promise<void> {
    const { clock, logger, metrics } = this.#ports;
    const startedMs = clock.monotonicMs();
    const openMs = startedMs - this.#openedMs;
    const scope = abortScope(signal);
    const slow = new WireError("UNAVAILABLE", `listing took more than ${LISTING_MS_MAX} ms`);
    const cancel = clock.after(LISTING_MS_MAX, () => scope.abort(slow));
    const outcomes = metrics.counter("millrace_fragments_refreshes_total", "Listings of a journal's stores.");
    try {
      const listed = await listRemoteFragments(this.#ports, journal, scope.signal);
      await this.#forgetRemoved(journal, listed, { startedMs, signal: scope.signal });
      if (openMs >= this.#listLagMsMax(journal)) this.#index.settle();
      this.#listedMs = startedMs;
      const missing = this.#index.setRemote(listed, startedMs);
      for (const { fragment } of missing) {
        logger.error("confirmed-fragment-not-listed", { journal: journal.name, fragment });
      }
      this.#onListed?.(listed);
      this.#failures = 0;
      this.#failure = undefined;
      outcomes.add(1, { outcome: "ok" });
    } catch (thrown) {
      if (signal.aborted) throw signal.reason;
      const error = WireError.from(thrown);
      this.#failures++;
      this.#failure = error;
      outcomes.add(1, { outcome: error.code });
      const fields = {
        journal: journal.name,
        code: error.code,
        reason: error.message,
        failures: this.#failures,
      };
      logger.warn("fragment-refresh-failed", fields);
    } finally {
      cancel();
      scope.dispose();
    }
  }

  /**
   * What is pruned before any listing has shown it is not kept for its grace (I2 of the index): each of its listed
   * stores is asked. @throws {WireError} what a store says; nothing is known then
   */
  async #forgetRemoved(
    { name, stores }: RefreshedJournal,
    listed: readonly RemoteEntry[],
    { startedMs, signal }: { readonly startedMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    for (const { fragment } of this.#index.unlisted(listed, startedMs)) {
      if (!stores.includes(fragment.backingStore)) continue;
      const store = this.#ports.stores.open(fragment.backingStore);
      if ((await store.head(contentPath(fragment), signal)) !== undefined) continue;
      this.#index.forget(fragment);
      this.#ports.logger.warn("confirmed-fragment-removed", { journal: name, fragment });
    }
  }

  #listLagMsMax({ stores }: RefreshedJournal): number {
    return stores.reduce((ms, url) => Math.max(ms, this.#ports.stores.open(url).listLagMsMax), 0);
  }

  #pauseMs(intervalMs: number): number {
    if (this.#failures === 0 || this.#index.isRefreshed) return intervalMs;
    const { min, max } = FIRST_RETRY_MS;
    const growing = Math.min(max, min * 2 ** Math.min(this.#failures - 1, 20));
    return Math.min(intervalMs, growing / 2 + this.#ports.random.below(Math.ceil(growing / 2)));
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isDue) return;
    const cancel = this.#ports.clock.after(ms, () => this.refreshNow());
    try {
      await waitUntil(this.#wake, () => this.#isDue, signal);
    } finally {
      cancel();
    }
  }
}

/** Resolves once the stores were listed: before it nobody knows where the journal ends. */
export function firstRefresh(index: FragmentIndex, signal: AbortSignal): Promise<void> {
  return waitUntil(index.changed, () => index.isRefreshed, signal);
}
