import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import fc from "fast-check";
import {
  batchesOf,
  generatedLines,
  inputLines,
  LINE_CHARS_MAX,
  repeatedLines,
  textRecords,
} from "./produce-input.ts";

async function* chunksOf(...parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield part;
}

async function* linesOf(...lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) yield line;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test("inputLines: any text in any chunks -> its lines without empty ones, whatever the split", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "grapheme" }), fc.array(fc.nat(20)), async (text, cuts) => {
      const bytes = Buffer.from(text.replaceAll("|", "\n"));
      const parts: Uint8Array[] = [];
      let at = 0;
      for (const cut of [...cuts, bytes.length]) parts.push(bytes.subarray(at, (at += cut)));
      const expected = bytes
        .toString()
        .split("\n")
        .map((line) => line.replace(/\r$/, ""))
        .filter((line) => line !== "");
      assert.deepEqual(await all(inputLines(chunksOf(...parts))), expected);
    }),
  );
});

test("inputLines: CRLF, no newline at the end -> whole lines without them", async () => {
  assert.deepEqual(await all(inputLines(chunksOf(Buffer.from("a\r\n\r\nb\r\n\nc")))), ["a", "b", "c"]);
});

test("inputLines: a line that never ends -> refused with the bound instead of filling the memory", async () => {
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    const chunk = Buffer.alloc(16 * 1024 * 1024, 120);
    for (;;) yield chunk;
  };
  await assert.rejects(all(inputLines(endless())), (error: unknown) => {
    assert.ok(error instanceof WireError);
    return error.code === "TOO_LARGE" && error.message.includes(String(LINE_CHARS_MAX));
  });
});

test("repeatedLines: a file three times -> its lines three times; an empty one -> ends at once", async () => {
  assert.deepEqual(await all(repeatedLines(() => linesOf("a", "b"), 3)), ["a", "b", "a", "b", "a", "b"]);
  assert.deepEqual(await all(repeatedLines(() => linesOf(), 1_000_000_000)), []);
});

test("generatedLines: size -> JSON of exactly so many bytes, numbered; too small -> as few as it takes", async () => {
  const lines = generatedLines(300);
  for (let n = 0; n < 3; n++) {
    const { value } = await lines.next();
    assert.ok(typeof value === "string");
    assert.equal(value.length, 300);
    assert.equal((JSON.parse(value) as { n: number }).n, n);
  }
  await lines.return();
  const { value } = await generatedLines(1).next();
  assert.equal(value, '{"n":0,"note":""}');
});

test("textRecords: lines with quotes and a field with one -> JSON records", async () => {
  const [record] = await all(textRecords(linesOf('say "hi"\\'), 'a"b'));
  assert.deepEqual(JSON.parse(record!), { 'a"b': 'say "hi"\\' });
});

test("batchesOf: count and limit -> full batches, the last one smaller, never more than the limit", async () => {
  const lines = (): AsyncGenerator<string> => linesOf("a", "b", "c", "d", "e");
  assert.deepEqual(await all(batchesOf(lines(), 2, Number.POSITIVE_INFINITY)), [
    ["a", "b"],
    ["c", "d"],
    ["e"],
  ]);
  assert.deepEqual(await all(batchesOf(lines(), 2, 3)), [["a", "b"], ["c"]]);
  assert.deepEqual(await all(batchesOf(lines(), 2, 4)), [
    ["a", "b"],
    ["c", "d"],
  ]);
  assert.deepEqual(await all(batchesOf(lines(), 2, 0)), []);
  assert.deepEqual(await all(batchesOf(linesOf(), 2, 9)), []);
});
