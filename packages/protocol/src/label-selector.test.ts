import assert from "node:assert/strict";
import { test } from "node:test";
import { labelSet, sortedSet, type Label, type LabelSet } from "./label-set.ts";
import {
  ANY_LABELS,
  matchesSelector,
  printLabelSelector,
  validateLabelSelector,
  withNamePrefixes,
} from "./label-selector.ts";
import { refusal } from "./refusal-testkit.ts";
import { parseLabelSelector } from "./selector-parser.ts";

/** The set of labels written `name=value` or `name:prefix=value`. */
function set(...labels: readonly string[]): LabelSet {
  return sortedSet(
    labels.map((text): Label => {
      const at = text.indexOf("=");
      const name = at === -1 ? text : text.slice(0, at);
      const prefix = name.endsWith(":prefix");
      return { name: prefix ? name.slice(0, -7) : name, value: at === -1 ? "" : text.slice(at + 1), prefix };
    }),
  );
}

test("parse: texts -> selectors and their canonical texts", () => {
  const cases: readonly (readonly [text: string, include: LabelSet, exclude: LabelSet, canonical: string])[] =
    [
      ["", set(), set(), ""],
      ["foo = bar", set("foo=bar"), set(), "foo=bar"],
      ["foo:prefix =bar", set("foo:prefix=bar"), set(), "foo:prefix=bar"],
      ["foo != bar", set(), set("foo=bar"), "foo!=bar"],
      ["foo ", set("foo"), set(), "foo"],
      [" !foo", set(), set("foo"), "!foo"],
      [" ! foo", set(), set("foo"), "!foo"],
      ["foo=", set("foo"), set(), "foo"],
      [" foo in (bing, baz,bar)", set("foo=bar", "foo=baz", "foo=bing"), set(), "foo in (bar,baz,bing)"],
      [" foo not in ( pear, apple )", set(), set("foo=apple", "foo=pear"), "foo notin (apple,pear)"],
      ["foo notin (a)", set(), set("foo=a"), "foo!=a"],
      ["foo in (a,a)", set("foo=a"), set(), "foo=a"],
      [
        "foo==bar, baz !=bing ,apple:prefix in (fruit, banana)",
        set("apple:prefix=banana", "apple:prefix=fruit", "foo=bar"),
        set("baz=bing"),
        "apple:prefix in (banana,fruit),foo=bar,baz!=bing",
      ],
      [
        "!foo,baz,bing:prefix not in (one-1, two),!bar,",
        set("baz"),
        set("bar", "bing:prefix=one-1", "bing:prefix=two", "foo"),
        "baz,!bar,bing:prefix notin (one-1,two),!foo",
      ],
      [
        "aa=b=c,dd==e=,ff in (x=1, =y)",
        set("aa=b=c", "dd=e=", "ff==y", "ff=x=1"),
        set(),
        "aa=b=c,dd=e=,ff in (=y,x=1)",
      ],
      ["ff in (=y)", set("ff==y"), set(), "ff in (=y)"],
      ["ff!==y", set(), set("ff==y"), "ff!==y"],
      ["name=x,name:prefix=y/", set("name=x", "name:prefix=y/"), set(), "name=x,name:prefix=y/"],
      ["größe=三", set("größe=三"), set(), "größe=三"],
      ["foo:prefix", set("foo:prefix="), set(), "foo:prefix"],
    ];
  for (const [text, include, exclude, canonical] of cases) {
    const selector = parseLabelSelector(text);
    assert.deepEqual(selector, { include, exclude }, text);
    assert.equal(printLabelSelector(selector), canonical, text);
    assert.deepEqual(parseLabelSelector(canonical), selector, canonical);
  }
});

