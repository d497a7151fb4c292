// The coordination store from another host: etcd, which can be without a leader. It then refuses what it is asked, may
// have done what it does not answer, and its leases stand still: a new leader gives each its full time.
import { WireError, type Clock, type Random } from "@millrace/base";
import type { Agenda } from "@millrace/base/testkit";
import type {
  CoordinationStore,
  EmbeddedStore,
  TxnRequest,
  TxnResponse,
  WatchBatch,
  WatchRequest,
} from "@millrace/metadata";
import { MemoryJournal, openMemoryStore } from "@millrace/metadata/testkit";
import { ask, follow, type CallPorts } from "./calls.ts";
import { SimProcess } from "./sim-process.ts";

export const ETCD = "etcd";
/** An answer that takes longer does not come. */
const ANSWER_MS = 5000;

export class Coordination {
  readonly process: SimProcess;
  #store: EmbeddedStore;
  #journal: MemoryJournal;
  readonly #random: Random;
  #hasLeader = true;

  private constructor(store: EmbeddedStore, journal: MemoryJournal, process: SimProcess, random: Random) {
    this.#store = store;
    this.#journal = journal;
    this.process = process;
    this.#random = random;
  }

  static async open(agenda: Agenda, random: Random, epochMs: number): Promise<Coordination> {
    const process = new SimProcess(agenda, ETCD, ETCD, epochMs);
    const journal = new MemoryJournal();
    const store = await openMemoryStore(process.clock, random.fork("store"), journal);
    return new Coordination(store, journal, process, random.fork("etcd"));
  }

  get store(): EmbeddedStore {
    return this.#store;
  }

  snapshot(): MemoryJournal {
    return this.#journal.copy();
  }

  /** It comes back as it was at a snapshot. No broker runs. */
  async putBack(snapshot: MemoryJournal): Promise<void> {
    this.#journal = snapshot;
    this.#store = await openMemoryStore(this.process.clock, this.#random.fork("put back"), snapshot);
  }

  get hasLeader(): boolean {
    return this.#hasLeader;
  }

  loseLeader(): void {
    this.#hasLeader = false;
    this.process.pause();
  }

  findLeader(): void {
    this.#hasLeader = true;
    this.process.resume();
  }

  /** @param isMutating it may have happened when its answer is lost */
  async #led<T>(run: () => Promise<T>, isMutating: boolean): Promise<T> {
    if (!this.#hasLeader) throw noLeader();
    const answer = await run();
    if (!this.#hasLeader && isMutating && this.#random.below(2) === 0) {
      throw new WireError("OUTCOME_UNKNOWN", "etcdserver: request timed out");
    }
    return answer;
  }

  /** As a client at `ports.from` has it. */
  port(ports: CallPorts): CoordinationStore {
    const { clock } = ports.from;
    const call = <T>(
      isMutating: boolean,
      run: (signal: AbortSignal) => Promise<T>,
      signal: AbortSignal,
    ): Promise<T> =>
      within(
        clock,
        (limited) => ask(ports, ETCD, (there) => this.#led(() => run(there), isMutating), limited),
        isMutating,
        signal,
      );
    return {
      range: (request, signal) => call(false, (there) => this.store.range(request, there), signal),
      txn: (request: TxnRequest, signal): Promise<TxnResponse> =>
        call(isWrite(request), (there) => this.store.txn(request, there), signal),
      watch: (request, signal) => follow(ports, ETCD, (there) => this.#watch(request, there), signal),
      grantLease: (ttl, signal) => call(false, (there) => this.store.grantLease(ttl, there), signal),
      keepAlive: (lease, signal) => call(false, (there) => this.store.keepAlive(lease, there), signal),
      revokeLease: (lease, signal) => call(false, (there) => this.store.revokeLease(lease, there), signal),
      compact: (revision, signal) => call(false, (there) => this.store.compact(revision, there), signal),
    };
  }

  async *#watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchBatch, void, void> {
    for await (const batch of this.store.watch(request, signal)) {
      if (!this.#hasLeader) throw noLeader();
      yield batch;
    }
  }
}

function isWrite({ success, failure = [] }: TxnRequest): boolean {
  return [...success, ...failure].some(({ kind }) => kind !== "range");
}

function noLeader(): WireError {
  return new WireError("UNAVAILABLE", "etcdserver: no leader");
}

async function within<T>(
  clock: Clock,
  run: (signal: AbortSignal) => Promise<T>,
  isMutating: boolean,
  signal: AbortSignal,
): Promise<T> {
  const limit = new AbortController();
  const onAbort = (): void => limit.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  const cancel = clock.after(ANSWER_MS, () =>
    limit.abort(new WireError("UNAVAILABLE", "etcd does not answer")),
  );
  try {
    return await run(limit.signal);
  } catch (thrown) {
    if (signal.aborted || !isMutating || !(thrown instanceof WireError)) throw thrown;
    const isKnown = thrown.code !== "UNAVAILABLE" || thrown.message === noLeader().message;
    if (isKnown || thrown.facts["why"] === "refused") throw thrown;
    throw new WireError("OUTCOME_UNKNOWN", thrown.message, { cause: thrown });
  } finally {
    cancel();
    signal.removeEventListener("abort", onAbort);
  }
}
