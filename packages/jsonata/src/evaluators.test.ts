// Lanes, suspects and bounds, with processes that are played (E1-E3, L1-L3).
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { MetricsRegistry, silentLogger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";

import type { EvaluationJob, ProgramResult, RecordInput } from "./evaluator.ts";
import type { EvaluatorProcess, ProcessEvents } from "./evaluator-lane.ts";
import { Evaluators, type WaitingBounds } from "./evaluators.ts";
import { SILENCE_MS_MAX, SUSPECT_MS, SUSPECT_PAUSE_MS, TASK_BYTES, TURN_TASKS_MAX } from "./limits.ts";
import { encodeFailure, encodeValue, LARGE, NOTHING, UNREADABLE, type Question } from "./messages.ts";

const OWN = { text: "ended (SIGABRT)", isOwn: true };
const OTHERS = { text: "ended (SIGKILL)", isOwn: false };
const PREFIX = "millrace_jsonata_";

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
  readonly metrics = new MetricsRegistry();
  readonly evaluators: Evaluators;

  constructor(bounds?: WaitingBounds) {
    const launch = (events: ProcessEvents): Played => {
      const played = new Played(events);
      this.launched.push(played);
      return played;
    };
    const { clock, metrics } = this;
    this.evaluators = new Evaluators({ launch, clock, logger: silentLogger, metrics }, 1, bounds);
  }

  /** Lines of the metrics whose name, without what they all begin with, matches; those of no bucket. */
  measured(name: RegExp): string[] {
    const lines = this.metrics.render().split("\n");
    const ours = lines.filter((line) => line.startsWith(PREFIX) && !line.includes("_bucket{"));
    return ours.map((line) => line.slice(PREFIX.length)).filter((line) => name.test(line));
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

describe("metrics", () => {
  test("what waits, until it is over; each that is over; the time of all of a job together", async () => {
    const stage = new Stage();
    assert.deepEqual(stage.measured(/^(?:waiting|evaluations|processes)/), [
      'processes{lane="quick"} 0',
      'processes{lane="slow"} 0',
      "evaluations_total 0",
      "waiting_evaluations 0",
      "waiting_bytes 0",
    ]);
    const all = stage.evaluate({ ips: ["1", "2"], programs: ["p", "q"] });
    const played = stage.ready();
    assert.deepEqual(stage.measured(/^(?:waiting|processes)/), [
      'processes{lane="quick"} 1',
      'processes{lane="slow"} 0',
      "waiting_evaluations 4",
      `waiting_bytes ${4 * TASK_BYTES + 4}`,
    ]);
    await stage.agenda.advance(500);
    played.answer(1);
    assert.deepEqual(stage.measured(/^waiting_ev/), ["waiting_evaluations 3"]);
    assert.deepEqual(stage.measured(/^seconds/), []);
    played.answer();
    await all;
    assert.deepEqual(stage.measured(/^(?:waiting|evaluations|failures|seconds)/), [
      "evaluations_total 4",
      "seconds_sum 0.5",
      "seconds_count 1",
      "waiting_evaluations 0",
      "waiting_bytes 0",
    ]);
  });

  test("without a value -> counted by the reason, once each", async () => {
    const stage = new Stage({ bytes: 5000, bytesOfSource: 2000 });
    const given = [encodeFailure("no", false), encodeFailure("steps", true), LARGE, UNREADABLE, NOTHING];
    const ips = given.map((_, i) => String(i));
    const all = stage.evaluate({ ips, programs: ["once"] });
    const over = stage.evaluate({ source: "o", isOver: () => true });
    const played = stage.ready();
    played.answer(given.length, (ip) => given[Number(ip)]!);
    await Promise.all([all, over]);
    const waits = stage.evaluate({ source: "full", ips });
    await stage.evaluate({ source: "full", ips });
    played.events.onEnd(OTHERS);
    await stage.evaluators.close();
    await waits;
    assert.deepEqual(stage.measured(/^(?:evaluations|failures)/).sort(), [
      "evaluations_total 16",
      'failures_total{reason="large"} 1',
      'failures_total{reason="overfull"} 5',
      'failures_total{reason="program"} 1',
      'failures_total{reason="steps"} 1',
      'failures_total{reason="unavailable"} 5',
      'failures_total{reason="unreadable"} 1',
      'failures_total{reason="unwanted"} 1',
    ]);
  });

  test("a process that ends -> one less; the next one is a restart, by lane and cause", async () => {
    const stage = new Stage();
    const bad = stage.evaluate({ programs: ["bad"] });
    stage.ready().events.onEnd(OWN);
    stage.ready().events.onEnd(OTHERS);
    stage.ready().events.onEnd(OWN);
    assert.deepEqual(kinds(await bad), ["failed"]);
    const silent = stage.evaluate({ programs: ["p"] });
    stage.ready();
    assert.deepEqual(stage.measured(/^processes/), ['processes{lane="quick"} 1', 'processes{lane="slow"} 0']);
    await stage.agenda.advance(SILENCE_MS_MAX);
    stage.ready().answer();
    assert.deepEqual(kinds(await silent), ["value"]);
    void stage.evaluate({ programs: ["p"] });
    assert.deepEqual(stage.measured(/^(?:restarts|failures)/), [
      'restarts_total{lane="slow",cause="other"} 1',
      'restarts_total{lane="quick",cause="evaluation"} 1',
      'restarts_total{lane="slow",cause="evaluation"} 1',
      'restarts_total{lane="quick",cause="silence"} 1',
      'failures_total{reason="process"} 1',
    ]);
  });
});
