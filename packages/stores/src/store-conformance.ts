// What every kind of store must do, as one suite: `objectStoreConformance("file", makeSubject)` declares its tests.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { concatBytes, never, text, utf8, WireError, type Code } from "@millrace/base";
import type { ObjectEntry, ObjectStore } from "./object-store.ts";

export interface ConformanceSubject {
  /** An empty store. */
  readonly store: ObjectStore;
  /** A store over the same objects whose URL has these arguments; kinds without URL arguments have none. */
  withArguments?(args: string): ObjectStore;
  close(): Promise<void>;
}

/** @param make a fresh, empty store for each test */
export function objectStoreConformance(kind: string, make: () => Promise<ConformanceSubject>): void {
  const test: Declare = (name, run) => {
    it(name, async () => {
      const subject = await make();
      try {
        await run(subject.store, subject);
      } finally {
        await subject.close();
      }
    });
  };
  describe(`object store conformance: ${kind}`, () => {
    declareReadTests(test);
    declarePutTests(test);
    declareBodyTests(test);
    declareListTests(test);
    declareRefusalTests(test);
  });
}

type Declare = (
  name: string,
  run: (store: ObjectStore, subject: ConformanceSubject) => Promise<void>,
) => void;

/** More than two parts of an upload, for kinds that upload in parts. */
const LARGE_BYTES = 17 * 2 ** 20 + 5;

function declareReadTests(test: Declare): void {
  test("get: a missing object -> NOT_FOUND", async (store) => {
    await refuses("NOT_FOUND", () => read(store, "a/b"));
    assert.equal(await store.head("a/b", never), undefined);
    await store.remove("a/b", never);
  });

  test("get: ranges are half-open and clipped", async (store) => {
    await put(store, "a/b", "0123456789");
    const cases: [{ begin?: number; end?: number }, string][] = [
      [{}, "0123456789"],
      [{ begin: 3 }, "3456789"],
      [{ end: 3 }, "012"],
      [{ begin: 3, end: 5 }, "34"],
      [{ begin: 8, end: 99 }, "89"],
      [{ begin: 10 }, ""],
      [{ begin: 99 }, ""],
      [{ begin: 4, end: 4 }, ""],
    ];
    for (const [range, expected] of cases) {
      assert.equal(await read(store, "a/b", range), expected, JSON.stringify(range));
    }
    await refuses("INVALID_ARGUMENT", () => read(store, "a/b", { begin: 5, end: 4 }));
  });

  test("get: a reader that stops early -> the source is released, the store goes on", async (store) => {
    await put(store, "big", "x".repeat(3_000_000));
    for (let i = 0; i < 50; i++) {
      for await (const chunk of store.get("big", {}, never)) {
        assert.ok(chunk.length > 0);
        break;
      }
    }
    assert.equal((await read(store, "big")).length, 3_000_000);
  });

  test("get, put, list, head, remove: an aborted signal -> rejects with its reason", async (store) => {
    await put(store, "a", "1");
    const reason = new Error("stop");
    const aborted = AbortSignal.abort(reason);
    const isReason = (error: unknown): boolean => error === reason;
    await assert.rejects(async () => {
      for await (const _ of store.get("a", {}, aborted)) break;
    }, isReason);
    await assert.rejects(async () => {
      for await (const _ of store.list("", aborted)) break;
    }, isReason);
    await assert.rejects(() => store.head("a", aborted), isReason);
    await assert.rejects(() => store.sync("a", aborted), isReason);
    await assert.rejects(() => store.remove("a", aborted), isReason);
    await assert.rejects(() => store.put("b", chunks("1"), {}, aborted), isReason);
    assert.deepEqual(await keys(store), ["a"]);
  });
}

