import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { RpcError, type CallHandlers } from "@millrace/grpc";
import { FakeCall } from "./fake-call.ts";
import { HeldCalls } from "./held-calls.ts";

const PATH = "/test.Service/Echo";

/** Answers a call's first message with itself. */
const ECHO: CallHandlers = new Map([
  [
    PATH,
    (call) => {
      if (call.metadata.get("authorization") === "wrong") throw new RpcError("UNAUTHENTICATED", "who is it?");
      return {
        onMessage: (bytes) => void call.send(bytes),
        onHalfClose: () => call.finish("OK"),
      };
    },
  ],
]);

function open(): { agenda: Agenda; held: HeldCalls; call: (authorization?: string) => FakeCall } {
  const agenda = new Agenda();
  const held = new HeldCalls(new SimulatedClock(agenda));
  const handlers = held.over(ECHO);
  return { agenda, held, call: (authorization) => new FakeCall(handlers, PATH, authorization) };
}

test("held calls: one that comes too early -> waits unread, and is handled once its broker is open", async () => {
  const { agenda, held, call } = open();
  const early = call();
  const unknown = call("wrong");
  assert.deepEqual([early.isPaused, early.isOver], [true, false]);
  await agenda.advance(9000);
  held.open();
  assert.equal(early.isPaused, false);
  assert.equal(unknown.ended?.code, "UNAUTHENTICATED");
  early.receive(utf8("hello")).halfClose();
  assert.deepEqual(early.sent, [utf8("hello")]);
  assert.equal(early.ended?.code, "OK");
  await agenda.advance(60_000);
  assert.equal(early.ended?.code, "OK");
});

test("held calls: open -> straight to the handler", () => {
  const { held, call } = open();
  held.open();
  const late = call().receive(utf8("x")).halfClose();
  assert.deepEqual([late.isPaused, late.sent.length, late.ended?.code], [false, 1, "OK"]);
});

test("held calls: it does not open in time, or too many wait -> refused, and may be made elsewhere", async () => {
  const { agenda, held, call } = open();
  const calls = Array.from({ length: 1024 }, () => call());
  assert.throws(() => call(), new RpcError("UNAVAILABLE", "the broker is starting"));
  calls[0]!.cancel();
  const next = call();
  await agenda.advance(10_000);
  for (const one of [...calls.slice(1), next])
    assert.deepEqual(one.ended, { code: "UNAVAILABLE", message: "the broker is starting" });
  held.open();
  assert.equal(next.ended?.code, "UNAVAILABLE");
});
