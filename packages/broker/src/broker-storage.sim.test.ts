// A broker over durable spools: what a restart, a full disk and a store that was emptied do to a journal.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, silentLogger, text, utf8, WireError, type Logger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { getJournal } from "@millrace/client";
import { inlineCodecs, openSpools, prepareCodecs, type Spools } from "@millrace/fragments";
import { openEmbeddedStore, type EmbeddedStore } from "@millrace/metadata";
import { MemoryJournal, openMemoryStore } from "@millrace/metadata/testkit";
import {
  contentPath,
  deleteChange,
  encodeJournalSpec,
  itemKey,
  labelSet,
  newFragmentsRequest,
  parseLabelSelector,
  type AppendPreamble,
  type AppendResponse,
} from "@millrace/protocol";
import { objectStores } from "@millrace/stores";
import { memoryStore } from "@millrace/stores/testkit";
import { filesOf, SimulatedDisk } from "@millrace/wal/testkit";
import { applySpec, journalSpec, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { DEFAULT_ROOT, openBroker, type Broker } from "./broker.ts";
import { FIRST_REFRESH_WAIT_MS } from "./limits.ts";

const J = "a/journal";
const STORE = "file:///one/";
await prepareCodecs();

/** The world outside the process, and the process that lives in it now. */
class Machine {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly random = seededRandom("machine");
  readonly signal = new AbortController().signal;
  readonly disk = new SimulatedDisk({
    schedule: (ms, run) => this.agenda.schedule(ms, run),
    random: this.random.fork("disk"),
  });
  readonly store = memoryStore({ url: STORE, clock: this.clock, random: this.random });
  logger: Logger = silentLogger;
  coordination!: EmbeddedStore;
  spools!: Spools;
  broker!: Broker;

  async start(root = DEFAULT_ROOT, autoSuspend = false): Promise<void> {
    this.coordination ??= await openMemoryStore(this.clock, this.random);
    const base = {
      clock: this.clock,
      random: this.random,
      logger: this.logger,
      metrics: new MetricsRegistry(),
    };
    const onFatal = (error: WireError): void => assert.fail(error.message);
    this.spools = await this.run(openSpools({ ...base, disk: this.disk.open(), onFatal }, {}, this.signal));
    const stores = objectStores({ file: () => this.store });
    const ports = {
      ...base,
      spools: this.spools,
      stores,
      coordination: this.coordination,
      codecs: inlineCodecs,
    };
    const id = { zone: "local", suffix: "broker" };
    const options = { id, endpoint: "http://localhost:8080", root, autoSuspend: () => autoSuspend };
    this.broker = await this.run(openBroker(ports, options, this.signal));
  }

  async stop(): Promise<void> {
    await this.run(this.broker.close().then(() => this.spools.close()));
  }

  async run<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const ended = work.finally(() => (isOver = true));
    ended.catch(() => undefined);
    assert.ok(
      await this.agenda.runUntil(() => isOver, this.agenda.nowMs + 60_000),
      "it ends within a minute",
    );
    return ended;
  }

  append(part: string, fields: Partial<AppendPreamble> = {}): Promise<AppendResponse> {
    const content = { kind: "bytes", bytes: [utf8(part)] } as const;
    return this.run(this.broker.transport.append(preamble(J, fields), content, this.signal));
  }

  async content(): Promise<string> {
    return text(await this.run(readAll(this.broker.transport, readRequest(J), this.signal)));
  }

  /** Makes a journal without stores. */
  async applyLocal(spec: Parameters<typeof journalSpec>[1] = {}): Promise<void> {
    await this.apply({ fragment: { ...journalSpec(J).fragment, stores: [] }, ...spec });
  }

  /** What each file in quarantine holds. */
  quarantined(): string[] {
    const files = filesOf(this.disk).filter(({ path }) => path.startsWith("quarantine/"));
    return files.map(({ path, bytes }) => text(this.disk.file(path)!.read(0, bytes)));
  }

  async apply(spec: Parameters<typeof journalSpec>[1] = {}): Promise<void> {
    const { fragment } = journalSpec(J);
    const stored = { fragment: { ...fragment, stores: [STORE] } };
    await this.run(applySpec(this.broker.transport, journalSpec(J, { ...stored, ...spec })));
  }
}

