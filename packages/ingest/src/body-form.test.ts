import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { text } from "@millrace/base";

import { decodeForm } from "./body-form.ts";
import { parseContentType } from "./http-source-content.ts";

describe("form", () => {
  const cases: [form: string, json: string][] = [
    ["", "{}"],
    ["a=1&b=2", '{"a":"1","b":"2"}'],
    ["a=1&a=2", '{"a":"2"}'],
    ["a", '{"a":""}'],
    ["a=b=c&&d=", '{"a":"b=c","d":""}'],
    ["a+b=c+d%20%2B%C5%BE", '{"a b":"c d +ž"}'],
    ["key[x]=1&key[y][z]=2", '{"key":{"x":"1","y":{"z":"2"}}}'],
    ["key[]=1&key[]=2", '{"key":["1","2"]}'],
    ["key%5B%5D=1", '{"key":["1"]}'],
    ["a[][x]=1&a[][x]=2", '{"a":[{"x":"1"},{"x":"2"}]}'],
    ["a[x][]=1&a[x][]=2", '{"a":{"x":["1","2"]}}'],
    ["a=1&a[x]=2", '{"a":{"x":"2"}}'],
    ["a[]=1&a[x]=2", '{"a":{"0":"1","x":"2"}}'],
    ["a[x]=1&a=2", '{"a":"2"}'],
    ["a[=1&b]=2&[c]=3", '{"a[":"1","b]":"2","[c]":"3"}'],
    ["__proto__[x]=1&constructor=2", '{"__proto__":{"x":"1"},"constructor":"2"}'],
  ];
  for (const [form, json] of cases) {
    test(`${form} -> ${json}`, () => {
      const outcome = decodeForm(form);
      assert.ok(outcome.kind === "json");
      assert.equal(text(outcome.bytes), json);
    });
  }

  test("a broken escape, keys nested too deep -> invalid", () => {
    assert.deepEqual(decodeForm("a=%"), { kind: "invalid", reason: 'invalid escape in "a=%"' });
    assert.deepEqual(decodeForm("a=%ff"), { kind: "invalid", reason: 'invalid escape in "a=%ff"' });
    assert.deepEqual(decodeForm(`a${"[x]".repeat(40)}=1`), {
      kind: "invalid",
      reason: "keys nested deeper than 32",
    });
  });
});

describe("content type", () => {
  const cases: [header: string, kind: string | undefined, charset: string | undefined][] = [
    ["", "opaque", undefined],
    ["application/json", "json", undefined],
    ["application/json;charset=UTF-8", "json", undefined],
    ['application/json; charset="utf-8"; x=y', "json", undefined],
    ["application/json; charset=us-ascii", "json", undefined],
    ["APPLICATION/LD+JSON", "json", undefined],
    ["application/json5", "opaque", undefined],
    ["text/json", "opaque", undefined],
    ["application/x-ndjson", "ndjson", undefined],
    ["application/jsonl", "ndjson", undefined],
    ["application/x-www-form-urlencoded", "form", undefined],
    ["text/plain; charset=latin1", "opaque", "windows-1252"],
    ["application/json; charset=utf-16", "json", "utf-16le"],
    ["application/json; charset=nope", undefined, undefined],
  ];
  for (const [header, kind, charset] of cases) {
    test(`${header} -> ${kind}, ${charset}`, () => {
      assert.deepEqual(parseContentType(header), kind === undefined ? undefined : { kind, charset });
    });
  }
});
