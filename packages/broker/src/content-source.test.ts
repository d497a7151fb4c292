import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, never, text, utf8, WireError } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { AppendFeed } from "./append-feed.ts";
import type { AppendInput } from "./append-states.ts";
import { ContentSource, type FlowOwner } from "./content-source.ts";
import { FEED_BYTES_MAX } from "./limits.ts";
import { Patience } from "./patience.ts";

const INTENT = new Uint8Array(0);
const RATE = 1000;

interface Fixture {
  readonly agenda: Agenda;
  /** Who waits may be changed. */
  readonly owner: { hasWaiters: boolean; hasWholeWaiter: boolean; readonly patience: Patience };
  readonly feed: AppendFeed;
  readonly source: ContentSource;
  /** What comes next, as text. */
  readonly next: () => Promise<string>;
}

function fixture(
  content: readonly string[] = [],
  { minRate = RATE, hasWaiters = true, hasWholeWaiter = false } = {},
): Fixture {
  const agenda = new Agenda();
  const feed = new AppendFeed(() => undefined);
  for (const part of content) feed.push(utf8(part));
  const source = new ContentSource(feed, new SimulatedClock(agenda));
  const patience = new Patience(agenda.nowMs);
  const waiters = { hasWaiters, hasWholeWaiter };
  const owner = { maxRate: 0, minRate, bucket: undefined, patience, ...waiters } satisfies FlowOwner;
  const next = async (): Promise<string> => {
    try {
      return told(await source.next(owner), source);
    } catch (error) {
      return WireError.from(error).code;
    }
  };
  return { agenda, owner, feed, source, next };
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

// What whole appends wait for clients.

test("content: a whole append waits, and there is no patience left -> cut at once, but for what is here", async () => {
  for (const late of [false, true]) {
    const { agenda, owner, feed, next } = fixture([], { hasWholeWaiter: true });
    owner.patience.spend(2000, agenda.nowMs);
    const waiting = next();
    await agenda.advance(0);
    if (late) feed.push(utf8("here"));
    await agenda.advance(2);
    assert.equal(await waiting, late ? "here" : "REQUEST_TIMEOUT");
  }
});

test("content: a whole append comes to wait -> what it waits is spent, not what went before", async () => {
  const { agenda, owner, feed, source, next } = fixture([], { hasWaiters: false });
  const waiting = next();
  await agenda.advance(60_000);
  assert.ok(source.isAwaited);
  owner.hasWaiters = owner.hasWholeWaiter = true;
  source.wanted();
  await agenda.advance(600);
  feed.push(utf8("x"));
  assert.equal(await waiting, "x");
  assert.equal(Math.round(owner.patience.leftMs(agenda.nowMs)), 1400);
  assert.ok(!source.isAwaited);
});

test("content: what is sent beyond what was collected -> makes up for the time, whole content for none", async () => {
  const { agenda, owner, feed, next } = fixture([], { hasWaiters: false });
  owner.patience.spend(2000, agenda.nowMs);
  const left = async (): Promise<number> => {
    await next();
    return owner.patience.leftMs(agenda.nowMs);
  };
  for (const bytes of [RATE, FEED_BYTES_MAX]) feed.push(new Uint8Array(bytes));
  assert.deepEqual([await left(), await left()], [0, 0]);
  feed.push(new Uint8Array(RATE));
  assert.equal(await left(), 62.5);
  feed.push(new Uint8Array(RATE));
  feed.push(INTENT);
  feed.push("end-of-stream");
  assert.equal(await left(), 62.5);
});

test("content: gathered, its client silent -> REQUEST_TIMEOUT after a second; what it sends buys time", async () => {
  const { agenda, feed, source } = fixture(["first"]);
  let outcome = "";
  const settled = (text: string) => (): void => void (outcome = text);
  assert.equal(source.gathered("some", RATE), undefined);
  source
    .gathered("enough", RATE)!
    .then(settled("gathered"), (error: unknown) => settled(WireError.from(error).code)());
  await agenda.advance(900);
  feed.push(new Uint8Array(RATE / 2));
  await agenda.advance(550);
  assert.equal(outcome, "");
  feed.push(new Uint8Array(RATE / 2));
  await agenda.advance(500);
  assert.equal(outcome, "");
  await agenda.advance(600);
  assert.equal(outcome, "REQUEST_TIMEOUT");
});

for (const [what, push] of [
  ["all of it", (feed: AppendFeed) => [INTENT, "end-of-stream" as const].forEach((each) => feed.push(each))],
  ["as much as is collected", (feed: AppendFeed) => feed.push(new Uint8Array(FEED_BYTES_MAX + 1))],
  ["what is wrong", (feed: AppendFeed) => feed.push({ shape: "preamble" })],
] as const) {
  test(`content: ${what} comes -> it is gathered, and no timer is left`, async () => {
    const { agenda, feed, source } = fixture();
    const gathered = source.gathered("enough", RATE);
    feed.push(utf8("x"));
    await agenda.advance(500);
    push(feed);
    await gathered;
    assert.equal(source.standing, "enough");
    await agenda.advance(10_000);
  });
}
