import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { never, WireError } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore, StoreOp, TxnRequest } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";

import { encodeDefinition, structuralHash } from "./definition-codec.ts";
import type { SinkCommand, SourceCommand } from "./definition-changes.ts";
import { DefinitionRepository, type NewSink } from "./definition-repository.ts";
import { plainSecrets } from "./secret-box.ts";

const SOURCE = { projectId: 1, branchId: 1, sourceId: "s" };
const SINK: NewSink = {
  ...SOURCE,
  sinkId: "k",
  name: "n",
  description: "",
  tableId: "main.t",
  columns: [{ type: "ip", name: "i" }],
  settings: {},
};
const BY = { type: "system" } as const;

/** `onTxn` may throw instead of a transaction, or behind it. */
async function open(onTxn: (request: TxnRequest, commit: () => Promise<unknown>) => Promise<void>): Promise<{
  store: CoordinationStore;
  repository: DefinitionRepository;
  clock: { readonly agenda: Agenda };
  ports: ConstructorParameters<typeof DefinitionRepository>[0];
}> {
  const random = seededRandom("repository");
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const store = await openMemoryStore(clock, random);
  const faulty = new Proxy(store, {
    get: (target, name) => {
      if (name !== "txn") {
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value as () => unknown).bind(target) : value;
      }
      return async (request: TxnRequest, signal: AbortSignal) => {
        let result: unknown;
        await onTxn(request, async () => (result = await target.txn(request, signal)));
        return result ?? target.txn(request, signal);
      };
    },
  });
  const ports = { store: faulty, secrets: plainSecrets, clock, random };
  return { store, clock: { agenda }, ports, repository: new DefinitionRepository(ports) };
}

