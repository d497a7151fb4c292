// Small transactions of many callers in few of the store's: a change of hands of a thousand journals is thousands of
// them, each of which costs a request, a revision, and at every broker an update of its keyspace.
//
//  G1  One is under way at a time; what comes meanwhile shares the next one. Who comes alone is sent at once, as it is.
//  G2  Parts that share a transaction have different subjects, and so different keys: each happens as it would alone.
//  G3  A compare that fails concerns one part, and the others are not to hear of it: what was refused is halved, down
//      to the part itself. The same with a refusal that says that nothing has happened.
//  G4  Who stops waiting is sent no more, if it was not yet; else its outcome is unknown to it.
import { assert, never, WireError } from "@millrace/base";
import type { CoordinationStore, TxnRequest, TxnResponse } from "./coordination.ts";
import { TXN_OPS_MAX } from "./limits.ts";

export interface TxnPart extends Omit<TxnRequest, "failure"> {
  /** What it is about: nobody else's part has its keys. */
  readonly subject: string;
}

interface Waiting {
  readonly part: TxnPart;
  isOver: boolean;
  readonly bytes: number;
  readonly resolve: (response: TxnResponse) => void;
  readonly reject: (error: unknown) => void;
}

/** Of one request, far below what a store takes. */
const SHARED_BYTES_MAX = 256 * 1024;
/** Outcomes that are not known: what was asked may have happened. */
const UNKNOWN: ReadonlySet<string> = new Set(["OUTCOME_UNKNOWN", "UNAVAILABLE"]);

export class SharedTxns {
  readonly #store: CoordinationStore;
  readonly #waiting = new Set<Waiting>();
  #isRunning = false;

  constructor(store: CoordinationStore) {
    this.#store = store;
  }

  /** @returns as the store, of this part alone @throws {WireError} of the store; what aborted `signal` */
  txn(part: TxnPart, signal: AbortSignal): Promise<TxnResponse> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        waiting.isOver = true;
        this.#waiting.delete(waiting);
        reject(signal.reason as Error);
      };
      const over = (): void => signal.removeEventListener("abort", onAbort);
      const waiting: Waiting = {
        part,
        isOver: false,
        bytes: bytesOf(part),
        resolve: (response) => {
          over();
          resolve(response);
        },
        reject: (error) => {
          over();
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(waiting);
      if (this.#isRunning) return;
      this.#isRunning = true;
      // Those of the same turn share.
      queueMicrotask(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0) await this.#send(this.#next());
    this.#isRunning = false;
  }

  /** As many as one transaction takes, in the order in which they came. */
  #next(): readonly Waiting[] {
    const some: Waiting[] = [];
    const subjects = new Set<string>();
    let [compares, ops, bytes] = [0, 0, 0];
    for (const waiting of this.#waiting) {
      const { compare, success, subject } = waiting.part;
      compares += compare.length;
      ops += success.length;
      bytes += waiting.bytes;
      const isFull = compares > TXN_OPS_MAX || ops > TXN_OPS_MAX || bytes > SHARED_BYTES_MAX;
      if (some.length > 0 && (isFull || subjects.has(subject))) break; // G2
      subjects.add(subject);
      some.push(waiting);
    }
    for (const one of some) this.#waiting.delete(one);
    return some;
  }

  async #send(all: readonly Waiting[]): Promise<void> {
    const some = all.filter(({ isOver }) => !isOver); // G4
    if (some.length === 0) return;
    const compare = some.flatMap(({ part }) => part.compare);
    const success = some.flatMap(({ part }) => part.success);
    try {
      const response = await this.#store.txn({ compare, success }, never);
      if (response.succeeded) return share(some, response);
      if (some.length === 1) return some[0]!.resolve(response);
    } catch (error) {
      if (some.length === 1 || UNKNOWN.has(WireError.from(error).code)) {
        for (const one of some) one.reject(error);
        return;
      }
    }
    // G3
    const half = some.length >> 1;
    await Promise.all([this.#send(some.slice(0, half)), this.#send(some.slice(half))]);
  }
}

function share(some: readonly Waiting[], { header, succeeded, results }: TxnResponse): void {
  let at = 0;
  for (const { part, resolve } of some) {
    const own = results.slice(at, (at += part.success.length));
    resolve({ header, succeeded, results: own });
  }
  assert(at === results.length, "every operation has its result", { at, results: results.length });
}

function bytesOf({ compare, success }: TxnPart): number {
  let bytes = 0;
  for (const { key } of compare) bytes += key.length;
  for (const op of success) bytes += op.key.length + (op.kind === "put" ? op.value.length : 0);
  return bytes;
}
