import assert from "node:assert/strict";
import { test } from "node:test";
import { never, systemClock, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { PostgresSettings, Target, TargetSettings } from "@millrace/ingest";
import { ModelTarget } from "@millrace/ingest/testkit";
import { memoryStore } from "@millrace/stores/testkit";
import { TARGETS_OPEN_MAX } from "./limits.ts";
import { postgresConnection, SinkTargets, type SinkTargetsPorts } from "./target-registry.ts";

const LOGIN: PostgresSettings = { host: "db", database: "d", user: "u", password: "p" };
const SINK = { projectId: 1, branchId: 1, sourceId: "s", sinkId: "k" };
const REF = { kind: "postgres", connection: "db:5432/d", tableId: "main.t" } as const;

const postgres = (fields: Partial<PostgresSettings> = {}): TargetSettings => {
  return { type: "postgres", connection: { ...LOGIN, ...fields } };
};

function registry(ports: Partial<SinkTargetsPorts> = {}): SinkTargets {
  const random = seededRandom("registry");
  const store = memoryStore({ clock: systemClock, random });
  return new SinkTargets({
    warehouse: new ModelTarget({ stagingStore: store, clock: systemClock, random }),
    stagingStore: store,
    openStore: () => Promise.resolve(store),
    settings: () => Promise.resolve(postgres()),
    clock: systemClock,
    ...ports,
  });
}

test("targets: the same place and login -> one target; another login is another one (K1, K2)", async () => {
  const targets = registry();
  const first = await targets.at(postgres(), never);
  assert.equal(await targets.open(REF, SINK, never), first);
  assert.notEqual(await targets.at(postgres({ password: "q" }), never), first);
  assert.notEqual(await targets.at({ type: "parquet", connection: { url: "s3://b/" } }, never), first);
  targets.close();
  assert.notEqual(await targets.at(postgres(), never), first);
});

test("targets: many logins -> those that were used last are kept", async () => {
  const targets = registry();
  const at = (i: number): Promise<Target> => targets.at(postgres({ password: `p${i}` }), never);
  const [first, second] = [await at(0), await at(1)];
  for (let i = 2; i < TARGETS_OPEN_MAX; i++) await at(i);
  assert.equal(await at(0), first);
  await at(TARGETS_OPEN_MAX);
  assert.equal(await at(0), first);
  assert.notEqual(await at(1), second);
});

test("targets: none such here, or nobody knows how to log in -> UNPROCESSABLE with which one", async () => {
  const unknown = new WireError("NOT_FOUND", "no version of sink 1/1/s/k says how to log in");
  const targets = registry({ warehouse: undefined, settings: () => Promise.reject(unknown) });
  await assert.rejects(targets.open({ kind: "duckdb", tableId: "main.t" }, SINK, never), {
    code: "UNPROCESSABLE",
    message: "there is no target duckdb here",
  });
  await assert.rejects(targets.open(REF, SINK, never), { code: "UNPROCESSABLE", message: unknown.message });
});

test("targets: TLS -> verified unless told otherwise, none over a Unix socket", () => {
  const modes: readonly (readonly [Partial<PostgresSettings>, object])[] = [
    [{}, { mode: "verified" }],
    [{ sslRootCert: "pem" }, { mode: "verified", ca: "pem" }],
    [{ sslMode: "require" }, { mode: "unverified" }],
    [{ sslMode: "disable" }, { mode: "off" }],
    [{ host: "/run/postgresql" }, { mode: "off" }],
  ];
  for (const [fields, tls] of modes) assert.deepEqual(postgresConnection({ ...LOGIN, ...fields }).tls, tls);
});
