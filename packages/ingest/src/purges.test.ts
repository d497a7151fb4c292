// A source with two sinks is purged while another one has rows under way: what is removed, what stays, and that it ends
// the same wherever the process dies.
import assert from "node:assert/strict";
import { setMaxListeners } from "node:events";
import { describe, test } from "node:test";
import { silentLogger, WireError } from "@millrace/base";
import { prefixRange } from "@millrace/metadata";
import { upsertChange } from "@millrace/protocol";
import { DefinitionRepository } from "./definition-repository.ts";
import type { SinkDefinition } from "./definitions.ts";
import { effectiveSink } from "./definition-effective.ts";
import { objectStores } from "@millrace/stores";
import { Fixture } from "./pipeline-fixture.ts";
import { Purges, type PurgePorts } from "./purges.ts";
import { plainSecrets } from "./secret-box.ts";
import { SourcePurge } from "./source-purge.ts";
import { encodeJson } from "./storage-codec.ts";
import { progressKey } from "./storage-keys.ts";
import { REMOVED_END } from "./target.ts";
import { ownsAll, type WorkOwner } from "./work-owner.ts";

const BY = { type: "system" } as const;
const STORE = "file:///fragments/";
const KEY = { projectId: 1, branchId: 1, sourceId: "source" };
const COLUMNS = [
  { type: "uuid", name: "id" },
  { type: "body", name: "body" },
] as const;

class World {
  readonly inner: Fixture;
  readonly repository: DefinitionRepository;
  readonly purge: SourcePurge;

  private constructor(inner: Fixture) {
    this.inner = inner;
    const { store, clock, random } = inner;
    this.repository = new DefinitionRepository({ store, secrets: plainSecrets, clock, random }, 2);
    this.purge = new SourcePurge({ store, clock });
  }

  /** `source` has the sinks `sink` and `gone`, which was deleted; `other` has `kept`. All have rows. */
  static async open(): Promise<World> {
    const world = new World(await Fixture.open());
    await world.source("source");
    await world.source("other");
    const sinks = [await world.sink("source", "sink"), await world.sink("source", "gone")];
    const kept = await world.sink("other", "kept");
    const { inner } = world;
    const pipeline = await inner.pipeline();
    for (const sink of [...sinks, kept]) for (const n of [0, 1]) await inner.during(inner.append(sink, n, 3));
    await inner.until(() => ["sink", "gone", "kept"].every((id) => inner.rows(`main.${id}`).length === 6));
    await world.call(
      world.repository.changeSink({ ...KEY, sinkId: "gone" }, { kind: "delete" }, BY, inner.signal),
    );
    await inner.during(pipeline.close());
    // Rows that are not imported, of each.
    for (const sink of [sinks[0]!, kept]) await inner.during(inner.append(sink, 0, 5));
    for (const name of inner.journals.journals.keys()) await world.put(inner.fragments, `${name}/fragment`);
    for (const path of ["1/1/source/sink/p000/x", "1/1/source/sink/p001/y", "1/1/other/kept/p000/z"])
      await world.put(inner.staging, path);
    return world;
  }

  call<T>(work: Promise<T>): Promise<T> {
    return this.inner.during(work);
  }

  async put(store: Fixture["staging"], path: string): Promise<void> {
    await this.call(store.put(path, once(new Uint8Array(3)), { bytes: 3 }, this.inner.signal));
  }

  async source(sourceId: string): Promise<void> {
    const input = { ...KEY, sourceId, name: sourceId, description: "" };
    const outcome = await this.call(this.repository.createSource(input, BY, this.inner.signal));
    assert.equal(outcome.kind, "created");
  }

  async sink(sourceId: string, sinkId: string): Promise<SinkDefinition> {
    const table = { tableId: `main.${sinkId}`, columns: COLUMNS, settings: {} };
    const input = { ...KEY, sourceId, sinkId, name: sinkId, description: "", ...table };
    const outcome = await this.call(this.repository.createSink(input, BY, this.inner.signal));
    assert.ok(outcome.kind === "created", outcome.kind);
    this.inner.catalog.put(effectiveSink(outcome.entity, undefined));
    return outcome.entity;
  }

  /** Deletes `source` and takes it away. @returns the purge's name */
  async begin(): Promise<string> {
    const { signal } = this.inner;
    await this.call(this.repository.changeSource(KEY, { kind: "delete" }, BY, signal));
    const begun = await this.call(this.purge.begin(KEY, signal));
    assert.ok(begun.kind === "purging", begun.kind);
    return begun.at;
  }