test("restart: twice, all persisted, the store's listing stale -> head and registers stay", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.apply();
  const registers = labelSet(["author", "me"]);
  await machine.append("one;", { unionRegisters: registers });
  await machine.append("two;", { suspend: "SUSPEND_NO_RESUME" });
  await machine.append("", { suspend: "SUSPEND_NOW" });
  await machine.agenda.advance(5000);
  assert.equal(machine.broker.backlog().count, 0);
  machine.store.listLagMs = 3_600_000;
  for (let i = 0; i < 2; i++) {
    await machine.stop();
    await machine.start();
  }
  const fenced = { checkRegisters: parseLabelSelector("author=other") };
  assert.equal((await machine.append("x", fenced)).status, "REGISTER_MISMATCH");
  const { commit } = await machine.append("three;");
  assert.equal(commit?.begin, 8);
  assert.equal(await machine.content(), "one;two;three;");
  await machine.stop();
});

test("restart: the journal was deleted meanwhile -> its bytes do not come back, nor hinder when rotten", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.apply({ fragment: { ...journalSpec(J).fragment, stores: [] } });
  await machine.append("old");
  const other = machine.broker;
  await machine.run(machine.broker.close());
  await machine.run(machine.spools.close());
  // Somebody else changes the keyspace while this broker is down.
  const { coordination } = machine;
  const key = "/gazette/cluster/items/a/journal";
  await machine.run(coordination.txn({ compare: [], success: [{ kind: "delete", key }] }, machine.signal));
  machine.disk.file(filesOf(machine.disk).find(({ path }) => path.startsWith("spools/"))!.path)!.rot(0, 1);
  await machine.start();
  assert.deepEqual(machine.spools.unclaimed(), []);
  await machine.apply({ fragment: { ...journalSpec(J).fragment, stores: [] } });
  assert.equal((await machine.append("new")).commit?.begin, 0);
  assert.equal(await machine.content(), "new");
  assert.notEqual(machine.broker, other);
  await machine.stop();
});

test("restart: coordination was lost, then journals made with the old revisions -> old bytes set aside", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.applyLocal();
  await machine.append("old");
  for (let start = 0; start < 3; start++) {
    await machine.stop();
    if (start === 0) machine.coordination = await openMemoryStore(machine.clock, seededRandom("another"));
    await machine.start();
    // The first time it has the create revision that the old one had.
    if (start < 2) await machine.applyLocal({ name: start === 0 ? J : "a/nother" });
    await machine.agenda.advance(2000);
    assert.equal((await machine.append("new")).commit?.begin, 3 * start);
  }
  assert.equal(await machine.content(), "newnewnew");
  assert.deepEqual(machine.quarantined(), ["old"]);
  await machine.stop();
});

test("restart: an older copy of coordination was put back -> bytes of journals it lacks are set aside", async () => {
  const machine = new Machine();
  const journal = new MemoryJournal();
  const ports = { clock: machine.clock, random: machine.random, logger: silentLogger };
  machine.coordination = await openEmbeddedStore(journal.recover, ports);
  const batches: Uint8Array[] = [];
  const append = journal.append.bind(journal);
  journal.append = async (batch) => {
    batches.push(batch.slice());
    await append(batch);
  };
  await machine.start();
  await machine.applyLocal({ name: "a/kept" });
  await machine.append("kept", { journal: "a/kept" });
  const copied = batches.length;
  await machine.applyLocal();
  await machine.append("late");
  await machine.stop();
  const older = new MemoryJournal();
  for (const batch of batches.slice(0, copied)) await older.append(batch);
  machine.coordination = await openEmbeddedStore(older.recover, ports);
  for (let start = 0; start < 3; start++) {
    await machine.start();
    for (let i = 0; i < 9; i++) await machine.applyLocal({ name: `other/${start}/${i}` });
    assert.equal((await machine.append("+", { journal: "a/kept" })).commit?.begin, 4 + start);
    await machine.stop();
  }
  assert.deepEqual(machine.quarantined(), ["late"]);
});

test("restart: below another root of the same store -> bytes of journals below the first are set aside", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.applyLocal();
  await machine.append("here");
  await machine.stop();
  await machine.start(); // the mark is newer than the journal
  await machine.stop();
  await machine.start("/else/where");
  await machine.agenda.advance(2000);
  assert.deepEqual(machine.quarantined(), ["here"]);
  await machine.stop();
});