describe("definition repository", () => {
  test("create: the answer is lost, it has happened -> created", async () => {
    const { repository } = await open(async (_request, commit) => {
      await commit();
      throw new WireError("OUTCOME_UNKNOWN", "lost");
    });
    const source = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    assert.ok(source.kind === "created");
    assert.equal((await repository.source(SOURCE, never))?.secret, source.entity.secret);
    assert.equal((await repository.createSink(SINK, BY, never)).kind, "created");
  });

  test("create: the answer is lost, it has not happened -> unknown", async () => {
    const { repository } = await open(() => Promise.reject(new WireError("OUTCOME_UNKNOWN", "lost")));
    const create = repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    await assert.rejects(create, { code: "OUTCOME_UNKNOWN" });
  });

  test("create: sinks have the partitions that the repository gives them, one by default", async () => {
    const { repository, ports } = await open(() => Promise.resolve());
    await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    const one = await repository.createSink(SINK, BY, never);
    const wide = new DefinitionRepository(ports, 4);
    const four = await wide.createSink({ ...SINK, sinkId: "wide" }, BY, never);
    assert.ok(one.kind === "created" && four.kind === "created");
    const counts = [one, four].map(({ entity }) => [entity.partitions, entity.keyedPartitions]);
    assert.deepEqual(counts, [
      [1, 1],
      [4, 4],
    ]);
  });

  test("create: keys as the specification has them, a version record with each", async () => {
    const { repository, store } = await open(() => Promise.resolve());
    await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    assert.equal((await repository.createSink(SINK, BY, never)).kind, "created");
    assert.equal((await repository.createSink(SINK, BY, never)).kind, "exists");
    assert.equal((await repository.createSink({ ...SINK, sourceId: "x" }, BY, never)).kind, "noSource");
    const { kvs } = await store.range({ key: "stream/", end: "stream0" }, never);
    assert.deepEqual(
      kvs.map(({ key }) => key),
      [
        "stream/definition/branch/active/1/1",
        "stream/definition/sink/active/1/1/s/k",
        "stream/definition/sink/version/1/1/s/k/0000000001",
        "stream/definition/source/active/1/1/s",
        "stream/definition/source/version/1/1/s/0000000001",
      ],
    );
    assert.deepEqual(kvs[1]!.value, kvs[2]!.value);
  });

  test("create: after a purge -> another life, at version 1", async () => {
    const { repository, store } = await open(() => Promise.resolve());
    const left = (path: string, incarnation: number): StoreOp => {
      return { kind: "put", key: `stream/definition/next/${path}`, value: encodeDefinition({ incarnation }) };
    };
    await store.txn({ compare: [], success: [left("1/1/s", 4), left("1/1/s/k", 2)] }, never);
    const source = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    assert.ok(source.kind === "created");
    assert.deepEqual([source.entity.incarnation, source.entity.version.number], [4, 1]);
    await repository.createSink(SINK, BY, never);
    assert.equal((await repository.sink(SINK, never))?.incarnation, 2);
  });

  test("create: an ID that was deleted -> it comes back with the new content, its versions go on", async () => {
    const { repository } = await open(() => Promise.resolve());
    const first = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    assert.ok(first.kind === "created");
    await repository.createSink(SINK, BY, never);
    await repository.changeSource(SOURCE, { kind: "delete" }, BY, never);
    assert.equal(await repository.source(SOURCE, never), undefined);
    assert.ok((await repository.source(SOURCE, never, "deleted"))?.deleted !== undefined);
    assert.equal((await repository.changeSink(SINK, { kind: "undelete" }, BY, never)).kind, "noSource");
    const again = await repository.createSource({ ...SOURCE, name: "m", description: "" }, BY, never);
    assert.ok(again.kind === "created");
    assert.deepEqual([again.entity.name, again.entity.version.number], ["m", 2]);
    assert.notEqual(again.entity.secret, first.entity.secret);
    assert.equal(await repository.source(SOURCE, never, "deleted"), undefined);
    assert.equal((await repository.sink(SINK, never))?.deleted, undefined);
  });

  test("change: each is one version record, listed in order, also by the number as it is written", async () => {
    const { repository } = await open(() => Promise.resolve());
    await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    await repository.createSink(SINK, BY, never);
    const commands: SinkCommand[] = [
      { kind: "update", name: "m" },
      { kind: "update", name: "m" },
      { kind: "disable" },
      { kind: "rollback", version: 1 },
      { kind: "delete" },
      { kind: "undelete" },
      { kind: "enable" },
    ];
    const kinds: string[] = [];
    for (const command of commands) kinds.push((await repository.changeSink(SINK, command, BY, never)).kind);
    assert.deepEqual(
      kinds,
      commands.map((_command, i) => (i === 1 ? "unchanged" : "changed")),
    );
    const page = await repository.sinkVersions(SINK, { afterId: "", limit: 100 }, never);
    assert.deepEqual(
      page.items.map(({ version, name, disabled }) => [version.number, name, disabled !== undefined]),
      [
        [1, "n", false],
        [2, "m", false],
        [3, "m", true],
        [4, "n", true],
        [5, "n", true],
        [6, "n", false],
      ],
    );
    for (const afterId of ["4", "0000000004"]) {
      const { items, totalCount } = await repository.sinkVersions(SINK, { afterId, limit: 1 }, never);
      assert.deepEqual([items.map(({ version }) => version.number), totalCount], [[5], 6]);
    }
    assert.equal((await repository.sinkVersion(SINK, 2, never))?.version.description, "Updated.");
    assert.equal(await repository.sinkVersion(SINK, 7, never), undefined);
    const back = { kind: "rollback", version: 77 } as const;
    assert.equal((await repository.changeSink(SINK, back, BY, never)).kind, "noVersion");
  });

  test("change: the answer is lost, it has happened -> changed; it has not -> unknown", async () => {
    let fault: "none" | "before" | "after" = "none";
    const { repository } = await open(async (_request, commit) => {
      if (fault === "none") return;
      if (fault === "after") await commit();
      throw new WireError("OUTCOME_UNKNOWN", "lost");
    });
    await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    const commands: SourceCommand[] = [
      { kind: "rotateSecret" },
      { kind: "disable" },
      { kind: "delete" },
      { kind: "undelete" },
    ];
    for (const command of commands) {
      fault = "before";
      const unknown = repository.changeSource(SOURCE, command, BY, never);
      await assert.rejects(unknown, { code: "OUTCOME_UNKNOWN" }, command.kind);
      fault = "after";
      assert.equal((await repository.changeSource(SOURCE, command, BY, never)).kind, "changed", command.kind);
    }
  });

  test("change: a source with a hundred sinks -> a handful of operations (D26)", async () => {
    let most = 0;
    const { repository } = await open((request) => {
      most = Math.max(most, request.success?.length ?? 0, request.compare?.length ?? 0);
      return Promise.resolve();
    });
    await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    for (let i = 0; i < 100; i++) await repository.createSink({ ...SINK, sinkId: `k${i}` }, BY, never);
    assert.deepEqual(await repository.createSink(SINK, BY, never), { kind: "limit", max: 100 });
    const kinds = ["disable", "enable", "delete", "undelete", "rotateSecret"] as const;
    for (const kind of kinds)
      assert.equal((await repository.changeSource(SOURCE, { kind }, BY, never)).kind, "changed");
    assert.ok(most <= 6, `${most} operations`);
    await repository.changeSink({ ...SINK, sinkId: "k5" }, { kind: "delete" }, BY, never);
    await repository.createSink(SINK, BY, never);
    const back = repository.changeSink({ ...SINK, sinkId: "k5" }, { kind: "undelete" }, BY, never);
    assert.deepEqual(await back, { kind: "limit", max: 100 });
  });

  test("change: two at once -> both happen, one after the other", async () => {
    const { repository, clock } = await open(() => Promise.resolve());
    await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    const both = Promise.all([
      repository.changeSource(SOURCE, { kind: "update", name: "m" }, BY, never),
      repository.changeSource(SOURCE, { kind: "update", description: "d" }, BY, never),
    ]);
    await clock.agenda.advance(1000);
    assert.deepEqual(
      (await both).map(({ kind }) => kind),
      ["changed", "changed"],
    );
    const source = await repository.source(SOURCE, never);
    assert.deepEqual([source?.name, source?.description, source?.version.number], ["m", "d", 3]);
  });
});

test("structural hash: order and what says nothing do not count", () => {
  const hash = structuralHash({ a: 1, b: { c: "x", d: false, e: "" } });
  assert.equal(structuralHash({ b: { c: "x" }, a: 1, f: 0, created: { at: "now" } }), hash);
  assert.notEqual(structuralHash({ a: 1, b: { c: "y" } }), hash);
  assert.match(hash, /^[0-9a-f]{16}$/);
});
