// The persister against a store that fails, on simulated time. Numbers are those of the durability rules.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { concatBytes, MetricsRegistry, never, silentLogger, TaskGroup, utf8 } from "@millrace/base";
import type { Logger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { contentPath, fragmentOfPath, type CompressionCodec } from "@millrace/protocol";
import { objectStores } from "@millrace/stores";
import { memoryStore, type MemoryStore, type MemoryStoreOptions } from "@millrace/stores/testkit";
import { inlineCodecs, prepareCodecs } from "./codec.ts";
import { FragmentIndex, remoteEntry } from "./fragment-index.ts";
import { Persister, type PersistHandle, type PersistSettings } from "./persister.ts";
import { MemorySpool } from "./persister-testkit.ts";
import { isIntact, listRemoteFragments, readRemoteFragment, type RemotePorts } from "./remote-fragments.ts";

const JOURNAL = "a/journal";
const URLS = ["file:///one/", "file:///two/"] as const;
await prepareCodecs();

interface World {
  readonly agenda: Agenda;
  readonly clock: SimulatedClock;
  readonly store: MemoryStore;
  readonly second: MemoryStore;
  readonly spool: MemorySpool;
  readonly index: FragmentIndex;
  readonly persister: Persister;
  readonly handle: PersistHandle;
  readonly ports: RemotePorts;
  readonly metrics: MetricsRegistry;
  readonly events: string[];
  /** All bytes ever appended, from offset 0. */
  readonly written: Uint8Array[];
  settings: PersistSettings | undefined;
  close(): Promise<void>;
}

interface WorldOptions extends Partial<Omit<MemoryStoreOptions, "clock" | "random">> {
  readonly seed?: string;
  readonly settings?: Partial<PersistSettings>;
  readonly stallMs?: number;
}

function world(options: WorldOptions = {}): World {
  const { seed = "1", settings = {}, stallMs = 300_000, ...storeOptions } = options;
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom(seed);
  const opened = URLS.map((url) => memoryStore({ url, clock, random: random.fork(url), ...storeOptions }));
  const [store, second] = opened as [MemoryStore, MemoryStore];
  const events: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    info: (event) => void events.push(event),
    warn: (event) => void events.push(event),
    error: (event) => void events.push(event),
  };
  const stores = objectStores({ file: (url) => opened.find((one) => one.url === url)! });
  const ports: RemotePorts = { stores, codecs: inlineCodecs, logger };
  const metrics = new MetricsRegistry();
  const spool = new MemorySpool(() => clock.wallMs());
  const index = new FragmentIndex();
  const tasks = new TaskGroup("persister", (_, error) => {
    throw error;
  });
  const limits = { uploadsMax: 4, uploadBytesMax: 1 << 20, calmBytesMax: 500, stallMs };
  const persister = new Persister({ ...ports, clock, random, metrics }, limits, tasks);
  spool.onChange(() => index.setLocal(spool.fragments()));
  const written: Uint8Array[] = [];
  const none = { retentionMs: 0, bytesMax: undefined, trimmedTo: 0 };
  const made: Omit<World, "handle"> = {
    agenda,
    clock,
    store,
    second,
    spool,
    index,
    persister,
    ports,
    metrics,
    events,
    written,
    settings: {
      stores: [URLS[0]],
      codec: "SNAPPY",
      pathPostfix: () => "",
      retention: none,
      isPrimary: true,
      ...settings,
    },
    close: () => tasks.close(),
  };
  const handle = persister.open({ name: JOURNAL, spool, index, settings: () => made.settings });
  return Object.assign(made, { handle });
}

function append(w: World, content: string): void {
  const bytes = utf8(content);
  w.written.push(bytes);
  w.spool.append(bytes);
}

/** Appends `content` and closes its fragment. @returns its key in a store */
function close(w: World, content: string, extension = ".sz"): string {
  append(w, content);
  w.spool.roll();
  const closed = w.spool.fragments().at(-1)!;
  return `${JOURNAL}/${hex(closed.begin)}-${hex(closed.end)}-${closed.sum()}${extension}`;
}

const isDone = (w: World) => (): boolean => w.handle.pendingCount === 0;

