// JSONata columns over records: their values are written as those of path columns, and what a program does refuses its
// record and nothing else.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { localEvaluator } from "@millrace/jsonata/testkit";
import type { ProgramResult } from "@millrace/jsonata";

import type { TemplateColumn } from "./definitions.ts";
import { ROW_BYTES_MAX } from "./limits.ts";
import { programsProblem, templateProblem } from "./mapping-check.ts";
import { mapEvaluated, type GivenRecord } from "./mapping-testkit.ts";

const BODY = `{"s": "say \\"hi\\", é", "n": 12.50, "e": 1e-7, "big": 12345678901234567890, "t": true, "nil": null,
  "o": {"b": [1, {"c": "d"}], "a": {}}, "list": [[1, 2], "z"], "a.b": {"c d": 1}, "huge": 1e400}`;
const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ["content-type", "application/json"],
  ["X-B", "1"],
  ["x-b", "2"],
];

const template = (content: string, rawString?: boolean): TemplateColumn => ({
  type: "template",
  name: "c",
  template: { language: "jsonata", content },
  ...(rawString === undefined ? {} : { rawString }),
});

async function value(
  content: string,
  rawString?: boolean,
  given: Partial<GivenRecord> = {},
): Promise<string> {
  const row = await mapEvaluated([template(content, rawString)], { body: BODY, headers: HEADERS, ...given });
  assert.ok(typeof row === "string", typeof row === "string" ? "" : row.message);
  assert.match(row, /^"[^]*"\n$/);
  return row.slice(1, -2).replaceAll('""', '"');
}

async function refusal(
  content: string,
  given: Partial<GivenRecord> = {},
): Promise<[status: number, message: string]> {
  const failure = await mapEvaluated([template(content)], { body: BODY, headers: HEADERS, ...given });
  assert.ok(typeof failure === "object", `it gives ${JSON.stringify(failure)}`);
  assert.equal(failure.column, "c");
  return [failure.status, failure.message];
}

describe("values", () => {
  const rows: readonly (readonly [content: string, value: string, raw?: string])[] = [
    ["s", '"say \\"hi\\", é"', 'say "hi", é'],
    ["n", "12.5"],
    ["e", "0.0000001"],
    ["big", "12345678901234567000"],
    ["t", "true"],
    ["nil", ""],
    ["o", '{"b":[1,{"c":"d"}],"a":{}}'],
    ["o.b[1].c", '"d"', "d"],
    ["list[0]", "[1,2]"],
    ["`a.b`.`c d`", "1"],
    ["{'tiny': e, 'text': s}", '{"tiny":0.0000001,"text":"say \\"hi\\", é"}'],
    ["gone ? gone : 'none'", '"none"', "none"],
    ["$ip()", '"203.0.113.7"', "203.0.113.7"],
    ["$now()", '"2026-01-02T03:04:05.067Z"', "2026-01-02T03:04:05.067Z"],
    ["$header('x-b')", '"1"', "1"],
    ["$substring($headerStr(), 0, 13)", '"Content-Type:"', "Content-Type:"],
    ["$length($bodyStr())", String(BODY.length)],
  ];
  for (const [content, json, raw] of rows) {
    test(`${content} -> ${json}`, async () => {
      assert.equal(await value(content), json);
      assert.equal(await value(content, true), raw ?? json);
    });
  }

  test("columns of a row, two of which are the same program -> evaluated once, written for each", async () => {
    const columns = ["s", "n", "s"].map((content, i) => ({ ...template(content, true), name: `c${i}` }));
    const tasks: string[] = [];
    const local = localEvaluator();
    const row = await mapEvaluated(
      columns,
      { body: '{"s":"x","n":1}' },
      {
        ...local,
        evaluate: (job) => {
          tasks.push(...job.programs);
          return local.evaluate(job);
        },
      },
    );
    assert.equal(row, '"x","1","x"\n');
    assert.deepEqual(tasks, ["s", "n"]);
  });
});

describe("refusals", () => {
  const rows: readonly (readonly [content: string, status: number, message: RegExp, body?: string])[] = [
    [
      "gone",
      422,
      /^Invalid value for column "c": the template has no value: what it asks for is not there\.$/,
    ],
    [
      "s + 1",
      422,
      /^Invalid value for column "c": 1:3 The left side of the "\+" operator must evaluate to a/,
    ],
    ["$error('no item')", 422, /^Invalid value for column "c": 1:7 no item\.$/],
    ["huge", 422, /^Invalid value for column "c": .*(?:Infinity|out of range)/],
    ["($f := function() { $f() }; $f())", 422, /more than 50000 steps/],
    ["$pad('x', 3000000)", 413, /^Too big CSV row, column: "c"/],
    [`$pad('x', ${ROW_BYTES_MAX})`, 413, /^Too big CSV row, column: "c"/],
  ];
  for (const [content, status, message] of rows) {
    test(`${content} -> ${status}`, async () => {
      const [found, text] = await refusal(content);
      assert.equal(found, status);
      assert.match(text, message);
    });
  }

  test("a body that is not what its type says, or no JSON at all -> in the words of a path column", async () => {
    const opaque = { body: "text", opaque: true };
    assert.deepEqual(await refusal("s", opaque), [415, 'Column "c" needs a JSON or form body.']);
    assert.equal(await value("$ip() & $bodyStr()", true, opaque), "203.0.113.7text");
  });

  test("not evaluated -> 503, no fault of the record", async () => {
    const away: ProgramResult = { kind: "unavailable", reason: "no process for templates: ended (1)" };
    const evaluator = { ...localEvaluator(), evaluate: () => Promise.resolve([[away]]) };
    const failure = await mapEvaluated([template("s")], { body: BODY }, evaluator);
    assert.ok(typeof failure === "object");
    assert.deepEqual(
      [failure.status, failure.name, failure.message],
      [503, "pipelineNotReady", 'Column "c" cannot be filled now: no process for templates: ended (1).'],
    );
  });
});

test("a program that is none -> its place, where mappings are checked", async () => {
  const evaluator = localEvaluator();
  const wrong = template("{\n 'a': )");
  assert.equal(templateProblem(wrong), undefined);
  assert.deepEqual(await programsProblem([template("s"), wrong], evaluator), {
    index: 1,
    message: 'column "c" template is invalid: 2:7 The symbol ")" cannot be used as a unary operator',
  });
  assert.equal(await programsProblem([template("s"), { type: "uuid", name: "id" }], evaluator), undefined);
});
