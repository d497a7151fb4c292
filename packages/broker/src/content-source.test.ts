import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, never, text, utf8, WireError } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { AppendFeed } from "./append-feed.ts";
import type { AppendInput } from "./append-states.ts";
import { ContentSource, type FlowOwner } from "./content-source.ts";

const INTENT = new Uint8Array(0);
const RATE = 1000;

interface Fixture {
  readonly agenda: Agenda;
  readonly feed: AppendFeed;
  readonly source: ContentSource;
  /** What comes next, as text. */
  readonly next: () => Promise<string>;
}

function fixture(content: readonly string[] = [], { minRate = RATE, hasWaiters = true } = {}): Fixture {
  const agenda = new Agenda();
  const feed = new AppendFeed(() => undefined);
  for (const part of content) feed.push(utf8(part));
  const source = new ContentSource(feed, new SimulatedClock(agenda));
  const owner: FlowOwner = { maxRate: 0, minRate, bucket: undefined, hasWaiters };
  const next = async (): Promise<string> => {
    try {
      return told(await source.next(owner), source);
    } catch (error) {
      return WireError.from(error).code;
    }
  };
  return { agenda, feed, source, next };
}

function told(input: AppendInput, { chunk }: ContentSource): string {
  if (input.kind !== "message" || input.message.shape !== "chunk") return input.kind;
  return input.message.bytes === 0 ? "intent" : text(chunk);
}

test("content: a whole feed was passed on and nobody saw it -> all of it is here for an attempt of ours", async () => {
  const { feed, source, next } = fixture(["a", "b"]);
  feed.push(INTENT);
  feed.push("end-of-stream");
  for (let attempt = 0; attempt < 2; attempt++) {
    const passed = source.passOn(never);
    assert.ok(passed.kind === "bytes");
    assert.equal(text(concatBytes([...passed.bytes])), "ab");
    assert.ok(source.isUntouched);
  }
  assert.deepEqual(
    [await next(), await next(), await next(), await next()],
    ["a", "b", "intent", "end-of-stream"],
  );
});

test("content: the client is silent for a second while others wait -> REQUEST_TIMEOUT", async () => {
  const { agenda, next } = fixture();
  const waiting = next();
  await agenda.advance(1001);
  assert.equal(await waiting, "REQUEST_TIMEOUT");
});

test("content: nobody waits -> it may be silent for as long as it likes", async () => {
  const { agenda, feed, next } = fixture([], { hasWaiters: false });
  const waiting = next();
  await agenda.advance(60_000);
  feed.push(utf8("late"));
  assert.equal(await waiting, "late");
});

test("content: the time is over before what lay in the socket was read -> it was sent in time", async () => {
  const { agenda, feed, next } = fixture();
  const waiting = next();
  await agenda.advance(1000);
  feed.push(utf8("here"));
  await agenda.advance(1000);
  assert.equal(await waiting, "here");
});

test("content: what came while we were busy -> buys as much time as what was waited for", async () => {
  const { agenda, feed, next } = fixture();
  const first = next();
  await agenda.advance(900);
  feed.push(utf8("x"));
  feed.push(new Uint8Array(RATE));
  assert.equal(await first, "x");
  await next();
  const second = next();
  await agenda.advance(900);
  await settle();
  feed.push(utf8("y"));
  assert.equal(await second, "y");
});
