// Requests of OTLP in pieces: counted in pieces and turns, with a clock that parts move.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { OtlpWalks, type WalkOutcome } from "./otlp-walks.ts";

const SMALL = 1000;
const LARGE = 1_000_000;
/** Of which a piece takes two. */
const PART_MS = 3;

/** What records may take, of one request. */
const RECORDS_BYTES_MAX = 64 * 1024 * 1024;
const HELD_BYTES_MAX = 256 * 1024 * 1024;

class Bench {
  ms = 0;
  heldBytes = 0;
  room = Number.POSITIVE_INFINITY;
  /** That walks have taken for records, and the most that they had at a time. */
  takenBytes = 0;
  takenBytesMost = 0;
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
        let held = bytes;
        this.heldBytes += bytes;
        return {
          grow: (more) => {
            held += more;
            this.heldBytes += more;
          },
          release: () => {
            this.heldBytes -= held;
            held = 0;
          },
        };
      },
    },
    limits: { receivingBytesMax: HELD_BYTES_MAX },
  });

  run(name: string, parts: number, bytes = SMALL): Promise<WalkOutcome<string>> {
    return this.walks.run(this.#walk(name, parts), { bytes, isOver: () => this.over.has(name) });
  }

  /** A request whose records take so many bytes in the end. */
  async flatten(name: string, recordsBytes: number, bytes = SMALL): Promise<string> {
    const walk = this.#growing(name, recordsBytes);
    const outcome = await this.walks.run(walk, { bytes, isOver: () => this.over.has(name) });
    // Nobody has what it took.
    if (outcome.kind !== "done") walk.return("");
    return outcome.kind;
  }

  *#growing(name: string, recordsBytes: number): Generator<number | undefined, string, undefined> {
    let taken = 0;
    try {
      for (let growth = 4096; taken < recordsBytes; growth = Math.min(taken, recordsBytes - taken)) {
        yield growth;
        this.parts.push(name);
        this.ms += PART_MS;
        taken += growth;
        this.takenBytes += growth;
        this.takenBytesMost = Math.max(this.takenBytesMost, this.takenBytes);
        yield;
      }
      return name;
    } finally {
      this.takenBytes -= taken;
    }
  }

  /** Turns until all of them are answered. */
  async turnsOf(answers: readonly Promise<string>[]): Promise<string[]> {
    let isDone = false;
    const all = Promise.all(answers).finally(() => (isDone = true));
    while (!isDone) await this.turn();
    return all;
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
  test("one that is done within a piece -> done at once; held until it is released", async () => {
    const bench = new Bench();
    const outcome = bench.run("a", 2);
    assert.equal(bench.parts.join(""), "aa");
    const done = await outcome;
    assert.ok(done.kind === "done");
    assert.equal(done.value, "a");
    assert.ok(bench.heldBytes >= SMALL, "until who has the records holds them");
    done.release();
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
    for (const outcome of await Promise.all([...outcomes, small])) {
      assert.ok(outcome.kind === "done");
      outcome.release();
    }
    assert.equal(bench.heldBytes, 0);
  });

  test("more bytes than may be held -> overloaded, and not begun", async () => {
    const bench = new Bench();
    bench.room = LARGE;
    const outcome = await bench.run("a", 1, LARGE);
    assert.ok(outcome.kind === "overloaded");
    assert.equal(outcome.error.code, "OVERLOADED");
    assert.match(outcome.error.message, /with all they may hold, "256MB"$/);
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

  test("a hundred small ones whose records become large -> all done, within what may be held but for one", async () => {
    const bench = new Bench();
    bench.room = HELD_BYTES_MAX;
    const names = Array.from({ length: 100 }, (_, i) => `${i}`);
    const kinds = await bench.turnsOf(names.map((name) => bench.flatten(name, RECORDS_BYTES_MAX)));
    assert.deepEqual(kinds, Array(100).fill("done"));
    assert.ok(bench.takenBytesMost > RECORDS_BYTES_MAX);
    assert.ok(bench.takenBytesMost <= HELD_BYTES_MAX + RECORDS_BYTES_MAX, `${bench.takenBytesMost} bytes`);
  });

  test("more of them than may wait as large ones -> refused, with what they took", async () => {
    const bench = new Bench();
    bench.room = HELD_BYTES_MAX;
    const names = Array.from({ length: 1000 }, (_, i) => `${i}`);
    const kinds = await bench.turnsOf(names.map((name) => bench.flatten(name, RECORDS_BYTES_MAX)));
    const refused = kinds.filter((kind) => kind === "overloaded").length;
    assert.ok(refused > 0 && refused < 1000, `${refused} of 1000`);
    assert.equal(kinds.filter((kind) => kind === "done").length, 1000 - refused);
    assert.ok(bench.takenBytesMost <= HELD_BYTES_MAX + RECORDS_BYTES_MAX, `${bench.takenBytesMost} bytes`);
  });

  test("a small one beside those that become large -> does not wait for them", async () => {
    const bench = new Bench();
    const large = Array.from({ length: 64 }, () => bench.flatten("L", RECORDS_BYTES_MAX));
    while (bench.takenBytes < 4 * RECORDS_BYTES_MAX && !bench.parts.includes("s")) {
      await bench.turn();
      if (bench.takenBytes > RECORDS_BYTES_MAX && bench.takenBytesMost === bench.takenBytes)
        void bench.flatten("s", SMALL);
    }
    assert.ok(bench.parts.includes("s"));
    assert.deepEqual(await bench.turnsOf(large), Array(64).fill("done"));
  });

  test("no room for two large ones -> one goes on alone, then the other", async () => {
    const bench = new Bench();
    bench.room = 3 * LARGE;
    const names = ["a", "b"];
    const kinds = await bench.turnsOf(names.map((name) => bench.flatten(name, RECORDS_BYTES_MAX, LARGE)));
    assert.deepEqual(kinds, ["done", "done"]);
    const [first = ""] = bench.parts.slice(-1);
    const other = names.find((name) => name !== first)!;
    assert.ok(bench.takenBytesMost < RECORDS_BYTES_MAX + 3 * LARGE, `${bench.takenBytesMost} bytes`);
    assert.ok(bench.parts.lastIndexOf(other) < bench.parts.lastIndexOf(first));
  });
});
