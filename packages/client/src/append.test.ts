import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError, type Facts, type Logger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { append } from "./append.ts";
import { AppendService } from "./append-service.ts";
import { FakeTransport } from "./fake-transport.ts";

const never = new AbortController().signal;

/** Whose journals lack a broker for `refusals` attempts. */
function fixture(refusals: number) {
  const transport = new FakeTransport();
  const lacks = { status: "INSUFFICIENT_JOURNAL_BROKERS" } as const;
  transport.appendFaults.push(...Array.from({ length: refusals }, () => lacks));
  const clock = new SimulatedClock(new Agenda());
  const told: Facts[] = [];
  const warn = (event: string, facts?: Facts): void => void told.push({ event, ...facts });
  const logger = { warn, error: warn, info: warn, debug: warn } as unknown as Logger;
  return { transport, clock, logger, told };
}

const secondsOf = (told: readonly Facts[]): readonly number[] =>
  told.map(({ waitedMs }) => Math.round(Number(waitedMs) / 1000));

test("append: a journal that lacks a broker -> told at once, then ever more rarely, until it is written", async () => {
  const { transport, clock, logger, told } = fixture(100);
  const done = append({ transport, clock, logger }, "j/one", [Buffer.from("x")], {}, never);
  await clock.agenda.advance(50);
  assert.deepEqual(told, [
    {
      event: "append-retried",
      journal: "j/one",
      attempts: 2,
      waitedMs: 10,
      code: "INSUFFICIENT_JOURNAL_BROKERS",
      message: "append to j/one: INSUFFICIENT_JOURNAL_BROKERS",
    },
  ]);
  await clock.agenda.advance(300_000);
  assert.deepEqual([(await done).end, transport.calls.length], [1, 101]);
  assert.deepEqual(secondsOf(told), [0, 1, 3, 7, 15, 31, 63]);
});

test("append: one refusal, since the journal has moved -> nothing is said", async () => {
  const { transport, clock, logger, told } = fixture(1);
  const done = append({ transport, clock, logger }, "j/one", [Buffer.from("x")], {}, never);
  await clock.agenda.advance(50);
  assert.deepEqual([(await done).end, told], [1, []]);
});

test("append: patience is over -> the last refusal, with attempts and seconds", async () => {
  const { transport, clock, logger } = fixture(100);
  const options = { patienceMs: 5000 };
  const done = append({ transport, clock, logger }, "j/one", [Buffer.from("x")], options, never);
  const refused = assert.rejects(done, {
    code: "INSUFFICIENT_JOURNAL_BROKERS",
    message: /^append to j\/one: INSUFFICIENT_JOURNAL_BROKERS, after 1\d attempts in 5\.\d s$/,
  });
  await clock.agenda.advance(10_000);
  await refused;
  const impatient = append({ transport, clock, logger }, "j/one", [], { patienceMs: 0 }, never);
  await assert.rejects(impatient, { message: "append to j/one: INSUFFICIENT_JOURNAL_BROKERS" });
});

test("append: no broker is reached, no patience -> the first failure; with some -> it goes on", async () => {
  const { transport, clock, logger } = fixture(0);
  const gone = { error: new WireError("UNAVAILABLE", "no route"), afterwards: false };
  transport.appendFaults.push(gone, gone);
  await assert.rejects(append({ transport, clock, logger }, "j/one", [], {}, never), { message: "no route" });
  const done = append({ transport, clock, logger }, "j/one", [], { patienceMs: 1000 }, never);
  await clock.agenda.advance(1000);
  await done;
});

test("append service: a journal that lacks a broker -> told as rarely; with patience it fails", async () => {
  const { transport, clock, logger, told } = fixture(1000);
  const service = new AppendService({ transport, clock, logger });
  const { done } = service.append("j/one", [Buffer.from("x")], { patienceMs: 30_000 });
  const refused = assert.rejects(done, /after \d+ attempts in 30/);
  await clock.agenda.advance(60_000);
  await refused;
  assert.deepEqual(secondsOf(told.filter(({ event }) => event === "append-retried")), [0, 1, 3, 7, 15]);
});
