// Every kind of remote store against a real server of its protocol: the conformance suite, signed URLs, and what
// networks and services do to requests (fault-proxy.ts).
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { concatBytes, never, text, utf8, WireError } from "@millrace/base";
import { request } from "undici";
import { FaultProxy, type ProxyFault } from "./fault-proxy.ts";
import type { ObjectStore } from "./object-store.ts";
import { REMOTE_KINDS, type RemoteKind } from "./remote-kinds.ts";
import { objectStoreConformance } from "./store-conformance.ts";
import { BUCKET, type StoreServer } from "./system-store-servers.ts";

for (const kind of REMOTE_KINDS) {
  if (kind.missing === false) declareKind(kind);
  else it(kind.name, { skip: kind.missing }, () => undefined);
}

function declareKind(kind: RemoteKind): void {
  let started: Promise<StoreServer> | undefined;
  let count = 0;
  const server = (): Promise<StoreServer> => {
    started ??= kind.start();
    return started;
  };
  const fresh = (): string => `${BUCKET}/t${++count}/deep/`;
  describe(kind.name, () => {
    after(async () => {
      await (await started)?.stop();
    });
    objectStoreConformance(kind.name, async () => {
      const { address } = await server();
      const below = fresh();
      return {
        store: kind.open(address, below, ""),
        withArguments: (args) => kind.open(address, below, args),
        close: () => Promise.resolve(),
      };
    });
    declareServiceTests(kind, server, fresh);
    declareFaultTests(kind, async (run) => {
      const proxy = new FaultProxy((await server()).address);
      try {
        await run(kind.open(await proxy.listen(), fresh(), ""), proxy);
      } finally {
        await proxy.close();
      }
    });
  });
}

function declareServiceTests(
  kind: RemoteKind,
  server: () => Promise<StoreServer>,
  fresh: () => string,
): void {
  it("signGet: anybody who has the URL reads the object, and nothing else", async () => {
    const store = kind.open((await server()).address, fresh(), "");
    const path = "j ö/date=2026-01-01/a%2Fb+c;d";
    await store.put(path, body("content"), {}, never);
    const url = await store.signGet(path, 60_000);
    assert.equal(await fetched(url), "200 content");
    if (!kind.checksSignatures) return;
    const otherSignature = url.replace(/(?<=signature=|sig=)./i, (char) => (char === "0" ? "1" : "0"));
    const otherObject = url.replace(/date(?=%3D|=)/i, "dato");
    for (const forged of [otherSignature, otherObject]) {
      assert.notEqual(forged, url);
      assert.equal((await fetched(forged)).slice(0, 3), "403", forged);
    }
    assert.match(await fetched(url.split("?")[0]!), /^4/);
  });

  it("a bucket that is not there -> FORBIDDEN for put, list and get", async () => {
    const { address } = await server();
    const store = kind.open(address, "no-such-bucket/", "");
    const forbidden = (error: unknown): boolean => error instanceof WireError && error.code === "FORBIDDEN";
    await assert.rejects(() => store.put("a", body("content"), {}, never), forbidden);
    await assert.rejects(() => keys(store), forbidden);
    // The emulator of GCS does not say what it is that it has not.
    if (kind.checksSignatures) await assert.rejects(() => read(store), forbidden);
  });
}

type WithProxy = (run: (store: ObjectStore, proxy: FaultProxy) => Promise<void>) => Promise<void>;

