import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { encodeSink } from "./definition-codec.ts";
import { sinkVersionKey } from "./definition-keys.ts";
import { plainSecrets } from "./secret-box.ts";
import { sinkPath } from "./definitions.ts";
import { modelSink } from "./model-catalog.ts";
import { VersionColumns } from "./version-columns.ts";

async function world() {
  const store = await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("versions"));
  const reads: string[] = [];
  const counting: CoordinationStore = Object.assign(Object.create(store) as CoordinationStore, {
    range: (request: { key: string }, signal: AbortSignal) => {
      reads.push(request.key);
      return store.range(request, signal);
    },
  });
  const put = async (version: number, name: string): Promise<void> => {
    const table = {
      type: "duckdb",
      tableId: "main.t",
      mapping: { columns: [{ type: "body", name }] },
    } as const;
    const sink = modelSink({ table });
    const value = encodeSink({ ...sink, version: { ...sink.version, number: version } }, plainSecrets);
    await store.txn(
      { compare: [], success: [{ kind: "put", key: sinkVersionKey(sink, version), value }] },
      never,
    );
  };
  const columns = new VersionColumns(counting);
  const names = async (version: number): Promise<string> =>
    (await columns.of(modelSink(), version, never)).map(({ name }) => name).join();
  return { columns, reads, put, names };
}

test("columns: of any version, read once", async () => {
  const w = await world();
  await w.put(1, "a");
  await w.put(2, "b");
  assert.deepEqual([await w.names(2), await w.names(1), await w.names(2)], ["b", "a", "b"]);
  assert.equal(w.reads.length, 2);
});

test("columns: of a version that was never there -> NOT_FOUND, and read again when it is asked for again", async () => {
  const w = await world();
  await assert.rejects(w.names(3), { code: "NOT_FOUND", message: "sink 1/1/source/sink has no version 3" });
  await w.put(3, "c");
  assert.equal(await w.names(3), "c");
});

test("columns: the sink went and came again -> those of its new life", async () => {
  const w = await world();
  await w.put(1, "old");
  assert.equal(await w.names(1), "old");
  const late = w.names(1);
  w.columns.forget(sinkPath(modelSink()));
  await w.put(1, "new");
  assert.equal(await late, "old");
  assert.equal(await w.names(1), "new");
});

test("columns: of very many versions -> the last used ones are kept", async () => {
  const w = await world();
  for (let version = 1; version <= 1100; version++) await w.put(version, `v${version}`);
  for (let version = 1; version <= 1100; version++) {
    await w.names(1);
    await w.names(version);
  }
  assert.equal(w.reads.length, 1100);
  await w.names(2);
  assert.equal(w.reads.length, 1101);
});
