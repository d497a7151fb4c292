// One run of `millrace produce`: connections that send batches, each as soon as its last one was answered.
//
// P1 A refusal that wrote nothing (429, 507) is repeated. Whatever may have been written and was not acknowledged
//    counts as failed and is not repeated, since repeating could double it.
// P2 When the run is stopped, requests under way get their answers, and the summary is still given.
import { setMaxListeners } from "node:events";
import { abortScope, systemClock, WireError, type AbortScope } from "@millrace/base";
import { Pool } from "undici";
import type { Latencies } from "./latencies.ts";
import { isRefusal, noAnswer } from "./system-doors.ts";

export interface ProduceRun {
  readonly url: URL;
  readonly batches: AsyncGenerator<readonly string[], void, void>;
  readonly connections: number;
  /** Records a second; may be infinite. */
  readonly rate: number;
}

export interface Totals {
  sent: number;
  accepted: number;
  /** By the source, with a reason. */
  rejected: number;
  /** Not acknowledged: they may be in the journal or not. */
  failed: number;
}

const RETRY_MS = 200;

interface Answer {
  readonly status: number;
  readonly text: string;
}

export class Producer {
  readonly totals: Totals = { sent: 0, accepted: 0, rejected: 0, failed: 0 };
  /** What the source said first about records that it did not take. */
  firstProblem: string | undefined;
  /** Why the run ended early. */
  failure: WireError | undefined;
  readonly #run: ProduceRun;
  readonly #latencies: Latencies;
  readonly #pool: Pool;
  readonly #scope: AbortScope;
  #startMs = 0;

  /** @param signal stops the run (P2) */
  constructor(run: ProduceRun, latencies: Latencies, signal: AbortSignal) {
    this.#run = run;
    this.#latencies = latencies;
    this.#pool = new Pool(run.url.origin, { connections: run.connections, pipelining: 1 });
    this.#scope = abortScope(signal);
    setMaxListeners(0, this.#scope.signal);
  }

  async run(): Promise<void> {
    this.#startMs = systemClock.monotonicMs();
    try {
      await Promise.all(Array.from({ length: this.#run.connections }, () => this.#sender()));
    } finally {
      this.#scope.dispose();
      await this.#pool.close();
    }
  }

  async #sender(): Promise<void> {
    try {
      for (;;) {
        this.#scope.signal.throwIfAborted();
        const next = await this.#run.batches.next();
        if (next.done === true) return;
        await this.#pace(next.value.length);
        await this.#send(next.value);
      }
    } catch (thrown) {
      // An abort, from outside or by another sender, or an input that it has cut.
      if (this.#scope.signal.aborted) return;
      this.failure = WireError.from(thrown);
      this.#scope.abort(this.failure);
    }
  }

  /** Waits until the rate allows for so many records more. */
  async #pace(records: number): Promise<void> {
    const dueMs = this.#startMs + (this.totals.sent / this.#run.rate) * 1000;
    this.totals.sent += records;
    const waitMs = dueMs - systemClock.monotonicMs();
    if (waitMs <= 0) return;
    await systemClock.sleep(waitMs, this.#scope.signal).catch((error: unknown) => {
      this.totals.sent -= records;
      throw error;
    });
  }

  async #send(records: readonly string[]): Promise<void> {
    for (;;) {
      const beganMs = systemClock.monotonicMs();
      const answer = await this.#post(records);
      if (answer.status !== 429 && answer.status !== 507) {
        this.#latencies.add(systemClock.monotonicMs() - beganMs);
        return this.#count(answer, records.length);
      }
      await systemClock.sleep(RETRY_MS, this.#scope.signal).catch((error: unknown) => {
        this.totals.sent -= records.length;
        throw error;
      });
    }
  }

  async #post(records: readonly string[]): Promise<Answer> {
    const { url } = this.#run;
    const single = records.length === 1;
    const contentType = single ? "application/json" : "application/x-ndjson";
    try {
      const answer = await this.#pool.request({
        method: "POST",
        path: url.pathname + url.search,
        headers: { "content-type": contentType },
        body: single ? records[0]! : `${records.join("\n")}\n`,
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    } catch (error) {
      if (isRefusal(error)) this.totals.sent -= records.length;
      else this.totals.failed += records.length;
      throw noAnswer(url.origin, error, true);
    }
  }

  #count({ status, text }: Answer, records: number): void {
    const { totals } = this;
    let hasProblem = status >= 300;
    if (status === 401 || status === 404) {
      totals.rejected += records;
      throw new WireError("NOT_FOUND", `the source answers ${problemOf(status, text)}`);
    }
    if (status >= 500) totals.failed += records;
    else if (status >= 300) totals.rejected += records;
    else if (records === 1) totals.accepted++;
    else {
      const { accepted, rejected = [], rejectedCount = rejected.length } = JSON.parse(text) as BatchAnswer;
      totals.accepted += accepted;
      totals.rejected += rejectedCount;
      hasProblem = rejectedCount > 0;
    }
    if (hasProblem) this.firstProblem ??= problemOf(status, text);
  }
}

/** What answers hold, as far as it is read here: of a batch, of a record by its sinks, of an error. */
interface BatchAnswer {
  readonly accepted: number;
  readonly rejected?: readonly { readonly index: number; readonly reason: string }[];
  readonly rejectedCount?: number;
}

interface SourceAnswer extends Partial<BatchAnswer> {
  readonly message?: string;
  readonly sources?: readonly {
    readonly sinks?: readonly { readonly error?: string; readonly message?: string }[];
  }[];
}

/** The most exact reason that an answer gives. */
function problemOf(status: number, text: string): string {
  const { rejected = [], sources = [], message } = parsed(text);
  const [first] = rejected;
  if (first !== undefined) return `record ${first.index} of its batch: ${first.reason}`;
  const failed = sources.flatMap(({ sinks = [] }) => sinks).find(({ error }) => error !== undefined);
  return `${status}: ${failed?.message ?? message ?? text.trim()}`;
}

function parsed(text: string): SourceAnswer {
  try {
    return JSON.parse(text) as SourceAnswer;
  } catch {
    // Plain text, e.g. OK.
    return {};
  }
}
