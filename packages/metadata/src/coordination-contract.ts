// What every coordination store must do, whatever stands behind the port: one list of cases for the embedded store
// and, with a harness around it, for a real etcd. Keys stay under the harness's prefix and revisions are relative, so
// that a shared server will do.
import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { utf8, WireError, type Clock, type Code } from "@millrace/base";
import type {
  CoordinationStore,
  Key,
  StoreEvent,
  StoreOp,
  TxnResponse,
  WatchRequest,
} from "./coordination.ts";
import { EVERYTHING, prefixEnd, prefixRange } from "./key.ts";
import { groupCases } from "./coordination-contract-groups.ts";
import { leaseCases } from "./coordination-contract-leases.ts";
import { watchCases } from "./coordination-contract-watch.ts";

export interface ContractHarness {
  readonly store: CoordinationStore;
  /** Under which nothing stands yet. */
  readonly prefix: Key;
  /** What goes on with advance(). */
  readonly clock: Clock;
  /** Lets the store's clock go on by `ms`. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface ContractCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

export type ContractStep = (world: ContractWorld) => Promise<void>;

/** A harness with the short forms that the cases speak in. */
export class ContractWorld {
  readonly store: CoordinationStore;
  readonly prefix: Key;
  readonly signal: AbortSignal = new AbortController().signal;
  readonly #harness: ContractHarness;

  constructor(harness: ContractHarness) {
    this.#harness = harness;
    this.store = harness.store;
    this.prefix = harness.prefix;
  }

  get clock(): Clock {
    return this.#harness.clock;
  }

  advance(ms: number): Promise<void> {
    return this.#harness.advance(ms);
  }

  key(name: string): Key {
    return this.prefix + name;
  }

  async put(name: string, value: string, lease = 0n): Promise<number> {
    return (await this.write([{ kind: "put", key: this.key(name), value: utf8(value), lease }])).header
      .revision;
  }

  async delete(name: string): Promise<number> {
    return (await this.write([{ kind: "delete", key: this.key(name) }])).header.revision;
  }

  write(ops: readonly StoreOp[]): Promise<TxnResponse> {
    return this.store.txn({ compare: [], success: ops }, this.signal);
  }

  /** `name=value` of what stands under the prefix, in order. */
  async list(revision = 0): Promise<string> {
    const { kvs } = await this.store.range({ ...prefixRange(this.prefix), revision }, this.signal);
    return kvs.map(({ key, value }) => `${this.#name(key)}=${textOfValue(value)}`).join(" ");
  }

  async revision(): Promise<number> {
    return (await this.store.range({ key: this.key("none") }, this.signal)).header.revision;
  }

  /** The first `count` events from `fromRevision` on, each as `name=value@revision`; a deletion as `name-@revision`. */
  async events(count: number, fromRevision: number, request: Partial<WatchRequest> = {}): Promise<string> {
    const seen: StoreEvent[] = [];
    const stop = new AbortController();
    const range = { ...prefixRange(this.prefix), ...request, fromRevision };
    for await (const { events } of this.store.watch(range, stop.signal)) {
      seen.push(...events);
      if (seen.length >= count) stop.abort();
    }
    return this.describe(seen, fromRevision);
  }

  describe(events: readonly StoreEvent[], fromRevision: number): string {
    const one = ({ kind, kv }: StoreEvent): string => {
      const what = kind === "put" ? `=${textOfValue(kv.value)}` : "-";
      return `${this.#name(kv.key)}${what}@${kv.modRevision - fromRevision}`;
    };
    return events.map(one).join(" ");
  }

  /** Expects `work` to be refused with `code` and a message that holds `text`. */
  async refused(work: Promise<unknown>, code: Code, text: string): Promise<void> {
    await rejects(work, (error: unknown) => {
      ok(error instanceof WireError, String(error));
      equal(error.code, code, error.message);
      ok(error.message.includes(text), error.message);
      return true;
    });
  }

  #name(key: Key): string {
    return key.slice(this.prefix.length);
  }
}

function textOfValue(value: Uint8Array): string {
  return Buffer.from(value).toString();
}

/** @param makeStore called once for each case */
export function coordinationContract(makeStore: () => Promise<ContractHarness>): readonly ContractCase[] {
  return Object.entries({ ...keyCases, ...txnCases, ...leaseCases, ...groupCases, ...watchCases }).map(
    ([name, step]) => ({
      name,
      run: async () => {
        const harness = await makeStore();
        try {
          await step(new ContractWorld(harness));
        } finally {
          await harness.close();
        }
      },
    }),
  );
}

