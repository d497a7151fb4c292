// Clients that mean no good, at the door: messages without end, and tokens that have ended before they are used.
import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { AuthKeys } from "@millrace/client";
import { ANY_LABELS, CAPABILITY, JOURNAL_SERVICE, parseLabelSelector } from "@millrace/protocol";
import type { AppendFeed } from "./append-feed.ts";
import { readRequest } from "./broker-testkit.ts";
import type { FakeCall } from "./fake-call.ts";
import { encoded, failure, J, withDoor } from "./grpc-door-testkit.ts";
import type { AppendDoor } from "./local-transport.ts";

const { append, apply, fragmentStoreHealth, list, read } = JOURNAL_SERVICE;
const KEYS = AuthKeys.parse("c2VjcmV0");
const INTENT = new Uint8Array(0);

test("grpc append: its token ends before anything has begun -> UNAUTHENTICATED, also within the leeway", async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  await withDoor(
    async (door) => {
      const grant = { capabilities: CAPABILITY.APPEND, selector: ANY_LABELS };
      const begin = (ms: number): FakeCall => door.begin(append.path, KEYS.sign(grant, ms, clock.wallMs()));
      const ended = failure("the token of the request has expired", "UNAUTHENTICATED");
      const silent = begin(2000);
      await agenda.advance(4100);
      assert.deepEqual(silent.ended, ended);
      // It ends with a second, between two sweeps.
      const late = begin(1000);
      await agenda.advance(950);
      const isSwept = late.isOver;
      late.receive(encoded({ journal: J }), encoded({ content: utf8("x") }), INTENT).halfClose();
      assert.deepEqual([isSwept, late.ended], [false, ended]);
    },
    { clock, keys: KEYS },
  );
});

test("grpc append: no end of messages while it waits -> only those that decide are kept", async () => {
  let feed: AppendFeed | undefined;
  const waiting: AppendDoor = {
    startAppend: (_, given) => {
      feed = given;
      return { aborted: () => undefined };
    },
  };
  await withDoor(
    async (door) => {
      const kept: (number | undefined)[] = [];
      for (const [content, message] of [
        [[utf8("x")], encoded({ journal: J })],
        [[], Uint8Array.of(0x12, 0x7f)],
        [[utf8("x"), INTENT], encoded({ content: INTENT })],
      ] as const) {
        const call = door.begin(append.path).receive(encoded({ journal: J }));
        call.receive(...content.map((each) => encoded({ content: each })));
        for (let i = 0; i < 5000; i++) call.receive(message);
        call.halfClose();
        kept.push(feed?.count);
        call.cancel();
      }
      assert.deepEqual(kept, [2, 1, 3]);
    },
    { appends: waiting },
  );
});

test("grpc: a request that comes when its token has ended -> UNAUTHENTICATED, whatever it asks for", async () => {
  const clock = new SimulatedClock(new Agenda());
  await withDoor(
    async (door) => {
      const token = KEYS.sign({ capabilities: 0xffff_ffff, selector: ANY_LABELS }, 2000, clock.wallMs());
      const probe = { fragmentStore: "file:///", checkDelete: false, checkDeletePrefix: "" };
      const asked: readonly [string, Uint8Array][] = [
        [list.path, list.encodeRequest({ selector: parseLabelSelector(""), watch: false })],
        [apply.path, apply.encodeRequest({ changes: [] })],
        [read.path, read.encodeRequest(readRequest(J))],
        [fragmentStoreHealth.path, fragmentStoreHealth.encodeRequest(probe)],
      ];
      const calls = asked.map(([path, request]) => [door.begin(path, token), request] as const);
      clock.epochMs += 3000;
      for (const [call, request] of calls) {
        const { code } = await call.receive(request).halfClose().end();
        assert.equal(code, "UNAUTHENTICATED", call.path);
      }
    },
    { clock, keys: KEYS },
  );
});

test("grpc append: what it keeps while not whole, or waiting -> is counted; of small whole ones nothing", async () => {
  await withDoor(async (door) => {
    // The first one waits until somebody serves the journal.
    await door.append({}, INTENT).end();
    const small = door.append({}, utf8("x"), INTENT);
    assert.equal(small.heldBytes, 0);
    await small.end();
    assert.equal(small.heldBytes, 0);
    const slow = door.begin(append.path).receive(encoded({ journal: J }));
    slow.receive(encoded({ content: new Uint8Array(1000) }));
    await settle();
    assert.equal(slow.heldBytes, 1000);
    slow.receive(encoded({ content: new Uint8Array(500) }));
    assert.equal(slow.heldBytes, 1500);
  });
  const waiting: AppendDoor = { startAppend: () => ({ aborted: () => undefined }) };
  await withDoor(
    async (door) => {
      const whole = door.append({}, new Uint8Array(700), INTENT);
      assert.equal(whole.heldBytes, 700);
      whole.cancel();
      await whole.end();
    },
    { appends: waiting },
  );
});
