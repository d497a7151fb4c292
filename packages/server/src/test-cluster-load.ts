// Writers of journals over gRPC whose brokers may die at any moment: each has a journal and a book of its own, and goes
// on after whatever happens. What was not answered is never sent again: it stands in the journal once or not at all.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { never, WireError } from "@millrace/base";
import { appendOnce, applyJournals, type JournalTransport } from "@millrace/client";
import { EMPTY_LABELS, labelSet, newReadRequest, upsertChange, type JournalSpec } from "@millrace/protocol";
import { JournalLedger } from "./test-journal-ledger.ts";
import { until } from "./test-platform.ts";

const APPEND_BYTES = [64, 300, 300, 300, 5000, 40_000, 300_000];
/** Between attempts that were refused. */
const PAUSE_MS = 20;
/** So often in a row "the channel is closed" means the writer's own: nothing will come of it. */
const CLOSED_MAX = 100;
/** An append that nobody answers is given up, and its outcome unknown. */
const APPEND_MS = 30_000;

export interface ClusterLoadOptions {
  readonly prefix: string;
  readonly journals: number;
  readonly replication: number;
  readonly store?: string;
  /** Bytes after which a fragment rolls. */
  readonly length?: number;
  /** Brokers that every second journal goes on with. Default: all of its replicas. */
  readonly minReplicas?: number;
  /** Between appends of a writer, so that a long run does not fill the machine. */
  readonly pauseMs?: number;
}

export class ClusterLoad {
  readonly ledgers: readonly JournalLedger[];
  /** Refusals and unknown outcomes, by code. */
  readonly failures = new Map<string, number>();
  /** What the last of them said. */
  #lastFailure = "";
  readonly #transport: JournalTransport;
  readonly #pauseMs: number;
  readonly #problems: string[] = [];
  #writers: Promise<void>[] = [];
  #isStopping = false;

  private constructor(transport: JournalTransport, ledgers: readonly JournalLedger[], pauseMs: number) {
    this.#transport = transport;
    this.ledgers = ledgers;
    this.#pauseMs = pauseMs;
  }

  /** Makes the journals, and begins to write. */
  static async start(transport: JournalTransport, options: ClusterLoadOptions): Promise<ClusterLoad> {
    const { prefix, journals } = options;
    const names = Array.from({ length: journals }, (_, i) => `${prefix}/${String(i).padStart(3, "0")}`);
    const changes = names.map((name, i) => upsertChange(specOf(name, i, options), 0));
    await applyJournals(transport, changes, never);
    const ledgers = names.map((name) => new JournalLedger(prefix, name));
    const load = new ClusterLoad(transport, ledgers, options.pauseMs ?? 0);
    load.resume();
    return load;
  }

  resume(): void {
    this.#isStopping = false;
    this.#writers = this.ledgers.map((ledger) => this.#write(ledger));
  }

  get acknowledged(): number {
    return this.ledgers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  /** Waits until every journal has taken `more` appends. @param after what happened, for a person */
  async goesOn(more = 3, limitMs = 90_000, after = "this"): Promise<void> {
    const wanted = this.ledgers.map(({ acknowledged }) => acknowledged + more);
    const missing = (): readonly string[] =>
      this.ledgers.filter(({ acknowledged }, i) => acknowledged < wanted[i]!).map(({ journal }) => journal);
    const claim = (): string => `after ${after}: ${missing().join(", ")} take appends; ${this.describe()}`;
    await until(claim, limitMs, () => missing().length === 0);
  }

  describe(): string {
    const failures = [...this.failures].map(([code, count]) => `${count} ${code}`).join(", ");
    return `${this.acknowledged} acknowledged${failures === "" ? "" : `, ${failures}; last: ${this.#lastFailure}`}`;
  }

  /** Resolves when every writer has its last answer. */
  async pause(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#writers);
    assert.deepEqual(this.#problems, []);
  }

  /** What is wrong with what `transport` reads of the journals; the writers must pause. */
  async check(transport: JournalTransport = this.#transport): Promise<void> {
    for (const ledger of this.ledgers) {
      const content = await contentOf(transport, ledger.journal, ledger.acknowledgedEnd);
      assert.deepEqual(ledger.violations(content), [], this.describe());
    }
  }

  /** {@link check} at each of them: what was acknowledged is read everywhere. Closes them. */
  async checkEach(readers: readonly (JournalTransport & { close(): Promise<void> })[]): Promise<void> {
    for (const reader of readers) {
      await this.check(reader);
      await reader.close();
    }
  }

  async #write(ledger: JournalLedger): Promise<void> {
    let closed = 0;
    for (let n = 0; !this.#isStopping; n++) {
      const bytes = APPEND_BYTES[n % APPEND_BYTES.length]!;
      const { number, content } = ledger.next(bytes);
      try {
        const part = { kind: "bytes", bytes: [content], isUnsummed: true } as const;
        const signal = AbortSignal.timeout(APPEND_MS);
        const { begin, end } = await appendOnce(this.#transport, ledger.journal, part, {}, signal);
        const problem = ledger.acknowledge(number, begin, end);
        if (problem !== undefined) this.#problems.push(problem);
        if (this.#pauseMs > 0) await sleep(this.#pauseMs);
      } catch (error) {
        // A broker that stops says that of a channel of its own, once or twice.
        const isClosed = error instanceof WireError && error.message === "the channel is closed";
        closed = isClosed ? closed + 1 : 0;
        if (closed > CLOSED_MAX) return;
        const code = error instanceof WireError ? error.code : String(error);
        this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
        this.#lastFailure = String(error);
        await sleep(PAUSE_MS);
      }
    }
  }
}

/** Everything from offset 0 to the head, which is at `end` at least. */
async function contentOf(transport: JournalTransport, journal: string, end: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let at = 0;
  await until(
    () => `${journal} can be read up to ${end}: at ${at}`,
    60_000,
    async () => {
      try {
        for await (const { content, status, offset } of transport.read(
          newReadRequest({ journal, offset: at }),
          never,
        )) {
          if (content === undefined) {
            if (status !== "OK") return at >= end && status === "OFFSET_NOT_YET_AVAILABLE";
            continue;
          }
          assert.equal(offset, at, `${journal} is read without gaps`);
          parts.push(Uint8Array.from(content));
          at += content.length;
        }
        return at >= end;
      } catch (error) {
        if (error instanceof WireError && error.code === "UNAVAILABLE") return false;
        throw error;
      }
    },
    100,
  );
  return Buffer.concat(parts);
}

/** Of its journals. */
export function specOf(name: string, index: number, options: ClusterLoadOptions): JournalSpec {
  const { replication, store, length = 1 << 20, minReplicas = replication } = options;
  const isFewer = minReplicas < replication && index % 2 === 1;
  return {
    name,
    replication,
    labels: isFewer ? labelSet(["millrace.dev/min-replicas", String(minReplicas)]) : EMPTY_LABELS,
    fragment: {
      length,
      compressionCodec: "NONE",
      stores: store === undefined ? [] : [store],
      refreshIntervalMs: 5000,
      retentionMs: 0,
      flushIntervalMs: 0,
      pathPostfixTemplate: "",
    },
    flags: 0,
    maxAppendRate: 0,
  };
}
