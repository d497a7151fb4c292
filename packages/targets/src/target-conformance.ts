// What every target must do, as one suite: `targetConformance("postgres", traits, makeSubject)` declares its tests.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { never, WireError, type Code } from "@millrace/base";
import type { Column, LoadOutcome, LoadRequest, PartitionLoad, Target, TargetRef } from "@millrace/ingest";
import type { ObjectStore } from "@millrace/stores";
import { declareDropTests } from "./target-conformance-drop.ts";
import { stageLoad, stageRows } from "./staged-fixture.ts";
import { printed, type TargetRow } from "./target-rows.ts";

/** A target with no tables, and what tests need beside the port. */
export interface TargetSubject {
  readonly target: Target;
  /** Where the target finds staged objects. */
  readonly staging: ObjectStore;
  /** All rows that whoever reads the table sees, in any order. */
  rows(tableId: string): Promise<readonly TargetRow[]>;
  /** Another one over the same data, as after a restart, or in another process. */
  again(): Promise<Target>;
  /** The next load of `target` fails before it has committed, or when it has. */
  failNext(when: "before" | "after"): void;
  close(): Promise<void>;
}

export interface TargetTraits {
  /** All partitions of a load commit together. */
  readonly commits: "together" | "each";
  /** Refuses columns and names that its tables cannot have. */
  readonly checksTables: boolean;
  /** Text may have the character NUL in it. */
  readonly takesNul: boolean;
}

interface Fixture extends TargetSubject {
  /** Stages a frame with `count` rows at `begin`, whose values tell the partition and the row. */
  stage(journal: string, begin: number, count: number, startsTarget?: boolean): Promise<PartitionLoad>;
  load(tableId: string, ...partitions: readonly PartitionLoad[]): Promise<LoadOutcome>;
}

type Declare = (name: string, run: (fixture: Fixture) => Promise<void>) => void;

const COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received at" },
  { type: "body", name: "body" },
];

/** @param make a subject with nothing in it, for each test */
export function targetConformance(
  kind: string,
  traits: TargetTraits,
  make: () => Promise<TargetSubject>,
): void {
  const test: Declare = (name, run) => {
    it(name, async () => {
      const subject = await make();
      try {
        await run(fixtureOf(subject));
      } finally {
        await subject.close();
      }
    });
  };
  describe(`target conformance: ${kind}`, () => {
    declareValueTests(test, traits);
    declareColumnTests(test);
    declareEndTests(test);
    declareTogetherTests(test, traits);
    declareFailureTests(test);
    declareStagingTests(test);
    declareManyTests(test);
    declareDropTests(test, requestOf);
    if (traits.checksTables) declareTableTests(test);
  });
}

function fixtureOf(subject: TargetSubject): Fixture {
  return {
    target: subject.target,
    staging: subject.staging,
    rows: (tableId) => subject.rows(tableId),
    again: () => subject.again(),
    failNext: (when) => subject.failNext(when),
    close: () => subject.close(),
    stage: (journal, begin, count, startsTarget) => {
      const rows = Array.from({ length: count }, (_, i) => rowOf(journal, begin, i));
      return stageLoad(subject.staging, journal, { columns: COLUMNS, rows, begin }, startsTarget);
    },
    load: (tableId, ...partitions) => subject.target.load(requestOf(tableId, ...partitions), never),
  };
}

function requestOf(tableId: string, ...partitions: readonly PartitionLoad[]): LoadRequest {
  return { target: refOf(tableId), columns: COLUMNS, partitions };
}

/** A target is one place: it looks at the table alone. */
function refOf(tableId: string): TargetRef {
  return { kind: "duckdb", tableId };
}

function rowOf(journal: string, begin: number, i: number): readonly string[] {
  const id = `0193a0f0-0000-7000-8000-${String(begin + i).padStart(12, "0")}`;
  const second = String(i % 60).padStart(2, "0");
  return [id, `2026-01-02T03:04:${second}.678Z`, `row ${i} of ${journal} from ${begin}`];
}

/** Bodies of a table's rows; every row at most once. */
async function bodies(fixture: Fixture, tableId: string): Promise<readonly string[]> {
  const rows = await fixture.rows(tableId);
  const places = rows.map(({ journal, offset }) => `${journal} ${offset}`);
  assert.equal(new Set(places).size, places.length, "no row stands twice");
  return rows.map(({ values }) => values["body"]!).sort();
}

async function ends(target: Target, tableId: string): Promise<Readonly<Record<string, number>>> {
  return Object.fromEntries(await target.loadedEnds(tableId, never));
}

