// Templates over records: what the specification's section 3 says of each function, and what a template may not do.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ROW_BYTES_MAX } from "./limits.ts";
import { templateProblem } from "./mapping-check.ts";
import { map, type GivenRecord } from "./mapping-testkit.ts";
import type { TemplateColumn } from "./definitions.ts";

const BODY = `{"s": "text", "q": "say \\"hi\\"", "u": "\\u00e9ž", "long": "${"x".repeat(100)}", "n": 12.50, "i": 42,
  "e": 1e-7, "big": 12345678901234567890, "minus": -0, "t": true, "f": false, "nil": null,
  "o": {"b": [1, {"c": "d"}], "a": {}}, "list": [[1, 2], "z"], "a.b": {"c d": 1}, "s": "text"}`;
const HEADERS: readonly (readonly [name: string, value: string])[] = [
  ["content-type", "application/json"],
  ["X-B", "1"],
  ["accept", "a, b"],
  ["x-b", "2"],
];

const template = (content: string, rawString?: boolean): TemplateColumn => ({
  type: "template",
  name: "c",
  template: { language: "jsonnet", content },
  ...(rawString === undefined ? {} : { rawString }),
});

/** The value that the template's column has. */
function value(content: string, given: Partial<GivenRecord> = {}, rawString?: boolean): string {
  const row = map([template(content, rawString)], { body: BODY, headers: HEADERS, ...given });
  assert.ok(typeof row === "string", typeof row === "string" ? "" : row.message);
  assert.match(row, /^"[^]*"\n$/);
  return row.slice(1, -2).replaceAll('""', '"');
}

function refusal(content: string, given: Partial<GivenRecord> = {}): [status: number, message: string] {
  const failure = map([template(content)], { body: BODY, headers: HEADERS, ...given });
  assert.ok(typeof failure === "object", `it gives ${JSON.stringify(failure)}`);
  assert.equal(failure.column, "c");
  return [failure.status, failure.message];
}

describe("functions", () => {
  const rows: [content: string, value: string, raw?: string][] = [
    ["Ip()", '"203.0.113.7"', "203.0.113.7"],
    ["Now()", '"2026-01-02T03:04:05.067Z"', "2026-01-02T03:04:05.067Z"],
    ["Now('%d/%m/%y %H:%M')", '"02/01/26 03:04"'],
    ["Now('%' + Body('s')[1:2] + '|' + Body('s')[0:1])", '" 2|t"'],
    ["HeaderStr()", '"Accept: a, b\\nContent-Type: application/json\\nX-B: 1\\n"'],
    ["Header()", '{"Accept":"a, b","Content-Type":"application/json","X-B":"1"}'],
    ["Header('x-b')", '"1"', "1"],
    ["Header('X-B', 'none')", '"1"'],
    ["Header('X-C', 'none')", '"none"', "none"],
    ["Header('X-C', null)", ""],
    ["Header(std.asciiLower('X-B'))", '"1"'],
    ["Header(Body('gone', 'x-c'), Ip())", '"203.0.113.7"'],
    ["BodyStr() == Body('gone', BodyStr())", "true"],
    ["std.length(BodyStr())", String(BODY.length)],
    ["Body().o.b[1].c", '"d"', "d"],
    ["Body('s')", '"text"', "text"],
    ["Body('q')", '"say \\"hi\\""', 'say "hi"'],
    ["Body('u')", '"éž"', "éž"],
    ["Body('long')", `"${"x".repeat(100)}"`],
    ["Body('n')", "12.5"],
    ["Body('i') + 1", "43"],
    ["Body('e')", "0.0000001"],
    ["Body('big')", "12345678901234567000"],
    ["Body('minus')", "0"],
    ["Body('t')", "true"],
    ["Body('f')", "false"],
    ["Body('nil')", ""],
    ["Body('o')", '{"a":{},"b":[1,{"c":"d"}]}', '{"a":{},"b":[1,{"c":"d"}]}'],
    ["Body('o.b[1].c')", '"d"'],
    ["Body('list[0][1]')", "2"],
    [`Body('["a.b"]["c d"]')`, "1"],
    ["Body('') == Body() && Body('')['a.b']['c d'] == 1", "true"],
    ["Body('gone', 'd')", '"d"', "d"],
    ["Body('gone', {d: Now()})", '{"d":"2026-01-02T03:04:05.067Z"}'],
    ["Body('gone', null)", ""],
    ["Body('nil', 'd')", ""],
    ["Body(path='gone', default=Body('i'))", "42"],
    ["std.native('Body')('i')", "42"],
    ["local f = Body; f('i')", "42"],
    ["'%s-%d' % [Body('s'), Body('i')]", '"text-42"'],
    ["{b: 2, a: Body('list'), '10': 1, '9': 0}", '{"10":1,"9":0,"a":[[1,2],"z"],"b":2}'],
    [
      "local a = Body('o'); [a, a + {b: 0}, a]",
      '[{"a":{},"b":[1,{"c":"d"}]},{"a":{},"b":0},{"a":{},"b":[1,{"c":"d"}]}]',
    ],
    ["'\\u0001\\n\\\\'", '"\\u0001\\n\\\\"', "\u0001\n\\"],
    ["if false then 1", ""],
    ["1e21", "1000000000000000000000"],
    ["function(x=3) x", "3"],
  ];
  for (const [content, expected, raw] of rows) {
    test(`${content.slice(0, 70)} -> ${expected.slice(0, 70)}`, () => {
      assert.equal(value(content), expected);
      assert.equal(
        value(content, {}, true),
        raw ?? (expected.startsWith('"') ? JSON.parse(expected) : expected),
      );
    });
  }

  test("rawString unquotes strings only", () => {
    assert.equal(value("'null'", {}, true), "null");
    assert.equal(value("['a']", {}, true), '["a"]');
  });

  test("all columns and sinks of a record share what was parsed, and nobody changes it", () => {
    const columns = ["Body() + {s: 1}", "Body('o') + {a: 2}", "Body('o')", "Body().s"].map((content, i) => ({
      ...template(content),
      name: `c${i}`,
    }));
    const row = map(columns, { body: '{"s": 0, "o": {"a": 1}}' });
    assert.equal(row, '"{""o"":{""a"":1},""s"":1}","{""a"":2}","{""a"":1}","0"\n');
  });

  test("a body that is no JSON: its text is there, what needs its content says 415", () => {
    const opaque = { body: "žluť", opaque: true };
    assert.equal(value("BodyStr()", opaque), '"žluť"');
    assert.equal(value("if Header('Accept', '') == '' then Body('a') else Ip()", opaque), '"203.0.113.7"');
    for (const content of ["Body()", "Body('a')", "Body(Ip())", "Body('a', 'd')", "[{a: Body('x')}]"]) {
      assert.deepEqual(refusal(content, opaque), [415, 'Column "c" needs a JSON or form body.']);
    }
  });
});

