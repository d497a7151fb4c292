// What the templates of a record and of a body may take together, counted in steps.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { BodyBytes, systemRandom, utf8 } from "@millrace/base";

import { RowBuffer } from "./csv-writer.ts";
import type { Column } from "./definitions.ts";
import { RecordHeaders } from "./http-source-headers.ts";
import { DoorRecord } from "./http-source-record.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { compileMapping, type CompiledMapping } from "./mapping.ts";

/** One step or more for each of `n`. */
const HEAVY = "std.foldl(function(a, b) a + b, std.range(1, Body('n')), 0)";

class Door {
  readonly record = new DoorRecord();
  readonly #out = new RowBuffer(1000);
  readonly #mapping: CompiledMapping;

  constructor(columns: readonly Column[]) {
    const tree = new PathTree();
    this.#mapping = compileMapping(columns, { tree, programs: new ProgramSet(), random: systemRandom });
    this.record.scanner.use(tree);
    this.record.form = "scanned";
  }

  startBody(bytes: number): TemplateBudget {
    const budget = new TemplateBudget(bytes);
    this.record.startRequest(0, utf8("192.0.2.1"), new RecordHeaders([]), budget);
    return budget;
  }

  startRecord(json: string): void {
    const body = new BodyBytes(utf8(json));
    assert.ok(this.record.scanner.scanWhole(body, 0, body.bytes.length));
    this.record.start(body, 0, body.bytes.length);
  }

  /** As a sink does: the row's fate. */
  map(): string {
    const failure = this.#mapping.write(this.record, this.#out);
    return failure === undefined ? "row" : `${failure.status} ${failure.message}`;
  }
}

function template(name: string, content: string): Column {
  return { type: "template", name, template: { language: "jsonnet", content } };
}

describe("a budget of templates", () => {
  test("a record for many sinks -> those beyond its steps refuse it, the next record has all of them again", () => {
    const door = new Door([template("t", HEAVY)]);
    door.startBody(10);
    for (let i = 0; i < 2; i++) {
      door.startRecord('{"n":40000}');
      const fates = Array.from({ length: 100 }, () => door.map());
      const rows = fates.findIndex((fate) => fate !== "row");
      assert.ok(rows >= 4 && rows <= 25, `${rows} sinks had their row`);
      const refused =
        '422 Invalid value for column "t": more than 1000000 steps of all templates for one record.';
      for (const fate of fates.slice(rows)) assert.equal(fate, refused);
      door.startBody(10);
    }
  });

  test("a short body of many heavy records -> refused beyond its steps; light ones are not", () => {
    const door = new Door([template("t", HEAVY)]);
    const budget = door.startBody(12_000);
    const fates = Array.from({ length: 1000 }, () => {
      door.startRecord('{"n":40000}');
      return door.map();
    });
    const rows = fates.filter((fate) => fate === "row").length;
    assert.ok(rows >= 10 && rows <= 60, `${rows} rows`);
    assert.equal(budget.left, 0);
    assert.match(
      fates.at(-1)!,
      /^422 .*: more than 2384000 steps of all templates for the request's body\.$/,
    );
    door.startBody(12_000);
    for (let i = 0; i < 1000; i++) {
      door.startRecord('{"n":10}');
      assert.equal(door.map(), "row");
    }
  });

  test("lists that take memory and few steps -> counted by their bytes", () => {
    const door = new Door([template("t", "std.type(std.range(1, 1000000))")]);
    door.startBody(0);
    door.startRecord("{}");
    const fates = Array.from({ length: 50 }, () => door.map());
    const rows = fates.findIndex((fate) => fate !== "row");
    assert.ok(rows >= 1 && rows <= 1_000_000 / (8_000_000 >> 8) + 1, `${rows} sinks had their row`);
    assert.match(fates.at(-1)!, /more than 1000000 steps of all templates for one record\.$/);
  });

  test("a template's own failure -> its own words, whatever is left", () => {
    const door = new Door([template("t", "error 'mine'")]);
    door.startBody(0);
    door.startRecord("{}");
    assert.match(door.map(), /^422 .*mine/);
    const stack = new Door([template("t", "local f(x) = f(x) + 1; f(1)")]);
    stack.startBody(0);
    stack.startRecord("{}");
    assert.match(stack.map(), /max stack frames exceeded/);
  });
});
