// Templates that take long, through the door: counted in turns of the event loop, which the door shares with the test.
// Others are served in each of them.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import type { Column } from "./definitions.ts";
import { DoorHarness } from "./http-source-testkit.ts";

const HEAVY: Column = {
  type: "template",
  name: "t",
  template: { language: "jsonnet", content: "std.foldl(function(a, b) a + b, std.range(1, Body('n')), 0)" },
};
/** More steps than a turn has for requests that begin in it. */
const N = 60_000;
const SUM = (N * (N + 1)) / 2;
const REQUESTS = 15;

let door: DoorHarness;
beforeEach(async () => {
  door = await new DoorHarness().open({ sinks: [{ columns: [HEAVY] }] });
});
afterEach(() => door.close());

/** Turns of the loop until `work` is done. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  while (!isDone) {
    await new Promise((next) => setImmediate(next));
    turns++;
  }
  await done;
  return turns;
}

function request(body: string): string {
  const head = `Host: in.test\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
  return `POST ${door.path} HTTP/1.1\r\n${head}\r\n${body}`;
}

describe("heavy templates", () => {
  test("many requests in one packet -> a turn of the loop for each, records in their order", async () => {
    const client = door.connect();
    const bodies = Array.from({ length: REQUESTS }, (_, i) => `{"n":${N + i}}`);
    client.send(bodies.map((body) => request(body)).join(""));
    const answered = async (): Promise<void> => {
      for (let i = 0; i < REQUESTS; i++) assert.equal((await client.answer()).status, 200);
    };
    const turns = await turnsOf(answered());
    assert.ok(turns >= REQUESTS, `${turns} turns`);
    const rows = Array.from({ length: REQUESTS }, (_, i) => {
      const n = N + i;
      return `"${(n * (n + 1)) / 2}"\n`;
    });
    assert.deepEqual(door.frames.rows("flights/0"), rows);
    client.close();
  });

  test("light requests behind a heavy one -> done together", async () => {
    const client = door.connect();
    const bodies = [`{"n":${N}}`, ...Array.from({ length: REQUESTS }, () => '{"n":3}')];
    client.send(bodies.map((body) => request(body)).join(""));
    for (const _ of bodies) assert.equal((await client.answer()).status, 200);
    assert.ok(door.frames.frames("flights/0").length <= 3);
    assert.deepEqual(door.frames.rows("flights/0"), [`"${SUM}"\n`, ...Array<string>(REQUESTS).fill('"6"\n')]);
    client.close();
  });

  test("one body whose pieces share a frame with others' records -> answered once all of it is appended", async () => {
    let append = (): void => undefined;
    door.frames.gate = new Promise((resolve) => (append = resolve));
    const first = door.post('{"n":3}'); // Its append is under way: what comes now is in the next frame.
    const count = 12;
    const body = door.post(`{"n":${N}}\n`.repeat(count), { "Content-Type": "application/x-ndjson" });
    const singles: Promise<unknown>[] = [];
    for (let turn = 0; turn < 20; turn++) {
      if (turn === 5) append(); // Pieces and others' records share the open frame by now, and more pieces come.
      singles.push(door.post('{"n":3}'));
      await new Promise((next) => setTimeout(next, 1));
    }
    assert.equal((JSON.parse((await body).body) as { accepted: number }).accepted, count);
    await Promise.all([first, ...singles]);
    assert.equal(door.frames.rows("flights/0").filter((row) => row.includes(String(SUM))).length, count);
  });

  test("one body of many records -> those beyond its steps are refused one by one", async () => {
    const lines = `{"n":${N}}\n`.repeat(60);
    const answer = await door.post(lines, { "Content-Type": "application/x-ndjson" });
    assert.equal(answer.status, 200);
    const { accepted, rejected } = JSON.parse(answer.body) as {
      accepted: number;
      rejected: { reason: string }[];
    };
    assert.ok(accepted >= 10 && accepted <= 34, `${accepted} accepted`);
    assert.equal(rejected.length, 60 - accepted);
    assert.match(rejected.at(-1)!.reason, /more than \d+ steps of all templates for the request's body\.$/);
    assert.equal(door.frames.rows("flights/0").length, accepted);
  });
});
