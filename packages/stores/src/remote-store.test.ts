import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { test } from "node:test";
import { never, utf8, WireError, type Code } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { RemoteDriver, StoreFailure } from "./remote-driver.ts";
import { RemoteStore } from "./remote-store.ts";

const HOUR_MS = 3_600_000;
const PASSING: StoreFailure = { code: "UNAVAILABLE", isPassing: true, reason: "503" };
const FORBIDDEN: StoreFailure = { code: "FORBIDDEN", isPassing: false, reason: "403" };

class Refused extends Error {
  readonly failure: StoreFailure;
  constructor(failure: StoreFailure) {
    super(failure.reason);
    this.failure = failure;
  }
}

/** A driver of which only `operations` work. */
function driver(operations: Partial<RemoteDriver>): RemoteDriver {
  const not = (): never => {
    throw new Error("not expected");
  };
  const failureOf = (thrown: unknown): StoreFailure =>
    thrown instanceof Refused
      ? thrown.failure
      : { code: "INTERNAL", isPassing: false, reason: String(thrown) };
  const none = { list: not, get: not, head: not, put: not, upload: not, remove: not, signGet: not };
  return { ...none, failureOf, ...operations };
}

function fixture(operations: Partial<RemoteDriver>): { store: RemoteStore; clock: SimulatedClock } {
  const clock = new SimulatedClock(new Agenda());
  const options = {
    url: "s3://bucket/prefix/",
    prefix: "prefix/",
    rewrite: { find: "", replace: "" },
    load: () => Promise.resolve(driver(operations)),
    partBytes: () => 4,
  };
  return { store: new RemoteStore(options, { clock, random: seededRandom("remote") }), clock };
}

async function* body(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(utf8(part));
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of source) found.push(one);
  return found;
}

const coded = (code: Code, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof WireError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return true;
};

test("put: refused after an attempt whose answer was lost -> not FORBIDDEN: it may have happened", async () => {
  const answers = [PASSING, FORBIDDEN];
  const { store, clock } = fixture({ put: () => Promise.reject(new Refused(answers.shift()!)) });
  const putting = assert.rejects(
    () => store.put("a", body("1"), {}, never),
    coded("UNAVAILABLE", /^put of a failed: 403$/),
  );
  await clock.agenda.advance(HOUR_MS);
  await putting;
});

test("put: refused at once -> FORBIDDEN", async () => {
  const { store } = fixture({ put: () => Promise.reject(new Refused(FORBIDDEN)) });
  await assert.rejects(() => store.put("a", body("1"), {}, never), coded("FORBIDDEN", /403/));
});

test("put: a part is refused -> the upload is given back, the failure is told", async () => {
  const done: string[] = [];
  const upload = {
    part: ({ index }: { index: number }) =>
      index === 1 ? Promise.reject(new Refused(FORBIDDEN)) : Promise.resolve(),
    finish: () => Promise.resolve(void done.push("finish")),
    abandon: () => Promise.reject(new Error(String(done.push("abandon")))),
  };
  const { store } = fixture({ upload: () => Promise.resolve(upload) });
  await assert.rejects(() => store.put("a", body("0123", "4567", "8"), {}, never), coded("FORBIDDEN", /403/));
  assert.deepEqual(done, ["abandon"]);
});

test("head: a service that says nothing -> UNAVAILABLE in time, though the driver heeds no signal", async () => {
  const { store, clock } = fixture({ head: () => new Promise(() => undefined) });
  let failed: unknown;
  void store.head("a", never).catch((error: unknown) => (failed = error));
  assert.ok(await clock.agenda.runUntil(() => failed !== undefined, 4 * 30_000 + 3000));
  coded("UNAVAILABLE", /timed out after 30000 ms/)(failed);
});

test("get: a body that stalls -> UNAVAILABLE, and it is destroyed", async () => {
  const stalled = new Readable({ read() {} });
  stalled.push(utf8("01"));
  const { store, clock } = fixture({
    get: () => Promise.resolve({ body: stalled, bytes: 10, range: undefined }),
  });
  const reading = assert.rejects(
    () => all(store.get("a", {}, never)),
    coded("UNAVAILABLE", /cut off.*timed out after 60000 ms/),
  );
  await clock.agenda.advance(HOUR_MS);
  await reading;
  assert.ok(stalled.destroyed);
});

test("get: more or fewer bytes than the answer says, or another range -> UNAVAILABLE", async () => {
  const answers: [begin: number, said: { bytes?: number; range?: string }, RegExp][] = [
    [0, { bytes: 3 }, /cut off: after 4 of 3 bytes/],
    [0, { bytes: 5 }, /cut off: after 4 of 5 bytes/],
    [2, { bytes: 4 }, /content-range missing/],
    [2, { bytes: 4, range: "bytes 0-3/9" }, /asked for \[2, \), got content-range bytes 0-3\/9/],
    [2, { bytes: 9, range: "bytes 2-5/9" }, /content-length 9/],
    [2, { bytes: 4, range: "bytes 2-x/9" }, /content-range bytes 2-x/],
  ];
  for (const [begin, { bytes, range }, message] of answers) {
    const { store } = fixture({
      get: () => Promise.resolve({ body: Readable.from([utf8("0123")]), bytes, range }),
    });
    await assert.rejects(() => all(store.get("a", { begin }, never)), coded("UNAVAILABLE", message));
  }
});

test("list: keys of other prefixes, directories and keys that get refuses -> left out", async () => {
  const keys = [
    "prefix/j/a",
    "prefix/j/dir/",
    "prefix/j//b",
    "prefix/j/../c",
    "elsewhere/j/d",
    "",
    "prefix/j/",
  ];
  const objects = keys.map((key) => ({ key, bytes: 1, modTimeMs: 1 }));
  const { store } = fixture({ list: () => Promise.resolve({ objects, next: undefined }) });
  assert.deepEqual(
    (await all(store.list("j/", never))).map(({ path }) => path),
    ["j/a"],
  );
});

test("list: a service whose next page is the same again -> UNAVAILABLE, not an endless listing", async () => {
  const { store } = fixture({ list: () => Promise.resolve({ objects: [], next: "again" }) });
  await assert.rejects(() => all(store.list("", never)), coded("UNAVAILABLE", /does not end/));
});

test("a driver that cannot be loaded -> loaded again at the next call", async () => {
  let loads = 0;
  const ports = { clock: new SimulatedClock(new Agenda()), random: seededRandom("load") };
  const load = (): Promise<RemoteDriver> =>
    loads++ === 0
      ? Promise.reject(new WireError("FORBIDDEN", "no credentials"))
      : Promise.resolve(driver({ head: () => Promise.resolve(undefined) }));
  const store = new RemoteStore(
    { url: "s3://b/", prefix: "", rewrite: { find: "", replace: "" }, load },
    ports,
  );
  await assert.rejects(() => store.head("a", never), coded("FORBIDDEN", /no credentials/));
  assert.equal(await store.head("a", never), undefined);
  assert.equal(loads, 2);
});

test("the package's door imports no vendor's SDK before a store is used", () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const walk = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const source = readFileSync(new URL(file, import.meta.url), "utf8");
    for (const [, name = ""] of source.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";/gm)) {
      if (name.startsWith("./")) walk(name);
      else packages.add(name);
    }
  };
  walk("./index.js");
  assert.ok(seen.has("./remote-store.js"));
  assert.deepEqual(
    [...packages].filter((name) => !name.startsWith("node:") && !name.startsWith("@millrace/")),
    [],
  );
});
