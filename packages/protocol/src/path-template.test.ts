// What Go 1.26 and a Gazette broker make of the templates in path-template.golden.txt, line by line: the refusal of
// a spec that has it, else what it gives for the scope below, or how it fails.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { WireError } from "@millrace/base";
import { formatGoTime } from "./go-time.ts";
import { newJournalSpec } from "./journal-spec.ts";
import { labelSet } from "./label-set.ts";
import { TEMPLATE_OUTPUT_CHARS_MAX } from "./limits.ts";
import { evaluatePathTemplate, parsePathTemplate, validatePathTemplate } from "./path-template.ts";
import { pathTemplateData, type PathTemplateScope } from "./path-template-data.ts";
import { runGoTemplate } from "./go-template-run.ts";
import { refusal } from "./refusal-testkit.ts";
import { journalSpec } from "./testkit.ts";

const ZERO = newJournalSpec({});

function scopeOf(pathPostfixTemplate: string): PathTemplateScope {
  const spec = journalSpec({
    name: "a/journal",
    replication: 3,
    labels: labelSet(["region", "eu/west"], ["team", "a"], ["team", "b"], ["up", "../../x"]),
    fragment: {
      length: 1 << 20,
      compressionCodec: "GZIP",
      stores: ["file:///one/"],
      refreshIntervalMs: 300_000,
      retentionMs: 0,
      flushIntervalMs: 3_600_000,
      pathPostfixTemplate,
    },
    flags: 4,
    maxAppendRate: 1000,
  });
  const { suspend: _, ...awake } = spec;
  return {
    spec: awake,
    begin: 100,
    end: 200,
    sum: "040f06fd774092478d450774f5ba30c5da78acc8",
    firstAppendMs: Date.UTC(2019, 0, 2, 3, 4, 5, 60),
    registers: labelSet(["author", "me"]),
  };
}

function validated(template: string): string {
  return refusal(() => validatePathTemplate(scopeOf(template).spec.fragment, ZERO));
}

function path(template: string): string {
  return evaluatePathTemplate(parsePathTemplate(template), scopeOf(template));
}

/** What the template gives, or the text of its refusal. */
function given(template: string): readonly [out: string, failure: string] {
  let out = "";
  const failure = refusal(
    () => (out = runGoTemplate(parsePathTemplate(template), pathTemplateData(scopeOf(template)))),
  );
  return [out, failure];
}

/** Where ours differs from Go, and on purpose. */
const SPOOL = "struct { protocol.Fragment; FirstAppendTime time.Time; Registers protocol.LabelSet }";
const ALL = `struct { Spool ${SPOOL}; protocol.JournalSpec }`;
const at = (source: string, type: string): string =>
  `template: postfix:1:3: executing "postfix" at <${source}>: a value of type ${type} cannot be printed here`;
const OURS: Readonly<Record<string, string>> = {
  "{{ print 1i }}": 'template: postfix:1: illegal number syntax: "1i"',
  '{{ js "x" }}': 'template: postfix:1: function "js" not defined',
  "{{ . }}": at(".", ALL),
  "{{ . | }}": at(".", ALL),
  "{{ .Spool }}": at(".Spool", SPOOL),
  '{{ printf "%v" .Labels }}': "template: postfix: gives a bad path, e.g. not a valid token ([])",
  "{{ .Fragment.Length }}": "1048576",
  '{{ define "x" }}y{{ end }}{{ template "x" }}': "template: postfix:1: {{define}} is not supported",
  '{{ block "x" . }}y{{ end }}': "template: postfix:1: {{block}} is not supported",
};

test("templates: refused with Go's text, or giving what Go gives; what differs is named", () => {
  const lines = readFileSync(new URL("../src/path-template.golden.txt", import.meta.url), "utf8")
    .trimEnd()
    .split("\n");
  const differing = new Set<string>();
  for (const line of lines) {
    const [template, refused, out, failure] = JSON.parse(line) as [string, string, string, string];
    const ours = validated(template);
    if (Object.hasOwn(OURS, template)) {
      differing.add(template);
      assert.equal(ours === "" ? given(template).join("") : ours, OURS[template], template);
      continue;
    }
    const isNoPath = refused === "" && ours.startsWith("template: postfix: gives a bad path");
    if (!isNoPath) assert.equal(ours, refused, template);
    if (refused !== "") continue;
    const [result, failed] = given(template);
    assert.deepEqual([result, failed !== ""], [out, failure !== ""], template);
  }
  assert.ok(lines.length > 300, "the table is there");
  assert.deepEqual([...differing].sort(), Object.keys(OURS).sort(), "each difference is met");
});

