import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SseParser, type ServerEvent } from "./sse-parser.ts";

function parse(...chunks: string[]): ServerEvent[] {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
}

for (const [name, text, expected] of [
  ["a named event", 'event: snapshot\ndata: {"a":1}\n\n', [["snapshot", '{"a":1}']]],
  ["no name", "data: x\n\n", [["message", "x"]]],
  ["data on several lines", "data: a\ndata: b\ndata:\n\n", [["message", "a\nb\n"]]],
  ["one blank after the colon is not data", "data:  x\n\n", [["message", " x"]]],
  ["no blank after the colon", "data:x\n\n", [["message", "x"]]],
  ["a field without a colon is empty", "data\n\n", [["message", ""]]],
  ["comments", ": open\n\n: again\ndata: x\n\n", [["message", "x"]]],
  ["id, retry and unknown fields are skipped", "id: 7\nretry: 1\nfoo: bar\ndata: x\n\n", [["message", "x"]]],
  [
    "a name without data dispatches nothing, and does not stay",
    "event: a\n\ndata: x\n\n",
    [["message", "x"]],
  ],
  ["an unfinished event", "data: x\n", []],
  ["CR LF", "event: a\r\ndata: x\r\n\r\n", [["a", "x"]]],
  ["CR", "event: a\rdata: x\r\rdata: y\r\r", [["a", "x"], ["message", "y"]]], // prettier-ignore
  ["a byte order mark", "\uFEFFdata: x\n\n", [["message", "x"]]],
  ["two events", "data: x\n\ndata: y\n\n", [["message", "x"], ["message", "y"]]], // prettier-ignore
] as const) {
  test(`sse: ${name}`, () => {
    const events = expected.map(([event, data]) => ({ event, data }));
    assert.deepEqual(parse(text), events);
    assert.deepEqual(parse(...Array.from(text)), events, "one character at a time");
  });
}

test("sse: any lines, any line ends, any split -> the same events", () => {
  const lines = fc.array(
    fc.oneof(
      fc.constantFrom("", "data: a", "data:b", "event: e", ": c", "data", "id: 1"),
      fc.string({ maxLength: 8 }).filter((line) => !/[\r\n\uFEFF]/.test(line)),
    ),
    { maxLength: 30 },
  );
  const ends = fc.constantFrom("\n", "\r\n", "\r");
  fc.assert(
    fc.property(lines, ends, fc.array(fc.nat(200), { maxLength: 12 }), (parts, end, cuts) => {
      const text = parts.map((line) => line + end).join("");
      const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
      const chunks = at.slice(1).map((to, i) => text.slice(at[i], to));
      const plain = parts.map((line) => `${line}\n`).join("");
      assert.deepEqual(parse(...chunks), parse(plain));
    }),
  );
});

test("sse: an event without end -> refused before it fills the memory", () => {
  const parser = new SseParser();
  const megabyte = "x".repeat(2 ** 20);
  assert.throws(() => {
    for (let i = 0; i < 40; i += 1) parser.push(megabyte);
  }, RangeError);
});

test("sse: a stream of comments only -> never refused", () => {
  const parser = new SseParser();
  const comment = `: ${"x".repeat(2 ** 20)}\n`;
  for (let i = 0; i < 40; i += 1) assert.deepEqual(parser.push(comment), []);
});
