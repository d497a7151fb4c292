// Which rows are dropped, against a naive look at all the bytes before; who begins anew, anywhere, drops the same.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import fc from "fast-check";

import type { Frame } from "./frame.ts";
import { KeyWindow, type WindowBounds } from "./key-window.ts";

const BOUNDS: WindowBounds = { bytes: 1000, ms: 50, keys: 6 };

const KEYS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] as const;
const frames = fc
  .array(
    fc.record({
      bytes: fc.integer({ min: 60, max: 500 }),
      afterMs: fc.integer({ min: -10, max: 30 }),
      keys: fc.option(
        fc.array(fc.option(fc.constantFrom(...KEYS), { nil: undefined }), {
          minLength: 1,
          maxLength: 4,
        }),
        { nil: undefined },
      ),
    }),
    { maxLength: 40 },
  )
  .map((parts) => {
    let begin = 0;
    let acceptedAtMs = 1000;
    return parts.map(({ bytes, afterMs, keys }, sequence): Frame => {
      const count = keys?.length ?? 2;
      acceptedAtMs += afterMs;
      const frame: Frame = {
        producer: "0".repeat(16),
        sequence: sequence + 1,
        sinkVersion: 1,
        acceptedAtMs,
        begin,
        end: begin + bytes,
        bodyBegin: begin + 40,
        count,
        rowLengths: Uint32Array.from({ length: count }, (_, i) => i + 1),
        keys,
        body: new Uint8Array((count * (count + 1)) / 2),
      };
      begin = frame.end;
      return frame;
    });
  });

/** Places of the rows that are kept. */
function rowsOf(kept: readonly Frame[]): number[] {
  return kept.flatMap(({ bodyBegin, rowLengths, body }) => {
    let at = bodyBegin;
    const places = Array.from(rowLengths, (length) => (at += length) - length);
    assert.equal(at - bodyBegin, body.length);
    return places;
  });
}

/** Y1, said naively. */
function naive(all: readonly Frame[], index: number): number[] {
  const { begin, acceptedAtMs, bodyBegin, count, keys, rowLengths } = all[index]!;
  const before: { key: string; begin: number; acceptedAtMs: number }[] = [];
  for (const one of all.slice(0, index)) {
    for (const key of one.keys ?? []) if (key !== undefined) before.push({ ...one, key });
  }
  const kept: number[] = [];
  let at = bodyBegin;
  for (let row = 0; row < count; row++) {
    const key = keys?.[row];
    const last = key === undefined ? -1 : before.findLastIndex((one) => one.key === key);
    const isNear = last >= 0 && before[last]!.begin >= begin - BOUNDS.bytes;
    const since = new Set(before.slice(last + 1).map((one) => one.key));
    const isRecent = last >= 0 && Math.abs(acceptedAtMs - before[last]!.acceptedAtMs) <= BOUNDS.ms;
    if (!isNear || !isRecent || since.size >= BOUNDS.keys) kept.push(at);
    if (key !== undefined) before.push({ key, begin, acceptedAtMs });
    at += rowLengths[row]!;
  }
  return kept;
}

describe("window of keys", () => {
  test("any frames -> the rows that a naive look at everything before keeps", () => {
    fc.assert(
      fc.property(frames, (all) => {
        const window = new KeyWindow(BOUNDS);
        for (const [i, frame] of all.entries()) assert.deepEqual(rowsOf(window.kept(frame)), naive(all, i));
      }),
      { numRuns: 500 },
    );
  });

  test("any frames, begun anew at any place from where it says that keys matter -> the same rows", () => {
    fc.assert(
      fc.property(frames, fc.nat(), (all, at) => {
        if (all.length === 0) return;
        const place = at % all.length;
        const whole = new KeyWindow(BOUNDS);
        for (const frame of all.slice(0, place)) whole.kept(frame);
        const anew = new KeyWindow(BOUNDS);
        const { begin } = whole;
        if (begin !== undefined)
          for (const frame of all.slice(0, place)) if (frame.begin >= begin) anew.kept(frame);
        for (const frame of all.slice(place))
          assert.deepEqual(rowsOf(anew.kept(frame)), rowsOf(whole.kept(frame)));
      }),
      { numRuns: 500 },
    );
  });

  test("no keys -> the frame itself; only repeated ones -> nothing", () => {
    const window = new KeyWindow(BOUNDS);
    const plain = fixture(undefined);
    assert.equal(window.kept(plain)[0], plain);
    assert.equal(window.begin, undefined);
    const keyed = fixture(["a", "b"]);
    assert.equal(window.kept(keyed)[0], keyed);
    assert.deepEqual(window.kept({ ...keyed, begin: 100, end: 200 }), []);
    assert.equal(window.begin, 100);
  });
});

function fixture(keys: Frame["keys"]): Frame {
  const rowLengths = Uint32Array.of(1, 1);
  const head = { producer: "0".repeat(16), sequence: 1, sinkVersion: 1, acceptedAtMs: 1, begin: 0, end: 100 };
  return { ...head, bodyBegin: 98, count: 2, rowLengths, keys, body: new Uint8Array(2) };
}