function declarePutTests(test: Declare): void {
  test("put: then head, get, list -> all see it", async (store) => {
    await put(store, "x/y/z", "hello");
    const head = await store.head("x/y/z", never);
    assert.equal(head?.bytes, 5);
    assert.equal(head?.path, "x/y/z");
    assert.ok(Number.isInteger(head?.modTimeMs));
    assert.equal(await read(store, "x/y/z"), "hello");
    assert.deepEqual(await entries(store, ""), [head]);
  });

  test("put: an empty body -> an empty object", async (store) => {
    await store.put("empty", chunks(), { bytes: 0 }, never);
    assert.equal((await store.head("empty", never))?.bytes, 0);
    assert.equal(await read(store, "empty"), "");
  });

  test("put: over an existing object -> replaces it", async (store) => {
    await put(store, "a", "longer than the other");
    await put(store, "a", "short");
    assert.equal(await read(store, "a"), "short");
  });

  test("put: bytes that differ from options.bytes -> INVALID_ARGUMENT, the name keeps what it had", async (store) => {
    await put(store, "old", "before");
    for (const path of ["old", "new"]) {
      await refuses("INVALID_ARGUMENT", () => store.put(path, chunks("abc"), { bytes: 2 }, never));
      await refuses("INVALID_ARGUMENT", () => store.put(path, chunks("abc"), { bytes: 4 }, never));
    }
    assert.equal(await read(store, "old"), "before");
    assert.deepEqual(await keys(store), ["old"]);
  });

  test("put: a body that fails midway -> its error, the name keeps what it had", async (store) => {
    const failure = new Error("body failed");
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield utf8("half");
      await Promise.resolve();
      throw failure;
    }
    await put(store, "old", "before");
    for (const path of ["old", "new"]) {
      await assert.rejects(
        () => store.put(path, failing(), {}, never),
        (error) => error === failure,
      );
    }
    assert.equal(await read(store, "old"), "before");
    assert.deepEqual(await keys(store), ["old"]);
  });

  test("put: many at once under one name -> one of them, whole", async (store) => {
    const bodies = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000 + i));
    await Promise.all(bodies.map((body) => put(store, "dir/raced", body)));
    assert.ok(bodies.includes(await read(store, "dir/raced")));
    assert.deepEqual(await keys(store), ["dir/raced"]);
  });

  test("sync: an object that is there -> as it was; a missing one -> NOT_FOUND", async (store) => {
    await refuses("NOT_FOUND", () => store.sync("a/b", never));
    await put(store, "a/b", "1");
    await store.sync("a/b", never);
    await store.sync("a/b", never);
    assert.equal(await read(store, "a/b"), "1");
    await store.remove("a/b", never);
    await refuses("NOT_FOUND", () => store.sync("a/b", never));
  });

  test("remove: an object -> gone for get, head and list", async (store) => {
    await put(store, "a/b", "1");
    await put(store, "a/c", "2");
    await store.remove("a/b", never);
    assert.equal(await store.head("a/b", never), undefined);
    assert.deepEqual(await keys(store), ["a/c"]);
  });
}

function declareBodyTests(test: Declare): void {
  test("put: a large body, of known and unknown length -> whole", async (store) => {
    const expected = await digest(large(LARGE_BYTES));
    for (const options of [{}, { bytes: LARGE_BYTES }]) {
      await store.put("large", large(LARGE_BYTES), options, never);
      assert.equal((await store.head("large", never))?.bytes, LARGE_BYTES);
      assert.equal(await digest(store.get("large", {}, never)), expected);
    }
    const middle = { begin: 8 * 2 ** 20 - 3, end: 8 * 2 ** 20 + 3 };
    assert.equal(await digest(store.get("large", middle, never)), await digest(large(LARGE_BYTES, middle)));
  });

  test("put: a large body of exactly some parts -> whole", async (store) => {
    const bytes = 16 * 2 ** 20;
    await store.put("large", large(bytes), {}, never);
    assert.equal(await digest(store.get("large", {}, never)), await digest(large(bytes)));
  });

  test("put: a large body that fails late, or has another length -> the name keeps what it had", async (store) => {
    const failure = new Error("body failed");
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* large(LARGE_BYTES);
      throw failure;
    }
    await put(store, "old", "before");
    for (const path of ["old", "new"]) {
      await assert.rejects(
        () => store.put(path, failing(), {}, never),
        (error) => error === failure,
      );
      const [shorter, longer] = [{ bytes: LARGE_BYTES - 1 }, { bytes: LARGE_BYTES + 1 }];
      await refuses("INVALID_ARGUMENT", () => store.put(path, large(LARGE_BYTES), shorter, never));
      await refuses("INVALID_ARGUMENT", () => store.put(path, large(LARGE_BYTES), longer, never));
    }
    assert.equal(await read(store, "old"), "before");
    assert.deepEqual(await keys(store), ["old"]);
  });

  test("put: an abort midway -> rejects with its reason, the name keeps what it had", async (store) => {
    const reason = new Error("stop");
    const abort = new AbortController();
    async function* aborted(): AsyncGenerator<Uint8Array> {
      yield* large(9 * 2 ** 20);
      abort.abort(reason);
      yield* large(9 * 2 ** 20);
    }
    await assert.rejects(
      () => store.put("new", aborted(), {}, abort.signal),
      (error) => error === reason,
    );
    assert.deepEqual(await keys(store), []);
  });

  test("put: a body whose chunks share memory -> each as it was when it came", async (store) => {
    async function* shared(): AsyncGenerator<Uint8Array> {
      const memory = new Uint8Array(3);
      for (const letter of ["a", "b", "c"]) {
        memory.fill(letter.charCodeAt(0));
        yield await Promise.resolve(memory);
      }
      memory.fill(0);
    }
    await store.put("x", shared(), {}, never);
    assert.equal(await read(store, "x"), "aaabbbccc");
  });

  test("put: with content encoding gzip -> get and head tell of the stored bytes", async (store) => {
    const stored = gzipSync("some text ".repeat(1000));
    await store.put("zipped", chunksOf(stored), { contentEncoding: "gzip" }, never);
    assert.equal((await store.head("zipped", never))?.bytes, stored.length);
    assert.deepEqual(Buffer.from(await bytesOf(store.get("zipped", {}, never))), stored);
    const part = await bytesOf(store.get("zipped", { begin: 2, end: 10 }, never));
    assert.deepEqual(Buffer.from(part), stored.subarray(2, 10));
  });
}