/** What `store` holds of the journal, read without latency and faults. */
async function contentOf(w: World, store: MemoryStore): Promise<string> {
  const healthy = memoryStore({ url: store.url, clock: w.clock, random: seededRandom("healthy") });
  for (const key of store.keys()) healthy.set(key, store.peek(key)!);
  const ports = { ...w.ports, stores: { open: () => healthy } };
  const entries = await listRemoteFragments(ports, { name: JOURNAL, stores: [store.url] }, never);
  const parts: Uint8Array[] = [];
  for (const { fragment } of entries.sort((a, b) => a.begin - b.begin)) {
    for await (const chunk of readRemoteFragment(ports, fragment, fragment.begin, never)) parts.push(chunk);
  }
  return new TextDecoder().decode(concatBytes(parts));
}

test("a closed fragment -> at once in its store, then released; the index never has a hole", async () => {
  const w = world({ latencyMs: { min: 5, max: 20 } });
  append(w, "still growing");
  await w.agenda.advance(1000);
  assert.equal(w.store.keys().length, 0);
  close(w, " and closed");
  w.index.setRemote([], 0);
  const seen = new Set<string>();
  w.spool.onRelease = ({ begin, end }) => {
    const { index, found } = w.index.find(begin);
    seen.add(`${found} ${w.index.at(index).kind} ${end}`);
  };
  append(w, "next");
  assert.ok(await w.agenda.runUntil(isDone(w), 10_000));
  assert.deepEqual([...seen], ["true remote 24"]);
  assert.deepEqual(
    [...w.index.entries()].map(({ kind, begin, end }) => [kind, begin, end]),
    [
      ["remote", 0, 24],
      ["local", 24, 28],
    ],
  );
  assert.equal(await contentOf(w, w.store), "still growing and closed");
  assert.deepEqual(w.persister.backlog(), { count: 0, bytes: 0, ageMs: 0 });
  await w.close();
});

test("D18: a torn object has the right name -> read back, written again, then released", async () => {
  for (const torn of ["", "\xff\x06\x00\x00sNaPpY", "garbage"]) {
    const w = world();
    const spool = new MemorySpool(() => 0);
    spool.append(utf8("content"));
    spool.roll();
    const sum = spool.fragments()[0]!.sum();
    const path = `${JOURNAL}/0000000000000000-0000000000000007-${sum}.sz`;
    w.store.set(path, Buffer.from(torn, "latin1"));
    let intact: boolean | undefined;
    w.spool.onRelease = () => {
      intact = Buffer.compare(w.store.peek(path)!, Buffer.from(torn, "latin1")) !== 0;
    };
    assert.equal(close(w, "content"), path);
    assert.ok(await w.agenda.runUntil(isDone(w), 10_000));
    assert.equal(intact, true);
    const operations = w.store.operations.map(({ operation }) => operation);
    assert.deepEqual(operations, ["head", "get", "put", "head"]);
    assert.equal(await contentOf(w, w.store), "content");
    await w.close();
  }
});

test("D18: an intact object is there already -> read back and not written again", async () => {
  const w = world();
  const path = close(w, "content");
  await w.agenda.runUntil(isDone(w), 10_000);
  const stored = w.store.peek(path)!;
  const other = world();
  other.store.set(path, stored);
  close(other, "content");
  assert.ok(await other.agenda.runUntil(isDone(other), 10_000));
  const operations = other.store.operations.map(({ operation }) => operation);
  assert.deepEqual(operations, ["head", "get", "sync"]);
  assert.equal(other.spool.fragments().length, 0);
  await w.close();
  await other.close();
});

test("D18: a put that timed out after it succeeded -> not confirmed: read back at the next attempt", async () => {
  const w = world();
  let puts = 0;
  w.store.script = (operation) => (operation === "put" && puts++ === 0 ? "timeout-after-success" : "none");
  close(w, "content");
  assert.ok(await w.agenda.runUntil(isDone(w), 10_000));
  const operations = w.store.operations.map(({ operation }) => operation);
  assert.deepEqual(operations, ["head", "put", "head", "get", "sync"]);
  assert.deepEqual(w.events, ["fragment-persist-failed"]);
  await w.close();
});

test("D18: a put that failed halfway and left a part under the name -> never released on its account", async () => {
  const w = world();
  let puts = 0;
  w.store.script = (operation) => (operation === "put" && puts++ < 3 ? "truncated" : "none");
  close(w, "content ".repeat(1000));
  assert.ok(await w.agenda.runUntil(isDone(w), 60_000));
  assert.equal(puts, 4);
  assert.equal((await contentOf(w, w.store)).length, 8000);
  await w.close();
});

