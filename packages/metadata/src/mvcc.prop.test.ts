import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import fc from "fast-check";
import type { Compare, Key, StoreOp, TxnRequest } from "./coordination.ts";
import { EVERYTHING, inRange, prefixEnd } from "./key.ts";
import { Mvcc } from "./mvcc.ts";
import { describe, describeRange, MvccModel } from "./mvcc-model.ts";
import { decideTxn, txnResults } from "./mvcc-txn.ts";
import { decodeBatch, encodeBatch } from "./record-codec.ts";
import type { StoreRecord } from "./records.ts";
import { encodeSnapshot, SnapshotDecoder, type SnapshotHead } from "./snapshot-codec.ts";
import type { WideResult } from "./wide-requests.ts";

const KEYS = ["a", "a/1", "a/2", "b", "b/\xff", "c"] as const;
const LEASES = [11n, 12n, 13n] as const;

const key = fc.constantFrom<Key[]>(...KEYS);
const end = fc.option(fc.constantFrom<Key[]>(EVERYTHING, "a", "b", "c", "d", prefixEnd("b/\xff")), {
  nil: undefined,
});
const range = fc.record({ key, end }).map(({ key, end }) => (end === undefined ? { key } : { key, end }));
const value = fc.uint8Array({ maxLength: 3 });
const lease = fc.constantFrom(0n, 0n, 0n, ...LEASES);
/** Distance below the newest revision; negative is a future one. */
const age = fc.integer({ min: -1, max: 6 });
const op = fc.constantFrom("=", "!=", "<", ">");

type Step =
  | { readonly kind: "txn"; readonly make: (head: number) => TxnRequest; readonly undone: boolean }
  | { readonly kind: "grant" | "revoke"; readonly lease: bigint; readonly undone: boolean }
  | { readonly kind: "compact"; readonly age: number }
  | { readonly kind: "users"; readonly count: number; readonly undone: boolean }
  | { readonly kind: "restart" };

const compare = fc
  .tuple(fc.constantFrom("version", "create", "mod", "lease", "value"), range, op, age, lease, value)
  .map(([target, range, op, age, lease, value]) => (head: number): Compare => {
    if (target === "version") return { target, ...range, op, version: Math.max(0, 3 - age) };
    if (target === "lease") return { target, ...range, op, lease };
    if (target === "value") return { target, ...range, op, value };
    return { target, ...range, op, revision: Math.max(0, head - age) };
  });

const storeOp = fc.oneof(
  fc
    .record({ key, value, lease, ignoreLease: fc.constantFrom(false, false, false, true) })
    .map(({ key, value, lease, ignoreLease }) => (): StoreOp => {
      return ignoreLease ? { kind: "put", key, value, ignoreLease } : { kind: "put", key, value, lease };
    }),
  range.map((range) => (): StoreOp => ({ kind: "delete", ...range })),
  fc
    .record({ range, age: fc.option(age), limit: fc.integer({ min: 0, max: 3 }) })
    .map(({ range, age, limit }) => {
      const asked = (head: number): number => (age === null ? 0 : Math.max(0, head - age));
      return (head: number): StoreOp => ({ kind: "range", ...range, limit, revision: asked(head) });
    }),
);
const branch = fc.array(storeOp, { maxLength: 5 });
const undone = fc.constantFrom(false, false, true);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .record({ compares: fc.array(compare, { maxLength: 2 }), success: branch, failure: branch, undone })
      .map(({ compares, success, failure, undone }): Step => {
        const make = (head: number): TxnRequest => ({
          compare: compares.map((make) => make(head)),
          success: success.map((make) => make(head)),
          failure: failure.map((make) => make(head)),
        });
        return { kind: "txn", make, undone };
      }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("grant", "grant", "revoke"),
      lease: fc.constantFrom(...LEASES),
      undone,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact"), age: fc.integer({ min: 0, max: 6 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("users"), count: fc.integer({ min: 0, max: 3 }), undone }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "restart" }) },
);

test("mvcc: random transactions, leases, compactions, refusals and restarts -> what a naive model says", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const model = new MvccModel();
      let state = new Mvcc();
      for (const step of steps) {
        state = perform(state, model, step);
        equal(state.revision, model.revision);
        compareReads(state, model);
      }
    }),
    { numRuns: 300 },
  );
});

