// Peers that make work without use are sent away with ENHANCE_YOUR_CALM; those that are merely busy are not.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as frame from "./h2-frame.ts";
import { EchoMachine, FrameWriter, frameOf, messageOf, REQUEST, u32 } from "./h2-machine-testkit.ts";
import { HpackEncoder } from "./hpack-encoder.ts";

const EMPTY = new Uint8Array(0);
const MANY = 20_000;

/** What is sent again and again, on stream 1 that is open, or on streams of its own. */
const FLOODS: Readonly<Record<string, (i: number) => Uint8Array>> = {
  PING: () => frameOf(frame.PING, 0, 0, new Uint8Array(8)),
  SETTINGS: () => frameOf(frame.SETTINGS, 0, 0, EMPTY),
  "empty DATA": () => frameOf(frame.DATA, 0, 1, EMPTY),
  PRIORITY: () => frameOf(frame.PRIORITY, 0, 1, new Uint8Array(5)),
  "WINDOW_UPDATE by 1": () => frameOf(frame.WINDOW_UPDATE, 0, 0, u32(1)),
  "unknown frames": () => frameOf(0xfe, 0, 0, EMPTY),
  "requests that are reset at once": (i) =>
    Buffer.concat([request(3 + 2 * i, frame.END_HEADERS), frameOf(frame.RST_STREAM, 0, 3 + 2 * i, u32(8))]),
  "requests that are malformed": (i) =>
    frameOf(
      frame.HEADERS,
      frame.END_HEADERS,
      3 + 2 * i,
      new HpackEncoder().encode([":method", "GET"]).slice(),
    ),
  "requests whose headers are longer than allowed": (i) =>
    frameOf(frame.HEADERS, frame.END_HEADERS | frame.END_STREAM, 3 + 2 * i, LONG_HEADERS),
  "requests whose window is broken by the client": (i) =>
    Buffer.concat([
      request(3 + 2 * i, frame.END_HEADERS),
      frameOf(frame.WINDOW_UPDATE, 0, 3 + 2 * i, u32(0)),
    ]),
};

/** A field of 4 KB that goes into the table, and is named 20 times more. */
const LONG_HEADERS = Buffer.concat([
  new HpackEncoder().encode(REQUEST),
  Buffer.from("4001617fa11e", "hex"), // "a", and a value of 127 + 33 + 30 * 128 bytes
  Buffer.alloc(4000, "v"),
  Buffer.alloc(20, 0xbe),
]);

function request(streamId: number, flags: number): Uint8Array {
  return new FrameWriter()
    .headers(streamId, flags)
    .bytes()
    .subarray(frame.PREFACE.length + frame.FRAME_HEAD_BYTES);
}

for (const [what, piece] of Object.entries(FLOODS)) {
  test(`flood of ${what} -> ENHANCE_YOUR_CALM, with little to send until then`, () => {
    const machine = new EchoMachine();
    machine.push(new FrameWriter().headers(1, frame.END_HEADERS).bytes());
    for (let i = 0; i < MANY && machine.fault === undefined; i++) machine.push(piece(i));
    assert.equal(machine.fault?.code, "ENHANCE_YOUR_CALM");
    assert.ok(machine.outbox.pendingBytes < 256 * 1024, `${machine.outbox.pendingBytes} bytes to send`);
  });
}

test("CONTINUATION without end -> ENHANCE_YOUR_CALM before much is kept", () => {
  const machine = new EchoMachine();
  machine.push(new FrameWriter().headers(1, 0).bytes());
  let sent = 0;
  while (machine.fault === undefined && sent < 10_000_000) {
    machine.push(frameOf(frame.CONTINUATION, 0, 1, new Uint8Array(16_000)));
    sent += 16_000;
  }
  assert.equal(machine.fault?.code, "ENHANCE_YOUR_CALM");
  assert.ok(sent < 200_000, `${sent} bytes were taken`);
  const small = new EchoMachine();
  small.push(new FrameWriter().headers(1, 0).bytes());
  for (let i = 0; i < 1000; i++) small.push(frameOf(frame.CONTINUATION, 0, 1, EMPTY));
  assert.equal(small.fault?.code, "ENHANCE_YOUR_CALM");
});

test("messages that are announced and never come -> no memory for what was not sent", () => {
  const machine = new EchoMachine();
  machine.push(new FrameWriter().bytes());
  const prefix = messageOf(4 * 1024 * 1024, 0).subarray(0, 6);
  for (let i = 0; i < 1000; i++) {
    machine.push(request(1 + 2 * i, frame.END_HEADERS));
    machine.push(frameOf(frame.DATA, 0, 1 + 2 * i, prefix));
  }
  assert.equal(machine.fault, undefined);
  assert.ok(
    machine.partialBytes <= 1000 * 16 * 1024,
    `${machine.partialBytes} bytes for 1000 bytes of content`,
  );
});

test("a busy client that pings, opens windows and cancels now and then -> is served", () => {
  const machine = new EchoMachine();
  machine.push(new FrameWriter().bytes());
  for (let i = 0; i < 5000; i++) {
    const id = 1 + 2 * i;
    machine.push(request(id, frame.END_HEADERS));
    machine.push(frameOf(frame.DATA, 0, id, messageOf(100, 1)));
    if (i % 10 === 0) machine.push(frameOf(frame.RST_STREAM, 0, id, u32(8)));
    else machine.push(frameOf(frame.DATA, frame.END_STREAM, id, EMPTY));
    machine.push(frameOf(frame.PING, 0, 0, new Uint8Array(8)));
    machine.push(frameOf(frame.WINDOW_UPDATE, 0, 0, u32(105)));
    machine.take();
  }
  assert.equal(machine.fault, undefined);
});

test("many cancelled calls over time -> the budget grows again", () => {
  const machine = new EchoMachine();
  machine.push(new FrameWriter().bytes());
  for (let i = 0; i < 5000; i++) {
    machine.nowMs += 10;
    machine.push(FLOODS["requests that are reset at once"]!(i));
  }
  assert.equal(machine.fault, undefined);
});
