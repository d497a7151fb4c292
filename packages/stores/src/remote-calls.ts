// Attempts at one request: each has a time limit, those which a retry may mend are made again. The SDKs' own retries
// are off, so that this is the one policy, on the clock and the chance of the process.
import { abortScope, InvariantError, WireError, type Clock, type Random } from "@millrace/base";
import type { RemoteDriver, StoreFailure } from "./remote-driver.ts";
import { ownFailure } from "./store-failure.ts";

/** Attempts at one request; with the waits between them at most 3 s, which callers bear before they hear of it. */
const ATTEMPT_COUNT_MAX = 4;
const RETRY_MS = { first: 100, factor: 4 } as const;

export interface CallPorts {
  readonly clock: Clock;
  readonly random: Random;
}

export interface Call {
  readonly operation: string;
  /** Path of the object, or prefix of the listing. */
  readonly path: string;
  /** Of one attempt. */
  readonly limitMs: number;
  /** Whether an attempt that failed may have changed something. */
  readonly changes: boolean;
}

export class RemoteCalls {
  readonly #ports: CallPorts;
  readonly #url: string;
  readonly #load: () => Promise<RemoteDriver>;
  #driver: Promise<RemoteDriver> | undefined;

  /** @param load makes the driver, at the first call; called again after it failed */
  constructor(url: string, ports: CallPorts, load: () => Promise<RemoteDriver>) {
    this.#url = url;
    this.#ports = ports;
    this.#load = load;
  }

  /**
   * Runs one request until it succeeds, or fails for good.
   * @throws {WireError} as ObjectStore says; `signal.reason`
   */
  async run<T>(
    call: Call,
    signal: AbortSignal,
    request: (driver: RemoteDriver, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    let mayHaveHappened = false;
    for (let attempt = 1; ; attempt++) {
      let failure: StoreFailure;
      try {
        return await this.bounded(call.limitMs, signal, async (bounded) =>
          request(await this.#loaded(), bounded),
        );
      } catch (thrown) {
        if (signal.aborted) throw signal.reason;
        failure = await this.#failureOf(thrown);
        if (!failure.isPassing || attempt === ATTEMPT_COUNT_MAX) {
          throw this.#errorOf(call, failure, thrown, mayHaveHappened);
        }
      }
      mayHaveHappened ||= call.changes;
      await this.#ports.clock.sleep(this.#waitMs(attempt), signal);
    }
  }

  /**
   * What `run` resolves to, unless it takes longer than `limitMs`.
   * @throws {WireError} UNAVAILABLE then; what `run` throws; `signal.reason`, at once, whether `run` heeds it or not
   */
  async bounded<T>(
    limitMs: number,
    signal: AbortSignal,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const scope = abortScope(signal);
    const slow = new WireError("UNAVAILABLE", `timed out after ${limitMs} ms`);
    const cancel = this.#ports.clock.after(limitMs, () => scope.abort(slow));
    try {
      return await new Promise<T>((resolve, reject) => {
        scope.signal.addEventListener("abort", () => reject(scope.signal.reason as Error), { once: true });
        run(scope.signal).then(resolve, reject);
      });
    } catch (error) {
      throw scope.signal.aborted ? scope.signal.reason : error;
    } finally {
      cancel();
      scope.dispose();
    }
  }

  #loaded(): Promise<RemoteDriver> {
    this.#driver ??= this.#load().catch((error: unknown) => {
      this.#driver = undefined;
      throw error;
    });
    return this.#driver;
  }

  async #failureOf(thrown: unknown): Promise<StoreFailure> {
    if (thrown instanceof InvariantError) throw thrown;
    if (thrown instanceof WireError) return ownFailure(thrown);
    const driver = await this.#driver?.catch(() => undefined);
    if (driver !== undefined) return driver.failureOf(thrown);
    return { code: "FORBIDDEN", isPassing: false, reason: String(thrown) };
  }

  #errorOf(call: Call, failure: StoreFailure, cause: unknown, mayHaveHappened: boolean): WireError {
    const { operation, path } = call;
    const facts = { store: this.#url, operation, path };
    // A refusal tells of its own attempt only: an earlier one may have succeeded and its answer been lost.
    const code = mayHaveHappened && failure.code !== "NOT_FOUND" ? "UNAVAILABLE" : failure.code;
    return new WireError(code, `${operation} of ${path} failed: ${failure.reason}`, { facts, cause });
  }

  /** Between half of it and all, so that those who failed together do not come back together. */
  #waitMs(attempt: number): number {
    const ms = RETRY_MS.first * RETRY_MS.factor ** (attempt - 1);
    return ms / 2 + this.#ports.random.below(ms / 2);
  }
}