test("D18: a put that resolves with less stored -> its length is not confirmed, tried again", async () => {
  const w = world();
  let puts = 0;
  w.store.script = (operation) => (operation === "put" && puts++ === 0 ? "wrong-length" : "none");
  close(w, "content ".repeat(1000));
  assert.ok(await w.agenda.runUntil(isDone(w), 60_000));
  assert.deepEqual(w.events, ["fragment-not-confirmed"]);
  assert.equal((await contentOf(w, w.store)).length, 8000);
  await w.close();
});

test("D18: local bytes that rotted -> never stored under a name that vouches for others, never released", async () => {
  const w = world();
  append(w, "content");
  w.spool.roll();
  w.spool.rot(3);
  await w.agenda.advance(600_000);
  assert.equal(w.handle.pendingCount, 1);
  assert.equal(w.spool.fragments().length, 1);
  assert.deepEqual(w.store.keys(), []);
  assert.deepEqual(new Set(w.events), new Set(["local-fragment-corrupt"]));
  await w.close();
});

test("late listing: a refresh after the release does not show the object -> the index keeps it", async () => {
  const w = world({ listLagMs: 60_000 });
  close(w, "content");
  assert.ok(await w.agenda.runUntil(isDone(w), 10_000));
  for (let i = 0; i < 4; i++) {
    const startedMs = w.clock.monotonicMs();
    const listed = await listRemoteFragments(w.ports, { name: JOURNAL, stores: [URLS[0]] }, never);
    assert.equal(listed.length, i < 2 ? 0 : 1);
    assert.deepEqual(w.index.setRemote(listed, startedMs), []);
    assert.equal(w.index.end, 7);
    await w.agenda.advance(30_000);
  }
  await w.close();
});

test("D19: no stores -> kept for ever; once there is a store, persisted", async () => {
  const w = world({ settings: { stores: [] } });
  close(w, "content");
  append(w, "more");
  await w.agenda.advance(30 * 24 * 3_600_000);
  assert.equal(w.spool.fragments().length, 2);
  assert.equal(w.handle.pendingCount, 0);
  w.settings = { ...w.settings!, stores: [URLS[0]] };
  await w.agenda.advance(20_000);
  assert.equal(w.spool.fragments().length, 1);
  assert.equal(await contentOf(w, w.store), "content");
  await w.close();
});

test("D19: no stores, but an age, a byte bound or a trim offset -> the oldest closed ones go", async () => {
  const w = world({
    settings: { stores: [], retention: { retentionMs: 3_600_000, bytesMax: 100, trimmedTo: 0 } },
  });
  for (let i = 0; i < 12; i++) {
    close(w, "0123456789");
    await w.agenda.advance(60_000);
  }
  assert.deepEqual([w.spool.fragments()[0]!.begin, w.spool.fragments().length], [20, 10]);
  w.clock.epochMs += 24 * 3_600_000;
  await w.agenda.advance(60_000);
  assert.equal(w.spool.fragments().length, 10, "a clock that leaps ages nothing");
  w.clock.epochMs -= 24 * 3_600_000;
  w.settings = { ...w.settings!, retention: { ...w.settings!.retention, trimmedTo: 45 } };
  await w.agenda.advance(10_000);
  assert.equal(w.spool.fragments()[0]!.begin, 40);
  append(w, "growing");
  await w.agenda.advance(3_600_000);
  assert.deepEqual(
    w.spool.fragments().map(({ begin }) => begin),
    [120],
  );
  assert.equal(w.spool.end, 127);
  await w.close();
});

test("P3: a store that is down for a day -> tried about once a minute, never dropped, then persisted", async () => {
  const w = world();
  w.store.script = () => "unavailable";
  close(w, "content");
  await w.agenda.advance(24 * 3_600_000);
  const attempts = w.store.operations.length;
  assert.ok(attempts > 24 * 60 && attempts < 24 * 60 * 2 + 20, String(attempts));
  assert.equal(w.persister.backlog().ageMs, 24 * 3_600_000);
  const age = w.metrics.gauge("millrace_persister_backlog_age_seconds", "").value();
  assert.ok(age > 24 * 3600 - 60, String(age));
  const persisted = w.metrics.counter("gazette_spool_persisted_total", "");
  assert.equal(persisted.value(), 0);
  w.store.script = undefined;
  assert.ok(await w.agenda.runUntil(isDone(w), w.agenda.nowMs + 61_000));
  assert.equal(await contentOf(w, w.store), "content");
  assert.equal(persisted.value(), 1);
  await w.close();
});

