import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  concatBytes,
  MetricsRegistry,
  silentLogger,
  TaskGroup,
  text,
  utf8,
  WireError,
  type Code,
} from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";

import { FrameDecoder } from "./frame-decoder.ts";
import type { Frame } from "./frame.ts";
import { FRAME_ROWS_MAX, FRAME_SEAL_BYTES } from "./limits.ts";
import { BufferPool, type AppendWaiter } from "./publisher-frame.ts";
import { publisherMetrics } from "./publisher-metrics.ts";
import { PartitionPublisher, QueueBudget, SinkGone } from "./publisher.ts";

const KEY = { projectId: 1, branchId: 1, sourceId: "s", sinkId: "k" };

class Fixture {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly appended: Uint8Array[] = [];
  readonly attempts: Uint8Array[] = [];
  ensures = 0;
  isGone = false;
  /** What the next attempts say; undefined: written. */
  readonly script: (Code | undefined)[] = [];
  appendMs = 1;
  /** Offsets of the next attempts; 0 for others. */
  readonly begins: number[] = [];
  knownEnd = 0;
  forgotten = 0;
  readonly tasks = new TaskGroup("test", (_task, error) => {
    throw error;
  });
  readonly publisher: PartitionPublisher;

  constructor(options: { lanes?: number; queuedBytesMax?: number } = {}) {
    const max = options.queuedBytesMax ?? 1e9;
    this.publisher = new PartitionPublisher(
      {
        frames: { appendFrame: (_journal, content) => this.#append(concatBytes(content)) },
        partitions: {
          ensure: () => {
            this.ensures++;
            if (this.isGone) return Promise.reject(new SinkGone("purged"));
            return Promise.resolve("j");
          },
          knownEnd: () => this.knownEnd,
          forget: () => {
            this.forgotten++;
            this.knownEnd = 0;
          },
        },
        turns: { atEnd: (run) => void this.clock.after(0, run) },
        budget: new QueueBudget({ queuedBytesMax: max, partitionQueuedBytesMax: max }),
        buffers: new BufferPool(4, 1 << 20),
        clock: this.clock,
        random: seededRandom("publisher"),
        logger: silentLogger,
        metrics: publisherMetrics(new MetricsRegistry()).partitions,
      },
      { key: KEY, n: 0 },
      options.lanes ?? 1,
      this.tasks,
    );
  }

  async #append(bytes: Uint8Array): Promise<{ begin: number; end: number }> {
    this.attempts.push(bytes);
    const code = this.script.shift();
    await this.clock.sleep(this.appendMs, this.tasks.signal);
    if (code !== undefined) throw new WireError(code, "scripted");
    this.appended.push(bytes);
    const begin = this.begins.shift() ?? 0;
    return { begin, end: begin + 1 };
  }

  row(value: string, options: { version?: number; isAwaited?: boolean } = {}): Row {
    const waiter = new Row();
    const out = this.publisher.begin(options.version ?? 1, this.clock.wallMs(), options.isAwaited ?? true);
    if (out instanceof WireError) waiter.outcome = out.code;
    else {
      out.put(utf8(`"${value}"\n`));
      this.publisher.commit(value.length + 3, waiter);
    }
    return waiter;
  }

  frames(): Frame[] {
    return new FrameDecoder(0).push(concatBytes(this.appended));
  }

  rows(): string[] {
    return this.frames().map((frame) => text(frame.body).replaceAll('"', "").trim().replaceAll("\n", " "));
  }
}

class Row implements AppendWaiter {
  outcome: Code | "written" | undefined;
  onAppended(_rows: number, failure: WireError | undefined): void {
    this.outcome = failure === undefined ? "written" : failure.code;
  }
}

