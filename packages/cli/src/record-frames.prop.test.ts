import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RecordFrames, type Framing } from "./record-frames.ts";

function frame(content: Uint8Array): Buffer {
  const head = Buffer.from([0x66, 0x33, 0x93, 0x36, 0, 0, 0, 0]);
  head.writeUInt32LE(content.length, 4);
  return Buffer.concat([head, content]);
}

/** Any bytes cut at any places. */
function pieces(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

function framesOf(framing: Framing, input: readonly Uint8Array[]): { records: string[]; rest: string } {
  const frames = new RecordFrames(framing);
  const records = input.flatMap((part) =>
    frames.push(part).map((each) => Buffer.from(each).toString("latin1")),
  );
  return { records, rest: Buffer.from(frames.rest).toString("latin1") };
}

const CUTS = fc.array(fc.nat(), { maxLength: 20 });

test("record frames: lines, cut anywhere -> each whole line with its newline, the rest kept", () => {
  const line = fc.string({ unit: "binary" }).map((text) => text.replaceAll("\n", ""));
  fc.assert(
    fc.property(fc.array(line), line, CUTS, (lines, rest, cuts) => {
      const whole = lines.map((each) => `${each}\n`);
      const bytes = Buffer.from(whole.join("") + rest);
      const found = framesOf("lines", pieces(bytes, cuts));
      const latin1 = (text: string): string => Buffer.from(text).toString("latin1");
      assert.deepEqual(found, { records: whole.map(latin1), rest: latin1(rest) });
    }),
  );
});

test("record frames: fixed headers, cut anywhere -> each whole frame with its header, the rest kept", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), fc.nat(), CUTS, (contents, lost, cuts) => {
      const frames = contents.map(frame);
      const bytes = Buffer.concat(frames);
      const last = frames.at(-1) ?? Buffer.alloc(0);
      const cut = lost % (last.length + 1);
      const found = framesOf("fixed", pieces(bytes.subarray(0, bytes.length - cut), cuts));
      const whole = (cut === 0 ? frames : frames.slice(0, -1)).map((each) => each.toString("latin1"));
      const rest = cut === 0 ? "" : last.subarray(0, last.length - cut).toString("latin1");
      assert.deepEqual(found, { records: whole, rest });
    }),
  );
});

test("record frames: garbage where a frame begins, or one that is too long -> refused before it is kept", () => {
  const garbage = { code: "INVALID_ARGUMENT", message: "a frame begins with 6e6f2066, expected 66339336" };
  assert.throws(() => new RecordFrames("fixed").push(Buffer.from("no frame")), garbage);
  const long = Buffer.from([0x66, 0x33, 0x93, 0x36, 0xff, 0xff, 0xff, 0xff]);
  assert.throws(() => new RecordFrames("fixed").push(long), { code: "TOO_LARGE" });
  const frames = new RecordFrames("lines");
  const piece = Buffer.alloc(40 * 1024 * 1024, 0x78);
  frames.push(piece);
  assert.throws(() => frames.push(piece), { code: "TOO_LARGE" });
});
