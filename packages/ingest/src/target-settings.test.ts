import assert from "node:assert/strict";
import { test } from "node:test";
import { never, systemClock } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { planSink } from "./definition-changes.ts";
import { encodeSink } from "./definition-codec.ts";
import { sinkVersionKey } from "./definition-keys.ts";
import { FormerTargets } from "./former-targets.ts";
import { modelSink } from "./model-catalog.ts";
import { plainSecrets } from "./secret-box.ts";
import {
  connectionProblem,
  keptPassword,
  placeOf,
  withoutPassword,
  type PostgresSettings,
  type TargetSettings,
} from "./target-settings.ts";
import { targetOf } from "./target-ref.ts";

const LOGIN: PostgresSettings = { host: "db.example", database: "d", user: "u", password: "one" };

function postgres(fields: Partial<PostgresSettings> = {}): TargetSettings {
  return { type: "postgres", connection: { ...LOGIN, ...fields } };
}

function unlocked(fields: Partial<PostgresSettings> = {}): TargetSettings {
  return withoutPassword(postgres(fields));
}

const clickhouse = (url: string): TargetSettings => ({ type: "clickhouse", connection: { url } });
const parquet = (url: string): TargetSettings => ({ type: "parquet", connection: { url } });

test("settings: the same database -> the same place, however one logs in", () => {
  assert.equal(placeOf({ type: "duckdb" }), undefined);
  assert.equal(placeOf(postgres()), "db.example:5432/d");
  assert.equal(placeOf(postgres({ host: "DB.example", port: 5432, user: "other" })), placeOf(postgres()));
  assert.notEqual(placeOf(postgres({ port: 5433 })), placeOf(postgres()));
  assert.equal(placeOf(postgres({ host: "::1" })), "[::1]:5432/d");
  assert.equal(placeOf(clickhouse("http://A:8123/")), "http://a:8123");
  assert.equal(placeOf(parquet("s3://b/p/")), "s3://b/p/");
});

const WRONG: readonly (readonly [TargetSettings, RegExp])[] = [
  [postgres({ host: "a b" }), /connection\.host "a b" is no name/],
  [postgres({ host: "u@db" }), /connection\.host "u@db"/],
  [postgres({ host: "/run", sslMode: "require" }), /not to be had over a Unix socket/],
  [postgres({ sslMode: "require", sslRootCert: "-----BEGIN CERTIFICATE-----" }), /looks at no certificate/],
  [postgres({ sslRootCert: "x" }), /not PEM/],
  [clickhouse("ftp://h"), /connection\.url "ftp:\/\/h" is invalid/],
  [clickhouse("http://u:p@h"), /fields of their own/],
  [clickhouse("http://h/?a=b"), /nothing behind it/],
  [clickhouse("h:8123:"), /is invalid/],
  [parquet("bucket"), /connection\.url is invalid/],
];

test("settings: what cannot be used -> why; the rest -> nothing", () => {
  for (const [settings, why] of WRONG) {
    const { field, message } = connectionProblem(settings) ?? { field: "", message: "" };
    assert.match(message, why);
    assert.ok(message.startsWith(`connection.${field} `), `${message} is about ${field}`);
  }
  for (const settings of [
    postgres(),
    postgres({ host: "/run/pg" }),
    clickhouse("https://h"),
    parquet("gs://b/"),
  ])
    assert.equal(connectionProblem(settings), undefined);
});

test("settings: a password -> goes on for the same login, and is never used for another one", () => {
  assert.deepEqual(keptPassword(postgres(), unlocked()), postgres());
  assert.deepEqual(keptPassword(postgres(), postgres({ password: "two" })), postgres({ password: "two" }));
  const moved: readonly Partial<PostgresSettings>[] = [
    { host: "evil" },
    { port: 1 },
    { database: "e" },
    { user: "v" },
    { sslMode: "disable" },
    { sslRootCert: "-----BEGIN CERTIFICATE-----" },
  ];
  for (const fields of moved)
    assert.throws(() => keptPassword(postgres(), unlocked(fields)), /password must be given again/);
  assert.deepEqual(keptPassword(unlocked(), unlocked({ host: "else" })), unlocked({ host: "else" }));
  assert.deepEqual(keptPassword(postgres(), parquet("s3://b/")), parquet("s3://b/"));
});

const tableOf = (target: TargetSettings) =>
  ({ ...target, tableId: "main.t", mapping: { columns: [{ type: "body", name: "b" }] } }) as const;

test("settings: a rollback -> a password that was changed since stays, another login comes with its own", () => {
  const rolled = (now: TargetSettings, then: TargetSettings): unknown => {
    const sink = modelSink({ table: tableOf(now) });
    const facts = {
      change: { at: "2026-01-02T00:00:00.000Z", by: { type: "system" } },
      version: modelSink({ table: tableOf(then) }),
    } as const;
    const plan = planSink({ kind: "active", entity: sink }, { kind: "rollback", version: 1 }, facts);
    return plan.kind === "write" ? plan.entity.table : plan.kind;
  };
  assert.deepEqual(rolled(postgres({ password: "two" }), postgres()), tableOf(postgres({ password: "two" })));
  const elsewhere = postgres({ host: "old", password: "old" });
  assert.deepEqual(rolled(postgres(), elsewhere), tableOf(elsewhere));
  assert.deepEqual(rolled(postgres(), { type: "duckdb" }), tableOf({ type: "duckdb" }));
});

test("a target that was left -> the newest version that had it says how to log in there", async () => {
  const store = await openMemoryStore(systemClock, seededRandom("former"));
  const versions = [postgres(), postgres({ password: "two" }), parquet("s3://b/")];
  const sinks = versions.map((target, i) => {
    const sink = modelSink({ table: tableOf(target) });
    return { ...sink, version: { ...sink.version, number: i + 1 } };
  });
  for (const sink of sinks) {
    const key = sinkVersionKey(sink, sink.version.number);
    const value = encodeSink(sink, plainSecrets);
    await store.txn({ compare: [], success: [{ kind: "put", key, value }] }, never);
  }
  const former = new FormerTargets({ store, secrets: plainSecrets });
  const [, second, last] = sinks;
  assert.deepEqual(await former.of(last!, targetOf(second!), never), postgres({ password: "two" }));
  const nowhere = { ...targetOf(second!), tableId: "main.other" };
  await assert.rejects(former.of(last!, nowhere, never), {
    code: "NOT_FOUND",
    message: /no version of sink 1\/1\/source\/sink says how to log in at postgres db\.example:5432\/d/,
  });
  await store.close();
});