describe("partition publisher", () => {
  test("commit: rows of one turn -> one frame; rows that come while it is under way -> the next", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.row("a");
    f.row("b");
    await agenda.advance(0);
    assert.equal(f.attempts.length, 1);
    f.row("c");
    await agenda.advance(0);
    const last = f.row("d");
    assert.equal(f.attempts.length, 1);
    await agenda.advance(10);
    assert.equal(last.outcome, "written");
    assert.deepEqual(f.rows(), ["a b", "c d"]);
    assert.deepEqual(
      f.frames().map(({ sequence, count }) => [sequence, count]),
      [
        [1, 2],
        [2, 2],
      ],
    );
    assert.equal(f.ensures, 1);
  });

  test("commit: a frame is not full and another one under way -> it waits, though a lane is free", async () => {
    const f = new Fixture({ lanes: 2 });
    const { agenda } = f;
    f.appendMs = 10;
    f.row("a");
    await agenda.advance(1);
    f.row("b");
    await agenda.advance(1);
    assert.equal(f.attempts.length, 1);
    for (let i = 1; i < FRAME_ROWS_MAX; i++) f.row("c");
    await agenda.advance(0);
    assert.equal(f.attempts.length, 2);
    await agenda.advance(20);
    assert.deepEqual(
      f.frames().map(({ count }) => count),
      [1, FRAME_ROWS_MAX],
    );
  });

  test("commit: those who were just answered send again -> one frame with who waited meanwhile, at once", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.appendMs = 4;
    f.row("a");
    f.row("b");
    await agenda.advance(3);
    f.row("c");
    await agenda.advance(1);
    f.row("d");
    await agenda.advance(0);
    assert.equal(f.attempts.length, 1);
    f.row("e");
    await agenda.advance(0);
    assert.equal(f.attempts.length, 2);
    await agenda.advance(10);
    assert.deepEqual(f.rows(), ["a b", "c d e"]);
  });

  test("commit: those just answered send no more -> the others wait 1 ms, or as an append took", async () => {
    for (const [appendMs, lingerMs] of [
      [4, 1],
      [0.4, 0.4],
    ]) {
      const f = new Fixture();
      f.appendMs = appendMs!;
      f.row("a");
      await f.agenda.advance(appendMs! / 2);
      f.row("b");
      await f.agenda.advance(appendMs! / 2);
      await f.agenda.advance(lingerMs! * 0.9);
      assert.equal(f.attempts.length, 1);
      await f.agenda.advance(lingerMs! * 0.2);
      assert.equal(f.attempts.length, 2);
    }
  });

  test("commit: a lone sender -> never waits", async () => {
    const f = new Fixture();
    for (let i = 1; i <= 5; i++) {
      f.row("a");
      await f.agenda.advance(0);
      assert.equal(f.attempts.length, i);
      await f.agenda.advance(f.appendMs);
    }
  });

  test("drain: a frame that lingers -> is written", async () => {
    const f = new Fixture();
    f.row("a");
    await f.agenda.advance(0.5);
    const last = f.row("b");
    await f.agenda.advance(0.5);
    let isDrained = false;
    void f.publisher.drain().then(() => (isDrained = true));
    await f.agenda.advance(5);
    assert.equal(last.outcome, "written");
    assert.ok(isDrained);
  });

  test("begin: another sink version -> another frame, in order", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.row("a");
    f.row("b", { version: 2 });
    await agenda.advance(10);
    assert.deepEqual(
      f.frames().map(({ sinkVersion }) => sinkVersion),
      [1, 2],
    );
  });

  test("commit: so many bytes or rows -> sealed, and sent by free lanes at once", async () => {
    const f = new Fixture({ lanes: 2 });
    const { agenda } = f;
    f.row("x".repeat(FRAME_SEAL_BYTES));
    for (let i = 0; i < FRAME_ROWS_MAX + 1; i++) f.row("y");
    await agenda.advance(0);
    assert.equal(f.attempts.length, 2);
    await agenda.advance(10);
    assert.deepEqual(
      f.frames().map(({ count }) => count),
      [1, FRAME_ROWS_MAX, 1],
    );
    assert.equal(new Set(f.frames().map(({ producer }) => producer)).size, 2);
  });

  test("append: certainly not written -> the rows fail, their frame is gone, the next goes on", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.script.push("DISK_FULL");
    const first = f.row("a");
    await agenda.advance(10);
    assert.equal(first.outcome, "DISK_FULL");
    const second = f.row("b");
    await agenda.advance(10);
    assert.equal(second.outcome, "written");
    assert.deepEqual(f.rows(), ["b"]);
  });

  test("append: outcome unknown -> the same bytes again, whatever later attempts say", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.script.push("OUTCOME_UNKNOWN", "DISK_FULL", "UNAVAILABLE", undefined);
    const row = f.row("a");
    await agenda.advance(1000);
    assert.equal(row.outcome, "written");
    assert.equal(f.attempts.length, 4);
    assert.equal(new Set(f.attempts.map(text)).size, 1);
  });

  test("append: unknown for long -> those who wait are told so, the frame still goes", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.script.push(...Array.from({ length: 14 }, () => "OUTCOME_UNKNOWN" as const));
    const row = f.row("a");
    await agenda.advance(9000);
    assert.equal(row.outcome, undefined);
    await agenda.advance(4000);
    assert.equal(row.outcome, "OUTCOME_UNKNOWN");
    const behind = f.row("b");
    await agenda.advance(30_000);
    assert.deepEqual(f.rows(), ["a", "b"]);
    assert.equal(behind.outcome, "written");
  });

  test("append: rows that nobody waits for -> tried until written", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.script.push("DISK_FULL", "OVERLOADED", "UNAVAILABLE");
    f.row("a", { isAwaited: false });
    await agenda.advance(1000);
    assert.deepEqual(f.rows(), ["a"]);
  });

  test("append: the partition was retired -> ensured again, then written", async () => {
    const f = new Fixture();
    const { agenda } = f;
    f.script.push("NOT_ALLOWED", "JOURNAL_NOT_FOUND");
    const row = f.row("a");
    await agenda.advance(1000);
    assert.deepEqual([row.outcome, f.ensures], ["written", 3]);
  });

  test("append: the sink is gone for good -> its rows fail, awaited or not, not tried for ever", async () => {
    for (const isAwaited of [true, false]) {
      const f = new Fixture();
      f.script.push("JOURNAL_NOT_FOUND");
      f.isGone = false;
      const row = f.row("a", { isAwaited });
      await f.agenda.advance(1);
      f.isGone = true;
      await f.agenda.advance(1000);
      assert.deepEqual([row.outcome, f.publisher.isIdle], ["NOT_FOUND", true]);
    }
  });

  test("append: outcome unknown, then the sink is gone for good -> unknown it stays", async () => {
    const f = new Fixture();
    f.script.push("OUTCOME_UNKNOWN", "JOURNAL_NOT_FOUND");
    const row = f.row("a");
    await f.agenda.advance(1);
    f.isGone = true;
    await f.agenda.advance(1000);
    assert.deepEqual([row.outcome, f.publisher.isIdle], ["OUTCOME_UNKNOWN", true]);
  });

  test("begin: too much waits -> OVERLOADED; again accepted when it is written", async () => {
    const f = new Fixture({ queuedBytesMax: 10 });
    const { agenda } = f;
    f.row("0123456789");
    await agenda.advance(0);
    assert.equal(f.row("b").outcome, "OVERLOADED");
    await agenda.advance(10);
    assert.equal(f.row("c").outcome, undefined);
  });

  test("drain: what is there is written, nothing more is taken", async () => {
    const f = new Fixture();
    const { agenda, publisher } = f;
    f.row("a");
    await agenda.advance(0);
    f.row("b");
    const drained = publisher.drain();
    assert.equal(f.row("c").outcome, "SHUTTING_DOWN");
    await agenda.advance(10);
    await drained;
    assert.deepEqual(f.rows(), ["a", "b"]);
    assert.ok(publisher.isIdle);
  });

  test("drain: an open frame without rows -> idle at once", async () => {
    const { publisher } = new Fixture();
    publisher.begin(1, 1, true);
    await publisher.drain();
    assert.ok(publisher.isIdle);
  });

  test("append: an offset below its known end -> no success, looked at again, the same bytes", async () => {
    const f = new Fixture();
    f.knownEnd = 100;
    f.begins.push(100, 40, 140);
    const whole = f.row("a");
    await f.agenda.advance(5);
    assert.deepEqual([whole.outcome, f.forgotten, f.ensures], ["written", 0, 1]);
    const row = f.row("b");
    await f.agenda.advance(2);
    assert.deepEqual([row.outcome, f.forgotten], [undefined, 1]);
    await f.agenda.advance(1000);
    assert.deepEqual([row.outcome, f.ensures], ["written", 2]);
    assert.deepEqual(f.attempts[1], f.attempts[2]);
  });

  test("append: no broker for a quarter of a minute -> looked at again, once in as long", async () => {
    const f = new Fixture();
    for (let second = 0; second <= 31; second++) {
      f.script.push("UNAVAILABLE");
      assert.equal(f.row("a").outcome, undefined);
      await f.agenda.advance(1000);
      const times = Math.floor(second / 15);
      assert.deepEqual(
        [f.forgotten, f.ensures],
        [times, second > times * 15 || times === 0 ? times + 1 : times],
      );
    }
  });

  test("append: unknown for long -> what waits behind it is refused with the reason, and never written", async () => {
    const f = new Fixture();
    f.script.push("OUTCOME_UNKNOWN");
    for (let i = 0; i < 12; i++) f.script.push("UNAVAILABLE");
    const first = f.row("a");
    await f.agenda.advance(1);
    const behind = f.row("b");
    await f.agenda.advance(9000);
    assert.deepEqual([first.outcome, behind.outcome], [undefined, undefined]);
    await f.agenda.advance(3000);
    assert.deepEqual([first.outcome, behind.outcome], ["OUTCOME_UNKNOWN", "UNAVAILABLE"]);
    await f.agenda.advance(60_000);
    assert.equal(f.row("c").outcome, undefined);
    await f.agenda.advance(1000);
    assert.deepEqual(f.rows(), ["a", "c"]);
  });
});
