import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { never, systemClock, utf8, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { LoadRequest, StagedObject, Target } from "@millrace/ingest";
import { memoryStore } from "@millrace/stores/testkit";
import { StagedCopies } from "./staged-copies.ts";

function requestFor(...paths: readonly string[]): LoadRequest {
  const objects = paths.map((path): StagedObject => ({
    path,
    columns: [],
    sinkVersion: 1,
    rows: 1,
    bytes: 1,
    crc32c: 0,
  }));
  return {
    target: { kind: "duckdb", tableId: "main.t" },
    columns: [],
    partitions: [{ journal: "j", begin: 0, end: 9, objects, startsTarget: true }],
  };
}

test("staged copies: the target finds the objects in its directory during the load, and nothing is left", async () => {
  const scratch = mkdtempSync(join(tmpdir(), "millrace-copies-"));
  const directory = join(scratch, "incoming");
  mkdirSync(directory);
  writeFileSync(join(directory, "left over"), "x");
  const store = memoryStore({ clock: systemClock, random: seededRandom("copies") });
  const content = async function* (text: string): AsyncGenerator<Uint8Array> {
    yield utf8(text);
  };
  const paths = Array.from({ length: 10 }, (_, i) => `a/b/${i}.parquet`);
  for (const path of paths) await store.put(path, content(`object ${path}`), {}, never);
  const seen: string[] = [];
  let fails = false;
  const target: Target = {
    check: () => Promise.resolve(undefined),
    drop: () => Promise.resolve(),
    prepare: () => Promise.resolve(),
    loadedEnds: () => Promise.resolve(new Map([["j", 3]])),
    load: ({ partitions }) => {
      for (const { path } of partitions.flatMap(({ objects }) => objects))
        seen.push(readFileSync(join(directory, path), "utf8"));
      return fails
        ? Promise.reject(new WireError("OUTCOME_UNKNOWN", "gone"))
        : Promise.resolve({ kind: "loaded", rows: 1 });
    },
  };
  const copies = await StagedCopies.open(target, store, directory);
  assert.equal(existsSync(join(directory, "left over")), false);
  assert.deepEqual(await copies.load(requestFor(...paths), never), { kind: "loaded", rows: 1 });
  assert.deepEqual(
    seen,
    paths.map((path) => `object ${path}`),
  );
  assert.deepEqual(await copies.loadedEnds("main.t", never), new Map([["j", 3]]));
  await assert.rejects(copies.load(requestFor(paths[0]!, "a/missing"), never), { code: "NOT_FOUND" });
  assert.equal(seen.length, paths.length, "a load without its objects is not begun");
  fails = true;
  await assert.rejects(copies.load(requestFor(paths[0]!), never), { code: "OUTCOME_UNKNOWN" });
  assert.deepEqual(readdirSync(directory), []);
  rmSync(scratch, { recursive: true });
});