test("disk: full -> appends are refused, reads go on; room again -> appends go on without restart", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.apply({ fragment: { ...journalSpec(J).fragment, stores: [] } });
  await machine.append("kept;");
  machine.disk.capacityBytes = machine.disk.usedBytes + 1000;
  await machine.agenda.advance(1000);
  let kept = "kept;";
  let refused: WireError | undefined;
  for (let i = 0; refused === undefined; i++) {
    assert.ok(i < 1000, "the disk gets full");
    const part = `${i} `.repeat(20_000);
    try {
      await machine.append(part);
      kept += part;
    } catch (error) {
      refused = WireError.from(error);
    }
  }
  assert.equal(refused.code, "DISK_FULL");
  await assert.rejects(machine.append("x"), { code: "DISK_FULL" });
  assert.notDeepEqual(machine.broker.health(), []);
  assert.equal(await machine.content(), kept);
  machine.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
  await machine.agenda.advance(2000);
  assert.equal((await machine.append("more;")).status, "OK");
  assert.equal(await machine.content(), `${kept}more;`);
  assert.deepEqual(machine.broker.health(), []);
  await machine.stop();
});

test("store: never worked -> appends are refused with its error, until it does", async () => {
  const machine = new Machine();
  await machine.start();
  machine.store.faults = { forbidden: 1000 };
  await machine.apply();
  await assert.rejects(machine.append("x"), { code: "UNAVAILABLE", message: /403 Access Denied/ });
  await machine.agenda.advance(600_000);
  machine.store.faults = {};
  await machine.agenda.advance(200_000);
  assert.equal((await machine.append("y")).status, "OK");
  await machine.stop();
});

test("store: a fragment is removed on purpose -> not listed from then on, what follows is read", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.apply();
  await machine.append("old;");
  await machine.append("", { suspend: "SUSPEND_NOW" });
  await machine.agenda.advance(60_000);
  await machine.append("new;");
  const listed = async () =>
    machine.run(machine.broker.transport.listFragments(newFragmentsRequest({ journal: J }), machine.signal));
  const [old] = (await listed()).fragments;
  assert.equal(old?.spec.backingStore, STORE);
  machine.store.delete(contentPath(old.spec));
  machine.broker.fragmentRemoved(old.spec);
  assert.deepEqual(
    (await listed()).fragments.map(({ spec }) => [spec.begin, spec.end]),
    [[4, 8]],
  );
  const wanted = readRequest(J, { offset: 4 });
  assert.equal(text(await machine.run(readAll(machine.broker.transport, wanted, machine.signal))), "new;");
  await machine.stop();
});

test("idle: all is stored -> suspended to one broker; that is removed -> to none; and it goes on", async () => {
  const machine = new Machine();
  await machine.start(DEFAULT_ROOT, true);
  await machine.apply({
    fragment: { ...journalSpec(J).fragment, stores: [STORE], flushIntervalMs: 600_000 },
  });
  const { transport } = machine.broker;
  const level = async () => (await machine.run(getJournal(transport, J, machine.signal))).spec.suspend?.level;
  for (const part of ["one;", "two;"]) await machine.append(part);
  await machine.agenda.advance(12 * 60_000);
  assert.equal(await level(), undefined);
  await machine.agenda.advance(30 * 60_000);
  assert.equal(await level(), "PARTIAL");
  for (const { spec } of (
    await machine.run(transport.listFragments(newFragmentsRequest({ journal: J }), machine.signal))
  ).fragments) {
    machine.store.delete(contentPath(spec));
    machine.broker.fragmentRemoved(spec);
  }
  await machine.agenda.advance(2 * 60_000);
  assert.equal(await level(), "FULL");
  await machine.stop();
  await machine.start(DEFAULT_ROOT, true);
  const rest = readRequest(J, { offset: 8, endOffset: 14, block: true, awaitsResume: true });
  const reading = readAll(machine.broker.transport, rest, machine.signal);
  assert.equal((await machine.append("three;")).commit?.begin, 8);
  assert.equal(text(await machine.run(reading)), "three;");
  await machine.stop();
});

