// Requests of OTLP in pieces: counted in pieces and turns, with a clock that parts move.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { OtlpWalks, type WalkOutcome } from "./otlp-walks.ts";

const SMALL = 1000;
const LARGE = 1_000_000;
/** Of which a piece takes two. */
const PART_MS = 3;

class Bench {
  ms = 0;
  heldBytes = 0;
  room = Number.POSITIVE_INFINITY;
  /** Names of walks, each time that one takes a part. */
  readonly parts: string[] = [];
  readonly over = new Set<string>();
  readonly #turns: (() => void)[] = [];
  readonly #ends: (() => void)[] = [];
  readonly walks = new OtlpWalks({
    clock: { monotonicMs: () => this.ms },
    turns: {
      next: () => new Promise((resolve) => this.#turns.push(resolve)),
      atEnd: (run) => this.#ends.push(run),
    },
    steps: {
      hasRoomFor: (bytes) => this.heldBytes + bytes <= this.room,
      hold: (bytes) => {
        this.heldBytes += bytes;
        return () => (this.heldBytes -= bytes);
      },
    },
  });

  run(name: string, parts: number, bytes = SMALL): Promise<WalkOutcome<string>> {
    return this.walks.run(this.#walk(name, parts), { bytes, isOver: () => this.over.has(name) });
  }

  /** The next turn of the loop. @returns who has taken parts in it */
  async turn(): Promise<string> {
    const from = this.parts.length;
    for (const end of this.#ends.splice(0)) end();
    this.#turns.shift()?.();
    await new Promise(setImmediate);
    return this.parts.slice(from).join("");
  }

  *#walk(name: string, parts: number): Generator<undefined, string, undefined> {
    for (let i = 0; i < parts; i++) {
      if (i > 0) yield;
      this.parts.push(name);
      this.ms += PART_MS;
    }
    return name;
  }
}

describe("requests of OTLP", () => {
  test("one that is done within a piece -> done at once, and nothing is held any more", async () => {
    const bench = new Bench();
    const outcome = bench.run("a", 2);
    assert.equal(bench.parts.join(""), "aa");
    assert.deepEqual(await outcome, { kind: "done", value: "a" });
    assert.equal(bench.heldBytes, 0);
  });

  test("a long one -> a piece a turn; who comes after it in the turn begins in a later one", async () => {
    const bench = new Bench();
    const long = bench.run("a", 6);
    const short = bench.run("b", 1);
    assert.equal(bench.parts.join(""), "aa");
    const turns = [await bench.turn(), await bench.turn(), await bench.turn()];
    assert.deepEqual(turns.toSorted(), ["aa", "aa", "b"]);
    assert.deepEqual([(await long).kind, (await short).kind], ["done", "done"]);
  });

  test("large ones -> two at a time, the others in order; small ones do not wait for them", async () => {
    const bench = new Bench();
    const outcomes = ["a", "b", "c", "d"].map((name) => bench.run(name, 3, LARGE));
    assert.ok(bench.heldBytes >= 4 * LARGE);
    const small = bench.run("s", 1);
    let seen = bench.parts.join("");
    while (!seen.includes("d")) seen += await bench.turn();
    assert.ok(seen.lastIndexOf("a") < seen.indexOf("c") || seen.lastIndexOf("b") < seen.indexOf("c"), seen);
    assert.ok(seen.indexOf("c") < seen.indexOf("d"), seen);
    assert.ok(seen.indexOf("s") < seen.indexOf("d"), seen);
    for (let i = 0; i < 10; i++) await bench.turn();
    const kinds = (await Promise.all([...outcomes, small])).map(({ kind }) => kind);
    assert.deepEqual(kinds, Array(5).fill("done"));
    assert.equal(bench.heldBytes, 0);
  });

  test("more bytes than may be held -> overloaded, and not begun", async () => {
    const bench = new Bench();
    bench.room = LARGE;
    const outcome = await bench.run("a", 1, LARGE);
    assert.ok(outcome.kind === "overloaded");
    assert.equal(outcome.error.code, "OVERLOADED");
    assert.deepEqual(bench.parts, []);
  });

  test("nobody waits for one any more -> not gone on with; its place is the next one's", async () => {
    const bench = new Bench();
    const outcomes = ["a", "b", "c"].map((name) => bench.run(name, 4, LARGE));
    bench.over.add("a").add("c");
    for (let i = 0; i < 6; i++) await bench.turn();
    const kinds = (await Promise.all(outcomes)).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["over", "done", "over"]);
    assert.equal(bench.parts.join(""), "aabbbb");
  });

  test("what a walk throws -> thrown, and nothing is held any more", async () => {
    const bench = new Bench();
    // oxlint-disable-next-line require-yield -- a walk that fails with its first part
    const broken = (function* (): Generator<undefined, string, undefined> {
      throw new Error("broken");
    })();
    await assert.rejects(bench.walks.run(broken, { bytes: SMALL, isOver: () => false }), /broken/);
    assert.equal(bench.heldBytes, 0);
  });
});