async function fails(code: Code | readonly Code[], run: () => Promise<unknown>): Promise<WireError> {
  const codes: readonly Code[] = typeof code === "string" ? [code] : code;
  try {
    await run();
  } catch (thrown) {
    assert.ok(thrown instanceof WireError, String(thrown));
    assert.ok(
      codes.includes(thrown.code),
      `${thrown.code} instead of ${codes.join(" or ")}: ${thrown.message}`,
    );
    return thrown;
  }
  assert.fail(`did not fail with ${codes.join(" or ")}`);
}

const VALUES: readonly string[] = [
  "",
  " ",
  'say "hi", she said',
  "a\tb\nc\rd\be\ff\vg",
  "\\",
  "\\N",
  "\\.",
  "\n\\.\n",
  "NULL",
  "'; drop table x; --",
  '{"a":[1,2,{"b":"\\u0000"}]}',
  "ž€😀 \u{10ffff} \ufffd \ufeff",
  "x".repeat(300_000),
  "\\\t".repeat(70_000),
];

function declareValueTests(test: Declare, { takesNul }: TargetTraits): void {
  test("load: any text -> stands in the table as it was staged, with journal and offset", async (fixture) => {
    const columns: readonly Column[] = [
      ...COLUMNS.slice(0, 2),
      { type: "body", name: "a" },
      { type: "path", name: "sel\"ect \\ 'ž", path: "" },
    ];
    const [id, moment] = rowOf("j", 0, 1);
    const rows = VALUES.map((value, i) => [id!, moment!, value, VALUES.at(-1 - i)!]);
    const { object, offsets, end } = await stageRows(fixture.staging, "any", {
      columns,
      rows,
      begin: 2 ** 40,
    });
    const load = { journal: "j/any 'x\"", begin: 2 ** 40, end, objects: [object], startsTarget: true };
    await fixture.target.prepare("main.any", columns, never);
    const outcome = await fixture.target.load(
      { target: refOf("main.any"), columns, partitions: [load] },
      never,
    );
    assert.deepEqual(outcome, { kind: "loaded", rows: rows.length });
    const expected = rows.map((row, i) => {
      const values = Object.fromEntries(columns.map(({ name }, c) => [name, row[c]!]));
      return { journal: load.journal, offset: offsets[i]!, values };
    });
    assert.deepEqual(printed(await fixture.rows("main.any")), printed(expected));
    assert.deepEqual(await ends(fixture.target, "main.any"), { [load.journal]: end });
  });

  test(`load: NUL -> ${takesNul ? "stands in the table" : "U+FFFD stands for it"}`, async (fixture) => {
    const rows = [rowOf("j", 0, 0), [...rowOf("j", 0, 1).slice(0, 2), "a\u0000b"], rowOf("j", 0, 2)];
    const partition = await stageLoad(fixture.staging, "j", { columns: COLUMNS, rows, begin: 0 });
    assert.deepEqual(await fixture.load("main.nul", partition), { kind: "loaded", rows: 3 });
    const expected = takesNul ? "a\u0000b" : "a\ufffdb";
    assert.ok((await bodies(fixture, "main.nul")).includes(expected));
  });
}

function declareColumnTests(test: Declare): void {
  test("load: 100 columns -> each value under its own", async (fixture) => {
    const columns = Array.from({ length: 100 }, (_, i): Column => ({
      type: "path",
      name: `c${99 - i}`,
      path: "",
    }));
    const rows = Array.from({ length: 3 }, (_, r) => columns.map(({ name }) => `${name} of ${r}`));
    const partition = await stageLoad(fixture.staging, "j", { columns, rows, begin: 0 });
    await fixture.target.prepare("main.wide", columns, never);
    await fixture.target.load({ target: refOf("main.wide"), columns, partitions: [partition] }, never);
    const found = printed(await fixture.rows("main.wide")).map((row) => (JSON.parse(row) as unknown[])[2]);
    assert.deepEqual(
      found,
      rows.map((_, r) => {
        return Object.fromEntries(columns.map(({ name }) => [name, `${name} of ${r}`]));
      }),
    );
  });

  test("load: rows of two sink versions -> each under its own columns", async (fixture) => {
    const one: readonly Column[] = [{ type: "path", name: "a", path: "a" }];
    const two: readonly Column[] = [{ type: "path", name: "b", path: "b" }, ...one];
    await fixture.target.prepare("main.two", one, never);
    const first = await stageLoad(fixture.staging, "j", { columns: one, rows: [["a0"], [""]], begin: 0 });
    const next = { columns: two, rows: [["b2", "a2"]], begin: first.end, sinkVersion: 2 };
    const second = await stageLoad(fixture.staging, "j", next);
    const objects = [...first.objects, ...second.objects];
    const partition = { ...first, end: second.end, objects };
    await fixture.target.load({ target: refOf("main.two"), columns: two, partitions: [partition] }, never);
    const third = await stageLoad(fixture.staging, "j", { ...next, rows: [["b3", "a3"]], begin: second.end });
    await fixture.target.load({ target: refOf("main.two"), columns: two, partitions: [third] }, never);
    const found = printed(await fixture.rows("main.two")).map((row) => (JSON.parse(row) as unknown[])[2]);
    assert.deepEqual(found, [{ a: "a0" }, { a: "" }, { a: "a2", b: "b2" }, { a: "a3", b: "b3" }]);
  });
}