function declareListTests(test: Declare): void {
  test("find, replace: the first occurrence in keys; listings give the paths asked for", async (store, subject) => {
    if (subject.withArguments === undefined) return;
    const rewriting = subject.withArguments("?find=tenant/journal&REPLACE=moved");
    await put(rewriting, "tenant/journal/a", "1");
    await put(rewriting, "other/tenant/journal/b", "2");
    assert.deepEqual(await keys(store), ["moved/a", "other/moved/b"]);
    assert.deepEqual(await keys(rewriting, "tenant/journal/"), ["tenant/journal/a"]);
    assert.equal(await read(rewriting, "tenant/journal/a"), "1");
    assert.equal((await rewriting.head("tenant/journal/a", never))?.path, "tenant/journal/a");
    await rewriting.remove("tenant/journal/a", never);
    assert.deepEqual(await keys(store), ["other/moved/b"]);
  });

  test("list: prefixes cut anywhere, also within a component", async (store) => {
    const all = ["a/1", "a/2/x", "a/2/y", "ab/1", "b", "a-b/1", ".test/health-check"];
    for (const path of all) await put(store, path, path);
    for (const prefix of ["", "a", "a/", "a/2", "a/2/", "a/2/x", "ab", "c", "a/2/x/", ".test/"]) {
      assert.deepEqual(
        await keys(store, prefix),
        all.filter((path) => path.startsWith(prefix)).sort(),
        prefix,
      );
    }
  });

  test("list: many objects -> each once, with its length", async (store) => {
    const all = Array.from({ length: 150 }, (_, i) => `j/d${i % 7}/${String(i).padStart(4, "0")}`);
    await Promise.all(all.map((path, i) => put(store, path, "x".repeat(i))));
    const found = await entries(store, "j/");
    assert.deepEqual(
      found.map((entry) => entry.path),
      [...all].sort(),
    );
    for (const entry of found) assert.equal(entry.bytes, Number(entry.path.slice(-4)));
  });

  test("names with spaces, percent, unicode and '=' -> unchanged", async (store) => {
    const path = "j ö/date=2026-01-01/hour=05/a%2Fb+c;d";
    await put(store, path, "1");
    assert.deepEqual(await keys(store, "j ö/"), [path]);
    assert.equal(await read(store, path), "1");
  });

  test("signGet: gives a URL", async (store) => {
    await put(store, "a/b", "1");
    assert.match(await store.signGet("a/b", 60_000), /^[a-z0-9]+:\/\//);
  });
}

function declareRefusalTests(test: Declare): void {
  test("paths that leave the store or are not clean -> INVALID_ARGUMENT for every operation", async (store) => {
    for (const path of [
      "",
      "/",
      "/a",
      "a/",
      "..",
      "../foo",
      "a/../../b",
      "a/..",
      "./a",
      "a//b",
      "a/./b",
      "a\0b",
    ]) {
      await refuses("INVALID_ARGUMENT", () => put(store, path, "1"));
      await refuses("INVALID_ARGUMENT", () => read(store, path));
      await refuses("INVALID_ARGUMENT", () => store.head(path, never));
      await refuses("INVALID_ARGUMENT", () => store.sync(path, never));
      await refuses("INVALID_ARGUMENT", () => store.remove(path, never));
    }
    for (const prefix of ["../foo/", "/", "a/../", "a//", "/a"]) {
      await refuses("INVALID_ARGUMENT", () => entries(store, prefix));
    }
    assert.deepEqual(await keys(store), []);
  });
}

/** `bytes` bytes, or a range of them, that repeat with no power of two. */
async function* large(
  bytes: number,
  { begin, end }: { begin: number; end: number } = { begin: 0, end: bytes },
): AsyncGenerator<Uint8Array> {
  const pattern = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
  for (let at = begin; at < end;) {
    const offset = at % pattern.length;
    const chunk = pattern.slice(offset, Math.min(pattern.length, offset + end - at));
    at += chunk.length;
    yield await Promise.resolve(chunk);
  }
}

async function digest(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha1");
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest("hex");
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return concatBytes(parts);
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(utf8(part));
}

function put(store: ObjectStore, path: string, body: string): Promise<void> {
  const half = body.length >> 1;
  return store.put(path, chunks(body.slice(0, half), body.slice(half)), {}, never);
}

async function read(
  store: ObjectStore,
  path: string,
  range: { begin?: number; end?: number } = {},
): Promise<string> {
  return text(await bytesOf(store.get(path, range, never)));
}

async function entries(store: ObjectStore, prefix: string): Promise<ObjectEntry[]> {
  const found: ObjectEntry[] = [];
  for await (const entry of store.list(prefix, never)) found.push(entry);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function keys(store: ObjectStore, prefix = ""): Promise<string[]> {
  return (await entries(store, prefix)).map((entry) => entry.path);
}

async function refuses(code: Code, run: () => Promise<unknown>): Promise<void> {
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof WireError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}
