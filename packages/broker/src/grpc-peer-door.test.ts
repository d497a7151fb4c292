// A Replicate stream over gRPC whose token comes to its end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { JOURNAL_SERVICE, newReplicateRequest } from "@millrace/protocol";
import { FakeCall } from "./fake-call.ts";
import { grpcPeerDoor } from "./grpc-peer-door.ts";
import type { PeerDoor } from "./peer-door.ts";

const { path, encodeRequest } = JOURNAL_SERVICE.replicate;

function open(lifeMs: number): { call: FakeCall; agenda: Agenda; log: string[] } {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const log: string[] = [];
  const door = {
    replicate: () => ({
      send: () => true,
      halfClose: () => undefined,
      cancel: () => void log.push("cancelled"),
    }),
  } as unknown as PeerDoor;
  const principal = { visible: undefined, expiresAtMs: clock.wallMs() + lifeMs };
  const handlers = new Map(
    grpcPeerDoor(
      () => principal,
      () => door,
      clock,
    ),
  );
  return { call: new FakeCall(handlers, path), agenda, log };
}

const HOUR_MS = 3_600_000;

test("replicate over gRPC: the token ends -> the stream of a broker that keeps lists ends", async () => {
  const { call, agenda, log } = open(HOUR_MS);
  call.receive(encodeRequest(newReplicateRequest({ epoch: 1, stream: 1 })));
  await agenda.advance(HOUR_MS - 1);
  assert.equal(call.isOver, false);
  await agenda.advance(1);
  assert.deepEqual([call.ended?.code, log], ["UNAUTHENTICATED", ["cancelled"]]);
});

test("replicate over gRPC: the token of one of Gazette's brokers ends -> its stream goes on", async () => {
  const { call, agenda, log } = open(HOUR_MS);
  call.receive(encodeRequest(newReplicateRequest({})));
  await agenda.advance(2 * HOUR_MS);
  assert.deepEqual([call.ended, log], [undefined, []]);
});

test("replicate over gRPC: the stream ends before its token -> nothing is left", async () => {
  const { call, agenda, log } = open(HOUR_MS);
  call.receive(encodeRequest(newReplicateRequest({ epoch: 1, stream: 1 })));
  call.cancel();
  await agenda.advance(2 * HOUR_MS);
  assert.deepEqual([call.ended?.code, log], ["CANCELLED", ["cancelled"]]);
});
