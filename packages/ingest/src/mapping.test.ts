import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { text } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";

import { RowBuffer } from "./csv-writer.ts";
import type { Column } from "./definitions.ts";
import { ROW_BYTES_MAX } from "./limits.ts";
import { parsePath, PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import type { RecordContext } from "./mapping-record.ts";
import { ACCEPTED_AT, map as mapColumns, type GivenRecord } from "./mapping-testkit.ts";
import { compileMapping } from "./mapping.ts";

interface Given extends GivenRecord {
  readonly columns: readonly Column[];
}

const map = ({ columns, ...record }: Given): ReturnType<typeof mapColumns> => mapColumns(columns, record);

const path = (path: string, more: { defaultValue?: string; rawString?: boolean } = {}): Column => ({
  type: "path",
  name: "c",
  path,
  ...more,
});

describe("mapping", () => {
  const BODY = `{ "s": "text", "q": "say \\"hi\\"", "n": 12.50, "big": 12345678901234567890, "e": 1e-7, "huge": 2.5E+22,
    "t": true, "f": false, "nil": null, "o": {"a": [1, {"b": "x\\u00e9"}], "n": -0.0}, "list": [[1,2],"z"],
    "": 1, "é": "ž" }`;
  const rows: [column: Column, row: string][] = [
    [{ type: "datetime", name: "c" }, '"2026-01-02T03:04:05.067Z"\n'],
    [{ type: "ip", name: "c" }, '"203.0.113.7"\n'],
    [{ type: "headers", name: "c" }, '"{""Content-Type"":""application/json""}"\n'],
    [path("s"), '"""text"""\n'],
    [path("s", { rawString: true }), '"text"\n'],
    [path("q"), '"""say \\""hi\\"""""\n'],
    [path("q", { rawString: true }), '"say ""hi"""\n'],
    [path("n"), '"12.5"\n'],
    [path("big"), '"12345678901234567890"\n'],
    [path("e"), '"0.0000001"\n'],
    [path("huge", { rawString: true }), '"25000000000000000000000"\n'],
    [path("t"), '"true"\n'],
    [path("f"), '"false"\n'],
    [path("nil"), '""\n'],
    [path("nil", { defaultValue: "d" }), '""\n'],
    [path("o"), '"{""a"":[1,{""b"":""xé""}],""n"":0}"\n'],
    [path("o", { rawString: true }), '"{""a"":[1,{""b"":""xé""}],""n"":0}"\n'],
    [path("o.a[1].b", { rawString: true }), '"xé"\n'],
    [path("list[0][1]"), '"2"\n'],
    [path("list[0]"), '"[1,2]"\n'],
    [path("é", { rawString: true }), '"ž"\n'],
    [path('["é"]', { rawString: true }), '"ž"\n'],
    [path('o["a"][0]'), '"1"\n'],
    [path('[""]'), '"1"\n'],
    [path("gone", { defaultValue: 'dé"f' }), '"""dé\\""f"""\n'],
    [path("gone", { defaultValue: 'd"f', rawString: true }), '"d""f"\n'],
    [path("gone", { defaultValue: "", rawString: true }), '""\n'],
    [path("s.deeper", { defaultValue: "x", rawString: true }), '"x"\n'],
    [path("list[7]", { defaultValue: "x", rawString: true }), '"x"\n'],
  ];
  for (const [column, row] of rows) {
    const name =
      column.type === "path" ? JSON.stringify({ ...column, name: undefined, type: undefined }) : column.type;
    test(`write: ${name} -> ${JSON.stringify(row)}`, () => {
      assert.equal(map({ columns: [column], body: BODY }), row);
    });
  }

  test("write: several columns -> in their order; the body as it was received", () => {
    const columns: Column[] = [{ type: "body", name: "b" }, path("k"), { type: "ip", name: "i" }];
    assert.equal(map({ columns, body: ' {"k":"v"} ' }), '" {""k"":""v""} ","""v""","203.0.113.7"\n');
  });

  test("write: the empty path -> the whole body, compact", () => {
    assert.equal(map({ columns: [path("")], body: ' { "a" : [ 1 , 2.0 ] } ' }), '"{""a"":[1,2]}"\n');
    assert.equal(map({ columns: [path("", { rawString: true })], body: '"text"' }), '"text"\n');
  });

  test("write: uuid -> version 7 of the accepting time, ascending", () => {
    const mapping = compileMapping([{ type: "uuid", name: "id" }], {
      tree: new PathTree(),
      programs: new ProgramSet(),
      random: seededRandom("uuid"),
    });
    const out = new RowBuffer(16);
    const record = { acceptedAtMs: ACCEPTED_AT } as RecordContext;
    const ids = Array.from({ length: 3000 }, (_, i) => {
      out.at = 0;
      // The clock goes back once.
      record.acceptedAtMs = ACCEPTED_AT + (i === 1500 ? -5 : i >> 10);
      mapping.write(record, out);
      return text(out.bytes.subarray(1, 37));
    });
    for (const id of ids)
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(ids[0]!.replaceAll("-", "").slice(0, 12), 16), ACCEPTED_AT);
    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, ids.length);
  });

  const failures: [name: string, given: Given, status: number, message: string][] = [
    [
      "a missing path without default",
      { columns: [path("gone")], body: "{}" },
      422,
      'Invalid value for column "c": path "gone" not found in the body.',
    ],
    [
      "a number beyond all doubles",
      { columns: [path("n")], body: '{"n":1e400}' },
      422,
      'Invalid value for column "c": cannot convert column "c" to CSV value.',
    ],
    [
      "such a number inside an object",
      { columns: [path("o")], body: '{"o":{"n":[-1e999]}}' },
      422,
      'Invalid value for column "c": cannot convert column "c" to CSV value.',
    ],
    [
      "a path and an opaque body",
      { columns: [path("a")], body: "text", opaque: true },
      415,
      'Column "c" needs a JSON or form body.',
    ],
    [
      "a body that is not UTF-8",
      { columns: [{ type: "body", name: "b" }], body: Uint8Array.of(0x61, 0xff), opaque: true },
      422,
      'Invalid value for column "b": the body is not UTF-8.',
    ],
    [
      "a row over the limit",
      {
        columns: [
          { type: "ip", name: "i" },
          { type: "body", name: "b" },
        ],
        body: '"'.repeat(ROW_BYTES_MAX / 2),
        opaque: true,
      },
      413,
      'Too big CSV row, column: "b", row limit: 1536KB.',
    ],
  ];
  for (const [name, given, status, message] of failures) {
    test(`write: ${name} -> ${status}`, () => {
      const failure = map(given);
      assert.ok(typeof failure === "object");
      assert.deepEqual([failure.status, failure.message], [status, message]);
    });
  }

  test("write: body of every length and place of quotes -> each quote doubled", () => {
    for (let length = 0; length < 12; length++) {
      for (let quotes = 0; quotes < 1 << length; quotes++) {
        const body = Array.from({ length }, (_, i) => ((quotes >> i) & 1 ? '"' : "x")).join("");
        const row = map({ columns: [{ type: "body", name: "b" }], body, opaque: true });
        assert.equal(row, `"${body.replaceAll('"', '""')}"\n`);
      }
    }
  });
});