  ports(): PurgePorts {
    const { store, journals: transport, staging: stagingStore, stores, target, clock } = this.inner;
    return {
      store,
      transport,
      stagingStore,
      stores,
      fragmentStores: [STORE],
      targets: { at: () => Promise.resolve(target) },
      secrets: plainSecrets,
      share: ownsAll,
      clock,
      logger: silentLogger,
    };
  }

  /** Runs a worker until `done`. */
  async work(ports: PurgePorts, done: () => Promise<boolean>): Promise<void> {
    const stop = new AbortController();
    const running = new Purges(ports).run(stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
    const { inner } = this;
    for (let i = 0; !stop.signal.aborted && !(await this.call(done())); i++) {
      assert.ok(i < 600, "the purge ends");
      await inner.agenda.advance(1000);
    }
    stop.abort();
    await this.call(running);
  }

  /** A worker whose process dies at its `k`-th step, before or after each call. @returns whether it came so far */
  async killedAt(k: number): Promise<boolean> {
    const stop = new AbortController();
    let steps = 0;
    let isDead = false;
    const step = (): void => {
      if (isDead || steps++ === k) {
        isDead = true;
        stop.abort(new Error("killed"));
        throw new Error("killed");
      }
    };
    const ports = this.ports();
    const target = fragile(this.inner.target, ["drop"], step);
    const dying: PurgePorts = {
      ...ports,
      store: fragile(ports.store, ["txn"], step),
      transport: fragile(ports.transport, ["apply"], step),
      stagingStore: fragile(ports.stagingStore, ["remove"], step),
      stores: objectStores({ file: () => fragile(this.inner.fragments, ["remove"], step) }),
      targets: { at: () => Promise.resolve(target) },
    };
    const running = new Purges(dying).run(stop.signal).catch(() => undefined);
    const { inner } = this;
    for (let i = 0; !isDead && !(await this.call(this.isOver())); i++) {
      assert.ok(i < 600, "the purge ends");
      await inner.agenda.advance(1000);
    }
    stop.abort();
    await this.call(running);
    return isDead;
  }

  /** Nothing is left to do. */
  async isOver(): Promise<boolean> {
    const { kvs } = await this.inner.store.range(prefixRange("stream/definition/next/"), this.inner.signal);
    return kvs.every(({ value }) => !/"(lives|purging)"/.test(new TextDecoder().decode(value)));
  }

  async keys(text: string): Promise<string[]> {
    const { kvs } = await this.inner.store.range(prefixRange("stream/"), this.inner.signal);
    return kvs.map(({ key }) => key).filter((key) => key.includes(text));
  }

  async journals(): Promise<string[]> {
    return [...this.inner.journals.journals.keys()].sort();
  }

  async paths(store: Fixture["staging"]): Promise<string[]> {
    const paths: string[] = [];
    for await (const { path } of store.list("", this.inner.signal)) paths.push(path);
    return paths.sort();
  }

  /** Everything of `source` is gone, everything of `other` is there. */
  async check(): Promise<void> {
    const { inner } = this;
    assert.deepEqual(await this.call(this.keys("/1/1/source")), [
      "stream/definition/next/1/1/source",
      "stream/definition/next/1/1/source/gone",
      "stream/definition/next/1/1/source/sink",
    ]);
    const others = ["stream/1/1/other/kept/p000", "stream/1/1/other/kept/p001"];
    assert.deepEqual([...inner.journals.journals.keys()], others);
    assert.deepEqual(
      await this.call(this.paths(inner.fragments)),
      others.map((name) => `${name}/fragment`),
    );
    assert.ok((await this.call(this.paths(inner.staging))).every((path) => path.startsWith("1/1/other/")));
    for (const id of ["sink", "gone"]) {
      const { rows, ends } = inner.target.tables.get(`main.${id}`)!;
      assert.deepEqual(rows, []);
      assert.deepEqual(new Set(ends.values()), new Set([REMOVED_END]));
      assert.equal(ends.size, 2);
    }
    assert.equal(inner.rows("main.kept").length, 6);
  }

  /** The IDs are taken again, at version 1 and with rows of their own; what `other` had not imported becomes rows. */
  async again(): Promise<void> {
    const { inner } = this;
    const pipeline = await inner.pipeline();
    await this.source("source");
    const sink = await this.sink("source", "sink");
    assert.deepEqual([sink.version.number, sink.incarnation], [1, 1]);
    await inner.during(inner.append(sink, 0, 2));
    await inner.until(() => inner.rows("main.sink").length === 2 && inner.rows("main.kept").length === 11);
    const journals = new Set(inner.rows("main.sink").map(({ journal }) => journal));
    assert.deepEqual([...journals], ["stream/1/1/source/sink.1/p000"]);
    await inner.during(pipeline.close());
  }
}

setMaxListeners(0); // as in the platform's process

describe("purge of a source", () => {
  test("its definitions, storage model, tables, journals, objects are gone; others are as they were", async () => {
    const world = await World.open();
    const at = await world.begin();
    const { signal } = world.inner;
    assert.deepEqual((await world.call(world.purge.progress(KEY, at, signal))).isDone, false);
    await world.work(world.ports(), () => world.isOver());
    assert.deepEqual(await world.call(world.purge.progress(KEY, at, signal)), { isDone: true, kept: [] });
    await world.check();
    await world.again();
  });

  test("killed at each step, and done again -> the same", async () => {
    let kills = 0;
    for (let k = 0; ; k++) {
      const world = await World.open();
      await world.begin();
      const wasKilled = await world.killedAt(k);
      await world.work(world.ports(), () => world.isOver());
      await world.check();
      await world.again();
      if (!wasKilled) break;
      kills++;
    }
    assert.ok(kills > 30, `${kills} steps`);
  });

  test("an undelete before it -> nothing is removed; after it -> there is nothing to undelete", async () => {
    const world = await World.open();
    const { repository, purge, inner } = world;
    const { signal } = inner;
    assert.deepEqual(await world.call(purge.begin(KEY, signal)), { kind: "active" });
    const before = await world.call(world.keys("/1/1/source"));
    await world.call(repository.changeSource(KEY, { kind: "delete" }, BY, signal));
    await world.call(repository.changeSource(KEY, { kind: "undelete" }, BY, signal));
    assert.deepEqual(await world.call(purge.begin(KEY, signal)), { kind: "active" });
    const after = await world.call(world.keys("/1/1/source"));
    assert.deepEqual(after, [...before, "stream/definition/source/version/1/1/source/0000000002"].sort());
    await world.begin();
    const late = await world.call(repository.changeSource(KEY, { kind: "undelete" }, BY, signal));
    assert.deepEqual(late, { kind: "deletedNotFound" });
    assert.deepEqual(await world.call(purge.begin(KEY, signal)), { kind: "notFound" });
    await world.work(world.ports(), () => world.isOver());
    await world.check();
  });

  test("the same ID before everything is gone -> is refused, source and sink", async () => {
    const world = await World.open();
    await world.begin();
    const { repository, inner } = world;
    const source = { ...KEY, name: "source", description: "" };
    const refused = await world.call(repository.createSource(source, BY, inner.signal));
    assert.deepEqual(refused, { kind: "purging" });
    const isTaken = async (): Promise<boolean> =>
      (await world.keys("definition/sink/active/1/1/source")).length === 0;
    const drop = (_tableId: string, _journals: readonly string[], signal: AbortSignal): Promise<void> =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    const stuck = { ...world.ports(), targets: { at: () => Promise.resolve({ drop }) } };
    await world.work(stuck, isTaken);
    const isFree = async (): Promise<boolean> => {
      const found = await inner.store.range({ key: "stream/definition/next/1/1/source" }, inner.signal);
      return !new TextDecoder().decode(found.kvs[0]!.value).includes("purging");
    };
    await world.work(stuck, isFree);
    await world.source("source");
    const sink = { ...KEY, sinkId: "sink", name: "s", description: "", tableId: "main.sink", settings: {} };
    const early = await world.call(repository.createSink({ ...sink, columns: COLUMNS }, BY, inner.signal));
    assert.deepEqual(early, { kind: "purging" });
  });

  test("a table that another sink has, also a deleted one -> stays with its rows and the reason", async () => {
    for (const isDeleted of [false, true]) {
      const world = await World.open();
      const { repository, inner, purge } = world;
      const { signal } = inner;
      const sharer = { ...KEY, sourceId: "other", sinkId: "sharer" };
      const table = { tableId: "main.sink", columns: COLUMNS, settings: {} };
      await world.call(
        repository.createSink({ ...sharer, name: "s", description: "", ...table }, BY, signal),
      );
      if (isDeleted) await world.call(repository.changeSink(sharer, { kind: "delete" }, BY, signal));
      const at = await world.begin();
      const isDone = async (): Promise<boolean> => (await purge.progress(KEY, at, signal)).isDone;
      await world.work(world.ports(), isDone);
      const { kept } = await world.call(purge.progress(KEY, at, signal));
      assert.deepEqual(kept, ['duckdb main.sink: sink "other/sharer" has it too']);
      assert.equal(inner.rows("main.sink").length, 6);
      assert.equal(inner.rows("main.gone").length, 0);
      await world.work(world.ports(), async () => (await world.journals()).length === 2);
      await world.source("source");
      assert.equal((await world.sink("source", "sink")).incarnation, 1);
    }
  });

  test("a target that is away or refuses -> is asked again, the table stays, all else is removed", async () => {
    for (const code of ["UNAVAILABLE", "INVALID_ARGUMENT"] as const) {
      const world = await World.open();
      const { inner, purge } = world;
      const at = await world.begin();
      let asked = 0;
      const drop = (): Promise<void> => {
        asked++;
        return Promise.reject(new WireError(code, "no"));
      };
      const ports = { ...world.ports(), targets: { at: () => Promise.resolve({ drop }) } };
      await world.work(ports, async () => (await purge.progress(KEY, at, inner.signal)).isDone);
      const { kept } = await world.call(purge.progress(KEY, at, inner.signal));
      assert.deepEqual([...kept].sort(), ["duckdb main.gone: no", "duckdb main.sink: no"]);
      assert.equal(asked, code === "UNAVAILABLE" ? 6 : 2);
      await world.work(ports, async () => (await world.journals()).length === 2);
      assert.equal(inner.rows("main.sink").length, 6);
    }
  });

  test("two processes share the work -> each does its own, and together all of it", async () => {
    const world = await World.open();
    await world.begin();
    const ports = world.ports();
    const owner = (owns: (path: string) => boolean): WorkOwner => ({ ...ownsAll, owns });
    const stop = new AbortController();
    const other = new Purges({ ...ports, share: owner((path) => !path.endsWith("/source")) }).run(
      stop.signal,
    );
    await world.work({ ...ports, share: owner((path) => path.endsWith("/source")) }, () => world.isOver());
    stop.abort();
    await world.call(other);
    await world.check();
  });

  test("more sinks than a transaction takes, deleted ones among them -> all are gone", async () => {
    const world = await World.open();
    const { repository, inner } = world;
    for (let i = 0; i < 95; i++) {
      const { sinkId } = await world.sink("source", `more-${i}`);
      if (i % 3 === 0)
        await world.call(repository.changeSink({ ...KEY, sinkId }, { kind: "delete" }, BY, inner.signal));
    }
    await world.begin();
    await world.work(world.ports(), () => world.isOver());
    const left = await world.call(world.keys("/1/1/source"));
    assert.equal(left.length, 98);
    assert.ok(left.every((key) => key.startsWith("stream/definition/next/")));
  });

  test("what late readers, persisters, doors have left since -> goes a minute later, the next life stays", async () => {
    const world = await World.open();
    const { inner, purge } = world;
    const { signal } = inner;
    const at = await world.begin();
    await world.work(world.ports(), async () => (await world.journals()).length === 2);
    assert.ok((await world.call(purge.progress(KEY, at, signal))).isDone);
    await world.source("source");
    const sink = await world.sink("source", "sink");
    await world.call(inner.append(sink, 0, 2));
    const old = "stream/1/1/source/sink/p000";
    const key = { ...KEY, sinkId: "sink", n: 1 };
    const totals = { records: 1, bytes: 1, firstMs: 1, lastMs: 1 };
    const progress = { ...key, journal: old, begin: 0, offset: 5, writeHead: 5, full: false, ...totals };
    const put = { kind: "put", key: progressKey(key), value: encodeJson(progress) } as const;
    await inner.store.txn({ compare: [], success: [put] }, signal);
    const template = inner.journals.journals.get("stream/1/1/source/sink.1/p000")!.spec;
    const change = upsertChange({ ...template, name: "stream/1/1/source/sink/p001" }, 0);
    await inner.journals.apply({ changes: [change] });
    await world.put(inner.fragments, `${old}/late`);
    await world.put(inner.staging, "1/1/source/sink/p000/late");
    await world.put(inner.fragments, "stream/1/1/source/sink.1/p000/own");
    await world.put(inner.staging, "1/1/source/sink.1/p000/own");
    await world.work(world.ports(), () => world.isOver());
    const paths = [
      ...(await world.call(world.paths(inner.fragments))),
      ...(await world.call(world.paths(inner.staging))),
    ];
    const left = paths.filter((path) => path.includes("1/1/source/"));
    assert.deepEqual(left, ["stream/1/1/source/sink.1/p000/own", "1/1/source/sink.1/p000/own"]);
    assert.deepEqual(await world.journals(), [
      "stream/1/1/other/kept/p000",
      "stream/1/1/other/kept/p001",
      "stream/1/1/source/sink.1/p000",
    ]);
    assert.deepEqual(await world.call(world.keys("stats/local/1/1/source")), []);
  });
});

/** Calls `step` before and after each of `methods`. */
function fragile<T extends object>(inner: T, methods: readonly (keyof T)[], step: () => void): T {
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      const bound = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
      if (!methods.includes(name as keyof T)) return bound;
      return async (...args: unknown[]) => {
        step();
        const result = await bound(...args);
        step();
        return result;
      };
    },
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
