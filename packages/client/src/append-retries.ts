// The attempts of one append: what is told of those that fail, how long to wait after each, and when to give up.
//
//  R1  Whoever waits learns why at once, and then ever more rarely. A first refusal alone is not told: who serves a
//      journal may just have changed, and the next attempt finds the one who does.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { appendBackoffMs, backOff } from "./backoff.ts";

/** From the first notice to the second; the next ones come after twice as long. */
const NOTICE_MS = 1000;
/** Longest time without a notice. */
const NOTICE_MS_MAX = 600_000;

export class AppendRetries {
  readonly #ports: { readonly clock: Clock; readonly logger: Logger };
  readonly #journal: string;
  readonly #beganMs: number;
  #attempts = 0;
  #noticeMs = 0;

  constructor(ports: { readonly clock: Clock; readonly logger: Logger }, journal: string) {
    this.#ports = ports;
    this.#journal = journal;
    this.#beganMs = ports.clock.monotonicMs();
  }

  /**
   * Resolves when it is time for the next attempt.
   * @param error of the attempt that failed
   * @param patienceMs since the first attempt began
   * @throws {WireError} `error`, with how long it was tried, when that was `patienceMs`
   */
  async next(error: WireError, patienceMs: number, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#ports;
    const attempts = ++this.#attempts;
    const waitedMs = clock.monotonicMs() - this.#beganMs;
    if (waitedMs >= patienceMs) throw attempts === 1 ? error : givenUp(error, attempts, waitedMs);
    if (attempts > 1 && waitedMs >= this.#noticeMs) {
      const { code, message } = error;
      const facts = { journal: this.#journal, attempts, waitedMs: Math.round(waitedMs), code, message };
      logger.warn("append-retried", facts);
      this.#noticeMs = waitedMs + Math.min(Math.max(NOTICE_MS, waitedMs), NOTICE_MS_MAX);
    }
    await backOff(clock, appendBackoffMs(attempts - 1), signal);
  }
}

function givenUp(error: WireError, attempts: number, waitedMs: number): WireError {
  const message = `${error.message}, after ${attempts} attempts in ${(waitedMs / 1000).toFixed(1)} s`;
  return new WireError(error.code, message, { facts: error.facts, cause: error });
}
