import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WireError } from "@millrace/base";
import {
  matchesSelector,
  printLabelSelector,
  validateLabelSelector,
  type LabelSelector,
} from "./label-selector.ts";
import { labelSet, sortedSet, type LabelSet } from "./label-set.ts";
import { parseLabelSelector } from "./selector-parser.ts";

// Names of two characters and few values, so that they meet. A name of one two-byte character is valid as a label but
// cannot be written in a selector: the parser counts characters.
const name = fc.constantFrom("aa", "a-", "in", "not", "x/y", "éé");
const value = fc.oneof(
  fc.constantFrom("", "a", "ab", "b", "=", "==x", "a=b"),
  fc.stringMatching(/^[-a-z_+/.=%0-9]{1,6}$/),
);

const selectorLabels = fc
  .array(fc.record({ name, value, prefix: fc.boolean() }, { noNullPrototype: true }), { maxLength: 6 })
  .map(sortedSet);
const selectors: fc.Arbitrary<LabelSelector> = fc
  .record({ include: selectorLabels, exclude: selectorLabels }, { noNullPrototype: true })
  .filter(isValid);
const sets: fc.Arbitrary<LabelSet> = fc
  .array(fc.tuple(name, value), { maxLength: 6 })
  .map((pairs) => labelSet(...pairs));

test("parse and print: parse(print(selector)) = selector", () => {
  fc.assert(
    fc.property(selectors, (selector) => {
      const text = printLabelSelector(selector);
      assert.deepEqual(parseLabelSelector(text), selector, text);
      assert.equal(printLabelSelector(parseLabelSelector(text)), text);
    }),
    { numRuns: 500 },
  );
});

test("match: as the sentence that defines it", () => {
  fc.assert(
    fc.property(selectors, sets, (selector, set) => {
      assert.equal(matchesSelector(selector, set), modelMatches(selector, set));
    }),
    { numRuns: 1000 },
  );
});

test("parse: any text -> a valid selector or a WireError", () => {
  const pieces = fc.constantFrom(
    "aa",
    "b",
    " ",
    "=",
    "!",
    ",",
    "(",
    ")",
    "in",
    "not",
    ":prefix",
    "\n",
    "é",
    "#",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      try {
        validateLabelSelector(parseLabelSelector(parts.join("")));
      } catch (thrown) {
        assert.ok(thrown instanceof WireError);
      }
    }),
    { numRuns: 1000 },
  );
});

function modelMatches(selector: LabelSelector, set: LabelSet): boolean {
  const hits = (side: LabelSet, wanted: string): boolean => {
    for (const a of side.labels) {
      for (const b of set.labels) {
        if (a.name !== wanted || b.name !== wanted) continue;
        if (a.value === "" || a.value === b.value || (a.prefix && b.value.startsWith(a.value))) return true;
      }
    }
    return false;
  };
  const names = (side: LabelSet): readonly string[] => [...new Set(side.labels.map((label) => label.name))];
  return (
    names(selector.include).every((wanted) => hits(selector.include, wanted)) &&
    !names(selector.exclude).some((wanted) => hits(selector.exclude, wanted))
  );
}

function isValid(selector: LabelSelector): boolean {
  try {
    validateLabelSelector(selector);
    return true;
  } catch {
    return false;
  }
}
