// Replays over a journal in memory, with crashes at every step, before and after what the step does: each letter must
// become one row, or one letter again.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  abortScope,
  BodyBytes,
  MetricsRegistry,
  silentLogger,
  text,
  utf8,
  WireError,
  type Code,
  type Random,
} from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { localEvaluator } from "@millrace/jsonata/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import { prefixRange } from "@millrace/metadata";
import { givingUpTo } from "@millrace/protocol";

import { RowBuffer } from "./csv-writer.ts";
import { DeadLetterJournals } from "./dead-letter-journals.ts";
import { DeadLetterList } from "./dead-letter-list.ts";
import { rowsOf } from "./dead-letter-log.ts";
import { DeadLetterReplay, type ReplayPorts, type ReplayProgress } from "./dead-letter-replay.ts";
import { DEAD_LETTERS_PREFIX, decodeLetterState } from "./dead-letter-state.ts";
import { decodeLetter, putLetter } from "./dead-letter.ts";
import {
  DEFAULT_DEAD_LETTERS,
  deadLetterJournal,
  partitionJournal,
  type Column,
  type EffectiveSink,
} from "./definitions.ts";
import { Dispatcher } from "./dispatcher.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { keyedPartition, keyHash } from "./idempotency-key.ts";
import { KeyWindow } from "./key-window.ts";
import { FrameFilter } from "./frame-filter.ts";
import { RecordHeaders } from "./http-source-headers.ts";
import { lookInto } from "./http-source-look.ts";
import { DoorRecord } from "./http-source-record.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import { PathTree } from "./mapping-path.ts";
import { PartitionIntegrity } from "./partition-integrity.ts";
import { Fixture } from "./pipeline-fixture.ts";
import { frame, TEMPLATE } from "./pipeline-world.ts";
import type { FramePort, OnAppended, PartitionPort } from "./publisher.ts";
import type { TargetSettings } from "./target-settings.ts";

const DOOR = "00d00500d00500d0";
const STEP = 10;
const PARTITIONS = 3;
const MENDED: readonly Column[] = [{ type: "path", name: "n", path: "n" }];

/** A process that dies at its `left`th step, with the step done or not. */
interface Crash {
  left: number;
  readonly isDone: boolean;
}

interface Given {
  readonly partitions?: number;
  readonly columns?: readonly Column[];
  readonly target?: TargetSettings;
  /** Bytes of letters that the sink keeps. */
  readonly keptBytes?: number;
}

const FRAGMENTS = { store: "file:///fragments/", bytes: 500 };

class World {
  readonly fixture: Fixture;
  readonly sink: EffectiveSink;
  readonly journals: DeadLetterJournals;
  /** Steps that were made: transactions and appends. */
  steps = 0;

  private constructor(fixture: Fixture, { partitions, columns, target, keptBytes }: Required<Given>) {
    this.fixture = fixture;
    const table = { ...target, tableId: "main.sink", mapping: { columns } };
    const by = { type: "system" } as const;
    const version = { number: 2, hash: "0".repeat(16), description: "", at: "", by };
    const deadLetters = { ...DEFAULT_DEAD_LETTERS, keptBytes };
    this.sink = fixture.sink({ table, version, partitions, keyedPartitions: partitions, deadLetters });
    const { store, journals: transport, catalog, clock, random } = fixture;
    this.partitions = fixture.partitions;
    this.journals = new DeadLetterJournals({ store, transport, catalog, clock, random }, TEMPLATE);
  }

  static async open(given: Given = {}): Promise<World> {
    const { partitions = 1, columns = MENDED, target = { type: "duckdb" }, keptBytes = 1e6 } = given;
    const settings = { partitions, columns, target, keptBytes };
    const world = new World(await Fixture.open({ fragments: FRAGMENTS }), settings);
    await world.fixture.during(world.journals.ensure(world.sink, world.fixture.signal));
    return world;
  }

  partitions: PartitionPort;
  onAppended: OnAppended = () => undefined;

  list(): DeadLetterList {
    const { store, journals: transport, clock } = this.fixture;
    return new DeadLetterList({ store, transport, clock, logger: silentLogger });
  }

  /** What `reset-head --at` does. */
  async giveUpTo(journal: string, at: number): Promise<void> {
    const { spec, modRevision } = this.fixture.journals.journals.get(journal)!;
    const change = { expectModRevision: modRevision, upsert: givingUpTo(spec, at), delete: "" };
    await this.fixture.journals.apply({ changes: [change] });
  }