test("P3: the journal is removed -> what waits is dropped", async () => {
  const w = world();
  w.store.script = () => "unavailable";
  close(w, "content");
  await w.agenda.advance(10_000);
  w.settings = undefined;
  assert.ok(await w.agenda.runUntil(isDone(w), w.agenda.nowMs + 61_000));
  assert.equal(w.events.at(-1), "fragment-dropped");
  assert.equal(w.spool.fragments().length, 1, "its bytes are the spool's matter");
  await w.close();
});

test("the fragment goes while it is being persisted -> dropped, not released twice", async () => {
  const w = world({ latencyMs: { min: 10, max: 10 } });
  close(w, "content");
  await w.agenda.advance(15);
  w.spool.release({ begin: 0, end: 7 });
  await w.agenda.advance(60_000);
  assert.equal(w.handle.pendingCount, 0);
  assert.equal(w.events.at(-1), "fragment-dropped");
  await w.close();
});

test("settings are read at each attempt: store, codec and postfix may change while it fails", async () => {
  const w = world();
  w.store.script = () => "unavailable";
  close(w, "content");
  await w.agenda.advance(10_000);
  const pathPostfix = (): string => "date=2026-01-01";
  w.settings = { ...w.settings!, stores: [URLS[1]], codec: "GZIP", pathPostfix };
  assert.ok(await w.agenda.runUntil(isDone(w), w.agenda.nowMs + 61_000));
  assert.match(
    w.second.keys().join(),
    /^a\/journal\/date=2026-01-01\/0000000000000000-0000000000000007-\w{40}\.gz$/,
  );
  await w.close();
});

test("a postfix that cannot be evaluated -> tried again, never dropped", async () => {
  let broken = true;
  const pathPostfix = (): string => {
    if (broken) throw new Error("template failed");
    return "";
  };
  const w = world({ settings: { pathPostfix } });
  close(w, "content");
  await w.agenda.advance(60_000);
  assert.equal(w.handle.pendingCount, 1);
  broken = false;
  assert.ok(await w.agenda.runUntil(isDone(w), w.agenda.nowMs + 61_000));
  await w.close();
});

test("not the primary -> two to three minutes later, and normally finds the object", async () => {
  const w = world({ settings: { isPrimary: false } });
  close(w, "content");
  await w.agenda.advance(119_000);
  assert.equal(w.store.operations.length, 0);
  await w.agenda.advance(62_000);
  assert.equal(w.handle.pendingCount, 0);
  await w.close();
});

test("a put that hangs -> given up after the stall bound, tried again", async () => {
  const w = world({ slowMs: 10 * 3_600_000, stallMs: 60_000 });
  let puts = 0;
  w.store.script = (operation) => (operation === "put" && puts++ === 0 ? "slow" : "none");
  close(w, "content");
  assert.ok(await w.agenda.runUntil(isDone(w), 70_000));
  assert.ok(w.agenda.nowMs >= 60_000);
  await w.close();
});

test("drain: nothing waits for its time; a store that refuses is passed over; a deadline ends it", async () => {
  const w = world({ settings: { isPrimary: false, stores: [...URLS] } });
  w.store.script = () => "forbidden";
  for (let i = 0; i < 20; i++) close(w, `content ${i};`);
  let outcome: { left: number } | undefined;
  const draining = w.persister.drain(never).then((value) => (outcome = value));
  assert.ok(await w.agenda.runUntil(() => outcome !== undefined, 5000));
  await draining;
  assert.deepEqual(outcome, { left: 0 });
  assert.equal(w.second.keys().length, 20);
  await w.close();

  const stuck = world();
  stuck.store.script = () => "unavailable";
  close(stuck, "content");
  const deadline = new AbortController();
  stuck.clock.after(10_000, () => deadline.abort(new Error("deadline")));
  outcome = undefined;
  const ending = stuck.persister.drain(deadline.signal).then((value) => (outcome = value));
  assert.ok(await stuck.agenda.runUntil(() => outcome !== undefined, 11_000));
  await ending;
  assert.deepEqual(outcome, { left: 1 });
  assert.ok(stuck.store.operations.length >= 10, "while draining it is tried at least once a second");
  assert.equal(stuck.spool.fragments().length, 1);
  await stuck.close();
});

