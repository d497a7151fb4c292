// Connections that post records to several doors which may die at any moment: whoever gets no answer, or one that
// leaves it open, goes on with the next record at the next door.
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "./test-http.ts";
import type { RecordLedger } from "./test-record-ledger.ts";

export interface DoorLoadOptions {
  /** URLs of one source at each door. */
  readonly doors: readonly string[];
  readonly connections: number;
  /** After each answer. */
  readonly pauseMs: number;
}

/** An answer takes longer only when its outcome is unknown. */
const ANSWER_MS = 30_000;
/** After a refusal, or at a door that nobody opens. */
const REFUSED_MS = 50;
/** Codes of a connection that was never made: nothing was sent. */
const UNSENT = new Set(["ECONNREFUSED"]);

export class DoorLoad {
  /** What was answered how often: statuses, and codes of connections that broke. */
  readonly answers = new Map<string, number>();
  readonly #options: DoorLoadOptions;
  readonly #ledger: RecordLedger;
  readonly #senders: Promise<void>[];
  #last = "";
  #isStopping = false;

  constructor(options: DoorLoadOptions, ledger: RecordLedger) {
    this.#options = options;
    this.#ledger = ledger;
    this.#senders = Array.from({ length: options.connections }, (_, i) => this.#send(i));
  }

  /** Resolves when every sender has its last answer. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#senders);
  }

  describe(): string {
    return `${JSON.stringify([...this.answers])}, last ${this.#last}`;
  }

  async #send(connection: number): Promise<void> {
    const { doors, pauseMs } = this.#options;
    let agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let at = connection; !this.#isStopping;) {
      const isTaken = await this.#sendOne(connection, doors[at % doors.length]!, agent);
      if (!isTaken) {
        agent.destroy();
        agent = new Agent({ keepAlive: true, maxSockets: 1 });
        at++;
      }
      await sleep(isTaken ? pauseMs : REFUSED_MS);
    }
    agent.destroy();
  }

  async #sendOne(connection: number, url: string, agent: Agent): Promise<boolean> {
    const { sequence, line } = this.#ledger.next(connection);
    const headers = { "content-type": "application/json" };
    try {
      const answer = await ask(url, { method: "POST", body: line, headers, agent, limitMs: ANSWER_MS });
      this.#note(String(answer.status), answer.text);
      if (answer.status === 200) this.#ledger.acknowledge(connection, sequence);
      // What a 503 says of the outcome depends on its reason: the record may be there, once.
      else if (answer.status !== 503) this.#ledger.refuse(connection, sequence);
      return answer.status === 200;
    } catch (error) {
      const { code = "none", message } = error as NodeJS.ErrnoException;
      this.#note(code, message);
      if (UNSENT.has(code)) this.#ledger.refuse(connection, sequence);
      return false;
    }
  }

  #note(what: string, text: string): void {
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
    if (what !== "200") this.#last = `${what} ${text.slice(0, 300)}`;
  }
}