test("store: fails after it has worked -> appends go on, and everything is persisted once it is back", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.apply();
  await machine.append("one;");
  machine.store.faults = { unavailable: 1000 };
  for (const part of ["two;", "three;"]) assert.equal((await machine.append(part)).status, "OK");
  await machine.agenda.advance(40 * 60_000);
  assert.equal((await machine.append("four;")).status, "OK");
  assert.equal(await machine.content(), "one;two;three;four;");
  machine.store.faults = {};
  await machine.append("", { suspend: "SUSPEND_NOW" });
  await machine.agenda.advance(300_000);
  assert.equal(machine.broker.backlog().count, 0);
  assert.equal(await machine.content(), "one;two;three;four;");
  await machine.stop();
});

test("store: never worked -> said, and not ready only while no journal takes appends", async () => {
  const machine = new Machine();
  await machine.start();
  machine.store.faults = { forbidden: 1000 };
  await machine.apply();
  assert.deepEqual([machine.broker.failingStores(), machine.broker.health()], [[], []]);
  const content = { kind: "bytes", bytes: [utf8("x")] } as const;
  const waiting = machine.broker.transport.append(preamble(J), content, machine.signal);
  waiting.catch(() => undefined);
  await machine.agenda.advance(500);
  const [failing] = machine.broker.failingStores();
  assert.equal(failing?.url, STORE);
  assert.match(failing.reason, /^health check PUT failed: /);
  assert.deepEqual(machine.broker.health(), ["no journal takes appends: the fragment store of each fails"]);
  const request = { fragmentStore: STORE, checkDelete: false, checkDeletePrefix: "" };
  const checked = await machine.run(machine.broker.storeHealth(request, machine.signal));
  assert.deepEqual([checked.status, checked.storeHealthError], ["FRAGMENT_STORE_UNHEALTHY", failing.reason]);
  const local = journalSpec("a/local");
  await machine.run(applySpec(machine.broker.transport, local));
  const taken = machine.broker.transport.append(preamble(local.name), content, machine.signal);
  assert.equal((await machine.run(taken)).status, "OK");
  assert.deepEqual([machine.broker.failingStores().length, machine.broker.health()], [1, []]);
  machine.store.faults = {};
  await machine.agenda.advance(120_000);
  assert.deepEqual([machine.broker.failingStores(), machine.broker.health()], [[], []]);
  await waiting;
  await machine.stop();
});

test("store: an upload fails between two checks -> said at once, and the broker stays ready", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.apply();
  await machine.append("one;");
  await machine.agenda.advance(60_000);
  assert.deepEqual(machine.broker.failingStores(), []);
  machine.store.faults = { unavailable: 1000 };
  await machine.append("", { suspend: "SUSPEND_NOW" }).catch(() => undefined);
  await machine.agenda.advance(5000);
  assert.deepEqual(
    machine.broker.failingStores().map(({ url }) => url),
    [STORE],
  );
  assert.deepEqual(machine.broker.health(), []);
  machine.store.faults = {};
  await machine.agenda.advance(120_000);
  assert.deepEqual(machine.broker.failingStores(), []);
  await machine.stop();
});

test("delete: while its fragments wait for a failing store -> the journal is gone, a new one begins at 0", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.apply();
  await machine.append("old one;");
  machine.store.faults = { unavailable: 1000 };
  await machine.append("old two;");
  await machine.agenda.advance(1000);
  assert.notEqual(machine.broker.backlog().count, 0);
  await machine.run(machine.broker.transport.apply({ changes: [deleteChange(J, -1)] }, machine.signal));
  await machine.apply({ fragment: { ...journalSpec(J).fragment, stores: [] } });
  assert.equal((await machine.append("new;")).commit?.begin, 0);
  await machine.agenda.advance(120_000);
  assert.equal(machine.broker.backlog().count, 0);
  assert.equal(await machine.content(), "new;");
  await machine.stop();
});

