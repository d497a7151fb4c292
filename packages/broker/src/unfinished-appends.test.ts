// Appends over gRPC whose streams are not whole: what they may cost those that are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { JOURNAL_SERVICE } from "@millrace/protocol";
import { readAll, readRequest } from "./broker-testkit.ts";
import type { FakeCall } from "./fake-call.ts";
import { answerOf, encoded, failure, J, withDoor, type DoorFixture } from "./grpc-door-testkit.ts";

const { append } = JOURNAL_SERVICE;
const INTENT = new Uint8Array(0);
const TOO_SLOW = failure("append stream: client stream didn't sustain the minimum append data rate");
/** More than is collected. */
const LARGE = 300 * 1024;

interface Fixture extends DoorFixture {
  readonly agenda: Agenda;
  /** Begins an append that brings so much and says nothing more. */
  readonly silent: (bytes?: number) => FakeCall;
  /** A whole one, answered in this many milliseconds. */
  readonly honest: (content?: string) => Promise<number>;
  readonly content: () => Promise<string>;
}

async function withAgenda(run: (fixture: Fixture) => Promise<void>): Promise<void> {
  const agenda = new Agenda();
  await withDoor(
    async (door) => {
      await agenda.advance(100);
      const silent: Fixture["silent"] = (bytes = 0) => {
        const call = door.begin(append.path).receive(encoded({ journal: J }));
        if (bytes > 0) call.receive(encoded({ content: new Uint8Array(bytes).fill(0x73) }));
        return call;
      };
      const honest = async (content = "x"): Promise<number> => {
        const startMs = agenda.nowMs;
        const call = door.append({}, ...(content === "" ? [] : [utf8(content)]), INTENT);
        while (!call.isOver) await agenda.advance(1);
        assert.equal((await answerOf(call)).status, "OK");
        return agenda.nowMs - startMs;
      };
      const content = async (): Promise<string> => text(await readAll(door.transport, readRequest(J), never));
      await honest("");
      await run({ ...door, agenda, silent, honest, content });
    },
    { clock: new SimulatedClock(agenda) },
  );
}

test("unfinished appends: 200 are silent -> whole ones wait for none; a second later they are cut", async () => {
  await withAgenda(async ({ agenda, silent, honest, content }) => {
    const calls = Array.from({ length: 200 }, () => silent());
    await agenda.advance(20);
    let waitedMs = 0;
    for (let n = 0; n < 20; n++) waitedMs += await honest();
    assert.ok(waitedMs <= 40, `${waitedMs} ms`);
    await agenda.advance(1100);
    // The last one has the journal for itself now, which it may.
    await honest();
    await agenda.advance(1100);
    for (const call of calls) assert.deepEqual(call.ended, TOO_SLOW);
    assert.equal(await content(), "x".repeat(21));
  });
});

test("unfinished appends: others passed -> what comes whole within a second is judged then", async () => {
  await withAgenda(async ({ agenda, silent, honest, content }) => {
    const [slow, checked, late] = [silent(10), silent(), silent(5)];
    await agenda.advance(20);
    await honest("honest ");
    slow.receive(encoded({ content: utf8("!") }), INTENT).halfClose();
    checked.receive(encoded({ journal: J }));
    await agenda.advance(500);
    assert.deepEqual((await answerOf(slow)).commit?.begin, 7);
    assert.deepEqual(checked.ended, failure("append stream: expected Content chunk"));
    late.halfClose();
    await agenda.advance(1);
    assert.deepEqual(late.ended, failure("append stream: unexpected EOF"));
    assert.equal(await content(), "honest ssssssssss!");
  });
});

test("unfinished appends: refused whatever comes -> told at once, though its content is not here", async () => {
  await withAgenda(async ({ agenda, silent, honest, ...door }) => {
    silent();
    await agenda.advance(20);
    await honest("x");
    const call = door.begin(append.path).receive(encoded({ journal: J, offset: 7 }));
    await agenda.advance(20);
    assert.equal((await answerOf(call)).status, "WRONG_APPEND_OFFSET");
  });
});

test("unfinished appends: 100 silent after more than is collected -> they have a quarter of the time", async () => {
  await withAgenda(async ({ agenda, silent, honest }) => {
    const calls = Array.from({ length: 100 }, () => silent(LARGE));
    await settle();
    const startMs = agenda.nowMs;
    let waitedMs = 0;
    let longestMs = 0;
    while (agenda.nowMs < startMs + 20_000) {
      const ms = await honest();
      waitedMs += ms;
      longestMs = Math.max(longestMs, ms);
      await agenda.advance(10);
    }
    assert.ok(longestMs <= 2100, `one waited ${longestMs} ms`);
    assert.ok(waitedMs <= 2000 + 5000 + 500, `all waited ${waitedMs} ms`);
    const over = calls.filter(({ isOver }) => isOver);
    assert.ok(over.length >= 4, `${over.length} of them had their turn`);
    for (const call of over) assert.deepEqual(call.ended, TOO_SLOW);
  });
});

test("unfinished appends: a large one under small ones, sent at 1 MiB/s -> is not cut", async () => {
  await withAgenda(async ({ agenda, silent, honest }) => {
    for (let n = 0; n < 3; n++) silent(LARGE);
    await settle();
    for (let n = 0; n < 20; n++) await honest();
    const large = silent(LARGE);
    let isFed = false;
    const feeding = (async () => {
      for (let n = 0; n < 160; n++) {
        while (large.isPaused) await agenda.advance(1);
        large.receive(encoded({ content: new Uint8Array(32 * 1024) }));
        await agenda.advance(31);
      }
      large.receive(INTENT).halfClose();
      isFed = true;
    })();
    const small = (async () => {
      while (!isFed) await honest();
    })();
    await feeding;
    await small;
    const { commit } = await answerOf(large);
    assert.equal(commit!.end - commit!.begin, LARGE + 160 * 32 * 1024);
  });
});
