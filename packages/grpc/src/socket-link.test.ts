import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "@millrace/base";
import { DEFAULT_LIMITS } from "./limits.ts";
import { HeldBytes } from "./held-bytes.ts";
import { ChunkPool } from "./outbox.ts";
import { SocketLink } from "./socket-link.ts";

/** An empty SETTINGS frame: what a server says first. */
const SETTINGS = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0);

class FakeSocket extends Duplex {
  setNoDelay(): void {}
  setKeepAlive(): void {}
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

function linkOn(clock: Clock): { socket: FakeSocket; whyOver: () => string | undefined } {
  const socket = new FakeSocket();
  let why: string | undefined;
  const owner = {
    onRequest: () => assert.fail("a server asks for nothing"),
    onReady: () => undefined,
    onGoAway: () => undefined,
    onStreamClosed: () => undefined,
    onOver: (fault: { message: string }) => (why = fault.message),
  };
  const options = {
    role: "client",
    limits: DEFAULT_LIMITS,
    clock,
    pool: new ChunkPool(),
    held: new HeldBytes(undefined, () => undefined),
    keepalive: { afterMs: 2000, timeoutMs: 5000 },
  } as const;
  const link = new SocketLink(socket as unknown as Socket, options, owner, () => undefined);
  link.push(SETTINGS);
  return { socket, whyOver: () => why };
}

test("silence -> a PING, then the end; what came while this process was busy is no silence", async () => {
  let nowMs = 0;
  let timer = (): void => assert.fail("no timer is set");
  const after = (_ms: number, run: () => void): (() => void) => {
    timer = run;
    return () => undefined;
  };
  const clock = { monotonicMs: () => nowMs, wallMs: () => nowMs, after } as unknown as Clock;
  const { socket, whyOver } = linkOn(clock);
  const fireAt = (atMs: number): void => {
    nowMs = atMs;
    timer();
  };
  fireAt(2000); // the PING
  fireAt(7000); // its time is over: only now what the kernel has of the peer is read
  socket.emit("data", SETTINGS);
  await turn();
  await turn();
  assert.equal(whyOver(), undefined);
  fireAt(9000);
  fireAt(14_000);
  await turn();
  await turn();
  assert.equal(whyOver(), "no answer to a PING in 5000 ms");
});
