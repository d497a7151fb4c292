import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { utf8 } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { localEvaluator } from "@millrace/jsonata/testkit";

import type { Column } from "./definitions.ts";
import { SAMPLE_ROWS_MAX, sampleRows, type SampleOutcome } from "./mapping-sample.ts";
import { WorkTurns } from "./work-turns.ts";

const COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "at" },
  { type: "ip", name: "ip" },
  { type: "headers", name: "h" },
  { type: "body", name: "b" },
  { type: "path", name: "p", path: "a", defaultValue: "none" },
  {
    type: "template",
    name: "t",
    template: { language: "jsonnet", content: "Header('X-B') + '\"' + Body('a', 0)" },
  },
];

function sample(columns: readonly Column[], type: string, body: string | Uint8Array): Promise<SampleOutcome> {
  const record = {
    acceptedAtMs: Date.UTC(2026, 0, 2),
    clientIp: "203.0.113.7",
    headers: [
      ["x-b", "b"],
      ["content-type", type],
    ] as const,
    body: typeof body === "string" ? utf8(body) : body,
  };
  const turns = new WorkTurns({ atEnd: (run) => void (turnCount++, setImmediate(run)) });
  const clock = { monotonicMs: () => (ms += 3) };
  const ports = { random: seededRandom("sample"), evaluator: localEvaluator(), clock, turns, signal };
  return sampleRows({ columns }, record, ports);
}

/** Each look at the clock finds it 3 ms later. */
let ms = 0;
/** Turns of the loop that the samples gave to others. */
let turnCount = 0;
const { signal } = new AbortController();

/** The values of each row, but for the uuid. */
function values(outcome: SampleOutcome): string[][] {
  assert.ok(outcome.kind === "rows", JSON.stringify(outcome));
  return outcome.rows.map(({ columns }) => columns.map(({ value }) => value));
}

const PATH: readonly Column[] = [{ type: "path", name: "p", path: "a" }];
const TEXT: readonly Column[] = [{ type: "body", name: "b" }];