const keyCases: Record<string, ContractStep> = {
  "range: nothing there -> no keys, ids that are not zero": async (w) => {
    const { header, kvs, count, more } = await w.store.range({ key: w.key("a") }, w.signal);
    deepEqual([kvs, count, more], [[], 0, false]);
    notEqual(header.clusterId, 0n);
    notEqual(header.memberId, 0n);
    ok(header.raftTerm >= 1n);
    ok(header.revision >= 1);
  },
  "put: version counts from creation, deletion starts anew": async (w) => {
    const first = await w.put("a", "1");
    const second = await w.put("a", "2");
    const read = await w.store.range({ key: w.key("a") }, w.signal);
    const { key, value, ...meta } = read.kvs[0]!;
    deepEqual([key, Buffer.from(value).toString()], [w.key("a"), "2"]);
    deepEqual(meta, { createRevision: first, modRevision: second, version: 2, lease: 0n });
    equal(second, first + 1);
    equal(await w.delete("a"), second + 1);
    const again = await w.put("a", "3");
    const { kvs } = await w.store.range({ key: w.key("a") }, w.signal);
    deepEqual([kvs[0]!.createRevision, kvs[0]!.version], [again, 1]);
  },
  "put: bytes above 0x7f, empty value -> kept and ordered by byte": async (w) => {
    for (const name of ["\xff", "a", "\xff\xff", "\x01", "b"]) await w.put(name, "");
    const { kvs } = await w.store.range(prefixRange(w.prefix), w.signal);
    deepEqual(
      kvs.map(({ key }) => key.slice(w.prefix.length)),
      ["\x01", "a", "b", "\xff", "\xff\xff"],
    );
    const above = await w.store.range(prefixRange(w.key("\xff")), w.signal);
    equal(above.count, 2);
    equal(prefixEnd("\xff\xff"), EVERYTHING);
  },
  "range: begin, end, limit, countOnly, keysOnly": async (w) => {
    for (const name of ["a", "b", "c", "d"]) await w.put(name, name);
    const limited = await w.store.range({ key: w.key("a"), end: w.key("d"), limit: 2 }, w.signal);
    deepEqual([limited.kvs.length, limited.count, limited.more], [2, 3, true]);
    const exact = await w.store.range({ key: w.key("a"), end: w.key("d"), limit: 3 }, w.signal);
    deepEqual([exact.kvs.length, exact.count, exact.more], [3, 3, false]);
    const counted = await w.store.range({ ...prefixRange(w.prefix), countOnly: true }, w.signal);
    deepEqual([counted.kvs.length, counted.count, counted.more], [0, 4, false]);
    const keys = await w.store.range({ key: w.key("b"), keysOnly: true }, w.signal);
    deepEqual([keys.kvs[0]!.value.length, keys.kvs[0]!.version], [0, 1]);
    const empty = await w.store.range({ key: w.key("c"), end: w.key("b") }, w.signal);
    equal(empty.count, 0);
  },
  "range: at an old revision -> the state as it was": async (w) => {
    const first = await w.put("a", "1");
    await w.put("b", "1");
    await w.put("a", "2");
    const last = await w.delete("b");
    equal(await w.list(first), "a=1");
    equal(await w.list(first + 1), "a=1 b=1");
    equal(await w.list(first + 2), "a=2 b=1");
    equal(await w.list(last), "a=2");
    await w.refused(w.list(last + 1), "INVALID_ARGUMENT", "mvcc: required revision is a future revision");
  },
  "range: empty key, char above 0xff -> INVALID_ARGUMENT": async (w) => {
    await w.refused(w.store.range({ key: "" }, w.signal), "INVALID_ARGUMENT", "key is not provided");
    await w.refused(w.store.range({ key: "\u0100" }, w.signal), "INVALID_ARGUMENT", "above 0xff");
  },
  "delete: range -> one revision for all, counted": async (w) => {
    for (const name of ["a/1", "a/2", "b"]) await w.put(name, "");
    const before = await w.revision();
    const { header, results } = await w.write([{ kind: "delete", ...prefixRange(w.key("a/")) }]);
    deepEqual(results, [{ kind: "delete", deleted: 2 }]);
    equal(header.revision, before + 1);
    equal(await w.list(), "b=");
  },
  "compact: older revisions are gone, newest values stay": async (w) => {
    const first = await w.put("a", "1");
    const second = await w.put("a", "2");
    await w.put("b", "1");
    const last = await w.delete("b");
    await w.store.compact(second, w.signal);
    await w.refused(w.list(first), "COMPACTED", "mvcc: required revision has been compacted");
    equal(await w.list(second), "a=2");
    equal(await w.list(second + 1), "a=2 b=1");
    equal(await w.list(last), "a=2");
    const text = "mvcc: required revision has been compacted";
    await w.refused(w.store.compact(second, w.signal), "COMPACTED", text);
    await w.refused(w.store.compact(last + 9, w.signal), "INVALID_ARGUMENT", "is a future revision");
    await w.store.compact(last, w.signal);
    equal(await w.list(last), "a=2");
  },
  "a signal that has aborted -> refused, nothing written": async (w) => {
    const gone = AbortSignal.abort(new Error("gone"));
    const put: StoreOp = { kind: "put", key: w.key("a"), value: utf8("1") };
    await rejects(w.store.txn({ compare: [], success: [put] }, gone), /gone/);
    await rejects(w.store.range({ key: w.key("a") }, gone), /gone/);
    equal(await w.list(), "");
  },
};

