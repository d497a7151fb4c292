import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { lstat, mkdir, mkdtemp, open, readdir, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { concatBytes, never, systemClock, text, utf8, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { fileError } from "./file-errors.ts";
import { FileStore } from "./file-store.ts";

async function fixture(
  t: TestContext,
  url = "file:///fragments/",
): Promise<{ root: string; store: FileStore }> {
  const root = await mkdtemp(join(tmpdir(), "millrace-file-store-"));
  t.after(() => rm(root, { recursive: true }));
  const store = new FileStore(url, { root, clock: systemClock, random: seededRandom("file-store") });
  await store.ensureBase();
  return { root, store };
}

async function* body(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(utf8(part));
}

async function keys(store: FileStore, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { path } of store.list(prefix, never)) found.push(path);
  return found.sort();
}

async function read(store: FileStore, path: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of store.get(path, {}, never)) parts.push(part);
  return text(concatBytes(parts));
}

const refused = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof WireError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

/** Paths below `root` that are synced from now on; those that `fails` accepts reject with EIO. */
async function watchSyncs(
  t: TestContext,
  root: string,
  fails: (path: string) => boolean = () => false,
): Promise<Set<string>> {
  const synced = new Set<string>();
  const handle = await open(root, "r");
  const prototype = Object.getPrototypeOf(handle) as typeof handle;
  await handle.close();
  t.mock.method(prototype, "sync", function (this: typeof handle): Promise<void> {
    const path = readlinkSync(`/proc/self/fd/${this.fd}`).slice(root.length + 1);
    if (fails(path)) return Promise.reject(Object.assign(new Error("EIO: i/o error"), { code: "EIO" }));
    synced.add(path.replace(/\/\.partial-.*/, "/.partial"));
    return Promise.resolve();
  });
  return synced;
}

test("F2: put -> the file, its directory and all above it are synced", async (t) => {
  const { root, store } = await fixture(t);
  const synced = await watchSyncs(t, root);
  await store.put("a/b/x", body("1"), {}, never);
  const dirs = ["fragments", "fragments/a", "fragments/a/b"];
  assert.deepEqual([...synced].sort(), [...dirs, "fragments/a/b/.partial"]);
  synced.clear();
  await store.put("a/b/y", body("1"), {}, never);
  assert.deepEqual([...synced].sort(), ["fragments/a/b", "fragments/a/b/.partial"]);
});

test("F2: an object of a writer that died before it synced -> sync does so, up to the base", async (t) => {
  const { root, store } = await fixture(t);
  await mkdir(join(root, "fragments/a/b"), { recursive: true });
  await writeFile(join(root, "fragments/a/b/x"), "content");
  const synced = await watchSyncs(t, root);
  await store.sync("a/b/x", never);
  assert.deepEqual([...synced].sort(), ["fragments", "fragments/a", "fragments/a/b", "fragments/a/b/x"]);
});

test("F2: a put whose directory cannot be synced -> rejects with the object there; sync syncs it", async (t) => {
  const { root, store } = await fixture(t);
  let isFailing = false;
  const synced = await watchSyncs(t, root, (path) => isFailing && path === "fragments/a");
  await store.put("a/w", body("1"), {}, never);
  isFailing = true;
  await assert.rejects(() => store.put("a/x", body("1"), {}, never), refused("UNAVAILABLE", /EIO/));
  assert.deepEqual(await keys(store), ["a/w", "a/x"]);
  await assert.rejects(() => store.sync("a/x", never), refused("UNAVAILABLE", /EIO/));
  isFailing = false;
  synced.clear();
  await store.sync("a/x", never);
  assert.deepEqual([...synced].sort(), ["fragments/a", "fragments/a/x"]);
});

test("ensureBase: a base whose maker died before it synced -> its entry is synced", async (t) => {
  const { root } = await fixture(t, "file:///in/fragments/");
  const url = "file:///in/fragments/";
  const store = new FileStore(url, { root, clock: systemClock, random: seededRandom("x") });
  const synced = await watchSyncs(t, root);
  await store.ensureBase();
  assert.deepEqual([...synced].sort(), ["", "in"]);
});

test("put: makes directories 0750 and a plain file, leaves no partial", async (t) => {
  const { root, store } = await fixture(t);
  await store.put("a/journal/date=1/x.gz", body("hello"), { bytes: 5 }, never);
  for (const dir of ["fragments", "fragments/a", "fragments/a/journal/date=1"]) {
    assert.equal((await stat(join(root, dir))).mode & 0o777, 0o750, dir);
  }
  assert.deepEqual(await readdir(join(root, "fragments/a/journal/date=1")), ["x.gz"]);
});