describe("failures are the record's", () => {
  const rows: [content: string, message: string][] = [
    ["Body('gone')", '1:1-13 path "gone" not found in the body.'],
    ["Body('s.deeper')", '1:1-17 path "s.deeper" not found in the body.'],
    ["Body(Body('s'))", '1:1-16 path "text" not found in the body.'],
    ["{\n  a: Header('X-C')\n}.a", '2:6-19 header "X-C" not found.'],
    ["error 'of its own.'", "1:1-20 of its own."],
    ["Body('i') + {}", "1:1-15"],
    ["Now(Body('s') + '%')", '1:1-21 unknown directive "%" in the time format "text%".'],
    ["Now(Body())", "1:1-12 the time format must be a string."],
    ["Body(Body('list'))", "1:1-19 the path must be a string."],
    ["Body('n' + '..' + Body('s'))", '1:1-29 path "n..text" is invalid: empty step at 2.'],
    ["Header(Body('i'))", "1:1-18 the header's name must be a string."],
    ["[Ip]", "couldn't manifest function as JSON"],
    ["{a: Now}", "couldn't manifest function as JSON"],
    ["{} { a: self.b }", "Field does not exist: b"],
  ];
  for (const [content, message] of rows) {
    test(`${content} -> 422`, () => {
      const [status, said] = refusal(content);
      assert.equal(status, 422);
      assert.ok(said.startsWith('Invalid value for column "c": '), said);
      assert.ok(said.includes(message), said);
    });
  }

  test("a number beyond all doubles", () => {
    const body = '{"n": 1e400, "o": {"n": -1e400}}';
    for (const content of ["Body('n')", "Body('o')", "Body().n", "Body().o.n"]) {
      assert.match(refusal(content, { body })[1], /the host gave -?Infinity, which is no number of JSON/);
    }
  });

  test("BodyStr of bytes that are not UTF-8", () => {
    const [status, message] = refusal("BodyStr()", { body: Uint8Array.of(0x61, 0xff), opaque: true });
    assert.deepEqual([status, message], [422, 'Invalid value for column "c": 1:1-10 the body is not UTF-8.']);
  });

  test("a value that is longer than a row -> 413, whatever it is", () => {
    for (const content of [
      "std.repeat('x', 2e6)",
      "std.repeat('é', 2e6)",
      "[std.repeat('x', 1e6), std.repeat('x', 1e6)]",
    ]) {
      const [status, message] = refusal(content);
      assert.deepEqual([status, message], [413, 'Too big CSV row, column: "c", row limit: 1536KB.']);
    }
    assert.equal(value("std.repeat('x', 1500000)").length, 1500002);
    assert.ok(ROW_BYTES_MAX > 1500002);
  });
});