function declareEndTests(test: Declare): void {
  test("load: the loaded end decides (D23)", async (fixture) => {
    const run = (partition: PartitionLoad): Promise<LoadOutcome> => fixture.load("main.b", partition);
    const first = await fixture.stage("j/b", 0, 3);
    assert.deepEqual(await run(first), { kind: "loaded", rows: 3 });
    assert.deepEqual(await run(first), { kind: "already" }, "a repeated load does nothing");
    const overlap = { ...(await fixture.stage("j/b", first.end - 1, 4)), startsTarget: false };
    const refusal = { kind: "refused", journal: "j/b", begin: overlap.begin, loadedEnd: first.end };
    assert.deepEqual(await run(overlap), refusal, "an overlap");
    assert.equal((await run(await fixture.stage("j/b", first.end + 1, 1))).kind, "refused", "a gap");
    const middle = await fixture.stage("j/other", 700, 1, false);
    const unknown = { kind: "refused", journal: "j/other", begin: 700, loadedEnd: undefined };
    assert.deepEqual(await run(middle), unknown, "the middle of an unknown partition");
    assert.equal(
      (await run({ ...middle, startsTarget: true })).kind,
      "loaded",
      "unless the target starts there",
    );
    const second = await fixture.stage("j/b", first.end, 2);
    assert.equal((await run(second)).kind, "loaded");
    assert.equal((await bodies(fixture, "main.b")).length, 6);
    assert.deepEqual(await ends(fixture.target, "main.b"), { "j/b": second.end, "j/other": middle.end });
    assert.deepEqual(await ends(fixture.target, "main.nothing"), {});
  });

  test("load: a partition that comes back -> goes on behind what went elsewhere", async (fixture) => {
    const run = (partition: PartitionLoad): Promise<LoadOutcome> => fixture.load("main.back", partition);
    const first = await fixture.stage("j", 0, 3);
    await run(first);
    const far = first.end + 1000;
    assert.equal(
      (await run(await fixture.stage("j", far, 2))).kind,
      "refused",
      "no rotation chose this table",
    );
    const again = await fixture.stage("j", far, 2, true);
    assert.equal((await run(again)).kind, "loaded");
    assert.equal((await run(again)).kind, "already");
    const slept = { ...(await fixture.stage("j", first.end, 1, true)) };
    assert.equal((await run(slept)).kind, "already", "an older load that slept");
    const overlap = { ...(await fixture.stage("j", far + 1, 9, true)) };
    assert.equal((await run(overlap)).kind, "refused", "an overlap");
    assert.equal((await run(await fixture.stage("j", again.end, 1, false))).kind, "loaded");
    assert.equal((await bodies(fixture, "main.back")).length, 6);
  });

  test("load: offsets without rows -> the loaded end moves all the same", async (fixture) => {
    const nothing = { journal: "j", begin: 0, end: 50, objects: [], startsTarget: true };
    assert.deepEqual(await fixture.load("main.none", nothing), { kind: "loaded", rows: 0 });
    assert.deepEqual(await fixture.load("main.none", nothing), { kind: "already" });
    assert.equal((await fixture.load("main.none", await fixture.stage("j", 50, 2))).kind, "loaded");
    assert.equal((await bodies(fixture, "main.none")).length, 2);
  });

  test("loaded ends: a restart -> the same, and a repeated load finds itself done", async (fixture) => {
    const partitions = [await fixture.stage("j/1", 0, 3), await fixture.stage("j/2", 0, 2)];
    await fixture.load("main.restart", ...partitions);
    const before = await ends(fixture.target, "main.restart");
    const again = await fixture.again();
    assert.deepEqual(await ends(again, "main.restart"), before);
    assert.equal((await again.load(requestOf("main.restart", ...partitions), never)).kind, "already");
    const next = await fixture.stage("j/2", partitions[1]!.end, 2);
    assert.equal((await again.load(requestOf("main.restart", next), never)).kind, "loaded");
    assert.equal((await fixture.load("main.restart", next)).kind, "already", "what another one did counts");
    assert.equal((await bodies(fixture, "main.restart")).length, 7);
  });
}

