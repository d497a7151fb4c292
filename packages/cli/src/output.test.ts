// What people see: tables, latencies, the doctor's report.
import assert from "node:assert/strict";
import { test } from "node:test";
import { columnTitle, renderBoxTable } from "./box-table.ts";
import { renderReport } from "./command-doctor.ts";
import { Latencies } from "./latencies.ts";
import { ago, iecBytes } from "./readable-amounts.ts";
import { renderTable } from "./table-output.ts";

test("table: cells of any width -> aligned columns, no blanks at the ends of lines", () => {
  const table = renderTable(
    ["ID", "NAME"],
    [
      ["a", "über"],
      ["long one", ""],
    ],
  );
  assert.equal(table, "ID        NAME\na         über\nlong one\n");
  assert.equal(renderTable(["n"], []), "n\n");
  assert.equal(
    renderTable(
      ["a", "b"],
      [
        ["漢字", "x"],
        ["e\u0301", "y"],
      ],
    ),
    "a     b\n漢字  x\ne\u0301     y\n",
  );
});

test("table: cells with escape sequences and newlines -> nothing that a terminal would obey", () => {
  assert.equal(renderTable(["a"], [["x\u001b[2J\ny\u009b1m"]]), "a\nx\ufffd[2J y\ufffd1m\n");
});

test("box table: the columns of the journal tools -> centred headers, left-aligned cells", () => {
  assert.equal(
    renderBoxTable(["NAME", "PRIMARY"], [["examples/foobar", "broker-1"]]),
    [
      "┌─────────────────┬──────────┐",
      "│      NAME       │ PRIMARY  │",
      "├─────────────────┼──────────┤",
      "│ examples/foobar │ broker-1 │",
      "└─────────────────┴──────────┘",
      "",
    ].join("\n"),
  );
  assert.equal(renderBoxTable(["NAME"], []), "┌──────┐\n│ NAME │\n└──────┘\n");
});

test("column title: labels of every kind -> the words of the journal tools", () => {
  const titles = ["app.gazette.dev/region", "content-type", "a_b", "SHA1", "camelCase2", "HTTPServer", ""];
  assert.deepEqual(titles.map(columnTitle), [
    "APP . GAZETTE . DEV / REGION",
    "CONTENT - TYPE",
    "A B",
    "SHA 1",
    "CAMEL CASE 2",
    "HTTP SERVER",
    "",
  ]);
});

test("latencies: none -> null; many -> percentiles in milliseconds, to the microsecond", () => {
  const latencies = new Latencies();
  assert.equal(latencies.summary(), null);
  for (let i = 5000; i >= 1; i--) latencies.add(i / 10);
  assert.deepEqual(latencies.summary(), { p50: 250.1, p90: 450.1, p99: 495.1, p999: 499.6, max: 500 });
});

test("bytes and times: each unit -> in the words of Gazette's tool", () => {
  const kib = [
    0,
    1023,
    1024,
    2560,
    10_239,
    49_971,
    1_048_575,
    5 * 2 ** 20,
    2 ** 31,
    3 * 2 ** 40,
    12 * 2 ** 50,
  ];
  assert.deepEqual(kib.map(iecBytes), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "2.5 KiB",
    "10 KiB",
    "49 KiB",
    "1024 KiB",
    "5.0 MiB",
    "2.0 GiB",
    "3.0 TiB",
    "12 PiB",
  ]);
  const DAY = 86_400;
  const spans: readonly (readonly [seconds: number, text: string])[] = [
    [0, "now"],
    [1, "1 second ago"],
    [59, "59 seconds ago"],
    [60, "1 minute ago"],
    [7199, "1 hour ago"],
    [90_000, "1 day ago"],
    [200_000, "2 days ago"],
    [8 * DAY, "1 week ago"],
    [15 * DAY, "2 weeks ago"],
    [31 * DAY, "1 month ago"],
    [61 * DAY, "2 months ago"],
    [366 * DAY, "1 year ago"],
    [600 * DAY, "2 years ago"],
    [14_610 * DAY, "a long while ago"],
    [-240, "4 minutes from now"],
  ];
  assert.deepEqual(
    spans.map(([seconds]) => ago(seconds)),
    spans.map(([, text]) => text),
  );
});

test("doctor's report: checks with and without problems -> table, problems, one line that says it all", () => {
  const sound = {
    name: "coverage",
    verdict: "ok",
    found: "2 journals",
    counts: {},
    problems: [],
    problemCount: 0,
  } as const;
  const problems = [{ verdict: "bad", message: "a/b: offsets [1, 2) are in no fragment" }] as const;
  const bad = {
    ...sound,
    name: "rows",
    verdict: "bad",
    found: "1 table",
    problems,
    problemCount: 3,
  } as const;
  const base = { dataDirectory: "/d", seconds: 1.26, warnings: 0 };
  assert.equal(
    renderReport({ ...base, sound: true, checks: [sound], bad: 0 }),
    "CHECK     RESULT  FOUND\ncoverage  ok      2 journals\n\nsound: /d (1 checks in 1.3 s)\n",
  );
  assert.equal(
    renderReport({ ...base, sound: false, checks: [sound, bad], bad: 1 }),
    [
      "CHECK     RESULT  FOUND",
      "coverage  ok      2 journals",
      "rows      bad     1 table",
      "",
      "bad   rows: a/b: offsets [1, 2) are in no fragment",
      "      rows: and 2 more",
      "",
      "BAD: 1 of 2 checks in 1.3 s found damage in /d; nothing was changed",
      "",
    ].join("\n"),
  );
});
