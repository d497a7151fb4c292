import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { utf8 } from "@millrace/base";
import { AppendFeed, type FeedItem } from "./append-feed.ts";
import { FEED_BYTES_MAX, FEED_ITEMS_MAX } from "./limits.ts";

const INTENT = new Uint8Array(0);
const INVALID = { shape: "invalid", text: "no message" } as const;
const PREAMBLE = { shape: "preamble" } as const;

function takeAll(feed: AppendFeed): FeedItem[] {
  const items: FeedItem[] = [];
  for (let item = feed.take(); item !== undefined; item = feed.take()) items.push(item);
  return items;
}

for (const [what, wrong] of [
  ["a second preamble", [PREAMBLE]],
  ["a message that is none", [INVALID]],
  ["a second intent", [INTENT, INTENT]],
  ["content behind the intent", [INTENT, utf8("late")]],
  ["a preamble behind the intent", [INTENT, PREAMBLE]],
] as [string, FeedItem[]][]) {
  test(`feed: ${what} -> decides, and nothing that comes behind it is kept`, () => {
    const feed = new AppendFeed(() => undefined);
    feed.push(utf8("x"));
    for (const item of wrong) feed.push(item);
    assert.ok(feed.isDecided);
    for (let i = 0; i < 10_000; i++)
      for (const item of [PREAMBLE, INVALID, INTENT, utf8("more")]) feed.push(item);
    feed.push("end-of-stream");
    assert.deepEqual(takeAll(feed), [utf8("x"), ...wrong]);
  });
}

test("feed: many small chunks -> full by their number, and has room again once half a bound is taken", () => {
  let rooms = 0;
  const feed = new AppendFeed(() => rooms++);
  while (!feed.isFull) feed.push(utf8("x"));
  assert.equal(feed.count, FEED_ITEMS_MAX + 1);
  feed.take();
  assert.deepEqual([feed.isFull, rooms], [false, 1]);
  feed.push(new Uint8Array(FEED_BYTES_MAX));
  assert.equal(feed.isFull, true);
});

test("feed: any order of pushes and takes -> what is taken is what was pushed", () => {
  const step = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.constant("take" as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1000 }), (steps) => {
      const feed = new AppendFeed(() => undefined);
      const waiting: Uint8Array[] = [];
      for (const each of steps) {
        if (each === "take") assert.equal(feed.take(), waiting.shift());
        else {
          const chunk = new Uint8Array(each);
          waiting.push(chunk);
          feed.push(chunk);
        }
        const bytes = waiting.reduce((sum, { length }) => sum + length, 0);
        assert.deepEqual([feed.count, feed.bytes, feed.isEmpty], [waiting.length, bytes, bytes === 0]);
      }
      assert.deepEqual([feed.isWhole, feed.isNothing, feed.isDecided], [false, false, false]);
    }),
  );
});

test("feed: never empty -> it does not grow by what was taken, and is not taken for one of nothing", () => {
  const feed = new AppendFeed(() => undefined);
  feed.push(utf8("x"));
  for (let i = 0; i < 10_000; i++) {
    feed.push(utf8("x"));
    feed.take();
    assert.ok(feed.places <= 200, `${feed.places} places for one chunk`);
  }
  feed.take();
  feed.push(INTENT);
  feed.push("end-of-stream");
  assert.deepEqual([feed.isWhole, feed.isNothing], [true, false]);
});
