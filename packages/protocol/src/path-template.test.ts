import assert from "node:assert/strict";
import { test } from "node:test";
import { formatGoTime } from "./go-time.ts";
import { labelSet } from "./label-set.ts";
import { evaluatePathTemplate, parsePathTemplate, type PathTemplateScope } from "./path-template.ts";
import { refusal } from "./refusal-testkit.ts";

const SCOPE: PathTemplateScope = {
  journal: "a/journal",
  begin: 100,
  end: 200,
  firstAppendMs: Date.UTC(2019, 0, 2, 3, 4, 5, 60),
  registers: labelSet(["author", "me"]),
  replication: 3,
  labels: labelSet(["region", "eu/west"], ["up", "../../x"]),
};

test("evaluation: every operand", () => {
  const cases: readonly (readonly [template: string, path: string])[] = [
    ["", ""],
    ["plain/text", "plain/text"],
    [
      'date={{ .Spool.FirstAppendTime.Format "2006-01-02" }}/hour={{ .Spool.FirstAppendTime.Format "15" }}',
      "date=2019-01-02/hour=03",
    ],
    ["{{.Spool.Begin}}-{{ .Spool.End }}", "100-200"],
    ["{{ .Name }}/{{ .Spool.Journal }}", "a/journal/a/journal"],
    ["r{{ .Replication }}", "r3"],
    ['{{ .ValueOf "region" }}', "eu/west"],
    ["{{ .LabelSet.ValueOf `region` }}", "eu/west"],
    ['{{ .Spool.Registers.ValueOf "author" }}', "me"],
    ['x={{ .ValueOf "missing" }}', "x="],
    ["a {{- .Replication -}} \n b", "a3b"],
    ['a/{{ .ValueOf "missing" }}/b/', "a/b"],
    ['{{ .ValueOf "up" }}/y', "x/y"],
  ];
  for (const [template, path] of cases)
    assert.equal(evaluatePathTemplate(parsePathTemplate(template), SCOPE), path, template);
});

test("parsing: everything else -> refused with what there is", () => {
  const unsupported = (line: number, quoted: string): string =>
    `template: postfix:${line}: unsupported expression ${quoted} (expected one of `;
  const cases: readonly (readonly [template: string, text: string])[] = [
    ["{{ bad template", "template: postfix:1: unclosed action"],
    ["a\n{{ .ValueOf `}}", "template: postfix:2: unsupported expression"],
    ["{{}}", unsupported(1, '""')],
    ["\n{{ .Fragment.Length }}", unsupported(2, '".Fragment.Length"')],
    ["{{ .Journal }}", unsupported(1, '".Journal"')],
    ["{{ .ValueOf }}", unsupported(1, '".ValueOf"')],
    ['{{ .Name "x" }}', unsupported(1, '".Name \\"x\\""')],
    ["{{ if .Name }}x{{ end }}", unsupported(1, '"if .Name"')],
    ["{{ .Name | printf `%s` }}", unsupported(1, '".Name | printf `%s`"')],
    ["{{/* comment */}}", unsupported(1, '"/* comment */"')],
    ["{{ .constructor }}", unsupported(1, '".constructor"')],
    ["with space", "template: postfix: gives a bad path, e.g. not a valid token (with space)"],
    [
      '{{ .Spool.FirstAppendTime.Format "15:04" }}',
      "template: postfix: gives a bad path, e.g. not a valid token (13:14)",
    ],
    [
      "x".repeat(513),
      "template: postfix: gives a bad path, e.g. invalid length (513; expected 0 <= length <= 512)",
    ],
    ["x".repeat(5000), "template: postfix: 5000 characters (expected <= 4096)"],
  ];
  for (const [template, text] of cases) {
    const said = refusal(() => parsePathTemplate(template));
    assert.ok(said.startsWith(text), `${template} -> ${said}`);
  }
});

test("layouts: as Go formats them in UTC", () => {
  const time = Date.UTC(2009, 1, 4, 21, 0, 57, 12);
  const cases: Readonly<Record<string, string>> = {
    "Mon Jan _2 15:04:05 2006": "Wed Feb  4 21:00:57 2009",
    "Mon Jan _2 15:04:05 MST 2006": "Wed Feb  4 21:00:57 UTC 2009",
    "02 Jan 06 15:04 -0700": "04 Feb 09 21:00 +0000",
    "Monday, 02-Jan-06 15:04:05 MST": "Wednesday, 04-Feb-09 21:00:57 UTC",
    "2006-01-02T15:04:05Z07:00": "2009-02-04T21:00:57Z",
    "2006-01-02T15:04:05-07:00": "2009-02-04T21:00:57+00:00",
    "3:04PM 3:04pm": "9:00PM 9:00pm",
    "03 1 2 4 5": "09 2 4 0 57",
    "Jan _2 15:04:05.000000": "Feb  4 21:00:57.012000",
    "05.999999 05,9 05.00": "57.012 57 57.01",
    "002 __2": "035  35",
    "Janet Monster January": "Janet Monster February",
    _2006_01: "_2009_02",
    "07 -07 Z0700": "07 +00 Z",
    "": "",
  };
  for (const [layout, formatted] of Object.entries(cases))
    assert.equal(formatGoTime(time, layout), formatted, layout);
  assert.equal(formatGoTime(Date.UTC(2020, 11, 31, 0), "002 3pm"), "366 12am");
});