test("every operation: the base is missing -> FORBIDDEN, and put does not make it", async (t) => {
  const { root, store } = await fixture(t);
  await rm(store.base, { recursive: true });
  const isRefused = refused(
    "FORBIDDEN",
    /^invalid file store directory .*fragments: it does not exist, or is no directory: make it$/,
  );
  await assert.rejects(() => store.put("a", body("1"), {}, never), isRefused);
  await assert.rejects(() => read(store, "a"), isRefused);
  await assert.rejects(() => store.head("a", never), isRefused);
  await assert.rejects(() => store.remove("a", never), isRefused);
  await assert.rejects(() => keys(store), isRefused);
  assert.deepEqual(await readdir(root), []);
  await store.ensureBase();
  await store.put("a", body("1"), {}, never);
  assert.deepEqual(await keys(store), ["a"]);
});

test("list, removePartials: partial files are not listed, and removed only when old", async (t) => {
  const { root, store } = await fixture(t);
  await store.put("a/x", body("1"), {}, never);
  await writeFile(join(root, "fragments/a/.partial-x.1"), "old");
  await writeFile(join(root, "fragments/a/.partial-x.2"), "new");
  await utimes(join(root, "fragments/a/.partial-x.1"), 1000, 1000);
  assert.deepEqual(await keys(store), ["a/x"]);
  assert.equal(await store.removePartials(24 * 3600 * 1000, never), 1);
  assert.deepEqual((await readdir(join(root, "fragments/a"))).sort(), [".partial-x.2", "x"]);
  await assert.rejects(
    () => store.put("a/.partial-y", body("1"), {}, never),
    refused("INVALID_ARGUMENT", /begins with/),
  );
});

test("put: a reader of the directory never sees a part of the object", async (t) => {
  const { root, store } = await fixture(t);
  async function* watched(): AsyncGenerator<Uint8Array> {
    yield utf8("half");
    assert.deepEqual(await keys(store), []);
    assert.equal(await store.head("a/x", never), undefined);
    assert.match((await readdir(join(root, "fragments/a"))).join(), /^\.partial-x\./);
    yield utf8("half");
  }
  await store.put("a/x", watched(), {}, never);
  assert.equal(await read(store, "a/x"), "halfhalf");
});

test("symbolic links: within the root they are followed, out of it nothing is read, written or listed", async (t) => {
  const { root, store } = await fixture(t);
  const outside = await mkdtemp(join(tmpdir(), "millrace-outside-"));
  t.after(() => rm(outside, { recursive: true }));
  await writeFile(join(outside, "secret"), "secret");
  await store.put("a/x", body("1"), {}, never);
  await symlink(outside, join(root, "fragments/out"));
  await symlink(join(outside, "secret"), join(root, "fragments/a/secret"));
  await symlink(join(root, "fragments/a"), join(root, "fragments/in"));
  await symlink(join(root, "fragments"), join(root, "fragments/a/circle"));
  await symlink(join(root, "nowhere"), join(root, "fragments/broken"));
  const found = await keys(store);
  assert.deepEqual(
    found.filter((path) => !path.includes("circle")),
    ["a/x", "in/x"],
  );
  assert.ok(found.length < 20, found.join());
  assert.equal(await read(store, "in/x"), "1");
  const isRefused = refused("INVALID_ARGUMENT", /leaves the store/);
  await assert.rejects(() => read(store, "out/secret"), isRefused);
  await assert.rejects(() => read(store, "a/secret"), isRefused);
  await assert.rejects(() => store.head("a/secret", never), isRefused);
  await assert.rejects(() => store.put("out/new", body("1"), {}, never), isRefused);
  await assert.rejects(() => store.remove("out/secret", never), isRefused);
  assert.deepEqual(await keys(store, "out/"), []);
  assert.deepEqual(await readdir(outside), ["secret"]);
});

test("find and replace: keys are rewritten once, listings give what was asked for", async (t) => {
  const { root, store } = await fixture(t, "file:///fragments/?FIND=foo/&replace=old/place/");
  await store.put("foo/journal/foo/x", body("1"), {}, never);
  await stat(join(root, "fragments/old/place/journal/foo/x"));
  assert.deepEqual(await keys(store, "foo/journal/"), ["foo/journal/foo/x"]);
  assert.equal(await read(store, "foo/journal/foo/x"), "1");
  assert.equal(await store.signGet("foo/journal/foo/x", 1), "file:///fragments/old/place/journal/foo/x");
  const leaving = new FileStore("file:///fragments/?find=foo&replace=..", {
    root,
    clock: systemClock,
    random: seededRandom("x"),
  });
  await assert.rejects(
    () => leaving.head("foo/../x", never),
    refused("INVALID_ARGUMENT", /leaves the store/),
  );
  await assert.rejects(() => leaving.head("foo/x", never), refused("INVALID_ARGUMENT", /leaves the store/));
});