function declareTogetherTests(test: Declare, { commits }: TargetTraits): void {
  test("load: one partition's object is bad -> no loaded end moves, and a whole one loads once", async (fixture) => {
    const good = await fixture.stage("j/1", 0, 2);
    const second = await fixture.stage("j/2", 0, 2);
    const bad = {
      ...second,
      objects: second.objects.map((object) => ({ ...object, crc32c: object.crc32c ^ 1 })),
    };
    await fails("CORRUPT", () => fixture.load("main.c", good, bad));
    if (commits === "together") assert.deepEqual(await fixture.rows("main.c"), []);
    assert.deepEqual(await ends(fixture.target, "main.c"), {});
    assert.equal((await fixture.load("main.c", good, second)).kind, "loaded");
    assert.equal((await bodies(fixture, "main.c")).length, 4);
  });

  const half = commits === "together" ? "refused: nobody did that" : "the other one loads";
  test(`load: one of two partitions was loaded -> ${half}`, async (fixture) => {
    const first = await fixture.stage("j/1", 0, 2);
    const second = await fixture.stage("j/2", 0, 3);
    await fixture.load("main.half", first);
    const outcome = await fixture.load("main.half", first, second);
    if (commits === "together") {
      assert.deepEqual(outcome, { kind: "refused", journal: "j/1", begin: 0, loadedEnd: first.end });
    } else {
      assert.deepEqual(outcome, { kind: "loaded", rows: 3 });
    }
    assert.equal((await bodies(fixture, "main.half")).length, commits === "together" ? 2 : 5);
  });
}

/** The outcome may be unknown, known to be nothing, or (the target looked again) known to be done. */
const PASSING: readonly Code[] = ["UNAVAILABLE", "OUTCOME_UNKNOWN", "DISK_FULL", "NOT_FOUND", "CORRUPT"];

function declareFailureTests(test: Declare): void {
  test("load: fails before it commits -> says so, and the next attempt loads once", async (fixture) => {
    const partitions = [await fixture.stage("j/1", 0, 3), await fixture.stage("j/2", 0, 2)];
    fixture.failNext("before");
    await fails(PASSING, () => fixture.load("main.before", ...partitions));
    assert.deepEqual(await ends(fixture.target, "main.before"), {});
    assert.deepEqual(await fixture.load("main.before", ...partitions), { kind: "loaded", rows: 5 });
    assert.equal((await bodies(fixture, "main.before")).length, 5);
  });

  test("load: fails after it has committed -> is found done, whoever asks", async (fixture) => {
    const partitions = [await fixture.stage("j/1", 0, 3), await fixture.stage("j/2", 0, 2)];
    fixture.failNext("after");
    const attempt = fixture.load("main.after", ...partitions).catch((error: unknown) => error);
    const outcome = await attempt;
    if (outcome instanceof Error) await fails(PASSING, () => Promise.reject(outcome));
    else assert.deepEqual(outcome, { kind: "loaded", rows: 5 }, "the target itself looked");
    const again = await fixture.again();
    const retried = await again.load(requestOf("main.after", ...partitions), never);
    assert.ok(retried.kind === "already" || retried.kind === "loaded", retried.kind);
    assert.equal((await fixture.load("main.after", ...partitions)).kind, "already");
    assert.equal((await bodies(fixture, "main.after")).length, 5);
  });

  test("load: nobody waits any more -> whatever happened, asking again ends with each row once", async (fixture) => {
    const partition = await fixture.stage("j", 0, 5);
    const scope = new AbortController();
    const reason = new WireError("SHUTTING_DOWN", "the importer stops");
    const attempt = fixture.target
      .load(requestOf("main.gone", partition), scope.signal)
      .catch((error: unknown) => error);
    scope.abort(reason);
    await attempt;
    assert.notEqual((await fixture.load("main.gone", partition)).kind, "refused");
    assert.equal((await fixture.load("main.gone", partition)).kind, "already");
    assert.equal((await bodies(fixture, "main.gone")).length, 5);
  });
}