describe("a sample", () => {
  test("many rows of many heavy templates -> refused with the bound of the request, others had turns", async () => {
    const content = "std.foldl(function(a, b) a + b, std.range(1, 3000), 0)";
    const columns = Array.from({ length: 100 }, (_, i): Column => {
      return { type: "template", name: `t${i}`, template: { language: "jsonnet", content } };
    });
    const before = turnCount;
    const outcome = await sample(columns, "application/x-ndjson", "{}\n".repeat(100));
    assert.ok(outcome.kind === "refused");
    assert.equal(outcome.status, 422);
    assert.match(outcome.message, /more than 2009600 steps of all templates for the request's body\.$/);
    assert.ok(turnCount - before >= 2, `${turnCount - before} turns`);
  });

  test("many rows that are not heavy -> all of them, in pieces", async () => {
    const before = turnCount;
    const light = {
      type: "template",
      name: "t",
      template: { language: "jsonnet", content: "Body('n')" },
    } as const;
    const outcome = await sample([light], "application/x-ndjson", '{"n":1}\n'.repeat(150));
    assert.ok(outcome.kind === "rows");
    assert.equal(outcome.rows.length, SAMPLE_ROWS_MAX);
    assert.ok(turnCount - before >= SAMPLE_ROWS_MAX / 2, `${turnCount - before} turns`);
  });

  test("has every column with its name and value, as the door would write them", async () => {
    const outcome = await sample(COLUMNS, "application/json", '{"a": "x\\"y,\\n"}');
    const [row = []] = values(outcome);
    assert.match(row[0]!, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.deepEqual(row.slice(1), [
      "2026-01-02T00:00:00.000Z",
      "203.0.113.7",
      '{"Content-Type":"application/json","X-B":"b"}',
      '{"a": "x\\"y,\\n"}',
      '"x\\"y,\\n"',
      '"b\\"x\\"y,\\n"',
    ]);
    assert.ok(outcome.kind === "rows");
    assert.deepEqual(
      outcome.rows[0]!.columns.map(({ name }) => name),
      ["id", "at", "ip", "h", "b", "p", "t"],
    );
  });

  const rows: [
    name: string,
    columns: readonly Column[],
    type: string,
    body: string | Uint8Array,
    values: string[][],
  ][] = [
    ["a form", PATH, "application/x-www-form-urlencoded", "a[b]=1", [['{"b":"1"}']]],
    ["an array", PATH, "application/json", ' [{"a":1},{"a":2}]', [["1"], ["2"]]],
    ["no record", PATH, "application/json", "[]", []],
    ["lines", PATH, "application/x-ndjson", '{"a":1}\n\n{"a":2}\n', [["1"], ["2"]]],
    [
      "a charset",
      PATH,
      "application/json; charset=iso-8859-1",
      Buffer.from('{"a":"\xe9"}', "latin1"),
      [['"é"']],
    ],
    ["any bytes of text", TEXT, "text/plain", 'a "b",', [['a "b",']]],
    ["broken JSON that nobody looks into", TEXT, "application/json", "{", [["{"]]],
    ["a line of that kind", TEXT, "application/x-ndjson", '{"a":1}\n{ \r\n2', [['{"a":1}'], ["{"], ["2"]]],
  ];
  for (const [name, columns, type, body, expected] of rows) {
    test(name, async () => assert.deepEqual(values(await sample(columns, type, body)), expected));
  }

  const refusals: [
    name: string,
    columns: readonly Column[],
    type: string,
    body: string,
    status: number,
    message: string,
  ][] = [
    [
      "no path",
      PATH,
      "application/json",
      "{}",
      422,
      'Invalid value for column "p": path "a" not found in the body.',
    ],
    [
      "one of several",
      PATH,
      "application/json",
      '[{"a":1},{}]',
      422,
      'Invalid value for column "p": path "a" not found in the body.',
    ],
    [
      "no JSON",
      PATH,
      "application/json",
      '{"a":',
      422,
      'Invalid value for column "p": invalid JSON: unexpected end, expected a value at position 5.',
    ],
    [
      "an array that is none",
      PATH,
      "application/json",
      '[{"a":1},',
      422,
      'Invalid value for column "p": invalid JSON: unexpected end, expected a value at position 9.',
    ],
    ["another type", PATH, "text/plain", "a", 415, 'Column "p" needs a JSON or form body.'],
    [
      "no charset",
      PATH,
      "text/plain; charset=x-foo",
      "a",
      415,
      'Content type "text/plain; charset=x-foo" has an unknown charset.',
    ],
    [
      "not its charset",
      PATH,
      "application/json; charset=utf-16le",
      "abc",
      422,
      'Invalid value for column "p": the body is not utf-16le.',
    ],
  ];
  for (const [name, columns, type, body, status, message] of refusals) {
    test(`${name} -> ${status}`, async () => {
      const outcome = await sample(columns, type, body);
      assert.ok(outcome.kind === "refused");
      assert.deepEqual([outcome.status, outcome.message], [status, message]);
    });
  }

  test("has the values of programs, of each record of a batch, as far as rows are shown", async () => {
    const template = { language: "jsonata", content: "a & $header('x-b')" } as const;
    const columns: readonly Column[] = [{ type: "template", name: "t", template, rawString: true }];
    assert.deepEqual(values(await sample(columns, "application/json", '{"a":1}')), [["1b"]]);
    assert.deepEqual(values(await sample(columns, "application/json", '[{"a":1},{"a":2}]')), [
      ["1b"],
      ["2b"],
    ]);
    assert.deepEqual(values(await sample(columns, "application/x-www-form-urlencoded", "a=x")), [["xb"]]);
    const many = values(await sample(columns, "application/x-ndjson", '{"a":1}\n'.repeat(5000)));
    assert.deepEqual(many, Array(SAMPLE_ROWS_MAX).fill(["1b"]));
    const refused = await sample(columns, "application/x-ndjson", '{"a":1}\n{"a"');
    assert.ok(refused.kind === "refused" && refused.status === 422);
  });

  test("is bounded", async () => {
    assert.equal(
      values(await sample(PATH, "application/x-ndjson", '{"a":1}\n'.repeat(5000))).length,
      SAMPLE_ROWS_MAX,
    );
  });
});
