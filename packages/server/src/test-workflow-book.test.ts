// The book of the workflow test must find what it is there to find.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MENDED, WorkflowBook, type Configuration, type WorkflowRow } from "./test-workflow-book.ts";

const at = (tag: number, more: Partial<Configuration> = {}): Configuration => {
  return { tag, isEnabled: true, isMended: false, ...more };
};
const BATCH = 400;

interface Fields {
  readonly id: number;
  readonly check: string;
  readonly need?: string;
  readonly extra?: string;
}

interface World {
  readonly book: WorkflowBook;
  /** Rows as they must be before a replay. */
  readonly rows: readonly WorkflowRow[];
  readonly letters: readonly number[];
  /** Records that only mapping 0 may have taken. */
  readonly early: readonly number[];
}

/** Acknowledged under mapping 0, between 0 and 1, under 1, and while the sink was disabled; one batch has no answer. */
function world(): World {
  const book = new WorkflowBook("seed", at(0));
  const { history } = book;
  const rows: WorkflowRow[] = [];
  const letters: number[] = [];
  const send = (tag: number | undefined, change?: () => void, isAnswered = true): readonly number[] => {
    const batch = book.next(BATCH);
    book.attempt(batch);
    change?.();
    if (isAnswered) book.acknowledge(batch);
    const ids = batch.lines.map((line) => {
      const { id, check, need, extra } = JSON.parse(line) as Fields;
      if (tag === undefined) return id;
      if (need === undefined || (tag === 1 && extra === undefined)) letters.push(id);
      else rows.push({ id, check, tag, extra: tag === 1 ? extra! : "" });
      return id;
    });
    return ids;
  };
  const early = send(0);
  send(0, () => history.ask(at(1)));
  history.settle();
  send(1);
  history.ask(at(1, { isEnabled: false }));
  history.settle();
  send(undefined);
  history.ask(at(1));
  history.settle();
  send(undefined, undefined, false);
  history.ask(at(2, { isMended: true }));
  history.settle();
  return { book, rows, letters, early };
}

/** What a replay by mapping 2 makes of the letters. */
function replayedRows({ book, rows, letters }: World): readonly WorkflowRow[] {
  const checks = new Map<number, string>();
  for (const { id, check } of new WorkflowBook("seed", at(0))
    .next(book.sent)
    .lines.map((line) => JSON.parse(line) as Fields)) {
    checks.set(id, check);
  }
  return [
    ...rows,
    ...letters.map((id) => {
      const check = checks.get(id)!;
      return { id, check, tag: 2, extra: book.kindOf(id) === "odd" ? MENDED : check };
    }),
  ];
}

describe("rows before a replay", () => {
  const cases: readonly (readonly [
    name: string,
    edit: (rows: WorkflowRow[], one: World) => WorkflowRow[],
    fault: RegExp | undefined,
  ])[] = [
    ["as they should be", (rows) => rows, undefined],
    ["one twice", (rows) => [...rows, rows[3]!], /is there twice/],
    ["one missing", (rows) => rows.toSpliced(5, 1), /acknowledged and not in the table/],
    [
      "one by the mapping after it",
      ([first, ...rest]) => [{ ...first!, tag: 1, extra: first!.check }, ...rest],
      /was mapped by 1, and only 0 may have been/,
    ],
    [
      "one by the mapping before it",
      (rows) => rows.map((row, i) => (i === rows.length - 1 ? { ...row, tag: 0, extra: "" } : row)),
      /was mapped by 0, and only 1 may have been/,
    ],
    [
      "one with the columns of another",
      ([a, ...rest]) => [{ ...a!, extra: a!.check }, ...rest],
      /where mapping 0 makes ""/,
    ],
    [
      "one that says something else",
      ([a, ...rest]) => [{ ...a!, check: "0" }, ...rest],
      /has the wrong check 0/,
    ],
    [
      "one that nobody sent",
      ([a, ...rest]) => [a!, ...rest, { ...a!, id: 1e6 }],
      /record 1000000: was never sent/,
    ],
    ["one that is a letter", (rows, { letters }) => [...rows, { ...rows[0]!, id: letters[0]! }], /check/],
    [
      "one of a sink that was disabled",
      (rows) => [...rows, rowOf(3 * BATCH + 1, 1)],
      /was mapped by 1, and only none may have been/,
    ],
    ["one without an answer, mapped as it may be", (rows) => [...rows, rowOf(4 * BATCH + 1, 1)], undefined],
    ["one without an answer, otherwise", (rows) => [...rows, rowOf(4 * BATCH + 1, 0)], /was mapped by 0/],
    [
      "one between two mappings, by the other",
      (rows) => rows.map((row) => (row.id === BATCH + 1 ? rowOf(row.id, 1) : row)),
      undefined,
    ],
  ];
  for (const [name, edit, fault] of cases) {
    test(name, () => {
      const one = world();
      const found = one.book.faults(edit([...one.rows], one), one.book.story, false);
      if (fault === undefined) assert.deepEqual(found, []);
      else assert.match(found.join("\n"), fault);
    });
  }

  test("faults without end -> the first ones", () => {
    const one = world();
    assert.equal(one.book.faults([], one.book.story, false).length, 11);
  });
});

