// Long work ends its pieces by the clock: counted in pieces and turns, with a clock that records move.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { BodyBytes, utf8, type Clock } from "@millrace/base";
import { localEvaluator } from "@millrace/jsonata/testkit";

import { DoorRecord } from "./http-source-record.ts";
import { BodySteps } from "./http-source-steps.ts";
import { ArrayWalk, LineWalk, type BodyWalk, type RecordTaker } from "./http-source-walk.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { PathTree } from "./mapping-path.ts";
import { RecordsAhead } from "./records-ahead.ts";
import { systemTurns } from "./system-turns.ts";
import { Piece, WorkTurns } from "./work-turns.ts";

const RECORDS = 100;
const LINES = "1\n".repeat(RECORDS);
const ARRAY = `[${Array.from({ length: RECORDS }, () => "1").join(",")}]`;

/** Each record that it takes lasts 3 ms: two are a piece. */
class SlowTaker implements RecordTaker {
  taken = 0;
  isClosed = false;
  #ms = 0;
  readonly clock: Pick<Clock, "monotonicMs"> = { monotonicMs: () => this.#ms };

  write(): void {
    this.taken++;
    this.#ms += 3;
  }

  writeUndecodable(): void {
    this.write();
  }

  close(): void {
    this.isClosed = true;
  }
}

function readyRecord(): DoorRecord {
  const record = new DoorRecord();
  record.scanner.use(new PathTree());
  record.form = "scanned";
  return record;
}

function walked(text: string, piece: Piece): ConstructorParameters<typeof LineWalk>[0] {
  const bytes = utf8(text);
  return { body: new BodyBytes(bytes), begin: 0, end: bytes.length, piece };
}

function stepsOf(walk: BodyWalk): number {
  let steps = 1;
  while (!walk.step()) steps++;
  return steps;
}

describe("a body's walk", () => {
  test("lines: records that take long -> a step ends behind the one that used up its time", () => {
    const taker = new SlowTaker();
    const piece = new Piece(taker.clock, true);
    assert.equal(stepsOf(new LineWalk(walked(LINES, piece), readyRecord().scanner, taker)), RECORDS / 2);
    assert.deepEqual([taker.taken, taker.isClosed], [RECORDS, true]);
  });

  test("an array: looked through in one step, written in as many as it takes", () => {
    const taker = new SlowTaker();
    const piece = new Piece(taker.clock, true);
    const walk = new ArrayWalk(
      walked(ARRAY, piece),
      readyRecord().scanner,
      () => taker,
      () => assert.fail(),
    );
    assert.equal(stepsOf(walk), RECORDS / 2);
    assert.deepEqual([taker.taken, taker.isClosed], [RECORDS, true]);
  });

  test("without templates -> the clock is looked at after 64 records", () => {
    const taker = new SlowTaker();
    const walk = new LineWalk(walked(LINES, new Piece(taker.clock, false)), readyRecord().scanner, taker);
    assert.equal(walk.step(), false);
    assert.equal(taker.taken, 64);
  });

  test("records whose programs are evaluated: given to the taker in as many pieces", async () => {
    const taker = new SlowTaker();
    const piece = new Piece(taker.clock, true);
    const record = readyRecord();
    const programs = new ProgramSet();
    programs.slotOf("1");
    const options = { source: "", programs, evaluator: localEvaluator(), piece, recordBytesMax: 100 };
    const ahead = new RecordsAhead(record, taker, options);
    assert.equal(new LineWalk(walked(LINES, piece), record.scanner, ahead).step(), true);
    await ahead.evaluate(() => false);
    let flushes = 1;
    while (!ahead.flush()) flushes++;
    assert.equal(flushes, RECORDS / 2);
    assert.deepEqual([taker.taken, taker.isClosed], [RECORDS, true]);
  });
});

describe("turns", () => {
  test("many who wait -> one of them in each turn of the loop, in their order", async () => {
    const turns = new WorkTurns(systemTurns);
    const done: number[] = [];
    for (let i = 0; i < 10; i++) turns.ask(() => done.push(i));
    for (let turn = 1; turn <= 10; turn++) {
      await new Promise((next) => setImmediate(next));
      assert.deepEqual(
        done,
        Array.from({ length: turn }, (_, i) => i),
      );
    }
  });

  test("two bodies that take long -> each has a step by turns", async () => {
    const limits = { receivingBytesMax: 1000 };
    const onFatal = (error: unknown): void => assert.fail(String(error));
    const steps = new BodySteps({ turns: new WorkTurns(systemTurns), limits, onFatal });
    const order: string[] = [];
    const body = (name: string): BodyWalk => ({ step: () => order.push(name) >= 7 });
    const held = { bytes: 1, resume: () => undefined, isOver: () => false };
    steps.walk(body("a"), () => held);
    steps.walk(body("b"), () => held);
    while (order.length < 8) await new Promise((next) => setImmediate(next));
    assert.equal(order.join(""), "abababab");
  });
});