const txnCases: Record<string, ContractStep> = {
  "txn: missing key -> version, create, mod and lease are 0, any value compare fails": async (w) => {
    const key = w.key("none");
    const holds = async (
      compare: Parameters<CoordinationStore["txn"]>[0]["compare"][number],
    ): Promise<boolean> => (await w.store.txn({ compare: [compare], success: [] }, w.signal)).succeeded;
    equal(await holds({ target: "version", key, op: "=", version: 0 }), true);
    equal(await holds({ target: "create", key, op: "=", revision: 0 }), true);
    equal(await holds({ target: "mod", key, op: "<", revision: 1 }), true);
    equal(await holds({ target: "lease", key, op: "=", lease: 0n }), true);
    equal(await holds({ target: "version", key, op: "!=", version: 0 }), false);
    for (const op of ["=", "!=", "<", ">"] as const) {
      equal(await holds({ target: "value", key, op, value: utf8("") }), false, op);
    }
  },
  "txn: compares of a present key, of a range": async (w) => {
    const first = await w.put("a", "b");
    const second = await w.put("b", "b");
    const key = w.key("a");
    const holds = async (
      compare: Parameters<CoordinationStore["txn"]>[0]["compare"][number],
    ): Promise<boolean> => (await w.store.txn({ compare: [compare], success: [] }, w.signal)).succeeded;
    equal(await holds({ target: "version", key, op: ">", version: 0 }), true);
    equal(await holds({ target: "create", key, op: "=", revision: first }), true);
    equal(await holds({ target: "mod", key, op: ">", revision: first }), false);
    equal(await holds({ target: "value", key, op: "=", value: utf8("b") }), true);
    equal(await holds({ target: "value", key, op: ">", value: utf8("aa") }), true);
    equal(await holds({ target: "value", key, op: "<", value: utf8("bb") }), true);
    equal(await holds({ target: "lease", key, op: "!=", lease: 7n }), true);
    const all = prefixRange(w.prefix);
    equal(await holds({ target: "create", ...all, op: "<", revision: second + 1 }), true);
    equal(await holds({ target: "create", ...all, op: "<", revision: second }), false);
    equal(await holds({ target: "create", ...prefixRange(w.key("none/")), op: "<", revision: 1 }), true);
  },
  "txn: all compares must hold, else the other branch": async (w) => {
    const a = { target: "version", key: w.key("a"), op: "=", version: 0 } as const;
    const b = { target: "version", key: w.key("b"), op: "=", version: 1 } as const;
    const request = {
      compare: [a, b],
      success: [{ kind: "put", key: w.key("a"), value: utf8("yes") }],
      failure: [{ kind: "put", key: w.key("b"), value: utf8("no") }],
    } as const;
    equal((await w.store.txn(request, w.signal)).succeeded, false);
    equal((await w.store.txn(request, w.signal)).succeeded, true);
    equal(await w.list(), "a=yes b=no");
  },
  "txn: operations in order, one revision, ranges see what is before them": async (w) => {
    await w.put("a", "old");
    const before = await w.put("b", "old");
    const range = { kind: "range", ...prefixRange(w.prefix) } as const;
    const { header, results } = await w.write([
      range,
      { kind: "put", key: w.key("a"), value: utf8("new") },
      range,
      { kind: "delete", key: w.key("b") },
      { kind: "delete", key: w.key("b") },
      { kind: "put", key: w.key("c"), value: utf8("new") },
      range,
    ]);
    equal(header.revision, before + 1);
    const seen = results.map((result) => {
      if (result.kind !== "range") return result.kind === "delete" ? `deleted ${result.deleted}` : "put";
      const kvs = result.kvs.map(({ value }) => Buffer.from(value).toString()).join(",");
      return `${kvs}@${result.header.revision - before}`;
    });
    deepEqual(seen, ["old,old@0", "put", "new,old@1", "deleted 1", "deleted 0", "put", "new,new@1"]);
  },
  "txn: nothing changes -> the revision stays": async (w) => {
    const before = await w.put("a", "1");
    const read = await w.write([{ kind: "range", key: w.key("a") }]);
    const gone = await w.write([{ kind: "delete", key: w.key("none") }]);
    deepEqual([read.header.revision, gone.header.revision], [before, before]);
    equal(await w.put("a", "1"), before + 1);
  },
  "txn: a key twice, or put and deleted -> refused, whichever branch, nothing written": async (w) => {
    const put: StoreOp = { kind: "put", key: w.key("a"), value: utf8("1") };
    const text = "etcdserver: duplicate key given in txn request";
    await w.refused(w.write([put, put]), "INVALID_ARGUMENT", text);
    await w.refused(w.write([put, { kind: "delete", key: w.key("a") }]), "INVALID_ARGUMENT", text);
    await w.refused(w.write([{ kind: "delete", ...prefixRange(w.prefix) }, put]), "INVALID_ARGUMENT", text);
    const unused = w.store.txn({ compare: [], success: [], failure: [put, put] }, w.signal);
    await w.refused(unused, "INVALID_ARGUMENT", text);
    const both = { compare: [], success: [put], failure: [put] };
    equal((await w.store.txn(both, w.signal)).succeeded, true);
    equal(await w.list(), "a=1");
  },
  "txn: ignoreLease needs the key, and no lease": async (w) => {
    const put = { kind: "put", key: w.key("a"), value: utf8("1"), ignoreLease: true } as const;
    await w.refused(w.write([put]), "INVALID_ARGUMENT", "etcdserver: key not found");
    await w.refused(w.write([{ ...put, lease: 7n }]), "INVALID_ARGUMENT", "etcdserver: lease is provided");
  },
  "txn: a failing operation -> nothing of the transaction": async (w) => {
    const before = await w.put("a", "1");
    const put: StoreOp = { kind: "put", key: w.key("b"), value: utf8("1") };
    const unknownLease: StoreOp = { kind: "put", key: w.key("c"), value: utf8("1"), lease: 12345n };
    await w.refused(w.write([put, unknownLease]), "NOT_FOUND", "etcdserver: requested lease not found");
    const future: StoreOp = { kind: "range", key: w.key("a"), revision: before + 1 };
    await w.refused(w.write([put, future]), "INVALID_ARGUMENT", "is a future revision");
    equal(await w.list(), "a=1");
    equal(await w.revision(), before);
  },
  "txn: 128 operations and 1.5 MiB pass, more do not (D26)": async (w) => {
    const puts = (count: number, bytes: number): readonly StoreOp[] =>
      Array.from({ length: count }, (_, i) => ({
        kind: "put",
        key: w.key(`k${i}`),
        value: new Uint8Array(bytes),
      }));
    await w.write(puts(128, 10));
    await w.refused(
      w.write(puts(129, 10)),
      "INVALID_ARGUMENT",
      "etcdserver: too many operations in txn request",
    );
    const compare = Array.from({ length: 129 }, () => {
      return { target: "version", key: w.key("a"), op: "=", version: 0 } as const;
    });
    const compares = w.store.txn({ compare, success: [] }, w.signal);
    await w.refused(compares, "INVALID_ARGUMENT", "etcdserver: too many operations in txn request");
    await w.write(puts(3, 500 * 1024));
    await w.refused(w.write(puts(3, 520 * 1024)), "INVALID_ARGUMENT", "etcdserver: request is too large");
  },
  "txn: many at once -> each has a revision of its own": async (w) => {
    const before = await w.revision();
    const puts = await Promise.all(Array.from({ length: 50 }, (_, i) => w.put(`k${i % 10}`, String(i))));
    const expected = Array.from({ length: 50 }, (_, i) => before + 1 + i);
    deepEqual(
      [...puts].sort((a, b) => a - b),
      expected,
    );
  },
  "txn: counters raised by guarded writes -> no raise is lost": async (w) => {
    const raise = async (): Promise<void> => {
      for (;;) {
        const { kvs } = await w.store.range({ key: w.key("n") }, w.signal);
        const value = utf8(String(Number(Buffer.from(kvs[0]?.value ?? []).toString() || "0") + 1));
        const compare = [
          { target: "mod", key: w.key("n"), op: "=", revision: kvs[0]?.modRevision ?? 0 } as const,
        ];
        const put = { kind: "put", key: w.key("n"), value } as const;
        if ((await w.store.txn({ compare, success: [put] }, w.signal)).succeeded) return;
      }
    };
    await Promise.all(Array.from({ length: 10 }, raise));
    equal(await w.list(), "n=10");
  },
};