describe("rows after a replay", () => {
  test("each letter one row of the mended mapping -> nothing; missing, twice, by another -> found", () => {
    const one = world();
    const { book, early } = one;
    const rows = replayedRows(one);
    const faults = (some: readonly WorkflowRow[]): string => book.faults(some, book.story, true).join("\n");
    assert.match(faults(rows), /was mapped by 2, and only none may have been/);
    book.history.replay();
    assert.equal(faults(rows), "");
    assert.match(faults(rows.slice(0, -1)), /not in the table/);
    assert.match(faults([...rows, rows.at(-1)!]), /is there twice/);
    const first = early.find((id) => book.kindOf(id) === "good");
    assert.match(
      faults(rows.map((row) => (row.id === first ? { ...row, tag: 2 } : row))),
      /was mapped by 2, and only 0/,
    );
    book.history.ask(at(3));
    assert.match(
      faults(rows.map((row) => (row.tag === 2 ? { ...row, tag: 3 } : row))),
      /was mapped by 3, and only 2/,
    );
  });

  test("a replay before the record came makes no row of it", () => {
    const book = new WorkflowBook("seed", at(2, { isMended: true }));
    book.history.replay();
    book.history.ask(at(4));
    book.history.settle();
    const batch = book.next(BATCH);
    book.attempt(batch);
    book.acknowledge(batch);
    const id = batch.lines.findIndex((_, i) => book.kindOf(i) === "bad");
    const { check } = JSON.parse(batch.lines[id]!) as Fields;
    const rows = [{ id, check, tag: 2, extra: check }];
    assert.match(book.faults(rows, book.story, true)[0]!, /was mapped by 2, and only none/);
  });
});

describe("letters", () => {
  test("those that no mapping took, also twice -> nothing; others, or too few -> found", () => {
    const { book, letters, early } = world();
    const faults = (ids: readonly number[]): string => book.letterFaults(ids, book.story).join("\n");
    assert.ok(letters.length > 10);
    assert.equal(faults([...letters, letters[0]!]), "");
    assert.match(faults(letters.slice(1)), /and is no letter/);
    const good = early.find((id) => book.kindOf(id) === "good")!;
    assert.match(faults([...letters, good]), /though its mapping took it/);
    assert.match(faults([...letters, 1e6]), /was never sent/);
    book.history.replay();
    assert.equal(faults([]), "");
  });
});

test("a batch that was certainly not taken counts from its next attempt", () => {
  const book = new WorkflowBook("seed", at(0));
  const batch = book.next(1);
  assert.equal(book.attempt(batch), false);
  book.withdraw(batch);
  book.history.ask(at(2));
  book.history.settle();
  assert.equal(book.attempt(batch), false);
  assert.equal(book.attempt(batch), true);
  book.acknowledge(batch);
  assert.deepEqual([book.story.met(0), book.certain, book.acknowledged], [[at(2)], 1, 1]);
});

/** The row that a mapping makes of a good record. */
function rowOf(id: number, tag: number): WorkflowRow {
  const line = new WorkflowBook("seed", at(0)).next(id + 1).lines[id]!;
  const { check, need, extra } = JSON.parse(line) as Fields;
  assert.ok(need !== undefined && extra !== undefined, "it is a good one");
  return { id, check, tag, extra: tag === 1 ? extra : "" };
}
