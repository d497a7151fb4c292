import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, text, utf8, WireError, type Logger } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import fc from "fast-check";
import type { CoordinationStore, KeyValue, StoreOp, WatchBatch, WatchRequest } from "./coordination.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { EVERYTHING } from "./key.ts";
import { Keyspace, type KeyspaceChange, type KeyspaceOptions } from "./keyspace.ts";
import { openMemoryStore } from "./testkit.ts";

interface World {
  readonly agenda: Agenda;
  readonly store: EmbeddedStore;
  readonly keyspace: Keyspace<string>;
  readonly events: string[];
  readonly updates: string[];
  run(): void;
  stop(): Promise<void>;
}

async function world(
  options: Partial<KeyspaceOptions<string>> = {},
  wrap: (store: EmbeddedStore) => CoordinationStore = (store) => store,
): Promise<World> {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = await openMemoryStore(clock, seededRandom("keyspace"));
  const events: string[] = [];
  const updates: string[] = [];
  const note = (event: string): void => void events.push(event);
  const logger: Logger = { debug: note, info: note, warn: note, error: note, with: () => logger };
  const decode = (_key: string, value: Uint8Array): string | Error => {
    const plain = text(value);
    if (plain === "throw") throw new Error("thrown");
    return plain.startsWith("bad") ? new Error("undecodable") : plain;
  };
  const keyspace = new Keyspace({ store: wrap(store), clock, logger, prefix: "p/", decode, ...options });
  keyspace.observe((changes) => void updates.push(changes.map(describe).join(" ")));
  const stop = new AbortController();
  let running = Promise.resolve();
  return {
    agenda,
    store,
    keyspace,
    events,
    updates,
    run: () => {
      running = keyspace.run(stop.signal);
    },
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

function describe({ key, before, after }: KeyspaceChange<string>): string {
  return `${key}:${before?.value ?? ""}>${after?.value ?? ""}`;
}

const put = (key: string, value: string): StoreOp => ({ kind: "put", key, value: utf8(value) });

async function write(store: CoordinationStore, ...ops: StoreOp[]): Promise<number> {
  return (await store.txn({ compare: [], success: ops }, never)).header.revision;
}

const shown = (keyspace: Keyspace<string>): string =>
  keyspace
    .scan()
    .map(({ key, value }) => `${key}=${value}`)
    .join(" ");

test("load: page by page, at the revision asked for", async () => {
  const w = await world({ pageKeys: 2 });
  for (let i = 0; i < 5; i++) await write(w.store, put(`p/${i}`, String(i)));
  const revision = await write(w.store, put("other", ""));
  await write(w.store, put("p/9", "later"));
  await w.keyspace.load(revision, never);
  equal(shown(w.keyspace), "p/0=0 p/1=1 p/2=2 p/3=3 p/4=4");
  deepEqual([w.keyspace.revision, w.keyspace.header.revision, w.keyspace.size], [revision, revision, 5]);
  equal(w.keyspace.header.clusterId, w.store.header.clusterId);
  deepEqual(w.updates, ["p/0:>0 p/1:>1 p/2:>2 p/3:>3 p/4:>4"]);
});

test("parts: what stands beside them is neither loaded nor followed, and moves the mirror all the same", async () => {
  const w = await world({ pageKeys: 2, parts: ["p/a/", "p/c/"] });
  for (const key of ["a/1", "a/2", "a/3", "b/1", "c/1", "d"]) await write(w.store, put(`p/${key}`, key));
  await w.keyspace.load(0, never);
  equal(shown(w.keyspace), "p/a/1=a/1 p/a/2=a/2 p/a/3=a/3 p/c/1=c/1");
  w.run();
  await write(w.store, put("p/b/1", "bad"), put("p/c/2", "new"), put("p/e", "new"));
  const revision = await write(w.store, { kind: "delete", key: "p/b/1" });
  await w.keyspace.waitForRevision(revision, never);
  equal(shown(w.keyspace), "p/a/1=a/1 p/a/2=a/2 p/a/3=a/3 p/c/1=c/1 p/c/2=new");
  deepEqual([w.keyspace.undecodable, w.events], [0, []]);
  deepEqual([w.keyspace.revision, w.keyspace.seenRevision], [revision - 1, revision]);
  await w.stop();
});

test("load: its revision is compacted half-way -> starts again", async () => {
  let reads = 0;
  const w = await world({ pageKeys: 2 }, (store) => ({
    ...bound(store),
    range: async (request, signal) => {
      if (++reads === 2) {
        const { header } = await store.txn({ compare: [], success: [put("p/0", "new")] }, signal);
        await store.compact(header.revision, signal);
      }
      return store.range(request, signal);
    },
  }));
  for (let i = 0; i < 5; i++) await write(w.store, put(`p/${i}`, "old"));
  await w.keyspace.load(0, never);
  equal(shown(w.keyspace), "p/0=new p/1=old p/2=old p/3=old p/4=old");
});

test("load: each page is decoded before the next one is asked for", async () => {
  let decoded = 0;
  const asked: number[] = [];
  const decode = (_key: string, value: Uint8Array): string => {
    decoded++;
    return text(value);
  };
  const w = await world({ pageKeys: 2, decode }, (store) => ({
    ...bound(store),
    range: (request, signal) => {
      asked.push(decoded);
      return store.range(request, signal);
    },
  }));
  for (let i = 0; i < 5; i++) await write(w.store, put(`p/${i}`, String(i)));
  await w.keyspace.load(0, never);
  deepEqual([asked, decoded], [[0, 2, 4], 5]);
});

test("load: fails behind a page with what cannot be decoded -> the mirror is as it was, nothing was said", async () => {
  let isAway = false;
  const w = await world({ pageKeys: 2 }, (store) => ({
    ...bound(store),
    range: async (request, signal) => {
      if (isAway && request.key !== "p/") throw new WireError("UNAVAILABLE", "away");
      return store.range(request, signal);
    },
  }));
  for (let i = 0; i < 5; i++) await write(w.store, put(`p/${i}`, "old"));
  await w.keyspace.load(0, never);
  await write(w.store, put("p/0", "bad"), put("p/1", "new"), { kind: "delete", key: "p/2" });
  isAway = true;
  await rejects(w.keyspace.load(0, never), /away/);
  equal(shown(w.keyspace), "p/0=old p/1=old p/2=old p/3=old p/4=old");
  deepEqual([w.keyspace.undecodable, w.events, w.updates.length], [0, [], 1]);
  isAway = false;
  await w.keyspace.load(0, never);
  equal(shown(w.keyspace), "p/0=old p/1=new p/3=old p/4=old");
  deepEqual([w.keyspace.undecodable, w.events], [1, ["keyspace-value-undecodable"]]);
  equal(w.updates.at(-1), "p/1:old>new p/2:old>");
});

test("run: follows puts and deletions; get and scan by prefix", async () => {
  const w = await world();
  await write(w.store, put("p/a", "1"));
  await w.keyspace.load(0, never);
  w.run();
  await write(w.store, put("p/a", "2"), put("p/b/1", "1"), put("p/b/2", "1"), put("p/c", "1"));
  await write(w.store, { kind: "delete", key: "p/b/1" });
  await settle();
  equal(shown(w.keyspace), "p/a=2 p/b/2=1 p/c=1");
  deepEqual([w.keyspace.get("p/a")?.version, w.keyspace.get("p/b/1")], [2, undefined]);
  deepEqual(
    w.keyspace.scan("p/b/").map(({ key }) => key),
    ["p/b/2"],
  );
  deepEqual(w.updates.slice(1), ["p/a:1>2 p/b/1:>1 p/b/2:>1 p/c:>1", "p/b/1:1>"]);
  deepEqual(w.events, []);
  await w.stop();
});

test("revision: moves with the prefix only; waiting does not hang on writes elsewhere", async () => {
  const w = await world();
  const loaded = await write(w.store, put("p/a", "1"));
  await w.keyspace.load(0, never);
  w.run();
  await settle();
  const elsewhere = await write(w.store, put("other", ""));
  await w.keyspace.waitForRevision(elsewhere, never);
  equal(w.keyspace.revision, loaded);
  equal(w.keyspace.seenRevision, elsewhere);
  const waiting = w.keyspace.waitForRevision(elsewhere + 1, never).then(() => shown(w.keyspace));
  await write(w.store, put("p/a", "2"));
  equal(await waiting, "p/a=2");
  equal(w.keyspace.revision, elsewhere + 1);
  await rejects(w.keyspace.waitForRevision(1, AbortSignal.abort(new Error("gone"))), /gone/);
  const gone = new AbortController();
  const hopeless = w.keyspace.waitForRevision(999, gone.signal);
  gone.abort(new Error("gone"));
  await rejects(hopeless, /gone/);
  await w.stop();
});

test("decoding: a bad new key is absent, a bad new value keeps the old one, a later good one counts", async () => {
  const w = await world();
  await write(w.store, put("p/a", "bad"), put("p/b", "1"), put("p/c", "throw"));
  await w.keyspace.load(0, never);
  w.run();
  equal(shown(w.keyspace), "p/b=1");
  equal(w.keyspace.undecodable, 2);
  await write(w.store, put("p/b", "bad"), put("p/d", "bad"));
  await settle();
  equal(shown(w.keyspace), "p/b=1");
  equal(w.keyspace.undecodable, 4);
  await write(w.store, put("p/a", "2"), put("p/b", "2"), { kind: "delete", key: "p/c" });
  await settle();
  equal(shown(w.keyspace), "p/a=2 p/b=2");
  equal(w.keyspace.undecodable, 1);
  deepEqual(new Set(w.events), new Set(["keyspace-value-undecodable"]));
  await w.stop();
});

test("decoding: what a bad value counts as -> taken at its own revision, and counted until a good one", async () => {
  const instead = (key: string, known: string | undefined): string | undefined => {
    if (key === "p/throw") throw new Error("thrown");
    return key === "p/none" ? undefined : (known ?? "-");
  };
  const w = await world({ instead });
  await write(w.store, put("p/a", "bad"), put("p/b", "1"), put("p/none", "bad"), put("p/throw", "bad"));
  await w.keyspace.load(0, never);
  w.run();
  deepEqual([shown(w.keyspace), w.keyspace.undecodable], ["p/a=- p/b=1", 3]);
  const second = await write(w.store, put("p/b", "bad"), put("p/c", "bad"));
  await w.keyspace.waitForRevision(second, never);
  deepEqual([shown(w.keyspace), w.keyspace.undecodable], ["p/a=- p/b=1 p/c=-", 5]);
  const { modRevision, version } = w.keyspace.get("p/b")!;
  deepEqual([modRevision, version, w.updates.at(-1)], [second, 2, "p/b:1>1 p/c:>-"]);
  await w.keyspace.load(0, never);
  deepEqual([shown(w.keyspace), w.keyspace.undecodable], ["p/a=- p/b=1 p/c=-", 5], "loaded again");
  const third = await write(w.store, put("p/a", "2"), put("p/b", "2"), { kind: "delete", key: "p/c" });
  await w.keyspace.waitForRevision(third, never);
  deepEqual([shown(w.keyspace), w.keyspace.undecodable], ["p/a=2 p/b=2", 2]);
  deepEqual(new Set(w.events), new Set(["keyspace-value-undecodable"]));
  await w.stop();
});

test("decoding: what it depends on has changed -> the same values are decoded again, at their revisions", async () => {
  const good = new Set<string>();
  const given: string[] = [];
  const w = await world({
    decode: (_key, value) => (good.has(text(value)) ? text(value) : new Error(`not ${text(value)}`)),
    instead: (key, _known, { value, error }) => {
      given.push(`${key} ${text(value)} ${error.message}`);
      return key === "p/b" ? "-" : undefined;
    },
  });
  await write(w.store, put("p/a", "1"), put("p/b", "2"), put("p/c", "3"));
  await w.keyspace.load(0, never);
  w.run();
  deepEqual([shown(w.keyspace), w.keyspace.undecodable], ["p/b=-", 3]);
  deepEqual(given, ["p/a 1 not 1", "p/b 2 not 2", "p/c 3 not 3"]);
  const before = w.keyspace.get("p/b")!.modRevision;
  const updates = w.updates.length;
  w.keyspace.decodeAgain();
  equal(w.updates.length, updates, "nothing has changed: no update");
  good.add("1").add("2");
  w.keyspace.decodeAgain();
  deepEqual([shown(w.keyspace), w.keyspace.undecodable], ["p/a=1 p/b=2", 1]);
  deepEqual(w.updates.slice(updates), ["p/a:>1 p/b:->2"]);
  equal(w.keyspace.get("p/b")!.modRevision, before);
  await write(w.store, { kind: "delete", key: "p/c" });
  await settle();
  good.add("3");
  w.keyspace.decodeAgain();
  deepEqual(
    [shown(w.keyspace), w.keyspace.undecodable],
    ["p/a=1 p/b=2", 0],
    "what is gone does not come back",
  );
  await w.stop();
});

test("observers: in order of registration, after the update, before the waiters; and until they leave", async () => {
  const w = await world();
  const order: string[] = [];
  await w.keyspace.load(0, never);
  w.keyspace.observe((_, keyspace) => void order.push(`first ${shown(keyspace)}`));
  const leave = w.keyspace.observe(() => void order.push("second"));
  w.run();
  const revision = await write(w.store, put("p/a", "1"));
  await w.keyspace.waitForRevision(revision, never);
  order.push("waiter");
  deepEqual(order, ["first p/a=1", "second", "waiter"]);
  leave();
  await write(w.store, put("p/a", "2"));
  await settle();
  deepEqual(order.slice(3), ["first p/a=2"]);
  await w.stop();
});

test("apply delay: what arrives meanwhile is one update, of the first and the last value", async () => {
  const w = await world({ applyDelayMs: 30 });
  await write(w.store, put("p/a", "0"));
  await w.keyspace.load(0, never);
  w.run();
  for (let i = 1; i <= 5; i++) {
    await write(w.store, put("p/a", String(i)));
    await w.agenda.advance(5);
  }
  equal(shown(w.keyspace), "p/a=0");
  await write(w.store, put("p/b", "1"), { kind: "delete", key: "p/none" });
  await write(w.store, { kind: "delete", key: "p/b" });
  await w.agenda.advance(5);
  deepEqual(w.updates.slice(1), ["p/a:0>5"]);
  await w.stop();
});

test("compaction: the watch needs what is gone -> loads again, the difference is one update", async () => {
  const release: (() => void)[] = [];
  const w = await world({}, (store) => ({
    ...bound(store),
    // The first watch hangs, as one that lags would.
    watch: (request, signal) =>
      release.length === 0 ? hanging(release, signal) : store.watch(request, signal),
  }));
  await write(w.store, put("p/a", "1"), put("p/b", "1"), put("p/c", "1"));
  await w.keyspace.load(0, never);
  w.run();
  await settle();
  await write(w.store, { kind: "delete", key: "p/b" }, put("p/d", "1"));
  await write(w.store, put("p/a", "2"));
  const { revision } = w.store.header;
  await w.store.compact(revision, never);
  release[0]!();
  await w.agenda.advance(10);
  equal(shown(w.keyspace), "p/a=2 p/c=1 p/d=1");
  deepEqual(w.updates.slice(1), ["p/a:1>2 p/d:>1 p/b:1>"]);
  equal(w.keyspace.revision, revision);
  await write(w.store, put("p/c", "2"));
  await settle();
  equal(w.keyspace.get("p/c")?.value, "2");
  await w.stop();
});

test("failures: the watch starts again after 0, 0, 5, 2000 ms…, and misses nothing", async () => {
  let failures = 0;
  const times: number[] = [];
  const w = await world({}, (store) => ({
    ...bound(store),
    watch: (request, signal) => {
      times.push(w.agenda.nowMs);
      return ++failures <= 4 ? failing() : store.watch(request, signal);
    },
  }));
  await w.keyspace.load(0, never);
  w.run();
  await write(w.store, put("p/a", "1"));
  await w.agenda.advance(10_000);
  deepEqual(times, [0, 0, 0, 5, 2005]);
  equal(shown(w.keyspace), "p/a=1");
  deepEqual(new Set(w.events), new Set(["keyspace-watch-failed"]));
  await w.stop();
});

test("the watch leaves out a change -> the prefix is loaded again at the next sign of life", async () => {
  let leaveOut = false;
  async function* lacking(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch, void, undefined> {
    for await (const batch of batches) yield leaveOut ? { ...batch, events: [] } : batch;
  }
  const w = await world({}, (store) => ({
    ...bound(store),
    watch: (request, signal) => lacking(store.watch(request, signal)),
  }));
  await w.keyspace.load(0, never);
  w.run();
  const told = async (...ops: StoreOp[]): Promise<void> => {
    await write(w.store, ...ops);
    await w.agenda.advance(1000);
  };
  await told(put("p/a", "1"));
  leaveOut = true;
  await told(put("p/a", "2"), put("p/b", "left out"));
  leaveOut = false;
  await told(put("p/a", "3"));
  ok(w.events.includes("keyspace-version-gap"));
  equal(shown(w.keyspace), "p/a=3");
  await told(put("p/c", "4"));
  equal(shown(w.keyspace), "p/a=3 p/b=left out p/c=4");
  await w.stop();
});

test("loaded again, the store was put back -> keys of equal revisions and other content are changes", async () => {
  let others: Readonly<Record<string, Partial<KeyValue>>> = {};
  const w = await world({}, (store) => ({
    ...bound(store),
    range: async (request, signal) => {
      const found = await store.range(request, signal);
      return { ...found, kvs: found.kvs.map((kv) => ({ ...kv, ...others[kv.key] })) };
    },
  }));
  await write(w.store, put("p/a", "1"), put("p/b", "1"), put("p/c", "1"), put("p/d", "1"));
  await w.keyspace.load(0, never);
  others = { "p/a": { value: utf8("2") }, "p/b": { version: 2 }, "p/c": { lease: 7n } };
  await w.keyspace.load(0, never);
  deepEqual(w.updates.slice(1), ["p/a:1>2 p/b:1>1 p/c:1>1"]);
  deepEqual([w.keyspace.get("p/b")?.version, w.keyspace.get("p/c")?.lease], [2, 7n]);
});

test("another cluster's header -> run ends with CORRUPT", async () => {
  const w = await world({}, (store) => ({
    ...bound(store),
    watch: async function* (): AsyncGenerator<WatchBatch> {
      yield { header: { ...store.header, clusterId: 1n }, events: [] };
      await settle();
    },
  }));
  await w.keyspace.load(0, never);
  await rejects(w.keyspace.run(never), { code: "CORRUPT" });
});

test("any writes, delays and compactions -> the mirror becomes what the store holds", async () => {
  const name = fc.constantFrom("p/a", "p/b", "p/c", "q", "p");
  const kind = fc.constantFrom("put", "put", "put", "delete", "wait", "compact");
  const step = fc.record({ kind, name, value: fc.constantFrom("1", "22", "bad") });
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 40, size: "max" }),
    fc.constantFrom(0, 30),
    async (steps, delay) => {
      const w = await world({ applyDelayMs: delay, pageKeys: 2, logger: silentLogger });
      await w.keyspace.load(0, never);
      w.run();
      const mirror = new Map<string, string>();
      w.keyspace.observe((changes) => {
        for (const { key, before, after } of changes) {
          equal(mirror.get(key), before?.value);
          if (after === undefined) mirror.delete(key);
          else mirror.set(key, after.value);
        }
      });
      for (const step of steps) {
        if (step.kind === "wait") await w.agenda.advance(20);
        else if (step.kind === "compact")
          await w.store.compact(w.store.header.revision, never).catch(isCompacted);
        else if (step.kind === "put") await write(w.store, put(step.name, step.value));
        else await write(w.store, { kind: "delete", key: step.name });
      }
      await w.agenda.advance(100);
      const { kvs } = await w.store.range({ key: EVERYTHING, end: EVERYTHING }, never);
      const good = kvs.filter(({ key, value }) => key.startsWith("p/") && text(value) !== "bad");
      for (const { key, value } of good) equal(w.keyspace.get(key)?.value, text(value));
      const present = new Set(kvs.map(({ key }) => key));
      ok(w.keyspace.scan().every(({ key }) => present.has(key)));
      deepEqual(new Map(w.keyspace.scan().map(({ key, value }) => [key, value])), mirror);
      const bytes = [...mirror].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
      deepEqual([w.keyspace.size, w.keyspace.bytes], [mirror.size, bytes]);
      await w.keyspace.waitForRevision(w.store.header.revision, never);
      await w.stop();
    },
  );
  await fc.assert(property, { numRuns: 100 });
});

function isCompacted(error: unknown): void {
  equal(WireError.from(error).code, "COMPACTED");
}

function bound(store: EmbeddedStore): CoordinationStore {
  return {
    range: store.range.bind(store),
    txn: store.txn.bind(store),
    watch: store.watch.bind(store),
    grantLease: store.grantLease.bind(store),
    keepAlive: store.keepAlive.bind(store),
    revokeLease: store.revokeLease.bind(store),
    compact: store.compact.bind(store),
  };
}

async function* hanging(release: (() => void)[], signal: AbortSignal): AsyncGenerator<WatchBatch> {
  await new Promise<void>((resolve) => {
    release.push(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  yield* [];
}

// oxlint-disable-next-line require-yield
async function* failing(_request?: WatchRequest): AsyncGenerator<WatchBatch> {
  await Promise.resolve();
  throw new WireError("UNAVAILABLE", "no leader");
}