test("close of a handle: what is pending goes on, nothing new is taken up", async () => {
  const w = world({ latencyMs: { min: 10, max: 10 } });
  close(w, "first");
  w.handle.close();
  close(w, "second");
  await w.agenda.advance(60_000);
  assert.equal(w.handle.pendingCount, 0);
  assert.equal(await contentOf(w, w.store), "first");
  await w.close();
});

test("a store with every fault: nothing is released that is not intact there, all arrive in the end", async () => {
  const codecs: CompressionCodec[] = ["NONE", "GZIP", "ZSTANDARD", "SNAPPY", "GZIP_OFFLOAD_DECOMPRESSION"];
  for (let seed = 0; seed < 12; seed++) {
    const codec = codecs[seed % codecs.length]!;
    const first = await faultyRun(`s${seed}`, codec);
    if (seed === 0) assert.equal(first, await faultyRun(`s${seed}`, codec), "one seed, one trace");
  }
});

/** @returns a hash of all that happened at the store */
async function faultyRun(seed: string, codec: CompressionCodec): Promise<string> {
  const w = world({
    seed,
    settings: { codec },
    latencyMs: { min: 1, max: 500 },
    slowMs: 400_000,
    listLagMs: 5000,
    decompresses: seed.endsWith("4"),
    faults: {
      unavailable: 150,
      "timeout-after-success": 100,
      truncated: 150,
      "wrong-length": 100,
      "cut-off": 100,
      unsynced: 100,
      slow: 20,
    },
  });
  const random = seededRandom(`${seed}/load`);
  w.spool.onRelease = ({ begin, end }) => {
    const key = w.store.keys().find((path) => path.includes(`/${hex(begin)}-${hex(end)}-`));
    assert.ok(key !== undefined, "what is released is in the store");
    const fragment = { ...fragmentOfPath(JOURNAL, key.slice(JOURNAL.length + 1)), backingStore: URLS[0] };
    assert.equal(contentPath(fragment), key);
    const healthy = memoryStore({ url: URLS[0], clock: w.clock, random });
    healthy.set(key, w.store.peek(key)!);
    const ports = { ...w.ports, stores: { open: () => healthy } };
    releases.push(isIntact(ports, fragment, never));
  };
  const releases: Promise<boolean>[] = [];
  for (let i = 0; i < 30; i++) {
    w.clock.after(random.below(60_000), () => close(w, `record ${i} `.repeat(1 + random.below(3000))));
  }
  await w.agenda.advance(60_000);
  w.store.faults = {};
  assert.ok(
    await w.agenda.runUntil(isDone(w), w.agenda.nowMs + 3_600_000),
    `${seed}: all is persisted once it heals`,
  );
  assert.equal(releases.length, 30);
  assert.ok((await Promise.all(releases)).every(Boolean), `${seed}: what is released is intact`);
  assert.equal(w.index.count, 30);
  assert.equal(w.index.find(0).found, true);
  const text = await contentOf(w, w.store);
  assert.equal(text, new TextDecoder().decode(concatBytes(w.written)));
  await w.close();
  return createHash("sha1")
    .update(JSON.stringify([w.store.operations, w.agenda.executed]))
    .digest("hex");
}

const hex = (n: number): string => n.toString(16).padStart(16, "0");

test("index: a fragment that a truncated object shadows is still readable from this disk", () => {
  const index = new FragmentIndex();
  const spool = new MemorySpool(() => 0);
  spool.onChange(() => index.setLocal(spool.fragments()));
  spool.append(utf8("content"));
  spool.roll();
  const local = spool.fragments()[0]!;
  const { begin, end } = local;
  const fragment = { journal: JOURNAL, begin, end, sum: local.sum(), compressionCodec: "NONE" as const };
  index.setRemote([remoteEntry({ ...fragment, backingStore: URLS[0], modTime: 1, pathPostfix: "" })], 0);
  assert.equal(index.at(0).kind, "remote");
  assert.equal(index.localAt(3)?.end, 7);
});
