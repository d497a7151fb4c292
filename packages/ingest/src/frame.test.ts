import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { concatBytes, text, utf8, WireError } from "@millrace/base";

import { FrameDecoder } from "./frame-decoder.ts";
import { FILTER_PRODUCERS_MAX, FrameFilter } from "./frame-filter.ts";
import { encodeFrameHead, type FrameHeader } from "./frame.ts";

const HEADER: FrameHeader = {
  producer: "00deadbeef00cafe",
  sequence: 7,
  sinkVersion: 2,
  acceptedAtMs: 1767225600123,
};

function frameOf(rows: readonly string[], header: Partial<FrameHeader> = {}): Uint8Array {
  const encoded = rows.map(utf8);
  const body = concatBytes(encoded);
  const lengths = encoded.map((row) => row.length);
  return concatBytes([encodeFrameHead({ ...HEADER, ...header }, lengths, lengths.length, body), body]);
}

function corruptionOf(bytes: Uint8Array, offset = 0): WireError {
  try {
    new FrameDecoder(offset).push(bytes);
  } catch (error) {
    assert.ok(error instanceof WireError);
    assert.equal(error.code, "CORRUPT");
    return error;
  }
  assert.fail("expected CORRUPT");
}

describe("frame", () => {
  test("encode: the committed vectors -> the same bytes, which decode to the same rows", () => {
    const golden = readFileSync(new URL("../src/frame.golden.txt", import.meta.url));
    const frames = [
      frameOf(['"a"\n'], { sequence: 1, sinkVersion: 1 }),
      frameOf(['"x","1"\n', '"say ""hi""",""\n', '"line\nbreak","ž"\n']),
      frameOf(
        Array.from({ length: 12 }, (_, i) => `"${"v".repeat(i * i)}"\n`),
        { sequence: 2 ** 53 - 1 },
      ),
    ];
    assert.equal(text(concatBytes(frames)), text(golden));
    const decoded = new FrameDecoder(1000).push(golden);
    assert.equal(decoded.length, 3);
    assert.deepEqual(
      decoded.map((frame) => frame.begin),
      [1000, 1000 + frames[0]!.length, 1000 + frames[0]!.length + frames[1]!.length],
    );
    const second = decoded[1]!;
    assert.deepEqual([...second.rowLengths], [8, 16, 18]);
    assert.equal(second.bodyBegin, second.end - second.body.length);
    assert.equal(text(second.body.subarray(8, 24)), '"say ""hi""",""\n');
    assert.equal(second.producer, HEADER.producer);
    assert.equal(second.acceptedAtMs, HEADER.acceptedAtMs);
  });

  test("decode: each single flipped bit -> CORRUPT or not whole, never a frame", () => {
    const whole = frameOf(['"x","1"\n', '"yy","2"\n']);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bad = whole.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      const decoder = new FrameDecoder(0);
      let frames: unknown[] = [];
      try {
        frames = decoder.push(bad);
      } catch (error) {
        assert.ok(error instanceof WireError && error.code === "CORRUPT", String(error));
      }
      assert.equal(frames.length, 0, `bit ${bit}`);
    }
  });

  test("decode: what is wrong -> the field and its journal offset", () => {
    const whole = text(frameOf(['"x"\n', '"y"\n']));
    const cases: [from: string | RegExp, to: string, field: string, place: number][] = [
      ["MF1", "MF3", "magic", 0],
      ["00deadbeef00cafe", "00DEADBEEF00CAFE", "producer", 4],
      [" 7 2 ", " 07 2 ", "sequence", 21],
      [" 7 2 ", " 7 0 ", "sinkVersion", 23],
      ["1767225600123", "99999999999999999", "acceptedAtMs", 25],
      [" 2 8 ", " 65537 8 ", "count", 39],
      [" 2 8 ", " 2 16777217 ", "bodyBytes", 41],
      [/ [0-9a-f]{8}\n/, " 0123456\n", "crc32c", 43],
      [/ [0-9a-f]{8}\n/, " 00000000\n", "crc32c", 0],
      ["\n4,4\n", "\n4,5\n", "rowLengths", 52],
      ["\n4,4\n", "\n4,4,4\n", "rowLengths", 52],
      ["\n4,4\n", "\n8\n", "rowLengths", 52],
      ["\n4,4\n", "\n04,4\n", "rowLengths", 52],
      ["\n4,4\n", "\n8,0\n", "rowLengths", 54],
    ];
    for (const [from, to, field, place] of cases) {
      const changed = whole.replace(from, to);
      assert.notEqual(changed, whole);
      const error = corruptionOf(utf8(changed), 500);
      assert.deepEqual(
        [error.facts["field"], error.facts["offset"]],
        [field, 500 + place],
        `${to}: ${error.message}`,
      );
    }
  });

  test("decode: a first line without end -> CORRUPT at its bound, without waiting for more", () => {
    assert.equal(corruptionOf(new Uint8Array(128).fill(65)).facts["field"], "magic");
    assert.deepEqual(new FrameDecoder(0).push(new Uint8Array(127).fill(65)), []);
  });
});

