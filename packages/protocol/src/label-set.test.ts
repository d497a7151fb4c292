import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EMPTY_LABELS,
  equalLabelSets,
  extendedLabels,
  intersectLabels,
  labelSet,
  sortedSet,
  subtractLabels,
  unionLabels,
  updatedRegisters,
  validateLabelSet,
  valueOf,
  valuesOf,
  withAddedLabel,
  withLabel,
  withoutLabel,
  type LabelSet,
} from "./label-set.ts";
import { matchesSelector } from "./label-selector.ts";
import { refusal } from "./refusal-testkit.ts";
import { parseLabelSelector } from "./selector-parser.ts";

const label = (name: string, value: string, prefix = false): LabelSet["labels"][number] => ({
  name,
  value,
  prefix,
});

test("validation: truth table of label sets", () => {
  const cases: readonly (readonly [labels: LabelSet["labels"], text: string])[] = [
    [[], ""],
    [[label("aa", "")], ""],
    [[label("aa", "x=%/ok")], ""],
    [[label("a", "x")], "Labels[0].Name: invalid length (1; expected 2 <= length <= 64)"],
    [[label("a".repeat(65), "x")], "Labels[0].Name: invalid length (65; expected 2 <= length <= 64)"],
    [[label("bad label", "x")], "Labels[0].Name: not a valid token (bad label)"],
    [[label("aa=b", "x")], "Labels[0].Name: not a valid token (aa=b)"],
    [[label("aa", "bad value")], "Labels[0].Value: not a valid token (bad value)"],
    [[label("aa", "v".repeat(1025))], "Labels[0].Value: invalid length (1025; expected 0 <= length <= 1024)"],
    [[label("aa", "not//clean/")], ""],
    [[label("aa", "x", true)], "Labels[0]: Prefix may not be set outside of a LabelSelector"],
    [
      [label("bb", "x"), label("aa", "x")],
      "Labels not in unique, sorted order (index 1; label name aa <= bb)",
    ],
    [
      [label("aa", "y"), label("aa", "x")],
      "Labels not in unique, sorted order (index 1; label aa value x <= y)",
    ],
    [
      [label("aa", "x"), label("aa", "x")],
      "Labels not in unique, sorted order (index 1; label aa value x <= x)",
    ],
    [[label("aa", ""), label("aa", "x")], "Label has empty & non-empty values (index 1; label aa value x)"],
    [[label("aa", "x"), label("aa", "y"), label("bb", "")], ""],
  ];
  for (const [labels, text] of cases)
    assert.equal(
      refusal(() => validateLabelSet({ labels })),
      text,
    );
  assert.equal(
    refusal(() => validateLabelSet({ labels: [label("aa", "x", true)] }, "allowed")),
    "",
  );
});

test("building: any order and duplicates -> sorted and unique", () => {
  const set = labelSet(["bb", "2"], ["aa", "1"], ["bb", "1"], ["bb", "2"]);
  assert.deepEqual(set, { labels: [label("aa", "1"), label("bb", "1"), label("bb", "2")] });
  assert.deepEqual(sortedSet([label("aa", "1", true), label("aa", "1")]).labels.length, 2, "prefix differs");
});

test("lookups and changes", () => {
  const set = labelSet(["aa", "1"], ["bb", "1"], ["bb", "2"]);
  assert.deepEqual(valuesOf(set, "bb"), ["1", "2"]);
  assert.deepEqual(valuesOf(set, "cc"), []);
  assert.equal(valueOf(set, "bb"), "1");
  assert.equal(valueOf(set, "cc"), "");
  assert.deepEqual(withLabel(set, "bb", "9"), labelSet(["aa", "1"], ["bb", "9"]));
  assert.deepEqual(
    withAddedLabel(set, "aa", "0"),
    labelSet(["aa", "0"], ["aa", "1"], ["bb", "1"], ["bb", "2"]),
  );
  assert.deepEqual(withoutLabel(set, "bb"), labelSet(["aa", "1"]));
  assert.equal(equalLabelSets(set, withLabel(set, "cc", "")), false);
  assert.deepEqual(
    extendedLabels("a/journal", labelSet(["name", "x"], ["zz", "1"])),
    labelSet(["name", "a/journal"], ["zz", "1"]),
  );
});

test("algebra: works on whole groups", () => {
  const left = labelSet(["aa", "1"], ["bb", "1"], ["bb", "2"], ["cc", "1"]);
  const right = labelSet(["bb", "2"], ["cc", "1"], ["dd", "1"]);
  assert.deepEqual(
    unionLabels(left, right),
    labelSet(["aa", "1"], ["bb", "1"], ["bb", "2"], ["cc", "1"], ["dd", "1"]),
  );
  assert.deepEqual(unionLabels(right, left), labelSet(["aa", "1"], ["bb", "2"], ["cc", "1"], ["dd", "1"]));
  assert.deepEqual(intersectLabels(left, right), labelSet(["cc", "1"]));
  assert.deepEqual(subtractLabels(left, right), labelSet(["aa", "1"], ["bb", "1"], ["bb", "2"]));
  assert.deepEqual(subtractLabels(left, left), EMPTY_LABELS);
  assert.deepEqual(intersectLabels(left, left), left);
});

test("registers: a sequence of appends", () => {
  const update = (
    registers: LabelSet,
    subtract: LabelSet | undefined,
    union: LabelSet | undefined,
  ): LabelSet => updatedRegisters(registers, { subtract, union });
  const check = (text: string, registers: LabelSet): boolean =>
    matchesSelector(parseLabelSelector(text), registers);

  const first = update(EMPTY_LABELS, undefined, labelSet(["AA", "11"], ["BB", "22"]));
  assert.deepEqual(first, labelSet(["AA", "11"], ["BB", "22"]));
  assert.ok(check("AA in (11), BB", first));
  const second = update(first, labelSet(["AA", "11"], ["BB", "XYZ"]), labelSet(["CC", "33"]));
  assert.deepEqual(second, labelSet(["BB", "22"], ["CC", "33"]));
  assert.ok(check("!AA, CC", second));
  const third = update(second, labelSet(["CC", "33"]), labelSet(["AA", "44"]));
  assert.deepEqual(third, labelSet(["AA", "44"], ["BB", "22"]));
  assert.equal(check("AA = 55", third), false);
  assert.deepEqual(update(third, undefined, labelSet(["AA", "55"])), labelSet(["AA", "55"], ["BB", "22"]));
  assert.deepEqual(update(third, undefined, undefined), third);
});