function declareFaultTests(kind: RemoteKind, withProxy: WithProxy): void {
  const test = (name: string, run: (store: ObjectStore, proxy: FaultProxy) => Promise<void>): void => {
    it(name, () => withProxy(run));
  };

  for (const fault of ["refuse", "lose-answer"] as const) {
    test(`${fault}, once for each operation -> it is tried again`, async (store, proxy) => {
      const once = async <T>(run: () => Promise<T>): Promise<T> => {
        let left = 1;
        proxy.script = () => (left-- > 0 ? fault : undefined);
        return run();
      };
      await once(() => store.put("a", body("content"), {}, never));
      assert.equal((await once(() => store.head("a", never)))?.bytes, 7);
      assert.equal(await once(() => read(store)), "content");
      assert.deepEqual(await once(() => keys(store)), ["a"]);
      await once(() => store.remove("a", never));
      assert.equal(await store.head("a", never), undefined);
    });

    test(`${fault}, always -> UNAVAILABLE after four attempts`, async (store, proxy) => {
      proxy.script = () => fault;
      await unavailable(() => store.put("a", body("content"), {}, never));
      assert.equal(proxy.requests.length, 4);
      await unavailable(() => store.head("a", never));
      await unavailable(() => read(store));
      await unavailable(() => keys(store));
      proxy.script = undefined;
      // Whoever lost the answer has to look.
      assert.equal((await store.head("a", never))?.bytes, fault === "refuse" ? undefined : 7);
    });

    test(`${fault}, at every second request of a large put -> whole, or not known to be`, async (store, proxy) => {
      let count = 0;
      proxy.script = ({ method }) => (method !== "GET" && count++ % 2 === 0 ? fault : undefined);
      const bytes = 17 * 2 ** 20 + 5;
      let isPut = true;
      // The end of an upload cannot always be asked for twice: unknown then, and whoever needs to know looks.
      await store.put("a", repeated(bytes), { bytes }, never).catch((error: unknown) => {
        assert.equal((error as WireError).code, "UNAVAILABLE");
        isPut = false;
      });
      proxy.script = undefined;
      const found = await store.head("a", never);
      if (isPut || (found !== undefined && !kind.repeatsParts)) assert.equal(found?.bytes, bytes);
      assert.ok(isPut || fault === "lose-answer");
    });
  }

  test("cut-answer -> get fails after what arrived, and says where", async (store, proxy) => {
    const bytes = 3_000_000;
    await store.put("a", repeated(bytes), {}, never);
    proxy.script = ({ method }) => (method === "GET" ? "cut-answer" : undefined);
    let seen = 0;
    await unavailable(async () => {
      for await (const chunk of store.get("a", {}, never)) seen += chunk.length;
    });
    assert.ok(seen < bytes);
  });

  test("wrong-range -> get of a range is refused", async (store, proxy) => {
    await store.put("a", body("0123456789"), {}, never);
    proxy.script = () => "wrong-range";
    await unavailable(() => read(store, { begin: 4, end: 6 }));
  });

  test("stale listings -> the object is missing there, and head knows it", async (store, proxy) => {
    assert.deepEqual(await keys(store), []);
    await store.put("a", body("content"), {}, never);
    proxy.script = ({ method, path }) => (method === "GET" && isListing(path) ? "stale" : undefined);
    assert.deepEqual(await keys(store), []);
    assert.equal((await store.head("a", never))?.bytes, 7);
    proxy.script = undefined;
    assert.deepEqual(await keys(store), ["a"]);
  });

  test("silence: an abort -> ends the request at the server too", async (store, proxy) => {
    await store.put("a", body("content"), {}, never);
    proxy.script = (): ProxyFault => "silence";
    const operations: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => store.head("a", signal),
      (signal) => store.put("b", body("content"), {}, signal),
      (signal) => store.remove("a", signal),
      async (signal) => {
        for await (const _ of store.list("", signal)) break;
      },
      async (signal) => {
        for await (const _ of store.get("a", {}, signal)) break;
      },
    ];
    for (const [index, run] of operations.entries()) {
      const abort = new AbortController();
      const reason = new Error("stop");
      const before = proxy.requests.length;
      const running = assert.rejects(
        () => run(abort.signal),
        (error) => error === reason,
      );
      await until(() => proxy.requests.length > before);
      abort.abort(reason);
      await running;
      await until(() => proxy.goneCount > index);
    }
  });
}

function isListing(path: string): boolean {
  return path.includes("list-type=2") || path.includes("comp=list") || /\/o\?/.test(path);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setImmediate(done));
}

async function fetched(url: string): Promise<string> {
  const { statusCode, body: answer } = await request(url);
  return `${statusCode} ${await answer.text()}`;
}

async function* body(content: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(utf8(content));
}

async function* repeated(bytes: number): AsyncGenerator<Uint8Array> {
  for (let left = bytes; left > 0; left -= 65_536) {
    yield await Promise.resolve(new Uint8Array(Math.min(left, 65_536)).fill(left & 0xff));
  }
}

async function read(store: ObjectStore, range: { begin?: number; end?: number } = {}): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of store.get("a", range, never)) parts.push(part);
  return text(concatBytes(parts));
}

async function keys(store: ObjectStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { path } of store.list("", never)) found.push(path);
  return found.sort();
}

async function unavailable(run: () => Promise<unknown>): Promise<void> {
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof WireError, String(error));
    assert.equal(error.code, "UNAVAILABLE", error.message);
    return true;
  });
}
