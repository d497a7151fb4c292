import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { never, WireError } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore, StoreOp, TxnRequest } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";

import { encodeDefinition, structuralHash } from "./definition-codec.ts";
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
}> {
  const random = seededRandom("repository");
  const clock = new SimulatedClock(new Agenda());
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
  return {
    store,
    repository: new DefinitionRepository({ store: faulty, secrets: plainSecrets, clock, random }),
  };
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

  test("create: a key of a deleted one -> says so", async () => {
    const { repository, store } = await open(() => Promise.resolve());
    const key = "stream/definition/source/deleted/1/1/s";
    await store.txn({ compare: [], success: [{ kind: "put", key, value: new Uint8Array(1) }] }, never);
    const outcome = await repository.createSource({ ...SOURCE, name: "n", description: "" }, BY, never);
    assert.equal(outcome.kind, "deleted");
  });
});

test("structural hash: order and what says nothing do not count", () => {
  const hash = structuralHash({ a: 1, b: { c: "x", d: false, e: "" } });
  assert.equal(structuralHash({ b: { c: "x" }, a: 1, f: 0, created: { at: "now" } }), hash);
  assert.notEqual(structuralHash({ a: 1, b: { c: "y" } }), hash);
  assert.match(hash, /^[0-9a-f]{16}$/);
});
