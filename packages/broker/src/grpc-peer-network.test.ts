// What callers are told of a peer that broke off, with a channel that does what a test says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, utf8, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { CODE_TRAILER } from "@millrace/client";
import type { CallEnd, Channel, ClientCall, ClientCallListener } from "@millrace/grpc";
import { preamble } from "./broker-testkit.ts";
import { GrpcPeerNetwork } from "./grpc-peer-network.ts";
import { wasUnseen } from "./peer-network.ts";
import type { PeerDial } from "./peer-dial.ts";

const PEER = { id: { zone: "a", suffix: "two" }, endpoint: "http://two:8080" };

/** Takes all of an append, then ends it like this. */
function network(end: CallEnd): GrpcPeerNetwork {
  const start = (path: string, _: unknown, listener: ClientCallListener): ClientCall =>
    ({
      path,
      isOver: false,
      send: () => true,
      halfClose: () => queueMicrotask(() => listener.onEnd(end)),
      cancel: () => undefined,
    }) as unknown as ClientCall;
  const channel = { start } as unknown as Channel;
  const dial = {
    callMs: 1000,
    isClosed: true,
    onRefused: () => undefined,
    channel: () => channel,
    metadata: () => new Map(),
  };
  return new GrpcPeerNetwork(dial as unknown as PeerDial, new SimulatedClock(new Agenda()));
}

function append(end: CallEnd): Promise<unknown> {
  const content = { kind: "bytes", bytes: [utf8("x")] } as const;
  return network(end).proxied(PEER).append(preamble("a/journal"), content, never);
}

test("append at a peer whose connection breaks -> unknown, in words that say what to do", async () => {
  const end: CallEnd = {
    code: "UNAVAILABLE",
    message: "read ECONNRESET",
    trailers: new Map(),
    maybeProcessed: true,
  };
  await assert.rejects(append(end), {
    code: "OUTCOME_UNKNOWN",
    status: 503,
    message:
      "broker a/two had the append and did not answer (read ECONNRESET): it may have happened; " +
      "look at the journal's end before trying again",
  });
  const said = { ...end, message: "the log failed", trailers: new Map([[CODE_TRAILER, "OUTCOME_UNKNOWN"]]) };
  await assert.rejects(append(said), { code: "OUTCOME_UNKNOWN", message: "the log failed" });
});

test("append at an address where another broker listens by now -> certainly unseen", async () => {
  const message =
    'request ProcessId doesn\'t match our own (zone:"a" suffix:"two"  vs zone:"a" suffix:"three" )';
  const end: CallEnd = { code: "INVALID_ARGUMENT", message, trailers: new Map(), maybeProcessed: true };
  await assert.rejects(append(end), (error) => {
    assert.ok(wasUnseen(error));
    assert.equal(WireError.from(error).code, "UNAVAILABLE");
    return true;
  });
});