test("a directory and an object of one name -> INVALID_ARGUMENT for put, NOT_FOUND for get", async (t) => {
  const { store } = await fixture(t);
  await store.put("a/b", body("1"), {}, never);
  await assert.rejects(
    () => store.put("a", body("1"), {}, never),
    refused("INVALID_ARGUMENT", /share a name/),
  );
  await assert.rejects(
    () => store.put("a/b/c", body("1"), {}, never),
    refused("INVALID_ARGUMENT", /share a name/),
  );
  await assert.rejects(() => read(store, "a"), refused("NOT_FOUND", /a/));
  await assert.rejects(() => read(store, "a/b/c"), refused("NOT_FOUND", /a\/b\/c/));
  assert.equal(await store.head("a", never), undefined);
  assert.equal(await store.head("a/b/c", never), undefined);
  await store.remove("a", never);
  await store.remove("a/b/c", never);
  assert.deepEqual(await keys(store), ["a/b"]);
});

test("a name that is too long -> INVALID_ARGUMENT", async (t) => {
  const { store } = await fixture(t);
  const isRefused = refused("INVALID_ARGUMENT", /ENAMETOOLONG/);
  await assert.rejects(() => store.put(`a/${"x".repeat(300)}`, body("1"), {}, never), isRefused);
  assert.deepEqual(await keys(store), []);
  await store.put(`a/${"x".repeat(255)}`, body("1"), {}, never);
  assert.equal((await keys(store)).length, 1);
});

test("put: a directory that was removed by hand -> made again", async (t) => {
  const { root, store } = await fixture(t);
  await store.put("a/b/1", body("1"), {}, never);
  await rm(join(root, "fragments/a"), { recursive: true });
  await store.put("a/b/2", body("2"), {}, never);
  assert.deepEqual(await keys(store), ["a/b/2"]);
});

test("put: not writable -> FORBIDDEN", async (t) => {
  const { root, store } = await fixture(t);
  await mkdir(join(root, "fragments/a"), { mode: 0o500 });
  await asNobody(() =>
    assert.rejects(() => store.put("a/b", body("1"), {}, never), refused("FORBIDDEN", /EACCES/)),
  );
  assert.ok((await lstat(join(root, "fragments/a"))).isDirectory());
});

/** Root may write anywhere, and gives that up for a while. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(65_534);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}

test("fileError: codes of the file system -> codes of the port", () => {
  const codes: Record<string, string> = {
    ENOENT: "NOT_FOUND",
    ENOSPC: "DISK_FULL",
    EDQUOT: "DISK_FULL",
    EACCES: "FORBIDDEN",
    EROFS: "FORBIDDEN",
    EIO: "UNAVAILABLE",
    EMFILE: "UNAVAILABLE",
  };
  for (const [errno, code] of Object.entries(codes)) {
    const error = fileError(Object.assign(new Error("x"), { code: errno }), "put", "a/b");
    assert.ok(error instanceof WireError);
    assert.equal(error.code, code);
    assert.match(error.message, new RegExp(`put of a/b failed: ${errno}`));
  }
  const reason = new Error("abort");
  assert.equal(fileError(reason, "put", "a"), reason);
});

test("list: many at once -> bounded, each whole; one that stops early or is aborted gives its turn back", async (t) => {
  const { store } = await fixture(t);
  for (let i = 0; i < 40; i++) await store.put(`j/${i}`, body("1"), {}, never);
  const firstOnly = async (): Promise<void> => {
    for await (const _ of store.list("j/", never)) break;
  };
  const aborted = AbortSignal.abort(new Error("stop"));
  const failing = async (): Promise<void> => {
    for await (const _ of store.list("j/", aborted)) break;
  };
  const all = await Promise.allSettled(
    Array.from({ length: 400 }, (_, i) =>
      i % 4 === 1 ? firstOnly() : i % 4 === 2 ? failing() : keys(store, "j/"),
    ),
  );
  assert.equal(all.filter(({ status }) => status === "rejected").length, 100);
  const listed = all.flatMap((one) =>
    one.status === "fulfilled" && one.value !== undefined ? [one.value] : [],
  );
  assert.ok(listed.every((paths) => paths.length === 40));
  assert.equal(listed.length, 200);
  assert.equal((await keys(store, "j/")).length, 40);
});
