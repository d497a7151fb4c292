// Publishers against journals that fail in every way an append can: refused, lost on the way there, lost on the way
// back, late, and with crashes of the process in between. An outside model of the rows that were handed over says what
// must stand in the journal once the doubles are dropped.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  concatBytes,
  MetricsRegistry,
  silentLogger,
  TaskGroup,
  text,
  utf8,
  WireError,
  type Random,
} from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";

import { FrameDecoder } from "./frame-decoder.ts";
import { FrameFilter } from "./frame-filter.ts";
import { BufferPool, type AppendWaiter } from "./publisher-frame.ts";
import { publisherMetrics } from "./publisher-metrics.ts";
import { PartitionPublisher, QueueBudget, type FramePort, type PublisherPorts } from "./publisher.ts";

const KEY = { projectId: 1, branchId: 1, sourceId: "s", sinkId: "k" };
const REFUSALS = ["DISK_FULL", "OVERLOADED", "UNAVAILABLE", "NOT_ALLOWED", "JOURNAL_NOT_FOUND"] as const;

/** A journal behind an unreliable network. Bytes are copied when they get there, which may be late. */
class LossyJournal implements FramePort {
  readonly parts: Uint8Array[] = [];
  readonly #clock: SimulatedClock;
  readonly #random: Random;
  isHealed = false;
  underWay = 0;

  constructor(clock: SimulatedClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  async appendFrame(
    _journal: string,
    content: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<{ begin: number; end: number }> {
    const dice = this.isHealed ? 99 : this.#random.below(100);
    this.underWay++;
    try {
      if (dice < 12) return await this.#late(content, signal);
      await this.#clock.sleep(this.#random.below(20), signal);
      if (dice < 24) throw new WireError("OUTCOME_UNKNOWN", "lost on the way there");
      if (dice < 36) throw new WireError(REFUSALS[this.#random.below(REFUSALS.length)]!, "refused");
      this.#commit(content);
      if (dice < 50) throw new WireError("OUTCOME_UNKNOWN", "lost on the way back");
      await this.#clock.sleep(this.#random.below(5), signal);
      return { begin: 0, end: 1 };
    } finally {
      this.underWay--;
    }
  }

  /** The answer is given up before the append happens. */
  async #late(content: readonly Uint8Array[], signal: AbortSignal): Promise<never> {
    this.#clock.after(5 + this.#random.below(200), () => this.#commit(content));
    await this.#clock.sleep(5, signal);
    throw new WireError("OUTCOME_UNKNOWN", "timed out");
  }

  #commit(content: readonly Uint8Array[]): void {
    this.parts.push(concatBytes(content));
  }
}

class Row implements AppendWaiter {
  readonly text: string;
  state: "pending" | "acked" | "refused" | "unknown" = "pending";
  constructor(text: string) {
    this.text = text;
  }
  onAppended(rows: number, failure: WireError | undefined): void {
    assert.equal(rows, 1);
    assert.equal(this.state, "pending", "told once");
    if (failure === undefined) this.state = "acked";
    else this.state = failure.code === "OUTCOME_UNKNOWN" ? "unknown" : "refused";
  }
}

/** @param keepsDoubles a reader that does not know of doubles: the negative control */
async function simulate(
  seed: string,
  keepsDoubles = false,
): Promise<{ acked: number; doubled: number; crashes: number }> {
  const random = seededRandom(seed);
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const journal = new LossyJournal(clock, random.fork("journal"));
  const lanes = 1 + random.below(3);
  const isAwaited = random.below(4) > 0;
  const rows: Row[] = [];
  let failure: unknown;
  let tasks = new TaskGroup("publisher", (_task, error) => (failure = error));
  const ports: PublisherPorts = {
    frames: journal,
    partitions: {
      ensure: async () => (random.below(10) === 0 ? Promise.reject(new WireError("CONFLICT", "race")) : "j"),
    },
    turns: { atEnd: (run) => void clock.after(0, run) },
    budget: new QueueBudget({ queuedBytesMax: 4000, partitionQueuedBytesMax: 2000 }),
    buffers: new BufferPool(4, 1 << 20),
    clock,
    random: random.fork("producers"),
    logger: silentLogger,
    metrics: publisherMetrics(new MetricsRegistry()).partitions,
  };
  const start = (): PartitionPublisher => new PartitionPublisher(ports, { key: KEY, n: 0 }, lanes, tasks);
  let publisher = start();
  let crashes = 0;
  for (let step = 0; step < 300; step++) {
    const count = random.below(4);
    for (let i = 0; i < count; i++) {
      const out = publisher.begin(1 + (step >> 6), clock.wallMs(), isAwaited);
      if (out instanceof WireError) {
        assert.equal(out.code, "OVERLOADED");
        continue;
      }
      const row = new Row(`"${seed}/${rows.length}"\n`);
      rows.push(row);
      out.put(utf8(row.text));
      publisher.commit(row.text.length, row);
    }
    await agenda.advance(random.below(15));
    if (random.below(60) === 0) {
      // The process dies: whoever still waits is never told.
      crashes++;
      for (const row of rows) if (row.state === "pending") row.state = "unknown";
      await tasks.close();
      tasks = new TaskGroup("publisher", (_task, error) => (failure = error));
      ports.budget.bytes = 0;
      publisher = start();
    }
    assert.equal(failure, undefined, String(failure));
  }
  journal.isHealed = true;
  const drained = publisher.drain();
  await agenda.advance(60_000);
  await drained;
  assert.equal(journal.underWay, 0);
  assert.equal(ports.budget.bytes, 0);
  await tasks.close();
  return { ...check(rows, journal.parts, keepsDoubles), crashes };
}

function check(
  rows: readonly Row[],
  parts: readonly Uint8Array[],
  keepsDoubles: boolean,
): { acked: number; doubled: number } {
  const filter = new FrameFilter();
  const seen = new Map<string, number>();
  let doubled = 0;
  for (const frame of new FrameDecoder(0).push(concatBytes(parts))) {
    if (!filter.accept(frame) && !keepsDoubles) {
      doubled++;
      continue;
    }
    for (const line of text(frame.body).split(/(?<=\n)/)) seen.set(line, (seen.get(line) ?? 0) + 1);
  }
  let acked = 0;
  for (const row of rows) {
    const count = seen.get(row.text) ?? 0;
    seen.delete(row.text);
    if (row.state === "acked") {
      acked++;
      assert.equal(count, 1, `acked once: ${row.text}`);
    } else if (row.state === "refused") assert.equal(count, 0, `refused, never there: ${row.text}`);
    else assert.ok(count <= 1, `at most once: ${row.text}`);
    assert.notEqual(row.state, "pending");
  }
  assert.equal(seen.size, 0, "nothing that was never handed over");
  return { acked, doubled };
}

test("publisher: 60 seeds of failing appends and crashes -> acknowledged rows stand exactly once", async () => {
  let acked = 0;
  let doubled = 0;
  let crashes = 0;
  for (let seed = 0; seed < 60; seed++) {
    try {
      const result = await simulate(`publisher-${seed}`);
      acked += result.acked;
      doubled += result.doubled;
      crashes += result.crashes;
    } catch (cause) {
      throw new Error(`seed publisher-${seed}`, { cause });
    }
  }
  assert.ok(acked > 2000 && doubled > 40 && crashes > 20, JSON.stringify({ acked, doubled, crashes }));
});

test("negative control: a reader that keeps doubles -> rows stand twice", async () => {
  await assert.rejects(async () => {
    for (let seed = 0; seed < 20; seed++) await simulate(`control-${seed}`, true);
  }, /acked once|at most once/);
});
