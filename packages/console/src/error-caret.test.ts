import assert from "node:assert/strict";
import { test } from "node:test";
import { errorPlace } from "./error-caret.ts";

/** The line with the caret below it, as the page shows it. */
function drawn(query: string, position: number | undefined): string {
  const place = errorPlace(query, position);
  return place === undefined ? "-" : `${place.line}:${place.column}|${place.text}|${place.indent}^`;
}

for (const [name, query, position, expected] of [
  ["at the beginning", "selec 1", 1, "1:1|selec 1|^"],
  ["in the middle", "select orign from t", 8, "1:8|select orign from t|       ^"],
  ["at the very end", "select", 7, "1:7|select|      ^"],
  ["in a later line", "select a,\n  b\nfrom t", 13, "2:3|  b|  ^"],
  ["at the beginning of a later line", "select\nfrom", 8, "2:1|from|^"],
  ["on a line end", "select\nfrom", 7, "1:7|select|      ^"],
  ["CR LF is no part of the line", "select\r\nfrom", 3, "1:3|select|  ^"],
  ["tabs stay tabs, or the caret stands elsewhere", "\tselect\tx", 9, "1:9|\tselect\tx|\t      \t^"],
  ["no position", "select", undefined, "-"],
  ["before the query", "select", 0, "-"],
  ["behind the query", "select", 8, "-"],
  ["not a whole number", "select", 1.5, "-"],
  ["an empty query", "", 1, "1:1||^"],
] as const) {
  test(`error caret: ${name}`, () => assert.equal(drawn(query, position), expected));
}

test("error caret: a long line is cut around the place, and the caret still stands below it", () => {
  const query = `${"a".repeat(500)}X${"b".repeat(500)}`;
  const place = errorPlace(query, 501);
  assert.ok(place !== undefined);
  assert.ok(place.text.length < 140, `${place.text.length} characters`);
  assert.equal(place.text[place.indent.length], "X");
  assert.match(place.text, /^\u2026a+Xb+\u2026$/);
});

test("error caret: for every position the character above the caret is the query's", () => {
  const query = `select a,\n\tb as "\u00e9",\r\n${"c + ".repeat(60)}d\nfrom t`;
  for (let at = 0; at < query.length; at += 1) {
    if (query[at] === "\n" || query[at] === "\r") continue;
    const place = errorPlace(query, at + 1);
    assert.equal(place?.text[place.indent.length], query[at], `position ${at + 1}`);
  }
});