describe("hostile templates end soon, with a 422", () => {
  const EVENT = JSON.stringify({
    big: Array.from({ length: 20_000 }, (_, i) => ({ i })),
    s: "x".repeat(100_000),
  });
  const rows: string[] = [
    "local f(x) = f(x) + 1; f(1)",
    "local f(x) = f(x) tailstrict; f(1)",
    "local x = x; x",
    "std.range(1, 9007199254740991)",
    "std.repeat('x', 1e15)",
    "'%999999999d' % 1",
    "local f(s, n) = if n == 0 then s else f(s + s, n - 1); f('x', 100)",
    "local s = std.repeat('x', 1e6); std.makeArray(100000, function(i) s)",
    "local a = [1, 1], b = [a, a], c = [b, b], d = [c, c], e = [d, d], f = [e, e], g = [f, f], h = [g, g],\n" +
      "i = [h, h], j = [i, i], k = [j, j], l = [k, k], m = [l, l], n = [m, m], o = [n, n], p = [o, o],\n" +
      "q = [p, p]; [q, q]",
    "[Body('big') for i in std.range(1, 100000)]",
    "[Body() for i in std.range(1, 100000)]",
    "std.all([Body('s') + i != '' for i in std.range(1, 100000)])",
    "std.all([Body(Body('s')[0:4000] + i, 0) == 0 for i in std.range(1, 100000)])",
    "std.all([Header(Body('s') + i, 0) == 0 for i in std.range(1, 100000)])",
    "std.all([Now('%c%c%c%c%c%c%c%c%c%c' + i) != '' for i in std.range(1, 1000000)])",
    "std.all([std.length(Header()) > 0 for i in std.range(1, 1000000)])",
    "std.all([BodyStr() + i != '' for i in std.range(1, 1000000)])",
  ];
  for (const content of rows) {
    test(content.slice(0, 70), () => {
      const [status, message] = refusal(content, { body: EVENT });
      assert.equal(status, 422);
      assert.match(message, /more than [0-9]+ (steps|bytes)|max stack frames exceeded/);
    });
  }

  test("templates of a row share its steps", () => {
    const content = "std.foldl(function(sum, i) sum + i, std.range(1, 20000), 0)";
    const one = template(content);
    const many = (count: number): TemplateColumn[] =>
      Array.from({ length: count }, (_, i) => ({ ...one, name: `c${i}` }));
    assert.equal(typeof map(many(4), { body: "{}" }), "string");
    const failure = map(many(100), { body: "{}" });
    assert.ok(typeof failure === "object");
    assert.match(failure.message, /more than 10000 steps/);
  });

  test("nesting as deep as bodies may be is refused, not fatal", () => {
    const body = "[".repeat(512) + "]".repeat(512);
    assert.match(refusal("Body()", { body })[1], /max stack frames exceeded/);
    assert.equal(value("std.length(Body())", { body }), "1");
  });
});

describe("what cannot be compiled is refused before it is stored", () => {
  const rows: [content: string, message: string][] = [
    ["Invalid", "1:1-8 Unknown variable: Invalid"],
    ["{\n  a: Invalid()\n}", "2:6-13 Unknown variable: Invalid"],
    ["1 +", "1:4"],
    ["import 'a'", 'import of "a" is not allowed'],
    ["Body('a..b')", '1:1-13 path "a..b" is invalid: empty step at 2'],
    ["Body(1)", "1:1-8 the path must be a string"],
    ["Header(1, '')", "1:1-14 the header's name must be a string"],
    ["Now('%Q')", '1:1-10 unknown directive "%Q" in the time format "%Q"'],
    [`Now('${"x".repeat(300)}')`, "the time format has 300 characters, the limit is 256"],
  ];
  for (const [content, message] of rows) {
    test(content.slice(0, 70), () => {
      const problem = templateProblem(template(content)) ?? "none";
      assert.ok(problem.startsWith('column "c" template is invalid: '), problem);
      assert.ok(problem.includes(message), problem);
    });
  }

  test("what may fail on a record is not", () => {
    for (const content of ["Body('a')", "error 'x'", "Body('a') + {}", "Header(Body('a'))", "Body().a.b.c"]) {
      assert.equal(templateProblem(template(content)), undefined, content);
    }
  });
});