test("append: the store of a journal cannot be listed -> refused with the reason, until it can", async () => {
  const machine = new Machine();
  await machine.start();
  const { store } = machine;
  const list = store.list.bind(store);
  store.list = (prefix, signal) => {
    if (prefix.startsWith(J)) throw new WireError("UNAVAILABLE", "no listings today");
    return list(prefix, signal);
  };
  await machine.apply();
  const refused = {
    code: "UNAVAILABLE",
    message: `the stores of journal ${J} could not be listed yet: no listings today`,
  };
  const begunMs = machine.agenda.nowMs;
  await assert.rejects(machine.append("x"), refused);
  const waitedMs = machine.agenda.nowMs - begunMs;
  assert.ok(waitedMs <= FIRST_REFRESH_WAIT_MS + 100, `it waited ${waitedMs} ms`);
  // Those that come later do not wait again.
  const laterMs = machine.agenda.nowMs;
  await assert.rejects(machine.append("x"), refused);
  assert.ok(machine.agenda.nowMs - laterMs < 1000);
  assert.deepEqual(machine.broker.health(), ["no journal takes appends: the fragment store of each fails"]);
  store.list = list;
  await machine.agenda.advance(10_000);
  assert.equal((await machine.append("x")).status, "OK");
  assert.deepEqual(machine.broker.health(), []);
  await machine.stop();
});

test("apply: a name that a store of files cannot have -> refused with the bound", async () => {
  const machine = new Machine();
  await machine.start();
  const name = `a/${"x".repeat(256)}`;
  await assert.rejects(machine.apply({ name }), {
    code: "INVALID_ARGUMENT",
    message:
      "a part of the journal's name (xxxxxxxxxxxxxxxxxxxx...) has 256 bytes; its store file:///one/ takes at most 255",
  });
  await machine.apply({ name: `a/${"x".repeat(255)}` });
  await machine.applyLocal({ name });
  await machine.stop();
});

test("a stored template that cannot be evaluated -> served, its fragments wait, one line says so", async () => {
  const machine = new Machine();
  const warned: string[] = [];
  machine.logger = {
    ...silentLogger,
    warn: (event, fields) => void warned.push(`${event} ${String(fields?.["journal"])}`),
  };
  await machine.start();
  await machine.apply();
  const { fragment } = journalSpec(J);
  const pathPostfixTemplate = '{{ define "day" }}day{{ end }}d={{ template "day" }}';
  const spec = journalSpec(J, { fragment: { ...fragment, stores: [STORE], pathPostfixTemplate } });
  const item = { kind: "put", key: itemKey(DEFAULT_ROOT, J), value: encodeJournalSpec(spec) } as const;
  await machine.run(machine.coordination.txn({ compare: [], success: [item] }, machine.signal));
  await machine.stop();
  await machine.start();
  await machine.append("one;");
  await machine.append("two;");
  await machine.agenda.advance(600_000);
  assert.deepEqual([machine.broker.undecodableKeys(), machine.broker.lackingPaths()], [0, 1]);
  assert.notEqual(machine.broker.backlog().count, 0);
  assert.deepEqual(
    warned.filter((line) => line.startsWith("path-postfix-failed")),
    [`path-postfix-failed ${J}`],
  );
  assert.equal(await machine.content(), "one;two;");
  await machine.apply();
  await machine.agenda.advance(600_000);
  assert.deepEqual([machine.broker.lackingPaths(), machine.broker.backlog().count], [0, 0]);
  await machine.stop();
});

test("a stored suspend.offset beyond 2^53 -> decoded, and its appends are refused; other journals go on", async () => {
  const machine = new Machine();
  await machine.start();
  await machine.applyLocal();
  await machine.append("one;");
  const strange = journalSpec("a/strange", { suspend: { level: "NONE", offset: 2n ** 53n + 1n } });
  const item = {
    kind: "put",
    key: itemKey(DEFAULT_ROOT, "a/strange"),
    value: encodeJournalSpec(strange),
  } as const;
  await machine.run(machine.coordination.txn({ compare: [], success: [item] }, machine.signal));
  await machine.agenda.advance(5000);
  assert.equal(machine.broker.undecodableKeys(), 0);
  const content = { kind: "bytes", bytes: [utf8("x")] } as const;
  const refused = machine.broker.transport.append(preamble("a/strange"), content, machine.signal);
  await assert.rejects(machine.run(refused), /suspend.offset is 9007199254740993, and offsets here end at/);
  await machine.append("two;");
  assert.equal(await machine.content(), "one;two;");
  await machine.stop();
});