test("parse: what makes no sense -> refused from there on", () => {
  const cases: readonly (readonly [text: string, refused: string])[] = [
    ["apple,banana err in (bar)", 'could not match "banana err in (bar)" to a label selector expression'],
    [
      "apple,banana in (bar,err baz)",
      'parsing "banana in (bar,err baz)": could not match "err baz" to a label selector set expression',
    ],
    ["foo, foo in (bar)", "Include: Label has empty & non-empty values (index 1; label foo value bar)"],
    ["!foo, foo notin (bar)", "Exclude: Label has empty & non-empty values (index 1; label foo value bar)"],
    ["f", 'could not match "f" to a label selector expression'],
    ["foo  =bar", 'could not match "foo  =bar" to a label selector expression'],
    ["foo in ()", 'could not match "foo in ()" to a label selector expression'],
    ['foo\t=\u00a0"x"', 'could not match "foo\\t=\\u00a0\\"x\\"" to a label selector expression'],
    ["a:prefix", 'could not match "a:prefix" to a label selector expression'],
    [" ", 'could not match " " to a label selector expression'],
    [`aa=${"x".repeat(1 << 16)}`, `selector is too long (65539 characters; expected <= 65536)`],
    ["foo=a,foo:prefix=a", "Include: Labels not in unique, sorted order (index 1; label foo value a <= a)"],
  ];
  for (const [text, refused] of cases)
    assert.equal(
      refusal(() => parseLabelSelector(text)),
      refused,
      text,
    );
});

test("validate: prefixes are fine here, bad names are not", () => {
  assert.equal(
    refusal(() => validateLabelSelector({ include: set("aa:prefix=x"), exclude: set() })),
    "",
  );
  assert.equal(
    refusal(() => validateLabelSelector({ include: set(), exclude: set("in valid=x") })),
    "Exclude.Labels[0].Name: not a valid token (in valid)",
  );
});

test("match: truth table", () => {
  const text =
    "inc-1:prefix in (a-val/, b-val/), inc-2, inc-3 in (val-1, val-2), !exc-1, exc-2 not in (val-3, val-4)";
  const selector = parseLabelSelector(text);
  const cases: readonly (readonly [labels: LabelSet, matches: boolean])[] = [
    [set("foo=bar", "inc-1=a-val/1", "inc-2=any", "inc-3=val-1"), true],
    [set("inc-1=b-val/", "inc-2", "inc-3=val-2"), true],
    [set("inc-1=a-val/1", "inc-2=any", "inc-3=other", "inc-3=val-2"), true],
    [set("inc-1=c-val/1", "inc-2=any", "inc-3=val-1"), false],
    [set("inc-1=a-val", "inc-2=any", "inc-3=val-1"), false],
    [set("inc-1=a-val/1", "inc-3=val-1"), false],
    [set("inc-1=a-val/1", "inc-2=any", "inc-3=other"), false],
    [set("exc-1=any", "inc-1=a-val/1", "inc-2=any", "inc-3=val-1"), false],
    [set("exc-1", "inc-1=a-val/1", "inc-2=any", "inc-3=val-1"), false],
    [set("exc-2=val-4", "inc-1=a-val/1", "inc-2=any", "inc-3=val-1"), false],
    [set("exc-2=ok", "exc-2=val-3", "inc-1=a-val/1", "inc-2=any", "inc-3=val-1"), false],
    [set("exc-2=ok", "inc-1=a-val/1", "inc-2=any", "inc-3=val-1"), true],
    [set(), false],
  ];
  for (const [labels, matches] of cases)
    assert.equal(matchesSelector(selector, labels), matches, JSON.stringify(labels));
  assert.ok(matchesSelector(ANY_LABELS, set()));
});

test("match: prefix among several values on both sides -> found, where a merge walk would miss it", () => {
  assert.ok(
    matchesSelector(parseLabelSelector("aa:prefix in (a, b/c)"), labelSet(["aa", "b/c/1"], ["aa", "z"])),
  );
  assert.ok(matchesSelector(parseLabelSelector("aa:prefix in (b, c)"), labelSet(["aa", "a"], ["aa", "cx"])));
});

test("prefix labels: become prefix matches of name, alternatives to names", () => {
  const selector = withNamePrefixes(parseLabelSelector("prefix=a/, name=b/c, zz, prefix!=x/"));
  assert.deepEqual(selector, {
    include: set("name:prefix=a/", "name=b/c", "zz"),
    exclude: set("name:prefix=x/"),
  });
  assert.ok(matchesSelector(selector, labelSet(["name", "a/1"], ["zz", "1"])));
  assert.ok(matchesSelector(selector, labelSet(["name", "b/c"], ["zz", "1"])));
  assert.equal(matchesSelector(selector, labelSet(["name", "b/d"], ["zz", "1"])), false);
});
