// Lanes, suspects and bounds, with processes that are played (E1-E3, L1-L3).
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { silentLogger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";

import type { EvaluationJob, ProgramResult, RecordInput } from "./evaluator.ts";
import type { EvaluatorProcess, ProcessEvents } from "./evaluator-lane.ts";
import { Evaluators, type WaitingBounds } from "./evaluators.ts";
import { SILENCE_MS_MAX, SUSPECT_MS, SUSPECT_PAUSE_MS, TURN_TASKS_MAX } from "./limits.ts";
import { encodeFailure, encodeValue, type Question } from "./messages.ts";

const OWN = { text: "ended (SIGABRT)", isOwn: true };
const OTHERS = { text: "ended (SIGKILL)", isOwn: false };

class Played implements EvaluatorProcess {
  readonly events: ProcessEvents;
  readonly questions: Question[] = [];
  isEnded = false;

  constructor(events: ProcessEvents) {
    this.events = events;
  }

  ask(question: Question): void {
    this.questions.push(question);
  }

  end(): void {
    this.isEnded = true;
    this.events.onEnd(OTHERS);
  }

  /** Answers the oldest question: the record's ip as the value of each task. @param count of its tasks */
  answer(count = Number.POSITIVE_INFINITY, resultOf = (ip: string) => encodeValue(ip)): void {
    const { id, tasks } = this.questions.shift()!;
    const results = tasks.slice(0, count).map(({ record }) => resultOf(record?.ip ?? ""));
    this.events.onAnswer({ id, results });
  }

  /** Programs of the questions under way. */
  get programs(): string[][] {
    return this.questions.map(({ tasks }) => tasks.map(({ program }) => program));
  }

  get ips(): string[] {
    return this.questions.flatMap(({ tasks }) => tasks.map(({ record }) => record!.ip));
  }
}

class Stage {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly launched: Played[] = [];
  readonly evaluators: Evaluators;

  constructor(bounds?: WaitingBounds) {
    const launch = (events: ProcessEvents): Played => {
      const played = new Played(events);
      this.launched.push(played);
      return played;
    };
    this.evaluators = new Evaluators({ launch, clock: this.clock, logger: silentLogger }, 1, bounds);
  }

  /** The process that was launched last, ready. */
  ready(): Played {
    const played = this.launched.at(-1)!;
    played.events.onReady();
    return played;
  }

  evaluate(
    given: Partial<EvaluationJob> & { readonly ips?: readonly string[] } = {},
  ): Promise<ProgramResult[]> {
    const { ips = ["1"], ...job } = given;
    const records = ips.map((ip): RecordInput => ({ atMs: 0, ip, body: "{}" }));
    const whole = { source: "s", programs: ["p"], steps: 10, records, isOver: () => false, ...job };
    return this.evaluators.evaluate(whole).then((results) => results.flat());
  }
}

const kinds = (results: readonly ProgramResult[]): string[] => results.map(({ kind }) => kind);

describe("a lane", () => {
  test("no process before there is something to do; what comes until it is ready goes together", async () => {
    const stage = new Stage();
    assert.equal(stage.launched.length, 0);
    const all = [stage.evaluate({ ips: ["1", "2"] }), stage.evaluate({ ips: ["3"], programs: ["p", "q"] })];
    assert.equal(stage.launched.length, 1);
    const played = stage.ready();
    assert.deepEqual(played.programs, [["p", "p", "p", "q"]]);
    played.answer();
    const [first, second] = await Promise.all(all);
    assert.deepEqual(first, [
      { kind: "value", json: "1" },
      { kind: "value", json: "2" },
    ]);
    assert.deepEqual(second, [
      { kind: "value", json: "3" },
      { kind: "value", json: "3" },
    ]);
  });

  test("sources take turns, whoever has more records (L1)", async () => {
    const stage = new Stage();
    const many = stage.evaluate({ source: "many", ips: Array.from({ length: 1000 }, () => "m") });
    const few = stage.evaluate({ source: "few", ips: ["f"] });
    const played = stage.ready();
    assert.equal(played.ips.indexOf("f"), TURN_TASKS_MAX);
    while (played.questions.length > 0) played.answer();
    await Promise.all([many, few]);
  });

  test("an answer to some of a question -> the others are asked again, after those who wait", async () => {
    const stage = new Stage();
    const a = stage.evaluate({ source: "a", ips: ["1", "2", "3"] });
    const played = stage.ready();
    const b = stage.evaluate({ source: "b", ips: ["4"] });
    played.answer(1);
    assert.deepEqual(played.ips, ["4", "2", "3"]);
    while (played.questions.length > 0) played.answer();
    assert.deepEqual(kinds([...(await a), ...(await b)]), ["value", "value", "value", "value"]);
  });

  test("a process that ends before it is ready -> what waits is unavailable, the next job starts another", async () => {
    const stage = new Stage();
    const lost = stage.evaluate();
    stage.launched[0]!.events.onEnd(OTHERS);
    assert.deepEqual(await lost, [
      { kind: "unavailable", reason: "no process for templates: ended (SIGKILL)" },
    ]);
    const next = stage.evaluate();
    stage.ready().answer();
    assert.deepEqual(kinds(await next), ["value"]);
  });

  test("nobody waits any more -> not asked", async () => {
    const stage = new Stage();
    const over = stage.evaluate({ isOver: () => true });
    const wanted = stage.evaluate({ ips: ["2"] });
    const played = stage.ready();
    assert.deepEqual(played.ips, ["2"]);
    played.answer();
    assert.deepEqual(kinds([...(await over), ...(await wanted)]), ["unavailable", "value"]);
  });

  test("close -> processes end, and what waits or comes is unavailable", async () => {
    const stage = new Stage();
    const under = stage.evaluate();
    const played = stage.ready();
    const closed = stage.evaluators.close();
    assert.deepEqual(kinds(await under), ["unavailable"]);
    await closed;
    assert.ok(played.isEnded);
    assert.deepEqual(kinds(await stage.evaluate()), ["unavailable"]);
    assert.equal(stage.launched.length, 1);
  });
});

describe("a process that ends", () => {
  /** `bad` has ended the quick process among others, and then the slow one. */
  async function convicted(): Promise<Stage> {
    const stage = new Stage();
    const good = stage.evaluate({ ips: ["g"] });
    const bad = stage.evaluate({ programs: ["bad"], ips: ["b"] });
    stage.ready().events.onEnd(OWN);
    const slow = stage.ready();
    assert.deepEqual(slow.programs, [["p"]]);
    slow.answer();
    assert.deepEqual(kinds(await good), ["value"]);
    assert.deepEqual(slow.programs, [["bad"]]);
    slow.events.onEnd(OWN);
    const [result] = await bad;
    assert.ok(result?.kind === "failed");
    assert.match(result.reason, /500 ms of a processor, or more than 128 MiB/);
    return stage;
  }

  test("what it had been asked is asked one by one; who ends it again has failed (E1)", async () => {
    await convicted();
  });

  test("a suspect is evaluated apart, and again with the others after a while (E2)", async () => {
    const stage = await convicted();
    const launched = stage.launched.length;
    const good = stage.evaluate();
    const quick = stage.ready();
    quick.answer();
    assert.deepEqual(kinds(await good), ["value"]);
    const bad = stage.evaluate({ programs: ["bad"] });
    assert.equal(quick.questions.length, 0);
    assert.equal(stage.launched.length, launched + 2);
    stage.ready().answer();
    assert.deepEqual(kinds(await bad), ["value"]);
    await stage.agenda.advance(SUSPECT_MS + 1);
    const later = stage.evaluate({ programs: ["bad"] });
    quick.answer();
    assert.deepEqual(kinds(await later), ["value"]);
  });

  test("ended by a suspect -> the next one is started after a pause (E2)", async () => {
    const stage = await convicted();
    const first = stage.evaluate({ programs: ["bad"] });
    stage.ready().events.onEnd(OWN);
    assert.deepEqual(kinds(await first), ["failed"]);
    const launched = stage.launched.length;
    const second = stage.evaluate({ programs: ["bad"] });
    assert.equal(stage.launched.length, launched);
    await stage.agenda.advance(SUSPECT_PAUSE_MS);
    stage.ready().answer();
    assert.deepEqual(kinds(await second), ["value"]);
  });

  test("silent for long -> it is ended, and nothing has failed (L3)", async () => {
    const stage = new Stage();
    const result = stage.evaluate();
    const quick = stage.ready();
    await stage.agenda.advance(SILENCE_MS_MAX);
    assert.ok(quick.isEnded);
    stage.ready().answer();
    assert.deepEqual(kinds(await result), ["value"]);
    await stage.agenda.advance(SILENCE_MS_MAX);
    assert.equal(stage.launched.at(-1)!.isEnded, false);
  });

  test("never ready -> it is ended, and what waits is unavailable (L3)", async () => {
    const stage = new Stage();
    const result = stage.evaluate();
    await stage.agenda.advance(SILENCE_MS_MAX);
    assert.deepEqual(kinds(await result), ["unavailable"]);
  });

  test("by somebody else -> nothing has failed", async () => {
    const stage = new Stage();
    const result = stage.evaluate();
    stage.ready().events.onEnd(OTHERS);
    stage.ready().events.onEnd(OTHERS);
    stage.ready().answer();
    assert.deepEqual(kinds(await result), ["value"]);
  });

  test("a program that has exceeded its steps is a suspect, with its own error", async () => {
    const stage = new Stage();
    const first = stage.evaluate({ programs: ["loop"] });
    const quick = stage.ready();
    quick.answer(1, () => encodeFailure("more than 10 steps", true));
    assert.deepEqual(await first, [{ kind: "failed", reason: "more than 10 steps" }]);
    void stage.evaluate({ programs: ["loop"] });
    assert.equal(quick.questions.length, 0);
    assert.equal(stage.launched.length, 2);
  });
});

describe("what waits", () => {
  const BOUNDS: WaitingBounds = { bytes: 5000, bytesOfSource: 2000 };

  test("is bounded for a source and for all, and has room again (E3)", async () => {
    const stage = new Stage(BOUNDS);
    const five = ["1", "2", "3", "4", "5"];
    const a = stage.evaluate({ source: "a", ips: five });
    const overfull = await stage.evaluate({ source: "a", ips: five });
    assert.deepEqual([...new Set(kinds(overfull))], ["unavailable"]);
    const others = ["b", "c"].map((source) => stage.evaluate({ source, ips: five }));
    assert.deepEqual(kinds(await stage.evaluate({ source: "d", ips: five })), Array(5).fill("unavailable"));
    const played = stage.ready();
    while (played.questions.length > 0) played.answer();
    const done = [...(await a), ...(await Promise.all(others)).flat()];
    assert.deepEqual([...new Set(kinds(done))], ["value"]);
    const again = stage.evaluate({ source: "a", ips: five });
    played.answer();
    assert.deepEqual(kinds(await again), Array(5).fill("value"));
  });

  test("results that wait for others count: those that have no room are not kept", async () => {
    const stage = new Stage(BOUNDS);
    const all = stage.evaluate({ ips: ["1", "2", "3", "4"] });
    const played = stage.ready();
    played.answer(4, () => encodeValue("x".repeat(600)));
    assert.deepEqual(kinds(await all), ["value", "unavailable", "unavailable", "unavailable"]);
    const next = stage.evaluate();
    played.answer();
    assert.deepEqual(kinds(await next), ["value"]);
  });
});

test("check: compiled in a process, with its reason", async () => {
  const stage = new Stage();
  const wrong = stage.evaluators.check("(");
  const played = stage.ready();
  assert.equal(played.questions[0]!.tasks[0]!.record, undefined);
  played.answer(1, () => encodeFailure("1:1 no", false));
  assert.equal(await wrong, "1:1 no");
  const away = stage.evaluators.check("a");
  const closed = stage.evaluators.close();
  await assert.rejects(away, { code: "UNAVAILABLE" });
  await closed;
});