test("paths: clean, below the journal, and of the alphabet of paths", () => {
  assert.equal(path('a/{{ .ValueOf "missing" }}/b/'), "a/b");
  assert.equal(path('{{ .ValueOf "up" }}/y'), "x/y");
  assert.equal(path("/{{ .Name }}//"), "a/journal");
  assert.equal(
    refusal(() => path("a b")),
    "not a valid token (a b)",
  );
  assert.match(
    refusal(() => path("{{ range 513 }}x{{ end }}")),
    /^invalid length \(513; /,
  );
  assert.match(
    validated("x".repeat(513)),
    /^template: postfix: gives a bad path, e.g. invalid length \(513; /,
  );
  assert.equal(validated("x".repeat(5000)), "template: postfix: 5000 characters (expected <= 4096)");
});

test("bounds: steps, characters and depth -> refused, whatever the template", () => {
  const steps = /: more than 10000 steps$/;
  const characters = new RegExp(`more than ${TEMPLATE_OUTPUT_CHARS_MAX} characters$`);
  const cases: readonly (readonly [template: string, said: RegExp])[] = [
    ["{{ range 1000000000000000000 }}{{ end }}", steps],
    ["{{ range 9999 }}{{ range 9999 }}{{ end }}{{ end }}", steps],
    [`{{ range 900 }}${"x".repeat(1000)}{{ end }}`, characters],
    ['{{ printf "%100000d" 1 }}', characters],
    ['{{ printf "%.100000d" 1 }}', characters],
    ['{{ $x := "xx" }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}', characters],
    ['{{ $x := "xx" }}{{ range 64 }}{{ $x = printf "%s%s" $x $x }}{{ end }}', characters],
    [`{{ ${"(".repeat(200)}1${")".repeat(200)} }}`, /: max expression depth exceeded$/],
    [`${"{{ if 1 }}".repeat(200)}${"{{ end }}".repeat(200)}`, /: max expression depth exceeded$/],
    [`{{ printf "%*d" 99999999999 1 }}{{ .Foo }}`, /can't evaluate field Foo/],
  ];
  for (const [template, said] of cases) assert.match(given(template)[1], said, template.slice(0, 80));
});

test("hostile templates: a path below the journal or a refusal, and nothing else", () => {
  const piece = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "{{",
        "}}",
        "{{ end }}",
        "{{- ",
        " -}}",
        "/*",
        "*/",
        "|",
        "(",
        ")",
        ":=",
        "=",
        ",",
      ),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "if ",
        "range ",
        "with ",
        "else ",
        "end ",
        "break",
        "$x",
        "$",
        ".",
        " ",
        "nil",
        "true",
      ),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "printf ",
        "print ",
        "len ",
        "index ",
        "slice ",
        "eq ",
        "and ",
        "or ",
        "html ",
        '"%999d"',
      ),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        ".Spool",
        ".FirstAppendTime",
        ".Format",
        ".Labels",
        ".ValueOf",
        ".__proto__",
        ".constructor",
      ),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        '"a"',
        "`b`",
        "'c'",
        "1",
        "-1",
        "1e9",
        "0x",
        "9".repeat(30),
        "\\",
        "\n",
        "\u0000",
        "é",
        "😀",
      ),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 4 }) },
  );
  const action = fc.array(piece, { maxLength: 12 }).map((pieces) => `{{ ${pieces.join(" ")} }}`);
  const template = fc.array(fc.oneof(piece, action), { maxLength: 12 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(template, (text) => {
      for (const check of [
        () => validated(text),
        () => refusal(() => assert.doesNotMatch(path(text), /^\/|(^|\/)\.\.?(\/|$)|\/$/)),
      ]) {
        assert.equal(typeof check(), "string");
      }
    }),
    { numRuns: 3000 },
  );
});

test("members: a name of JavaScript's own -> no field", () => {
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"])
    assert.match(given(`{{ .Spool.${name} }}`)[1], /can't evaluate field/);
  assert.throws(() => parsePathTemplate("{{ constructor }}"), WireError);
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
