import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePlace, placeHash, type Place } from "./deep-link.ts";

const cases: readonly (readonly [string, Place])[] = [
  ["#sources", { section: "sources" }],
  ["#journal?name=examples/foobar", { section: "journal", journal: "examples/foobar" }],
  ["#journal?name=a%26b%3D%23%3F", { section: "journal", journal: "a&b=#?" }],
  ["#sql?query=select+1%0Afrom+t", { section: "sql", query: "select 1\nfrom t" }],
  ["#sources?open=tokens", { section: "sources", manage: { kind: "tokens" } }],
  ["#sources?open=tasks", { section: "sources", manage: { kind: "tasks" } }],
  ["#sources?open=new-sink&source=a", { section: "sources", manage: { kind: "new-sink", sourceId: "a" } }],
  ["#sources?source=a", { section: "sources", manage: { kind: "source", sourceId: "a", tab: "definition" } }],
  [
    "#sources?source=a&sink=b&tab=files",
    { section: "sources", manage: { kind: "sink", sourceId: "a", sinkId: "b", tab: "files" } },
  ],
];
for (const [hash, place] of cases) {
  test(`deep link: ${hash} there and back`, () => {
    assert.equal(placeHash(place), hash);
    assert.deepEqual(parsePlace(hash), place);
  });
}

test("deep link: no hash, an unknown section -> nowhere", () => {
  for (const hash of ["", "#", "#nowhere", "#journal/x"]) assert.equal(parsePlace(hash), undefined);
});

test("deep link: members of another section are ignored", () => {
  assert.deepEqual(parsePlace("#sources?name=a&query=b"), { section: "sources" });
});

test("deep link: a tab that there is not -> the first one; of nothing -> only the section", () => {
  const manage = { kind: "source", sourceId: "a", tab: "definition" };
  assert.deepEqual(parsePlace("#sources?source=a&tab=files"), { section: "sources", manage });
  assert.deepEqual(parsePlace("#sources?open=nowhere"), { section: "sources" });
});
