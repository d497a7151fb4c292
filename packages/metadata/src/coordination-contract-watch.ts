// The cases of the coordination contract about watches.
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { WireError } from "@millrace/base";
import type { WatchBatch } from "./coordination.ts";
import type { ContractStep } from "./coordination-contract.ts";
import { EVERYTHING, prefixRange } from "./key.ts";

export const watchCases: Record<string, ContractStep> = {
  "watch: from a past revision -> history, then what comes": async (w) => {
    const first = await w.put("a", "1");
    await w.put("b", "1");
    const watched = w.events(4, first);
    await w.delete("a");
    await w.put("b", "2");
    equal(await watched, "a=1@0 b=1@1 a-@2 b=2@3");
  },
  "watch: default -> from the revision after the call, not after the first pull": async (w) => {
    const before = await w.put("a", "1");
    const stop = new AbortController();
    const watch = w.store.watch(prefixRange(w.prefix), stop.signal);
    await w.put("a", "2");
    for await (const { events } of watch) {
      equal(w.describe(events, before), "a=2@1");
      stop.abort();
    }
  },
  "watch: other keys -> not seen; one key, range and everything from a key": async (w) => {
    const first = await w.put("b", "1");
    await w.put("bb", "1");
    await w.put("a", "1");
    await w.put("c", "1");
    await w.put("b", "2");
    const request = { key: w.key("b") };
    const one: string[] = [];
    const stop = new AbortController();
    for await (const { events } of w.store.watch({ ...request, fromRevision: first }, stop.signal)) {
      one.push(w.describe(events, first));
      if (one.join(" ").includes("@4")) stop.abort();
    }
    equal(one.join(" "), "b=1@0 b=2@4");
    equal(await w.events(3, first, { key: w.key("b"), end: w.key("c") }), "b=1@0 bb=1@1 b=2@4");
    equal(await w.events(4, first, { key: w.key("b"), end: EVERYTHING }), "b=1@0 bb=1@1 c=1@3 b=2@4");
  },
  "watch: a transaction -> its events in order of its operations, in one batch": async (w) => {
    const before = await w.put("z", "1");
    await w.write([
      { kind: "put", key: w.key("c"), value: new Uint8Array(0) },
      { kind: "delete", key: w.key("z") },
      { kind: "put", key: w.key("a"), value: new Uint8Array(0) },
    ]);
    equal(await w.events(3, before + 1), "c=@0 z-@0 a=@0");
  },
  "watch: an event carries the whole key, a deletion only the key and its revision": async (w) => {
    const lease = await w.store.grantLease(10, w.signal);
    const first = await w.put("a", "1", lease);
    const last = await w.delete("a");
    const stop = new AbortController();
    const kvs: unknown[] = [];
    for await (const { events } of w.store.watch({ key: w.key("a"), fromRevision: first }, stop.signal)) {
      for (const { kv } of events) kvs.push({ ...kv, value: Buffer.from(kv.value).toString() });
      if (kvs.length >= 2) stop.abort();
    }
    const key = w.key("a");
    deepEqual(kvs, [
      { key, value: "1", createRevision: first, modRevision: first, version: 1, lease },
      { key, value: "", createRevision: 0, modRevision: last, version: 0, lease: 0n },
    ]);
  },
  "watch: a compacted revision -> COMPACTED; the compaction revision itself -> served": async (w) => {
    const first = await w.put("a", "1");
    const second = await w.put("a", "2");
    await w.put("a", "3");
    await w.store.compact(second, w.signal);
    await rejects(
      w.events(1, first),
      (error: unknown) => error instanceof WireError && error.code === "COMPACTED",
    );
    equal(await w.events(2, second), "a=2@0 a=3@1");
  },
  "watch: a future revision -> waits for it": async (w) => {
    const now = await w.put("a", "1");
    const watched = w.events(1, now + 2);
    await w.put("a", "2");
    await w.put("a", "3");
    equal(await watched, "a=3@0");
  },
  "watch: abort -> ends without an error, also while it waits": async (w) => {
    const stop = new AbortController();
    const ended = (async () => {
      const batches: WatchBatch[] = [];
      for await (const batch of w.store.watch(prefixRange(w.prefix), stop.signal)) batches.push(batch);
      return batches;
    })();
    await w.put("a", "1");
    await w.advance(100);
    stop.abort();
    equal((await ended).length, 1);
    const none: WatchBatch[] = [];
    for await (const batch of w.store.watch(prefixRange(w.prefix), stop.signal)) none.push(batch);
    deepEqual(none, []);
  },
  "watch: a slow watcher -> every event once, whole revisions, headers ascend": async (w) => {
    const first = (await w.revision()) + 1;
    const stop = new AbortController();
    const seen: number[] = [];
    let last = 0;
    const watching = (async () => {
      for await (const { header, events } of w.store.watch(
        { ...prefixRange(w.prefix), fromRevision: first },
        stop.signal,
      )) {
        ok(events.length % 2 === 0, "two events a revision");
        ok(header.revision > last);
        last = header.revision;
        for (const { kv } of events) seen.push(kv.modRevision - first);
        await w.advance(10);
        if (seen.length >= 400) stop.abort();
      }
    })();
    for (let i = 0; i < 200; i++) {
      const value = new Uint8Array(0);
      await w.write([
        { kind: "put", key: w.key(`x${i}`), value },
        { kind: "put", key: w.key(`y${i}`), value },
      ]);
    }
    await watching;
    const expected = Array.from({ length: 400 }, (_, i) => i >> 1);
    deepEqual(seen, expected);
  },
  "watch: progress asked for -> batches without events say how far the store is": async (w) => {
    const stop = new AbortController();
    const watch = w.store.watch({ key: w.key("quiet"), progress: true }, stop.signal);
    const revision = await w.put("other", "1");
    for await (const { header, events } of watch) {
      deepEqual(events, []);
      if (header.revision >= revision) stop.abort();
    }
  },
};
