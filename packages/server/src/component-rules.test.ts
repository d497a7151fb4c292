import assert from "node:assert/strict";
import { test } from "node:test";
import { checkComponents } from "./component-rules.ts";
import type { ComponentName } from "./components.ts";
import { resolveConfig } from "./config.ts";

const ETCD = { "etcd.address": "http://127.0.0.1:2379" };
const ROOT = { ...ETCD, "broker.file-root": "/shared" };
const BUCKETS = { ...ETCD, "staging.store": "s3://b/staging/", "journal.store": "s3://b/fragments/" };

function problem(components: string, settings: Readonly<Record<string, string>>): string | undefined {
  const texts = new Map(Object.entries(settings));
  const { config } = resolveConfig([{ texts, describe: (name) => name }]);
  try {
    checkComponents(new Set(components.split(" ") as ComponentName[]), config);
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

const ALL = "broker warehouse storage-reader storage-coordinator http-source api console";

for (const [components, settings, expected] of [
  [ALL, {}, undefined],
  [`etcd ${ALL}`, {}, undefined],
  ["broker", {}, undefined],
  ["warehouse", {}, undefined],
  ["broker http-source", {}, /http-source needs warehouse: in the same process .*--etcd\.address/],
  ["api warehouse", {}, /api needs broker/],
  [ALL, { "staging.store": "s3://b/staging/" }, /give --etcd\.address too/],
  ["broker", { "broker.file-only": "true" }, /broker\.file-only needs broker\.file-root/],
  ["console", ETCD, /console needs api/],
  [`etcd ${ALL}`, ETCD, /leave one out/],
  [ALL, ETCD, undefined],
  ["http-source", ETCD, undefined],
  ["api", ETCD, /give --http-source\.public-url/],
  ["api", { ...ETCD, "http-source.public-url": "http://in.example.com" }, undefined],
  ["api http-source", ETCD, undefined],
  ["storage-reader", ETCD, /storage-reader stages records with storage-coordinator and warehouse of other/],
  ["warehouse", ETCD, /warehouse stages records with storage-reader and storage-coordinator/],
  ["storage-reader", ROOT, undefined],
  ["storage-reader", BUCKETS, undefined],
  ["storage-coordinator", { ...BUCKETS, "broker.file-only": "true", "broker.file-root": "/x" }, undefined],
  [
    "storage-coordinator",
    { ...BUCKETS, "journal.store": "file:///fragments/" },
    /removes what is loaded from file:\/\/\/fragments\/, which is below this process's own --data/,
  ],
  ["storage-coordinator broker", { ...BUCKETS, "journal.store": "file:///fragments/" }, undefined],
  ["storage-coordinator", BUCKETS, undefined],
] as const) {
  const told = expected === undefined ? "taken" : "refused";
  test(`components: ${components} with ${JSON.stringify(settings)} -> ${told}`, () => {
    const found = problem(components, settings);
    if (expected === undefined) assert.equal(found, undefined);
    else assert.match(found ?? "nothing", expected);
  });
}