function declareStagingTests(test: Declare): void {
  test("load: a staged object of other bytes, of fewer rows, or gone -> can be staged again", async (fixture) => {
    const partition = await fixture.stage("j", 0, 3);
    const [object] = partition.objects;
    const others = await stageRows(fixture.staging, "others", {
      columns: COLUMNS,
      rows: [rowOf("j", 7, 0)],
      begin: 0,
    });
    const bad: readonly [Code, PartitionLoad["objects"]][] = [
      ["CORRUPT", [{ ...object!, path: others.object.path }]],
      ["CORRUPT", [{ ...object!, rows: 4 }]],
      ["CORRUPT", [{ ...object!, rows: 2 }]],
      ["NOT_FOUND", [{ ...object!, path: "gone" }]],
    ];
    for (const [code, objects] of bad) {
      await fails(code, () => fixture.load("main.bad", { ...partition, objects }));
      assert.deepEqual(await ends(fixture.target, "main.bad"), {});
    }
    assert.equal((await fixture.load("main.bad", partition)).kind, "loaded");
    assert.equal((await bodies(fixture, "main.bad")).length, 3);
  });
}

const TABLES = 8;
const LOADS = 3;

function declareManyTests(test: Declare): void {
  test("load: many sinks at once -> each table has its own rows, once", async (fixture) => {
    const loadAll = async (table: string): Promise<void> => {
      let begin = 0;
      for (let i = 0; i < LOADS; i++) {
        const partition = await fixture.stage(`j/${table}`, begin, 10 + i);
        assert.equal((await fixture.load(`main.${table}`, partition)).kind, "loaded");
        begin = partition.end;
      }
    };
    const tables = Array.from({ length: TABLES }, (_, i) => `many_${i}`);
    await Promise.all(tables.map(loadAll));
    for (const table of tables) {
      const found = await bodies(fixture, `main.${table}`);
      assert.equal(found.length, 33);
      assert.ok(found.every((body) => body.includes(`of j/${table} from`)));
    }
  });

  test("load: two importers at once -> each row once, and one end", async (fixture) => {
    const again = await fixture.again();
    let begin = 0;
    let loaded = 0;
    for (let i = 0; i < 5; i++) {
      const partitions = [await fixture.stage("j/1", begin, 20), await fixture.stage("j/2", begin, 20)];
      const request = requestOf("main.race", ...partitions);
      const reversed = requestOf("main.race", ...[...partitions].reverse());
      const outcomes = await Promise.all([
        fixture.target.load(request, never),
        again.load(reversed, never),
        fixture.target.load(reversed, never),
      ]);
      for (const { kind } of outcomes) assert.ok(kind === "loaded" || kind === "already", kind);
      assert.ok(outcomes.some(({ kind }) => kind === "loaded"));
      begin = Math.max(...partitions.map(({ end }) => end));
      loaded += 40;
      const found = await ends(fixture.target, "main.race");
      assert.deepEqual(found, Object.fromEntries(partitions.map(({ journal, end }) => [journal, end])));
    }
    assert.equal((await bodies(fixture, "main.race")).length, loaded);
  });
}

function declareTableTests(test: Declare): void {
  const id: Column = { type: "uuid", name: "id" };
  const body: Column = { type: "body", name: "body" };

  test("check: names that no table can have -> why, and prepare refuses", async ({ target }) => {
    for (const tableId of [
      "a.b.c",
      "",
      "1a.b",
      "_millrace.loaded",
      "_MILLRACE.loaded",
      "main.a b",
      `main.${"x".repeat(64)}`,
    ]) {
      assert.equal(typeof (await target.check(tableId, [id], never)), "string", tableId);
      await fails("INVALID_ARGUMENT", () => target.prepare(tableId, [id], never));
    }
  });

  test("check: a table that is not there, or has the columns -> nothing speaks against it", async ({
    target,
  }) => {
    assert.equal(await target.check("main.fit", [id, body], never), undefined);
    await target.prepare("main.fit", [id, body], never);
    assert.equal(await target.check("main.fit", [id, body], never), undefined);
    assert.equal(await target.check("main.fit", [body, id], never), undefined, "in any order");
    await target.prepare("main.fit", [id, body], never);
  });

  test("check: a column of another type -> says which, and prepare refuses", async ({ target }) => {
    await target.prepare("main.typed", [id, body], never);
    const other: readonly Column[] = [{ type: "body", name: "id" }, body];
    const problem = await target.check("main.typed", other, never);
    assert.match(problem ?? "", /^columns of the table "main\.typed" do not match expected: "id" is /);
    await fails("INVALID_ARGUMENT", () => target.prepare("main.typed", other, never));
    assert.equal(await target.check("main.typed", [id, body], never), undefined, "nothing has changed");
  });
}
