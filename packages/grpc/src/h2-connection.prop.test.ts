// A transcript of a client's frames gives the same events and answers however it is cut into pieces; damaged ones, and
// any other bytes, end the connection in order and never throw, hang or grow.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as frame from "./h2-frame.ts";
import { EchoMachine, FrameWriter, messageOf, u32 } from "./h2-machine-testkit.ts";

const message = fc
  .tuple(fc.oneof(fc.nat(50), fc.nat(40_000)), fc.nat(255))
  .map(([length, fill]) => messageOf(length, fill));
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(message, { maxLength: 3 }).map((messages) => ({ kind: "call" as const, messages })),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "ping" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "settings" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reset" as const }) },
  { weight: 1, arbitrary: fc.nat(255).map((padding) => ({ kind: "padded" as const, padding })) },
  { weight: 1, arbitrary: fc.constant({ kind: "trailers" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "parts" as const }) },
  { weight: 1, arbitrary: fc.nat(300).map((length) => ({ kind: "unknown" as const, length })) },
);

const transcript = fc.array(step, { maxLength: 8 }).map((steps) => {
  const writer = new FrameWriter();
  writer.add(frame.WINDOW_UPDATE, 0, 0, u32(50_000_000));
  let id = -1;
  for (const one of steps) {
    id += 2;
    switch (one.kind) {
      case "call":
        writer.call(id, ...one.messages);
        break;
      case "ping":
        writer.add(frame.PING, 0, 0, new Uint8Array(8).fill(id));
        break;
      case "settings":
        writer.add(frame.SETTINGS, 0, 0, Uint8Array.of(0, 4, 0, 1, id & 0xff, 0));
        break;
      case "reset":
        writer.headers(id, frame.END_HEADERS).add(frame.RST_STREAM, 0, id, u32(8));
        break;
      case "padded":
        writer.headers(id, frame.END_HEADERS);
        writer.add(frame.DATA, frame.PADDED | frame.END_STREAM, id, paddedMessage(one.padding));
        break;
      case "trailers":
        writer.headers(id, frame.END_HEADERS).add(frame.DATA, 0, id, messageOf(9, 9));
        writer.headers(id, frame.END_HEADERS | frame.END_STREAM, ["x-checksum", "1"]);
        break;
      case "parts":
        writer
          .headers(id, frame.END_STREAM)
          .add(frame.CONTINUATION, frame.END_HEADERS, id, new Uint8Array(0));
        break;
      case "unknown":
        writer.add(0xbb, 0xff, id, new Uint8Array(one.length));
        break;
    }
  }
  return writer.bytes();
});

function paddedMessage(padding: number): Uint8Array {
  return Buffer.concat([Uint8Array.of(padding), messageOf(20, 3), new Uint8Array(padding)]);
}

/** @param cuts lengths of pieces, again and again */
function run(bytes: Uint8Array, cuts: readonly number[]): EchoMachine {
  const machine = new EchoMachine();
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + cuts[i % cuts.length]!);
    // A piece of its own memory, which is overwritten once it has been read.
    const piece = bytes.slice(at, end);
    machine.push(piece);
    piece.fill(0xee);
    at = end;
  }
  return machine;
}

const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 20_000 })), {
  minLength: 1,
  maxLength: 6,
});

test("any transcript in any pieces -> the same events and the same answer", () => {
  fc.assert(
    fc.property(transcript, cuts, (bytes, pieces) => {
      const whole = run(bytes, [bytes.length]);
      assert.equal(whole.fault, undefined);
      const cut = run(bytes, pieces);
      assert.deepEqual(cut.events, whole.events);
      assert.deepEqual(cut.take(), whole.take());
    }),
    { numRuns: 150 },
  );
});

test("any damage to a transcript, in any pieces -> the same end in order, and nothing grows", () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(transcript, edits, cuts, (bytes, changes, pieces) => {
      const damaged = bytes.slice();
      for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
      const whole = run(damaged, [damaged.length]);
      const cut = run(damaged, pieces);
      assert.deepEqual(cut.events, whole.events);
      assert.ok(cut.outbox.pendingBytes <= 2 * bytes.length + 300_000);
      assert.ok(cut.partialBytes <= 4 * bytes.length + 100_000);
    }),
    { numRuns: 400 },
  );
});

test("any bytes behind the preface -> the connection ends in order or waits for more", () => {
  const settings = new FrameWriter().bytes();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, hasPreface) => {
      const machine = new EchoMachine();
      if (hasPreface) machine.push(settings);
      machine.push(bytes);
      assert.ok(machine.outbox.pendingBytes < 100_000);
    }),
    { numRuns: 2000 },
  );
});