function perform(state: Mvcc, model: MvccModel, step: Step): Mvcc {
  switch (step.kind) {
    case "txn":
      performTxn(state, model, step.make(state.revision), step.undone);
      return state;
    case "grant":
      if (state.leases.has(step.lease)) return state;
      replay(
        state,
        { kind: "lease-granted", lease: step.lease, ttlSeconds: 5, owner: "remote" },
        step.undone,
      );
      if (!step.undone) model.leases.add(step.lease);
      return state;
    case "revoke": {
      const keys = state.leases.get(step.lease)?.keys.size;
      if (keys === undefined) return state;
      const revision = state.revision + (keys > 0 ? 1 : 0);
      replay(state, { kind: "lease-revoked", lease: step.lease, revision }, step.undone);
      if (!step.undone) model.revoke(step.lease);
      return state;
    }
    case "compact": {
      const revision = state.revision - step.age;
      if (revision <= state.compactRevision || revision < 1) return state;
      replay(state, { kind: "compacted", revision }, false);
      model.compactRevision = revision;
      return state;
    }
    case "users": {
      const { auth } = state;
      const users = Array.from({ length: step.count }, (_, i) => {
        return { name: `user ${i}`, password: undefined, isRoot: i % 2 === 0 };
      });
      const next = { ...auth, revision: auth.revision + 1, users };
      replay(state, { kind: "auth-changed", auth: next }, step.undone);
      deepEqual(state.auth, step.undone ? auth : next);
      return state;
    }
    case "restart":
      return restart(state);
  }
}

function performTxn(state: Mvcc, model: MvccModel, request: TxnRequest, undone: boolean): void {
  const revision = state.revision;
  let outcome: { succeeded: boolean; results: string[] } | undefined;
  let applied: ReturnType<Mvcc["replay"]> | undefined;
  try {
    const decision = decideTxn(state, request);
    if (decision.record !== undefined) applied = replay(state, decision.record, false);
    outcome = { succeeded: decision.succeeded, results: txnResults(state, decision).map(describeResult) };
  } catch (error) {
    ok(error instanceof WireError, String(error));
  }
  if (!undone) {
    deepEqual(outcome, model.txn(request));
    return;
  }
  if (applied !== undefined) state.undo(applied);
  equal(state.revision, revision);
}

/** Replays `record` as a log would give it back. */
function replay(state: Mvcc, record: StoreRecord, undone: boolean): ReturnType<Mvcc["replay"]> {
  const [decoded] = decodeBatch(encodeBatch([record]));
  deepEqual(decoded, record);
  const applied = state.replay(decoded);
  if (undone) state.undo(applied);
  return applied;
}

function restart(state: Mvcc): Mvcc {
  const restored = new Mvcc();
  const decoder = new SnapshotDecoder(restored);
  for (const chunk of encodeSnapshot(state, headOf(state))) decoder.push(chunk);
  decoder.end();
  equal(restored.compactRevision, state.compactRevision);
  equal(restored.historyBytes, state.historyBytes);
  deepEqual(restored.leases, state.leases);
  deepEqual(restored.auth, state.auth);
  return restored;
}

function headOf(state: Mvcc): SnapshotHead {
  return { leases: [...state.leases.values()], auth: state.auth, revision: state.revision };
}

function compareReads(state: Mvcc, model: MvccModel): void {
  const everything = { key: EVERYTHING, end: EVERYTHING };
  for (let revision = Math.max(1, model.compactRevision); revision <= model.revision; revision++) {
    const { kvs, count } = state.range({ ...everything, revision }, state.revision);
    equal(`range ${count} ${kvs.map(describe).join(" ")}`, describeRange(model.at(revision), everything));
  }
  for (let revision = Math.max(2, model.compactRevision); revision <= model.revision; revision++) {
    const events = state
      .eventsAt(revision)
      .map(({ kind, kv }) => (kind === "put" ? describe(kv) : `${kv.key}-`));
    deepEqual(events.toSorted(), model.changes(revision).toSorted());
  }
  if (model.compactRevision > 1) {
    let code = "";
    try {
      state.range({ ...everything, revision: model.compactRevision - 1 }, state.revision);
    } catch (error) {
      code = WireError.from(error).code;
    }
    equal(code, "COMPACTED");
  }
  for (const [id, { keys }] of state.leases) {
    const expected = [...model.at(model.revision).values()]
      .filter((kv) => kv.lease === id)
      .map((kv) => kv.key);
    deepEqual([...keys].sort(), expected.sort());
  }
  deepEqual(new Set(state.leases.keys()), model.leases);
  let kept = 0;
  state.keys.scan(EVERYTHING, undefined, ({ versions }, key) => {
    kept++;
    ok(versions.length > 0, "A3");
    ok(
      versions.every(({ modRevision }, i) => i === 0 || versions[i - 1]!.modRevision < modRevision),
      "A3",
    );
    const compacted = versions.filter(({ modRevision }) => modRevision <= state.compactRevision);
    ok(compacted.length <= 1 && compacted.every(({ version }) => version > 0), "A4");
    ok(inRange(key, everything));
    return true;
  });
  equal(kept, state.keys.size);
}

function describeResult(result: WideResult): string {
  if (result.kind === "txn") return `txn ${result.succeeded}`;
  if (result.kind === "put") return "put";
  if (result.kind === "delete") return `delete ${result.deleted}`;
  return `range ${result.count} ${result.kvs.map(describe).join(" ")}`;
}
