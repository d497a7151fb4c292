// Load on a platform that may die at any moment: connections that post records, singly and in batches, and writers of
// raw journals. Whatever is answered goes into the ledgers; a connection that breaks ends its sender.
import assert from "node:assert/strict";
import { Agent } from "node:http";
import { gzipSync } from "node:zlib";
import { seededRandom } from "@millrace/base/testkit";
import { ask, type Answer } from "./test-http.ts";
import type { JournalLedger } from "./test-journal-ledger.ts";
import type { RecordLedger } from "./test-record-ledger.ts";

export interface LoadOptions {
  /** Where records are posted. */
  readonly sourceUrl: string;
  /** Base of the journals' paths. */
  readonly brokerUrl: string;
  readonly connections: number;
  readonly seed: string;
}

const BATCH_SHARE = 12;
const BATCH_RECORDS_MAX = 120;
/** Batches of this share make frames that go the direct way (D3). */
const LARGE_SHARE = 16;
const LARGE_RECORDS = 2000;
const GZIP_SHARE = 4;
/** Appends of this share are large enough for the direct way (D3). */
const DIRECT_SHARE = 30;
const DIRECT_BYTES = 256 * 1024;

export class Load {
  /** Answers by status. */
  readonly statuses = new Map<number, number>();
  readonly #options: LoadOptions;
  readonly #records: RecordLedger;
  readonly #problems: string[] = [];
  readonly #senders: Promise<void>[] = [];
  #answers = 0;
  #stopping = false;

  constructor(options: LoadOptions, records: RecordLedger, journals: readonly JournalLedger[]) {
    this.#options = options;
    this.#records = records;
    for (let i = 0; i < options.connections; i++) this.#senders.push(this.#postRecords(i));
    for (const journal of journals) this.#senders.push(this.#appendTo(journal));
  }

  /** Answers so far, of all senders. */
  get answers(): number {
    return this.#answers;
  }

  /** Resolves when every sender has its last answer or lost its connection. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#senders);
    assert.deepEqual(this.#problems, []);
  }

  /** Appends at least `bytes` at once to the table's partition and to each journal, and waits for the answers. */
  static async fill(
    options: LoadOptions,
    records: RecordLedger,
    journals: readonly JournalLedger[],
    bytes: number,
  ): Promise<void> {
    const load = new Load({ ...options, connections: 0 }, records, []);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await load.#postBatch(agent, 0, Math.ceil(bytes / 64), false);
    for (const journal of journals) await load.#append(agent, journal, bytes);
    agent.destroy();
    assert.deepEqual(new Set(load.statuses.keys()), new Set([200, 204]));
  }

  async #postRecords(connection: number): Promise<void> {
    const random = seededRandom(`${this.#options.seed}/connection ${connection}`);
    await this.#untilBroken(async (agent) => {
      if (random.below(BATCH_SHARE) > 0) await this.#postOne(agent, connection);
      else {
        const isLarge = random.below(LARGE_SHARE) === 0;
        const count = isLarge ? LARGE_RECORDS : 1 + random.below(BATCH_RECORDS_MAX);
        await this.#postBatch(agent, connection, count, random.below(GZIP_SHARE) === 0);
      }
    });
  }

  /** Calls `send` again and again over one connection, until told to stop or the platform is gone. */
  async #untilBroken(send: (agent: Agent) => Promise<void>): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      while (!this.#stopping) await send(agent);
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      // What was sent last stays unknown.
      if (!["ECONNRESET", "ECONNREFUSED", "EPIPE"].includes(code)) throw error;
    } finally {
      agent.destroy();
    }
  }

  async #postOne(agent: Agent, connection: number): Promise<void> {
    const { sequence, line } = this.#records.next(connection);
    const headers = { "content-type": "application/json" };
    const answer = await this.#ask(this.#options.sourceUrl, { method: "POST", body: line, headers, agent });
    if (answer.status === 200) this.#records.acknowledge(connection, sequence);
    else if (answer.status !== 503) this.#records.refuse(connection, sequence);
  }

  async #postBatch(agent: Agent, connection: number, count: number, isZipped: boolean): Promise<void> {
    const batch = Array.from({ length: count }, () => this.#records.next(connection));
    const text = batch.map(({ line }) => `${line}\n`).join("");
    const headers = {
      "content-type": "application/x-ndjson",
      ...(isZipped ? { "content-encoding": "gzip" } : {}),
    };
    const body = isZipped ? gzipSync(text) : text;
    const answer = await this.#ask(this.#options.sourceUrl, { method: "POST", body, headers, agent });
    if (answer.status === 503) return;
    const { accepted, rejected, rejectedCount } = answer.json() as {
      accepted: number;
      rejected: { index: number }[];
      rejectedCount: number;
    };
    if (accepted !== batch.length - rejectedCount)
      this.#problems.push(`a batch of ${batch.length} was answered by ${answer.text}`);
    const refused = new Set(rejected.map(({ index }) => index));
    // One that is stopped in the middle of a batch refuses the rest, and lists some of it.
    const isWhole = refused.size === rejectedCount;
    for (const [index, { sequence }] of batch.entries()) {
      if (refused.has(index)) this.#records.refuse(connection, sequence);
      else if (isWhole) this.#records.acknowledge(connection, sequence);
    }
  }

  async #appendTo(ledger: JournalLedger): Promise<void> {
    const random = seededRandom(`${this.#options.seed}/${ledger.journal}`);
    await this.#untilBroken(async (agent) => {
      const isDirect = random.below(DIRECT_SHARE) === 0;
      const bytes = isDirect ? DIRECT_BYTES + random.below(DIRECT_BYTES) : 23 + random.below(4000);
      await this.#append(agent, ledger, bytes);
    });
  }

  async #append(agent: Agent, ledger: JournalLedger, bytes: number): Promise<void> {
    const { number, content } = ledger.next(bytes);
    const url = `${this.#options.brokerUrl}/${ledger.journal}`;
    const answer = await this.#ask(url, { method: "PUT", body: content, agent });
    if (answer.status !== 204) return;
    const begin = Number(answer.headers["x-commit-begin"]);
    const problem = ledger.acknowledge(number, begin, Number(answer.headers["x-commit-end"]));
    if (problem !== undefined) this.#problems.push(problem);
  }

  async #ask(url: string, options: Parameters<typeof ask>[1]): Promise<Answer> {
    const answer = await ask(url, options);
    this.#answers++;
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    return answer;
  }
}
