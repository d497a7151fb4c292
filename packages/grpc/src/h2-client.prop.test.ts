// The client's machine against servers that say anything: it ends in order, tells every call once, and keeps nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { silentLogger } from "@millrace/base";
import { GrpcClientCall } from "./client-call.ts";
import { Deadlines } from "./deadlines.ts";
import { H2Connection } from "./h2-connection.ts";
import * as frame from "./h2-frame.ts";
import { frameOf, messageOf, u32 } from "./h2-machine-testkit.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { limitsOf } from "./limits.ts";
import { PartialMessages } from "./message-reader.ts";
import { NO_METADATA } from "./metadata.ts";
import { HeldBytes } from "./held-bytes.ts";
import { ChunkPool, Outbox } from "./outbox.ts";
import type { CallEnd } from "./rpc.ts";

const CALLS = 4;
const SETTINGS = frameOf(frame.SETTINGS, 0, 0, new Uint8Array(0));

/** Three calls on streams 1, 3 and 5, and one that is cancelled; what was told of each. */
class Client {
  readonly ends: CallEnd[][] = [];
  readonly messages: number[] = [];
  readonly connection: H2Connection;
  readonly held = new HeldBytes(undefined, () => undefined);
  readonly partial = new PartialMessages(this.held);
  readonly outbox = new Outbox(new ChunkPool(), () => undefined);
  #later: (() => void)[] = [];
  overs = 0;

  constructor() {
    const limits = limitsOf({});
    const owner = {
      onRequest: () => {
        throw new Error("a server opened a stream");
      },
      onReady: () => undefined,
      onGoAway: () => undefined,
      onStreamClosed: () => undefined,
      onOver: () => void this.overs++,
    };
    const { outbox, held } = this;
    this.connection = new H2Connection({ role: "client", limits, outbox, owner, held }, 0);
    const clock = {
      wallMs: () => 0,
      monotonicMs: () => 0,
      sleep: () => Promise.resolve(),
      after: () => () => undefined,
    };
    const later = (task: () => void): void => void this.#later.push(task);
    const context = {
      limits,
      deadlines: new Deadlines(clock),
      logger: silentLogger,
      later,
      onEnded: () => undefined,
    };
    for (let i = 0; i < CALLS; i++) {
      const ends: CallEnd[] = [];
      this.ends.push(ends);
      this.messages.push(0);
      const request = {
        ...{
          path: "/s/m",
          authority: "h",
          metadata: NO_METADATA,
          timeoutMs: undefined,
          waitsForReady: false,
        },
        deadlineMs: Number.POSITIVE_INFINITY,
      };
      const call = new GrpcClientCall(context, request, {
        onMessage: () => void this.messages[i]!++,
        onEnd: (end) => void ends.push(end),
      });
      call.attach(this, (listener) => this.connection.open([":method", "POST"], [], listener));
      call.send(new Uint8Array(10));
      call.halfClose();
      if (i === CALLS - 1) call.cancel();
    }
  }

  push(bytes: Uint8Array): void {
    this.connection.push(bytes, 0);
    this.settle();
  }

  settle(): void {
    for (const task of this.#later.splice(0)) task();
  }
}

const streamId = fc.constantFrom(0, 1, 2, 3, 5, 7, 9);
const fields = fc.constantFrom(
  [":status", "200", "content-type", "application/grpc"],
  [":status", "200", "content-type", "application/grpc", "grpc-status", "0"],
  [":status", "503"],
  [":status", "100"],
  ["grpc-status", "5", "grpc-message", "gr%C3%BCn%"],
  ["grpc-status", "x"],
  ["Bad", "name"],
  [":path", "/"],
);
const piece = fc.oneof(
  fc.tuple(streamId, fc.constantFrom(4, 5, 0, 1), fields).map(([id, flags, list]) => {
    // Without a table, since what is sent before may be damaged.
    const encoder = new HpackEncoder();
    encoder.limitTable(0);
    return frameOf(frame.HEADERS, flags, id, encoder.encode(list).slice());
  }),
  fc
    .tuple(streamId, fc.constantFrom(0, 1), fc.nat(300), fc.nat(400))
    .map(([id, flags, length, cut]) => frameOf(frame.DATA, flags, id, messageOf(length, 1).subarray(0, cut))),
  fc.tuple(streamId, fc.nat(20)).map(([id, code]) => frameOf(frame.RST_STREAM, 0, id, u32(code))),
  fc
    .tuple(streamId, fc.nat(20))
    .map(([last, code]) => frameOf(frame.GOAWAY, 0, 0, Buffer.concat([u32(last), u32(code)]))),
  fc.tuple(streamId, fc.nat()).map(([id, more]) => frameOf(frame.WINDOW_UPDATE, 0, id, u32(more))),
  fc.constant(frameOf(frame.PING, 0, 0, new Uint8Array(8))),
  fc.constant(frameOf(frame.PUSH_PROMISE, 4, 1, new Uint8Array(8))),
  fc
    .tuple(fc.nat(255), streamId, fc.uint8Array({ maxLength: 30 }))
    .map(([type, id, bytes]) => frameOf(type, 0, id, bytes)),
  fc.uint8Array({ maxLength: 30 }),
);

test("a server that says anything -> each call ends once, and nothing is kept", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const client = new Client();
      client.push(SETTINGS);
      for (const bytes of pieces) client.push(Uint8Array.from(bytes));
      for (const ends of client.ends) assert.ok(ends.length <= 1);
      assert.equal(client.ends[CALLS - 1]![0]?.code, "CANCELLED");
      client.connection.onLost("gone");
      client.settle();
      for (const ends of client.ends) assert.equal(ends.length, 1);
      assert.equal(client.overs, 1);
      assert.equal(client.partial.bytes, 0);
      assert.equal(client.connection.openStreams, 0);
    }),
    { numRuns: 3000 },
  );
});

test("answers, refusals and losses -> their codes, and whether the call may have been processed", () => {
  const client = new Client();
  const encoder = new HpackEncoder();
  const headers = (id: number, flags: number, list: readonly string[]): Uint8Array =>
    frameOf(frame.HEADERS, flags, id, encoder.encode(list).slice());
  client.push(SETTINGS);
  client.push(headers(1, 4, [":status", "200", "content-type", "application/grpc"]));
  client.push(frameOf(frame.DATA, 0, 1, messageOf(3, 1)));
  client.push(headers(1, 5, ["grpc-status", "0"]));
  client.push(frameOf(frame.RST_STREAM, 0, 3, u32(7)));
  client.push(frameOf(frame.GOAWAY, 0, 0, Buffer.concat([u32(3), u32(0)])));
  const told = client.ends.map(([end]) => [end?.code, end?.maybeProcessed]);
  assert.deepEqual(told, [
    ["OK", true],
    ["UNAVAILABLE", false],
    ["UNAVAILABLE", false],
    ["CANCELLED", true],
  ]);
  assert.deepEqual(client.messages, [1, 0, 0, 0]);
});