  readonly #frames: FramePort = {
    appendFrame: (journal, content) => {
      const bytes = Buffer.concat(content);
      const begin = this.fixture.journals.push(journal, bytes);
      return Promise.resolve({ begin, end: begin + bytes.length });
    },
  };

  door(): Dispatcher {
    const { clock, random } = this.fixture;
    return new Dispatcher(
      {
        frames: this.#frames,
        partitions: this.partitions,
        deadLetters: this.journals,
        onAppended: () => undefined,
        onLetters: () => undefined,
        turns: { atEnd: (run) => void clock.after(0, run) },
        clock,
        random,
        logger: silentLogger,
        metrics: new MetricsRegistry(),
      },
      { limits: { queuedBytesMax: 1e9, partitionQueuedBytesMax: 1e9 }, lanes: 1 },
      (error) => {
        throw error;
      },
    );
  }

  /** Puts a frame of letters into the journal. */
  push(sequence: number, bodies: readonly string[], keys?: readonly string[]): void {
    const rows = bodies.map(letterLine);
    this.fixture.journals.push(deadLetterJournal(this.sink), frame(DOOR, sequence, 1, 1, rows, keys));
  }

  evaluator = localEvaluator();

  ports(signal: AbortSignal, die: (reason: Error) => void, crash: Crash): ReplayPorts {
    const { store, journals: transport, catalog, clock, random } = this.fixture;
    const { partitions } = this;
    const step = async <T>(work: () => Promise<T>): Promise<T> => {
      this.steps++;
      const dies = crash.left-- === 0;
      if (dies && !crash.isDone) die(new Error("died"));
      signal.throwIfAborted();
      const done = await work();
      if (dies) die(new Error("died"));
      signal.throwIfAborted();
      return done;
    };
    const mortal: CoordinationStore = Object.assign(Object.create(store) as CoordinationStore, {
      range: (...args: Parameters<CoordinationStore["range"]>) => store.range(...args),
      txn: (...args: Parameters<CoordinationStore["txn"]>) => step(() => store.txn(...args)),
    });
    return {
      store: mortal,
      transport,
      catalog,
      clock,
      random,
      partitions,
      onAppended: (...args) => this.onAppended(...args),
      deadLetters: this.journals,
      logger: silentLogger,
      evaluator: this.evaluator,
      frames: {
        appendFrame: (...args) => step(() => this.#frames.appendFrame(...args)),
      },
    };
  }

  /** @returns undefined when it died */
  async replay(crash: Crash = { left: -1, isDone: false }): Promise<ReplayProgress | undefined> {
    const scope = abortScope(this.fixture.signal);
    const ports = this.ports(scope.signal, (reason) => scope.abort(reason), crash);
    const options = { budgetMs: 60_000, onProgress: () => Promise.resolve() };
    try {
      return await this.fixture.during(
        new DeadLetterReplay(ports, STEP).run(this.sink, options, scope.signal),
      );
    } catch (thrown) {
      if (!scope.signal.aborted) throw thrown;
      return undefined;
    }
  }

  /** Rows of a journal that count. */
  counted(journal: string): string[] {
    const filter = new FrameFilter();
    const frames = new FrameDecoder(0).push(this.fixture.journals.content(journal));
    return frames.filter((each) => filter.accept(each)).flatMap((each) => [...rowsOf(each)].map(text));
  }

  get rows(): string[] {
    return this.counted(partitionJournal(this.sink, 0));
  }

  /** Bodies of the letters that wait, with their attempts. */
  async waiting(): Promise<string[]> {
    const { signal } = this.fixture;
    const list = this.list();
    const found: string[] = [];
    for (let afterId = ""; ;) {
      const page = await this.fixture.during(list.list(this.sink, { afterId, limit: 7 }, signal));
      found.push(...page.letters.map(({ body, attempts }) => `${text(body)} x${attempts}`));
      if (page.letters.length === 0) {
        assert.equal(found.length, page.totalCount);
        return found;
      }
      afterId = page.letters.at(-1)!.id;
    }
  }
}

function letterLine(body: string): string {
  const record = new DoorRecord();
  record.scanner.use(new PathTree());
  const bytes = new BodyBytes(utf8(body));
  const headers = new RecordHeaders([["Authorization", "x"]]);
  record.startRequest(Date.UTC(2026, 0, 1), utf8("192.0.2.1"), headers, new TemplateBudget(0));
  record.start(bytes, 0, bytes.bytes.length);
  lookInto(record, "json");
  const out = new RowBuffer(64);
  const failure = { status: 422, name: "unprocessableContent", column: "c", message: "No." } as const;
  assert.ok(putLetter(out, record, { failure, version: 1, attempts: 1 }));
  return text(out.bytes.subarray(0, out.at));
}

