import { deepEqual, equal, rejects } from "node:assert/strict";
import { describe, test } from "node:test";
import { never, utf8, WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore, TxnRequest, TxnResponse } from "./coordination.ts";
import { TXN_OPS_MAX } from "./limits.ts";
import { SharedTxns, type TxnPart } from "./shared-txns.ts";
import { openMemoryStore } from "./testkit.ts";

type Answer = (request: TxnRequest) => Promise<TxnResponse> | undefined;

class World {
  readonly sent: TxnRequest[] = [];
  readonly shared: SharedTxns;
  /** What is asked before the store is. */
  answer: Answer = () => undefined;

  constructor(store: CoordinationStore) {
    const txn = (request: TxnRequest, signal: AbortSignal): Promise<TxnResponse> => {
      this.sent.push(request);
      return this.answer(request) ?? store.txn(request, signal);
    };
    this.shared = new SharedTxns(Object.assign(Object.create(store) as CoordinationStore, { txn }));
  }

  static async open(): Promise<World> {
    return new World(await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("shared")));
  }

  /** @returns whether each succeeded, or the code with which it failed */
  outcomes(parts: readonly TxnPart[]): Promise<readonly (boolean | string)[]> {
    return Promise.all(
      parts.map((part) =>
        this.shared.txn(part, never).then(
          ({ succeeded }) => succeeded,
          (error: unknown) => WireError.from(error).code,
        ),
      ),
    );
  }

  get opsSent(): readonly number[] {
    return this.sent.map(({ success }) => success.length);
  }
}

/** Makes the key `name`, unless it is there. */
function create(name: string, ops = 1): TxnPart {
  const keys = Array.from({ length: ops }, (_, i) => `${name}/${i}`);
  return {
    subject: name,
    compare: [{ target: "version", key: keys[0]!, op: "=", version: 0 }],
    success: keys.map((key) => ({ kind: "put", key, value: utf8(name) })),
  };
}

describe("shared transactions", () => {
  test("those of one turn share one; each gets the results of its own operations", async () => {
    const w = await World.open();
    await w.outcomes([create("a"), create("b")]);
    deepEqual(w.opsSent, [2]);
    const read = (name: string): TxnPart => ({
      subject: name,
      compare: [],
      success: [{ kind: "range", key: `${name}/0` }],
    });
    const found = await Promise.all(["b", "none", "a"].map((name) => w.shared.txn(read(name), never)));
    const values = found.map(({ results: [one] }) =>
      one?.kind === "range" ? one.kvs.map(({ value }) => Buffer.from(value).toString()).join() : "?",
    );
    deepEqual(values, ["b", "", "a"]);
    equal(w.sent.length, 2);
  });

  test("one is under way at a time: what comes meanwhile shares the next one", async () => {
    const w = await World.open();
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    w.answer = (request) => {
      w.answer = () => undefined;
      return held.then(() => ({ ...ANSWER, results: request.success.map(() => PUT) }));
    };
    const first = w.outcomes([create("a")]);
    await settle();
    const rest = w.outcomes([create("b"), create("c")]);
    await settle();
    deepEqual(w.opsSent, [1]);
    go();
    deepEqual([...(await first), ...(await rest)], [true, true, true]);
    deepEqual(w.opsSent, [1, 2]);
  });

  test("a compare that fails concerns nobody else", async () => {
    for (const count of [1, 2, 3, 7, 16]) {
      for (let bad = 0; bad < count; bad++) {
        const w = await World.open();
        const parts = Array.from({ length: count }, (_, i) => create(`k${i}`));
        await w.outcomes([parts[bad]!]);
        const want = parts.map((_, i) => i !== bad);
        deepEqual(await w.outcomes(parts), want, `${bad} of ${count}`);
      }
    }
  });

  test("a refusal concerns its part; of what nobody knows all hear, and it is not sent again", async () => {
    for (const [code, want] of [
      ["NOT_FOUND", [true, "NOT_FOUND", true]],
      ["OUTCOME_UNKNOWN", ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]],
      ["UNAVAILABLE", ["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"]],
    ] as const) {
      const w = await World.open();
      w.answer = ({ success }) =>
        success.some(({ key }) => key === "b/0") ? Promise.reject(new WireError(code, "no")) : undefined;
      deepEqual(await w.outcomes([create("a"), create("b"), create("c")]), want, code);
      if (code !== "NOT_FOUND") equal(w.sent.length, 1);
    }
  });

  test("none is larger than a store takes, and no subject is in one twice", async () => {
    const w = await World.open();
    const parts = Array.from({ length: 50 }, (_, i) => create(`k${i}`, 9));
    deepEqual(new Set(await w.outcomes(parts)), new Set([true]));
    equal(Math.max(...w.opsSent), TXN_OPS_MAX - (TXN_OPS_MAX % 9));
    w.sent.length = 0;
    deepEqual(await w.outcomes([create("x"), create("x"), create("y")]), [true, false, true]);
    deepEqual(w.opsSent, [1, 2, 1, 1]);
  });

  test("whoever stops waiting hears at once, and what was not sent yet is not", async () => {
    const w = await World.open();
    const gone = new AbortController();
    const waits = w.shared.txn(create("a"), gone.signal);
    const other = w.outcomes([create("b")]);
    gone.abort(new Error("enough"));
    await rejects(waits, /enough/);
    deepEqual(await other, [true]);
    deepEqual(
      w.sent.map(({ success }) => success.map(({ key }) => key)),
      [["b/0"]],
    );
    deepEqual(await w.outcomes([create("a")]), [true]);
  });
});

const PUT = { kind: "put" } as const;
const ANSWER = {
  header: { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1n },
  succeeded: true,
} as const;
