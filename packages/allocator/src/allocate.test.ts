import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, WireError, type LogFields, type Logger } from "@millrace/base";
import type { CoordinationStore, TxnRequest, TxnResponse } from "@millrace/metadata";
import { ScenarioWorld } from "./scenario-world.ts";

const THREE = {
  "items/item-1": '{"R":2}',
  "items/item-2": '{"R":1}',
  "members/a#A": '{"R":5}',
  "members/b#B": '{"R":5}',
};

async function inWorld(
  values: Readonly<Record<string, string>>,
  run: (w: ScenarioWorld) => Promise<void>,
): Promise<void> {
  const world = await ScenarioWorld.open(values);
  try {
    await run(world);
  } finally {
    await world.close();
  }
}

type Txn = (request: TxnRequest) => Promise<TxnResponse>;

/** The world's store with its transactions handled by `handle`. */
function withTxn(
  { store }: ScenarioWorld,
  handle: (request: TxnRequest, real: Txn) => Promise<TxnResponse>,
): CoordinationStore {
  return {
    range: (request, signal) => store.range(request, signal),
    watch: (request, signal) => store.watch(request, signal),
    grantLease: (ttl, signal) => store.grantLease(ttl, signal),
    keepAlive: (lease, signal) => store.keepAlive(lease, signal),
    revokeLease: (lease, signal) => store.revokeLease(lease, signal),
    compact: (revision, signal) => store.compact(revision, signal),
    txn: (request, signal) => handle(request, (real) => store.txn(real, signal)),
  };
}

/** Runs an allocator of member a#A, the leader, until `done` holds. */
async function lead(
  world: ScenarioWorld,
  store: CoordinationStore,
  done: () => boolean,
  levels: string[] = [],
): Promise<string[]> {
  const events: string[] = [];
  const note =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      ok(!("error" in fields), "only a bug is told with its stack");
      events.push(event);
      levels.push(level);
    };
  const logger: Logger = {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    with: () => logger,
  };
  const stop = new AbortController();
  const running = world.start("a#A", stop.signal, { store, logger });
  ok(await world.agenda.runUntil(done, world.agenda.nowMs + 20_000), "it gets done");
  stop.abort(new Error("done"));
  await rejects(running, /done/);
  return events;
}

test("allocate: own member key is missing -> fails, and says so", () =>
  inWorld(THREE, async (world) => {
    await rejects(world.start("a#other", never), {
      code: "NOT_FOUND",
      message: "member key not found in Etcd",
    });
  }));

test("allocate: own member key is deleted -> fails", () =>
  inWorld(THREE, async (world) => {
    const running = world.start("b#B", never);
    await world.delete("members/b#B");
    await rejects(running, { message: "member key not found in Etcd" });
  }));

test("allocate: not the leader -> does nothing until the leader is gone, then leads", () =>
  inWorld(THREE, async (world) => {
    const stop = new AbortController();
    const running = world.start("b#B", stop.signal);
    await world.agenda.advance(5000);
    deepEqual(world.assigned(), []);
    await world.delete("members/a#A");
    ok(await world.agenda.runUntil(() => world.assigned().length === 2, world.agenda.nowMs + 5000));
    stop.abort(new Error("done"));
    await rejects(running, /done/);
    deepEqual(world.assigned(), ["item-1#b#B#0", "item-2#b#B#0"]);
  }));

test("allocate: transactions fail and nothing else changes -> tries again by itself, and warns when it goes on", () =>
  inWorld(THREE, async (world) => {
    let failures = 6;
    const store = withTxn(world, async (request, real) => {
      if (failures-- <= 0) return real(request);
      return { ...(await real({ compare: [], success: [] })), succeeded: false };
    });
    const levels: string[] = [];
    const events = await lead(world, store, () => world.assigned().length === 3, levels);
    const failed = levels.filter((_, at) => events[at] === "allocator-converge-failed");
    deepEqual(failed, ["info", "info", "info", "info", "warn", "warn"]);
  }));

test("allocate: the answer of a transaction is lost -> what it did is found, and not done again", () =>
  inWorld(THREE, async (world) => {
    let calls = 0;
    const store = withTxn(world, async (request, real) => {
      const response = await real(request);
      if (calls++ === 0) throw new WireError("OUTCOME_UNKNOWN", "lost");
      return response;
    });
    const stop = new AbortController();
    const running = world.start("a#A", stop.signal, { store });
    await world.agenda.advance(5000);
    stop.abort(new Error("done"));
    await rejects(running, /done/);
    equal(world.assigned().length, 3);
    equal(calls, 1);
    ok(
      world.mirror
        .snapshot()
        .assignments.every(({ modRevision }) => modRevision === world.mirror.keyspace.revision),
    );
  }));

test("allocate: the mirror does not get to what was written -> looks again without it, and changes nothing twice", () =>
  inWorld(THREE, async (world) => {
    const snapshot = world.mirror.snapshot();
    const { mirror } = world;
    let outcomes = "";
    const store = withTxn(world, async (request, real) => {
      const response = await real(request);
      outcomes += response.succeeded ? "+" : "-";
      return response;
    });
    const stale = Object.assign(Object.create(mirror) as typeof mirror, {
      snapshot: () => snapshot,
      waitForRevision: (_revision: number, signal: AbortSignal) => mirror.changed.next(signal),
    });
    const stop = new AbortController();
    const running = world.start("a#A", stop.signal, { store, mirror: stale });
    await world.agenda.advance(5000);
    stop.abort(new Error("done"));
    await rejects(running, /done/);
    ok(/^\+-{2,}$/.test(outcomes), outcomes);
  }));

test("allocate: exiting with nothing assigned -> ends", () =>
  inWorld({ ...THREE, "members/c#C": '{"R":5,"E":true}' }, (world) => world.start("c#C", never)));

test("allocate: exiting with the only copy, and nobody to take it -> stays, and says so once", () =>
  inWorld({ "items/item-1": '{"R":1}', "members/a#A": '{"R":5,"E":true}' }, async (world) => {
    await world.put({ "assign/item-1#a#A#0": "consistent" });
    let rounds = 0;
    const store = withTxn(world, (request, real) => real(request));
    const events = await lead(world, store, () => {
      if (rounds++ < 3) void world.put({ "items/item-1": '{"R":1}' });
      return rounds === 5;
    });
    deepEqual(
      events.filter((event) => event !== "allocator-solved"),
      ["allocator-drains"],
    );
  }));

test("allocate: hand-offs that wait for each other -> solved again from where things are", () =>
  inWorld(
    { "items/item-1": '{"R":1}', "items/item-2": '{"R":1}', "members/a#A": '{"R":1}' },
    async (world) => {
      // Solved with item-1 desired on A, which item-2 takes meanwhile: item-1 waits for room that never comes.
      let isFirst = true;
      const store = withTxn(world, async (request, real) => {
        if (!isFirst) return real(request);
        isFirst = false;
        await world.put({ "assign/item-2#a#A#0": "consistent" });
        throw new WireError("UNAVAILABLE", "lost");
      });
      const events = await lead(
        world,
        store,
        () => world.agenda.nowMs > 3000 || (void world.agenda.schedule(500, () => {}), false),
      );
      ok(events.includes("allocator-deadlock"), events.join(" "));
      deepEqual(world.assigned(), ["item-2#a#A#0"]);
    },
  ));
