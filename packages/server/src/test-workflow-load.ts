// Senders of the workflow test: each sends a batch, or a record alone, under a key of its own, and again with that key,
// at one door after the other, until it is acknowledged.
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "@millrace/base/testkit";
import { ask, type Answer } from "./test-http.ts";
import type { WorkflowBatch, WorkflowBook } from "./test-workflow-book.ts";

export interface WorkflowLoadOptions {
  /** URLs of one source at each door. */
  readonly doors: readonly string[];
  readonly connections: number;
  readonly recordsMax: number;
  /** After each acknowledgement. */
  readonly pauseMs: number;
  readonly seed: string;
}

type Outcome = "taken" | "not taken" | "perhaps";

/** Longer than any door is paused: a request that was given up might be taken later, with a mapping of then. */
const ANSWER_MS = 120_000;
/** After a refusal, or at a door that nobody opens. */
const REFUSED_MS = 50;
const SINGLE_SHARE = 8;
/** Statuses of requests of which nothing was taken: the source is disabled, it is too much. */
const NOT_TAKEN = new Set([404, 429, 507]);

export class WorkflowLoad {
  /** What was answered how often: statuses, and codes of connections that broke. */
  readonly answers = new Map<string, number>();
  /** Answers that nobody may be given. */
  readonly problems: string[] = [];
  readonly #options: WorkflowLoadOptions;
  readonly #book: WorkflowBook;
  readonly #senders: readonly Promise<void>[];
  #last = "";
  #isStopping = false;
  #isAborted = false;

  constructor(options: WorkflowLoadOptions, book: WorkflowBook) {
    this.#options = options;
    this.#book = book;
    this.#senders = Array.from({ length: options.connections }, (_, i) => this.#send(i));
  }

  /** Resolves when everything that was sent is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#senders);
  }

  /** Ends without that. */
  abort(): void {
    this.#isStopping = true;
    this.#isAborted = true;
  }

  describe(): string {
    return `${JSON.stringify(Object.fromEntries(this.answers))}, last ${this.#last}`;
  }

  async #send(connection: number): Promise<void> {
    const { doors, pauseMs, recordsMax, seed } = this.#options;
    const random = seededRandom(`${seed}/sender ${connection}`);
    let agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let at = connection; !this.#isStopping;) {
      const batch = this.#book.next(random.below(SINGLE_SHARE) === 0 ? 1 : 1 + random.below(recordsMax));
      while (!this.#isAborted && !(await this.#attempt(batch, doors[at % doors.length]!, agent))) {
        agent.destroy();
        agent = new Agent({ keepAlive: true, maxSockets: 1 });
        at++;
        await sleep(REFUSED_MS);
      }
      await sleep(pauseMs);
    }
    agent.destroy();
  }

  async #attempt(batch: WorkflowBatch, url: string, agent: Agent): Promise<boolean> {
    const mayBeThere = this.#book.attempt(batch);
    const outcome = await this.#post(batch, url, agent);
    if (outcome === "taken") this.#book.acknowledge(batch);
    else if (outcome === "not taken" && !mayBeThere) this.#book.withdraw(batch);
    return outcome === "taken";
  }

  async #post({ first, count, lines }: WorkflowBatch, url: string, agent: Agent): Promise<Outcome> {
    const headers = {
      "content-type": count === 1 ? "application/json" : "application/x-ndjson",
      "idempotency-key": `${this.#options.seed}-${first}`,
    };
    try {
      const body = lines.join("\n");
      const answer = await ask(url, { method: "POST", body, headers, agent, limitMs: ANSWER_MS });
      this.#note(String(answer.status), answer.text);
      return this.#outcome(answer, count);
    } catch (error) {
      const { code = "none", message } = error as NodeJS.ErrnoException;
      this.#note(code, message);
      return code === "ECONNREFUSED" ? "not taken" : "perhaps";
    }
  }

  #outcome(answer: Answer, count: number): Outcome {
    const { status, text } = answer;
    if (status === 200) {
      // A batch of which some were not written is sent again as a whole.
      return count === 1 || answer.json()["rejectedCount"] === 0 ? "taken" : "perhaps";
    }
    if (NOT_TAKEN.has(status)) return "not taken";
    if (status !== 503) this.problems.push(`${status} ${text.slice(0, 300)}`);
    return "perhaps";
  }

  #note(what: string, text: string): void {
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
    if (what !== "200") this.#last = `${what} ${text.slice(0, 300)}`;
  }
}