describe("replay", () => {
  test("letters that the new mapping takes -> rows; others wait again, with one attempt more", async () => {
    const world = await World.open();
    world.push(1, ['{"n":1}', '{"x":1}', "{"]);
    world.push(1, ['{"n":1}', '{"x":1}', "{"]); // an append that was tried again
    world.push(2, ['{"n":2}']);
    assert.deepEqual(await world.waiting(), ['{"n":1} x1', '{"x":1} x1', "{ x1", '{"n":2} x1']);
    assert.deepEqual(await world.replay(), { replayed: 2, refused: 2, isDone: true });
    assert.deepEqual(world.rows, ['"1"\n', '"2"\n']);
    assert.deepEqual(await world.waiting(), ['{"x":1} x2', "{ x2"]);
    const letters = world.counted(deadLetterJournal(world.sink)).map((row) => decodeLetter(utf8(row), "x"));
    assert.deepEqual(letters.at(-1)!.headers, {});
    assert.match(letters.at(-1)!.reason, /^Invalid value for column "n": invalid JSON/);
    assert.deepEqual(await world.replay(), { replayed: 0, refused: 2, isDone: true });
    assert.deepEqual(await world.waiting(), ['{"x":1} x3', "{ x3"]);
  });

  test("a letter that its client had sent twice with its key -> rows with that key, of which one counts", async () => {
    const world = await World.open();
    const [once, other] = [keyHash("once"), keyHash("other")];
    world.push(1, ['{"n":1}', '{"x":1}'], [once, other]);
    world.push(2, ['{"n":1}'], [once]);
    assert.deepEqual(await world.replay(), { replayed: 2, refused: 1, isDone: true });
    const content = world.fixture.journals.content(partitionJournal(world.sink, 0));
    const window = new KeyWindow();
    const kept = new FrameDecoder(0).push(content).flatMap((each) => window.kept(each));
    assert.deepEqual(
      kept.flatMap((each) => [...rowsOf(each)].map(text)),
      ['"1"\n'],
    );
    const letters = new FrameDecoder(0).push(world.fixture.journals.content(deadLetterJournal(world.sink)));
    assert.deepEqual(letters.at(-1)?.keys, [other]);
  });

  test("letters with keys -> rows in the partitions of their keys, also of a step that was cut off", async () => {
    const keys = Array.from({ length: STEP - 1 }, (_, i) => keyHash(`key ${i}`));
    const bodies = keys.map((_, i) => (i === 3 ? "{" : `{"n":${i}}`));
    for (const left of [-1, 0, 1, 2, 3, 4]) {
      const world = await World.open({ partitions: PARTITIONS });
      world.push(1, bodies, keys);
      world.push(2, ['{"n":99}']);
      if (left >= 0) assert.equal(await world.replay({ left, isDone: true }), undefined);
      await world.replay();
      const expected = Array.from({ length: PARTITIONS }, (): string[] => []);
      for (const [i, key] of keys.entries()) {
        if (i !== 3) expected[keyedPartition(key, PARTITIONS)]!.push(`"${i}"\n`);
      }
      expected[0]!.push('"99"\n');
      assert.ok(expected.every((rows) => rows.length > 0));
      const found = expected.map((_, n) => world.counted(partitionJournal(world.sink, n)));
      assert.deepEqual(found, expected, `cut off at ${left}`);
      // Mapped once more where the first replay had put it to the end before it died.
      assert.match((await world.waiting()).join(), /^\{ x[23]$/);
    }
  });

  test("a mapping with a program -> rows of the time they came; not evaluated now -> tried again", async () => {
    const template = { language: "jsonata", content: "$string(n) & $now('[Y]')" } as const;
    const world = await World.open({ columns: [{ type: "template", name: "n", template, rawString: true }] });
    world.push(1, ['{"n":1}', '{"n":{}}', "{"]);
    const { evaluator } = world;
    const away = { kind: "unavailable", reason: "not now" } as const;
    world.evaluator = { ...evaluator, evaluate: () => Promise.resolve([[away]]) };
    await assert.rejects(world.replay(), { code: "UNAVAILABLE" });
    assert.equal((await world.waiting()).length, 3);
    world.evaluator = evaluator;
    assert.deepEqual(await world.replay(), { replayed: 2, refused: 1, isDone: true });
    assert.deepEqual(world.rows, ['"12026"\n', '"{}2026"\n']);
    assert.deepEqual(await world.waiting(), ["{ x2"]);
  });

  test("text that the sink's target cannot have -> waits again", async () => {
    const columns: readonly Column[] = [{ type: "path", name: "n", path: "n", rawString: true }];
    const connection = { host: "db.test", database: "d", user: "u" };
    const world = await World.open({ columns, target: { type: "postgres", connection } });
    world.push(1, ['{"n":"\\u0000"}', '{"n":"a"}']);
    assert.deepEqual(await world.replay(), { replayed: 1, refused: 1, isDone: true });
    assert.deepEqual(world.rows, ['"a"\n']);
  });

  test("no letters, or none yet -> nothing to do", async () => {
    const world = await World.open();
    assert.deepEqual(await world.replay(), { replayed: 0, refused: 0, isDone: true });
    assert.equal(world.steps, 0);
    assert.deepEqual(await world.waiting(), []);
  });

  test("killed at any step, before or after it, again and again -> each letter once", async () => {
    const bodies = Array.from({ length: 23 }, (_, i) => (i % 5 === 3 ? `{"x":${i}}` : `{"n":${i}}`));
    const expectedRows = bodies.flatMap((_, i) => (i % 5 === 3 ? [] : [`"${i}"\n`]));
    const expectedLetters = bodies.filter((_, i) => i % 5 === 3).map((body) => `${body} x2`);
    let most = 0;
    for (let left = 0; left <= most; left++) {
      for (const isDone of [false, true]) {
        const world = await World.open();
        for (let i = 0; i < bodies.length; i += 4) world.push(1 + i / 4, bodies.slice(i, i + 4));
        const random: Random = seededRandom(`${left} ${isDone}`);
        let outcome: ReplayProgress | undefined;
        // The first crash is where the loop says, the others are anywhere.
        for (let at = left; outcome === undefined; at = random.below(12)) {
          outcome = await world.replay({ left: at, isDone });
        }
        most = Math.max(most, world.steps - 1);
        assert.deepEqual(world.rows, expectedRows, `step ${left}`);
        // What was refused may have been refused in a later replay again.
        const waiting = (await world.waiting()).map((each) => each.replace(/x\d+$/, "x2"));
        assert.deepEqual(waiting.sort(), [...expectedLetters].sort(), `step ${left}`);
      }
    }
  });

  test("two replays at the same time -> one of them gives up; each letter once", async () => {
    const world = await World.open();
    world.push(
      1,
      Array.from({ length: 25 }, (_, i) => `{"n":${i}}`),
    );
    const outcomes = await Promise.allSettled([world.replay(), world.replay()]);
    assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
    assert.equal(world.rows.length, 25);
    assert.equal(new Set(world.rows).size, 25);
  });

  test("cut off with a plan, and others come meanwhile -> the next one goes on with both", async () => {
    const world = await World.open();
    world.push(1, ['{"n":1}']);
    await world.replay({ left: 1, isDone: false }); // planned, not appended
    const { kvs } = await world.fixture.store.range(prefixRange(DEAD_LETTERS_PREFIX), world.fixture.signal);
    assert.ok(decodeLetterState(kvs[0]!.value, "x").pending !== undefined);
    world.push(2, ['{"n":2}']);
    assert.deepEqual(await world.replay(), { replayed: 2, refused: 0, isDone: true });
    assert.deepEqual(world.rows, ['"1"\n', '"2"\n']);
  });

  test("letters that replays have written again and again -> no replay until they were removed", async () => {
    const body = JSON.stringify({ m: "x".repeat(2000) });
    const world = await World.open({ keptBytes: 1000 });
    world.push(1, [body]);
    const replayed = { replayed: 0, refused: 1, isDone: true };
    assert.deepEqual(await world.replay(), replayed);
    await assert.rejects(world.replay(), {
      code: "OVERLOADED",
      message: /^dead letters take \d+B \(expected <= 4000B\); those that were replayed are removed/,
    });
    assert.deepEqual(await world.waiting(), [`${body} x2`]);
  });

  test("ends before what was replayed -> takes, shows and replays no letter, and says the way on", async () => {
    const world = await World.open();
    world.push(1, ['{"n":1}', '{"n":2}', '{"n":3}']);
    await world.replay();
    const journal = deadLetterJournal(world.sink);
    const { journals, signal } = world.fixture;
    const { length: end } = journals.content(journal);
    assert.equal(await world.fixture.during(world.journals.ensure(world.sink, signal)), journal);
    journals.truncate(journal, 0);
    world.push(1, ['{"n":4}']); // at 0, by whoever did not look
    const lost = {
      code: "CORRUPT",
      message: new RegExp(`up to (\\d+) were replayed: .* reset-head -l name=${journal} --at \\1$`),
    };
    await assert.rejects(world.fixture.during(world.journals.ensure(world.sink, signal)), lost);
    await assert.rejects(world.waiting(), lost);
    await assert.rejects(world.fixture.during(world.list().count(world.sink, signal)), lost);
    assert.deepEqual(
      await world.fixture.during(world.list().counts(world.sink, [world.sink], signal)),
      new Map(),
    );
    await assert.rejects(world.replay(), lost);
    await world.giveUpTo(journal, end);
    assert.equal(await world.fixture.during(world.journals.ensure(world.sink, signal)), journal);
    world.push(2, ['{"n":2}']);
    assert.deepEqual(await world.waiting(), ['{"n":2} x1']);
    assert.deepEqual(await world.replay(), { replayed: 1, refused: 0, isDone: true });
  });

  test("newest letters are given up, none was replayed -> counted anew", async () => {
    const world = await World.open();
    const { journals, signal } = world.fixture;
    const list = world.list();
    const count = async (): Promise<number | undefined> =>
      (await world.fixture.during(list.count(world.sink, signal)))?.count;
    world.push(1, ['{"n":1}', '{"n":2}', '{"n":3}']);
    assert.equal(await count(), 3);
    journals.truncate(deadLetterJournal(world.sink), 0);
    world.push(2, ['{"n":4}']);
    assert.equal(await count(), 1);
  });

  test("its partition went back -> the replay ends, the letter waits; on the way on it is a row", async () => {
    const world = await World.open();
    const { fixture } = world;
    const journal = partitionJournal(world.sink, 0);
    let [loaded, known] = [0, 0];
    const loadedEnds = (): Promise<Map<string, number>> => Promise.resolve(new Map([[journal, loaded]]));
    world.partitions = fixture.partitionsWith(
      new PartitionIntegrity({
        transport: fixture.journals,
        targets: { open: () => Promise.resolve({ loadedEnds }) },
        clock: fixture.clock,
        ends: { taken: () => 0, known: () => known, heard: () => 0, forget: () => (known = 0) },
      }),
    );
    world.onAppended = (_place, _journal, end) => (known = end);
    world.push(1, ['{"n":1}', '{"n":2}', '{"n":3}']);
    await world.replay();
    loaded = fixture.journals.content(journal).length;
    assert.equal(known, loaded);
    fixture.journals.truncate(journal, 0);
    world.push(2, ['{"n":4}']);
    await assert.rejects(world.replay(), {
      code: "CORRUPT",
      message: new RegExp(`are in table main.sink: .* --at ${loaded}$`),
    });
    assert.deepEqual(await world.waiting(), ['{"n":4} x1']);
    await world.giveUpTo(journal, loaded);
    assert.deepEqual(await world.replay(), { replayed: 1, refused: 0, isDone: true });
    const behind = new FrameDecoder(loaded).push(fixture.journals.content(journal).subarray(loaded));
    assert.deepEqual(
      behind.flatMap((each) => [...rowsOf(each)].map(text)),
      ['"4"\n'],
    );
  });

  for (const replays of [true, false]) {
    test(`door lives through a reset below letters (${replays ? "" : "not "}replayed) -> looks again`, async () => {
      const world = await World.open();
      const { fixture } = world;
      const journal = deadLetterJournal(world.sink);
      const door = world.door();
      const put = async (body: string): Promise<Code | undefined> => {
        let outcome: Code | "written" | undefined;
        const publisher = door.letters(world.sink);
        const out = publisher.begin(1, 1, true);
        assert.ok(!(out instanceof WireError));
        const line = utf8(letterLine(body));
        out.put(line);
        publisher.commit(line.length, {
          onAppended: (_rows, failure) => (outcome = failure?.code ?? "written"),
        });
        await fixture.until(() => outcome !== undefined, 60_000);
        return outcome === "written" ? undefined : outcome;
      };
      assert.equal(await put('{"n":1,"m":"a long one"}'), undefined);
      const { length: end } = fixture.journals.content(journal);
      if (replays) await world.replay();
      fixture.journals.truncate(journal, 0);
      assert.equal(await put('{"n":2}'), replays ? "OUTCOME_UNKNOWN" : undefined);
      if (!replays) return assert.deepEqual(await world.waiting(), ['{"n":2} x1']);
      await assert.rejects(world.waiting(), { code: "CORRUPT", message: new RegExp(`--at ${end}$`) });
      await world.giveUpTo(journal, end);
      await fixture.until(() => fixture.journals.content(journal).length > end, 60_000);
      assert.deepEqual(await world.waiting(), ['{"n":2} x1']);
    });
  }
});
