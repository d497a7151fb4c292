// Bodies that are opened by hand: which are begun, in which order, and what becomes of those beyond the bounds.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { utf8 } from "@millrace/base";

import type { DecompressOutcome } from "./body-decompress.ts";
import { BodyOpening, type OpenOutcome } from "./body-opening.ts";

const BYTES = 10_000;
const BOUNDS = { bytesMax: 1 << 20, ratioMax: 100, bytesFree: 1 << 20 };

class Bench {
  /** First bytes of those that are being opened, or have been. */
  readonly begun: number[] = [];
  readonly #ends: (() => void)[] = [];
  readonly opening = new BodyOpening({
    limits: { receivingBytesMax: 30_000 },
    decompress: (_encoding, bytes): Promise<DecompressOutcome> => {
      this.begun.push(bytes[0]!);
      return new Promise((resolve) => this.#ends.push(() => resolve({ kind: "bytes", bytes })));
    },
  });

  open(first: number, isOver = false): Promise<OpenOutcome> {
    const bytes = new Uint8Array(BYTES).fill(first);
    const outcome = this.opening.open({ encoding: "gzip", bytes, bounds: BOUNDS, isOver: () => isOver });
    bytes.fill(99); // N2: those that wait are copies
    return Promise.resolve(outcome);
  }

  end(): void {
    this.#ends.shift()?.();
  }
}

describe("compressed bodies", () => {
  test("more than four -> the others wait, and are begun in order as those before are opened", async () => {
    const bench = new Bench();
    const outcomes = [1, 2, 3, 4, 5, 6].map((first) => bench.open(first));
    assert.deepEqual(bench.begun, [1, 2, 3, 4]);
    bench.end();
    await outcomes[0];
    assert.deepEqual(bench.begun, [1, 2, 3, 4, 5]);
    for (let i = 0; i < 2; i++) bench.end();
    await outcomes[2];
    assert.deepEqual(bench.begun, [1, 2, 3, 4, 5, 6]);
    for (let i = 0; i < 3; i++) bench.end();
    const kinds = (await Promise.all(outcomes)).map(({ kind }) => kind);
    assert.deepEqual(kinds, Array(6).fill("bytes"));
  });

  test("more waiting than may -> refused with what waits and the bound; later ones are taken", async () => {
    const bench = new Bench();
    const taken = [1, 2, 3, 4, 5, 6].map((first) => bench.open(first));
    const refused = await bench.open(7);
    assert.ok(refused.kind === "overloaded");
    assert.match(refused.error.message, /\(42288 bytes; expected <= 30000\)$/);
    bench.end();
    await taken[0];
    const later = bench.open(8);
    for (let i = 0; i < 4; i++) bench.end();
    await taken[4];
    bench.end();
    await taken[5];
    bench.end();
    assert.equal((await later).kind, "bytes");
    assert.deepEqual(bench.begun, [1, 2, 3, 4, 5, 6, 8]);
  });

  test("nobody waits for it any more -> is not opened, and keeps nobody from it", async () => {
    const bench = new Bench();
    const taken = [1, 2, 3, 4].map((first) => bench.open(first));
    const [over, next] = [bench.open(5, true), bench.open(6)];
    bench.end();
    assert.deepEqual(await over, { kind: "over" });
    for (let i = 0; i < 4; i++) bench.end();
    assert.equal((await next).kind, "bytes");
    assert.deepEqual(bench.begun, [1, 2, 3, 4, 6]);
    await Promise.all(taken);
  });

  test("small ones -> opened at once, whoever waits", async () => {
    const bytes = gzipSync(utf8("{}"));
    const body = { encoding: "gzip", bytes, bounds: BOUNDS, isOver: () => false } as const;
    const opening = new BodyOpening({ limits: { receivingBytesMax: 1 } });
    const large = { ...body, bytes: gzipSync(new Uint8Array(100_000).map((_, i) => (i * i * 31) >> 3)) };
    const others = Array.from({ length: 5 }, async () => opening.open(large));
    assert.deepEqual(opening.open(body), { kind: "bytes", bytes: Buffer.from("{}") });
    await Promise.all(others);
  });
});