test("a column that this version cannot fill -> 503 for the sink, nothing is thrown", () => {
  for (const column of [
    path("a..b"),
    { type: "template", name: "c", template: { language: "jsonnet", content: "Nothing()" } },
  ] satisfies Column[]) {
    const failure = map({ columns: [column], body: "{}" });
    assert.ok(typeof failure === "object");
    assert.deepEqual([failure.status, failure.name, failure.column], [503, "pipelineNotReady", "c"]);
    assert.match(
      failure.message,
      /^Column "c" cannot be filled by this version: .*(empty step|Unknown variable)/,
    );
  }
});

describe("path", () => {
  const valid: [string, (string | number)[]][] = [
    ["", []],
    ["a", ["a"]],
    ["a.b[0].c", ["a", "b", 0, "c"]],
    ["[1][2].x", [1, 2, "x"]],
    ["a-b.c d", ["a-b", "c d"]],
    ['resource["service.name"]', ["resource", "service.name"]],
    ['["a[0]"][2]["\\u00e9\\"]"].b', ["a[0]", 2, 'é"]', "b"]],
    ['a[""]', ["a", ""]],
    ["a[007]", ["a", 7]],
    ['"a"', ['"a"']],
  ];
  for (const [given, steps] of valid) {
    test(`parse: "${given}" -> ${JSON.stringify(steps)}`, () => {
      assert.deepEqual(parsePath(given), { kind: "steps", steps });
    });
  }
  for (const given of [
    "a..b",
    ".a",
    "a.",
    "a[",
    "a[x]",
    "a[-1]",
    "a]0[",
    "a.[0]",
    "a[0]b",
    "a[99999999]",
    "a['b']",
    'a["b]',
    'a["b"',
    'a["b"]c',
    'a["\\x"]',
    '["a"]["b',
    "a.".repeat(70) + "a",
  ]) {
    test(`parse: "${given.slice(0, 20)}" -> invalid`, () => {
      assert.equal(parsePath(given).kind, "invalid");
    });
  }
});