describe("frame filter", () => {
  test("accept: a repeated or older sequence of a producer -> dropped; others are independent", () => {
    const filter = new FrameFilter();
    const given: [string, number, boolean][] = [
      ["a", 5, true],
      ["a", 5, false],
      ["b", 1, true],
      ["a", 4, false],
      ["a", 6, true],
      ["b", 3, true],
    ];
    for (const [producer, sequence, expected] of given) {
      assert.equal(filter.accept({ producer, sequence }), expected, `${producer} ${sequence}`);
    }
    const restored = new FrameFilter(JSON.parse(JSON.stringify(filter.checkpoint())));
    assert.equal(restored.accept({ producer: "a", sequence: 6 }), false);
    assert.equal(restored.accept({ producer: "b", sequence: 4 }), true);
  });

  test("accept: more producers than are remembered -> the one silent for longest is forgotten", () => {
    const filter = new FrameFilter();
    for (let i = 0; i < FILTER_PRODUCERS_MAX; i++) filter.accept({ producer: `p${i}`, sequence: 1 });
    filter.accept({ producer: "p0", sequence: 2 });
    filter.accept({ producer: "new", sequence: 1 });
    assert.equal(filter.checkpoint().length, FILTER_PRODUCERS_MAX);
    assert.equal(filter.accept({ producer: "p0", sequence: 2 }), false);
    assert.equal(filter.accept({ producer: "p1", sequence: 1 }), true);
  });
});

describe("frame with keys", () => {
  const KEYS = ["AAAAAAAAAAAAAAAAAAAAAA", undefined, "0123456789_-abcdefghij"];
  const ROWS = ['"a"\n', '"b"\n', '"c"\n'].map(utf8);

  function keyedFrame(keys: readonly (string | undefined)[] = KEYS): Uint8Array {
    const body = concatBytes(ROWS);
    return concatBytes([encodeFrameHead(HEADER, [4, 4, 4], 3, body, keys), body]);
  }

  test("encode: the committed vector -> the same bytes, which decode to the same keys", () => {
    const golden = readFileSync(new URL("../src/frame-keyed.golden.txt", import.meta.url));
    assert.equal(text(keyedFrame()), text(golden));
    const [decoded, plain, ...more] = new FrameDecoder(0).push(concatBytes([golden, frameOf(['"a"\n'])]));
    assert.equal(more.length, 0);
    assert.ok(decoded !== undefined);
    assert.deepEqual(decoded.keys, KEYS);
    assert.equal(text(decoded.body), '"a"\n"b"\n"c"\n');
    assert.equal(decoded.bodyBegin, golden.length - 12);
    assert.equal(plain?.keys, undefined);
  });

  test("any split -> the same frame", () => {
    const bytes = keyedFrame();
    for (let at = 1; at < bytes.length; at++) {
      const decoder = new FrameDecoder(0);
      const frames = [...decoder.push(bytes.slice(0, at)), ...decoder.push(bytes.slice(at))];
      assert.deepEqual([frames.length, frames[0]?.keys, frames[0]?.end], [1, KEYS, bytes.length]);
    }
  });

  test("keys that are none, too few, too many, or all missing -> CORRUPT, also with the right sum", () => {
    const line = /\n[^\n]*\n(?="a")/;
    const good = text(keyedFrame());
    for (const keys of [
      "AAAA,-,-",
      "-,-,-",
      "AAAAAAAAAAAAAAAAAAAAAA,-",
      "AAAAAAAAAAAAAAAAAAAAAA,-,-,-",
      "",
      "*".repeat(80),
    ]) {
      assert.equal(corruptionOf(utf8(good.replace(line, `\n${keys}\n`))).facts["field"], "keys");
    }
    assert.equal(corruptionOf(utf8(good.replace("AAAAA", "BAAAA"))).facts["field"], "crc32c");
  });
});
