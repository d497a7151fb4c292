import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { utf8 } from "@millrace/base";
import { cleanPath, joinPath } from "./go-path.ts";
import { splitMeta, stripMeta, validateJournalName } from "./journal-name.ts";
import { refusal } from "./refusal-testkit.ts";
import { compareText } from "./text-order.ts";
import { utf8Length, validatePathComponent, validateToken } from "./token.ts";
import { compareBytes } from "@millrace/base";

test("journal names: truth table", () => {
  const long = "a/".repeat(255) + "ab";
  const cases: readonly (readonly [name: string, text: string])[] = [
    ["a/valid/path/to/a/journal", ""],
    ["éé/Ⅷ/三", ""],
    [long, ""],
    [`${long}x`, "invalid length (513; expected 4 <= length <= 512)"],
    ["é".repeat(256), ""],
    ["é".repeat(257), "invalid length (514; expected 4 <= length <= 512)"],
    ["", "invalid length (0; expected 4 <= length <= 512)"],
    ["zz", "invalid length (2; expected 4 <= length <= 512)"],
    ["/leading/slash", "cannot begin with '/' (/leading/slash)"],
    ["trailing/slash/", "must be a clean path (trailing/slash/)"],
    ["extra-middle//slash", "must be a clean path (extra-middle//slash)"],
    ["a/./dot", "must be a clean path (a/./dot)"],
    ["a/../dots", "must be a clean path (a/../dots)"],
    ["../foo", ""],
    ["bad name", "not a valid token (bad name)"],
    ["hash#sep", "not a valid token (hash#sep)"],
    ["bang!bang", "not a valid token (bang!bang)"],
    ["money$|x", "not a valid token (money$|x)"],
    ["foo/bar;baz/bing", ""],
    ["foo/hook;foo/http%3A%2F%2Fexample.com%3A9000%2F", ""],
    ["foo/bar;", "metadata path segment: invalid length (0; expected 1 <= length <= 512)"],
    ["foo/bar;disallowed#rune", "metadata path segment: not a valid token (disallowed#rune)"],
    ["foo/bar;a;b", "metadata path segment: not a valid token (a;b)"],
  ];
  for (const [name, text] of cases)
    assert.equal(
      refusal(() => validateJournalName(name)),
      text,
      name,
    );
});

test("journal names: metadata splits at the first semicolon", () => {
  assert.deepEqual(splitMeta("foo/bar;meta;x"), { name: "foo/bar", meta: ";meta;x" });
  assert.deepEqual(splitMeta("foo/bar"), { name: "foo/bar", meta: "" });
  assert.equal(stripMeta("foo/bar;meta"), "foo/bar");
});

test("tokens: letters and numbers of any script, but neither '=' nor '%'", () => {
  const bounds = { min: 0, max: 20 };
  for (const good of ["", "aZ9", "-_+/.", "Ωß", "½", "١٢٣"])
    assert.equal(
      refusal(() => validateToken(good, bounds)),
      "",
    );
  for (const bad of ["a=b", "50%", "a b", "a\u0301", "😀"]) {
    assert.equal(
      refusal(() => validateToken(bad, bounds)),
      `not a valid token (${bad})`,
    );
  }
  assert.equal(
    refusal(() => validatePathComponent("a=b/50%", bounds)),
    "",
  );
});

test("cleanPath: vectors of Go's path.Clean", () => {
  const cases = {
    "": ".",
    "/": "/",
    "a/b": "a/b",
    "a//b/": "a/b",
    "./a": "a",
    "a/./b/..": "a",
    "../a": "../a",
    "../../a": "../../a",
    "a/../..": "..",
    "/../a": "/a",
    "//a//": "/a",
    "...": "...",
  };
  for (const [path, clean] of Object.entries(cases)) assert.equal(cleanPath(path), clean, path);
  assert.equal(joinPath("a", "", "b/../c"), "a/c");
  assert.equal(joinPath("", ""), "");
});

test("cleanPath: cleaning twice -> the same as once", () => {
  const paths = fc.string({ unit: fc.constantFrom("a", "b", ".", "/"), maxLength: 12 });
  fc.assert(fc.property(paths, (path) => assert.equal(cleanPath(cleanPath(path)), cleanPath(path))));
});

test("text order: as UTF-8 bytes compare", () => {
  const strings = fc.string({ unit: "binary", maxLength: 6 });
  fc.assert(
    fc.property(strings, strings, (a, b) => {
      assert.equal(Math.sign(compareText(a, b)), Math.sign(compareBytes(utf8(a), utf8(b))));
      assert.equal(utf8Length(a), utf8(a).length);
    }),
  );
  assert.ok(compareText("\uffff", "\u{10000}") < 0);
});
