import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8 } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { atomically, type AtomicOptions, type AtomicReads } from "./atomic.ts";
import type { StoreOp } from "./coordination.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { openMemoryStore } from "./testkit.ts";

interface World {
  readonly agenda: Agenda;
  readonly store: EmbeddedStore;
  readonly options: AtomicOptions;
}

async function world(): Promise<World> {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = await openMemoryStore(clock, seededRandom("atomic"));
  return { agenda, store, options: { store, clock } };
}

const put = (key: string, value: string): StoreOp => ({ kind: "put", key, value: utf8(value) });

function write(store: EmbeddedStore, ...ops: StoreOp[]): Promise<unknown> {
  return store.txn({ compare: [], success: ops }, never);
}

async function keys({ store }: World): Promise<string> {
  const { kvs } = await store.range({ key: "\0", end: "\0" }, never);
  return kvs.map(({ key, value }) => `${key}=${text(value)}`).join(" ");
}

/** Runs `reads` with one write by somebody else between read and transaction. @returns how often it conflicted */
async function conflicts(
  w: World,
  reads: (reads: AtomicReads) => Promise<unknown>,
  disturb: readonly StoreOp[],
): Promise<number> {
  let isFirst = true;
  const running = atomically(
    w.options,
    async (from) => {
      await reads(from);
      if (isFirst) await write(w.store, ...disturb);
      isFirst = false;
      return { ops: [put("done", "1")], result: undefined };
    },
    never,
  );
  await w.agenda.advance(1000);
  return (await running).conflicts;
}

test("atomically: nothing in the way -> one transaction, its revision and results", async () => {
  const w = await world();
  await write(w.store, put("a", "1"));
  const outcome = await atomically(
    w.options,
    async (reads) => {
      const a = await reads.get("a");
      equal(await reads.get("none"), undefined);
      equal(reads.revision, 2);
      return { ops: [put("b", text(a!.value))], result: "copied" };
    },
    never,
  );
  deepEqual(outcome, { result: "copied", revision: 3, results: [{ kind: "put" }], conflicts: 0 });
  equal(await keys(w), "a=1 b=1");
});

test("atomically: nothing to write -> no transaction", async () => {
  const w = await world();
  const outcome = await atomically(
    w.options,
    async (reads) => ({ ops: [], result: await reads.get("a") }),
    never,
  );
  deepEqual(outcome, { result: undefined, revision: 1, results: [], conflicts: 0 });
});

test("atomically: what was read changes -> again; what was only looked at -> not", async () => {
  const get = (reads: AtomicReads): Promise<unknown> => reads.get("a");
  const prefix = (reads: AtomicReads): Promise<unknown> => reads.prefix("p/");
  const cases: readonly [string, (reads: AtomicReads) => Promise<unknown>, StoreOp, number][] = [
    ["changed", get, put("a", "2"), 1],
    ["deleted", get, { kind: "delete", key: "a" }, 1],
    ["other", get, put("b", "2"), 0],
    ["created", (reads) => reads.get("new"), put("new", "2"), 1],
    ["peeked", (reads) => reads.peek("a"), put("a", "2"), 0],
    ["prefix changed", prefix, put("p/1", "2"), 1],
    ["prefix deleted", prefix, { kind: "delete", key: "p/1" }, 1],
    ["prefix created", prefix, put("p/3", "2"), 1],
    ["prefix beside", prefix, put("p0", "2"), 0],
    ["prefix was empty", (reads) => reads.prefix("e/"), put("e/1", "2"), 1],
    ["prefix peeked", (reads) => reads.peekPrefix("p/"), put("p/3", "2"), 0],
  ];
  for (const [name, reads, disturb, expected] of cases) {
    const w = await world();
    await write(w.store, put("a", "1"), put("p/1", "1"), put("p/2", "1"));
    equal(await conflicts(w, reads, [disturb]), expected, name);
  }
});

test("atomically: all reads of an attempt see one revision", async () => {
  const w = await world();
  await write(w.store, put("a", "1"), put("b", "1"));
  await atomically(
    w.options,
    async (reads) => {
      const a = await reads.peek("a");
      await write(w.store, put("a", "2"), put("b", "2"));
      const b = await reads.peek("b");
      deepEqual([text(a!.value), text(b!.value)], ["1", "1"]);
      return { ops: [], result: undefined };
    },
    never,
  );
});

test("atomically: the revision read is compacted -> again", async () => {
  const w = await world();
  let attempts = 0;
  const running = atomically(
    w.options,
    async (reads) => {
      await reads.get("a");
      if (++attempts === 1) {
        await write(w.store, put("b", "1"));
        await w.store.compact(w.store.header.revision, never);
      }
      return { ops: [put("a", String((await reads.prefix("b")).length))], result: undefined };
    },
    never,
  );
  await w.agenda.advance(1000);
  equal((await running).conflicts, 1);
  equal(await keys(w), "a=1 b=1");
});

test("atomically: counters raised by many at once -> no raise is lost", async () => {
  const w = await world();
  const raise = (reads: AtomicReads): Promise<{ ops: StoreOp[]; result: number }> =>
    reads.get("n").then((n) => {
      const next = Number(n === undefined ? "0" : text(n.value)) + 1;
      return { ops: [put("n", String(next))], result: next };
    });
  const running = Promise.all(Array.from({ length: 8 }, () => atomically(w.options, raise, never)));
  await w.agenda.advance(15_000);
  const results = (await running).map(({ result }) => result);
  deepEqual(new Set(results), new Set([1, 2, 3, 4, 5, 6, 7, 8]));
  equal(await keys(w), "n=8");
});

test("atomically: always in conflict -> waits 10 ms doubled up to 2 s, gives up in time", async () => {
  const w = await world();
  const times: number[] = [];
  const running = rejects(
    atomically(
      w.options,
      async (reads) => {
        times.push(w.agenda.nowMs);
        await reads.get("a");
        await write(w.store, put("a", ""));
        return { ops: [put("b", "")], result: undefined };
      },
      never,
    ),
    { code: "CONFLICT" },
  );
  await w.agenda.advance(30_000);
  await running;
  deepEqual(times.slice(0, 10), [0, 10, 30, 70, 150, 310, 630, 1270, 2550, 4550]);
  ok(times.at(-1)! <= 15_000 && times.at(-1)! > 12_000);
});

test("atomically: what the attempt throws, and a guard of its own that fails", async () => {
  const w = await world();
  await rejects(
    atomically(w.options, () => Promise.reject(new Error("no")), never),
    /no/,
  );
  const compare = [{ target: "version", key: "lock", op: "=", version: 1 } as const];
  const short = { ...w.options, totalMs: 0 };
  const locked = atomically(short, () => Promise.resolve({ ops: [put("a", "")], compare, result: 0 }), never);
  await rejects(locked, { code: "CONFLICT" });
  equal(await keys(w), "");
});
