import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import { sourcePath, type SourceDefinition, type SourceKey } from "./definitions.ts";
import { SourceIndex, type KnownSources } from "./http-source-index.ts";

const at = { at: "2026-01-01T00:00:00.000Z", by: { type: "system" } } as const;

/** Sources as a test says they are. */
class World implements KnownSources {
  readonly #sources = new Map<string, SourceDefinition>();
  readonly #listeners = new Set<(path: string) => void>();
  readonly compiled: string[] = [];
  readonly forgotten: string[][] = [];

  sources(): readonly SourceDefinition[] {
    return [...this.#sources.values()];
  }

  source(key: SourceKey): SourceDefinition | undefined {
    return this.#sources.get(sourcePath(key));
  }

  observeSources(listener: (path: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  put(sourceId: string, fields: Partial<SourceDefinition> = {}): void {
    const source: SourceDefinition = {
      projectId: 1,
      branchId: 1,
      sourceId,
      type: "http",
      name: "Source",
      description: "",
      secret: "s".repeat(48),
      version: { number: 1, hash: "0".repeat(16), description: "", ...at },
      created: at,
      ...fields,
    };
    this.#sources.set(sourcePath(source), source);
    this.#tell(source);
  }

  remove(key: SourceKey): void {
    this.#sources.delete(sourcePath(key));
    this.#tell(key);
  }

  index(compiledMax = 100): SourceIndex<string> {
    return new SourceIndex<string>(this, {
      compile: (source) => {
        const name = `${sourcePath(source)} ${source.name}`;
        this.compiled.push(name);
        return name;
      },
      onForgotten: (compiled) => void this.forgotten.push([...compiled]),
      compiledMax,
    });
  }

  #tell(key: SourceKey): void {
    for (const listener of this.#listeners) listener(sourcePath(key));
  }
}

function find(index: SourceIndex<string>, name: string): readonly string[] {
  const bytes = utf8(`/stream/${name}/secret`);
  const begin = "/stream/".length;
  return index.find(bytes, begin, begin + utf8(name).length);
}

test("index: a source is compiled when it is looked for, once", () => {
  const world = new World();
  for (let i = 0; i < 1000; i++) world.put(`source-${i}`);
  const index = world.index();
  assert.deepEqual(world.compiled, []);
  for (let i = 0; i < 3; i++) assert.deepEqual(find(index, "1/source-7"), ["1/1/source-7 Source"]);
  assert.deepEqual(world.compiled, ["1/1/source-7 Source"]);
  assert.deepEqual(
    [find(index, "1/source-1000"), find(index, "2/source-7"), find(index, "1/")],
    [[], [], []],
  );
});

test("index: a source comes, changes and goes -> found as it is now", () => {
  const world = new World();
  const index = world.index();
  assert.deepEqual(find(index, "1/orders"), []);
  world.put("orders");
  assert.deepEqual(find(index, "1/orders"), ["1/1/orders Source"]);
  world.put("orders", { name: "Renamed" });
  assert.deepEqual(find(index, "1/orders"), ["1/1/orders Renamed"]);
  world.remove({ projectId: 1, branchId: 1, sourceId: "orders" });
  assert.deepEqual(find(index, "1/orders"), []);
  world.put("orders", { name: "Back" });
  assert.deepEqual(find(index, "1/orders"), ["1/1/orders Back"]);
});

test("index: a name in several branches -> all of them; one goes, the others stay", () => {
  const world = new World();
  world.put("orders");
  const index = world.index();
  world.put("orders", { branchId: 2 });
  assert.deepEqual(find(index, "1/orders"), ["1/1/orders Source", "1/2/orders Source"]);
  world.remove({ projectId: 1, branchId: 1, sourceId: "orders" });
  assert.deepEqual(find(index, "1/orders"), ["1/2/orders Source"]);
});

test("index: more are used than may be compiled -> the bound holds, and those in use stay", () => {
  const world = new World();
  for (let i = 0; i < 500; i++) world.put(`source-${i}`);
  const index = world.index(10);
  for (let i = 0; i < 500; i++) {
    find(index, "1/source-0"); // always in use
    find(index, `1/source-${i}`);
  }
  assert.equal(world.compiled.filter((name) => name.startsWith("1/1/source-0 ")).length, 1);
  assert.equal(world.compiled.length, 500);
  assert.ok(world.forgotten.length >= 7);
  for (const left of world.forgotten) {
    assert.ok(left.length <= 10);
    assert.ok(left.includes("1/1/source-0 Source"));
  }
});

test("index: closed -> hears of no change", () => {
  const world = new World();
  world.put("orders");
  const index = world.index();
  find(index, "1/orders");
  index.close();
  world.put("orders", { name: "Renamed" });
  assert.deepEqual(find(index, "1/orders"), ["1/1/orders Source"]);
});
