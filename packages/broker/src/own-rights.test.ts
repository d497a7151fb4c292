// A broker whose own rights at the coordination store are taken away while it runs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, WireError, type Code } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import type { AppendPreamble } from "@millrace/protocol";
import { applySpec, journalSpec, openTestBroker, preamble } from "./broker-testkit.ts";
import { HoldersStore } from "./holders-store.ts";

const { name: _, ...template } = journalSpec("examples/any");
const EMPTY = { kind: "bytes", bytes: [] } as const;

/** `real`, whose transactions and ranges are refused once `refusal.code` is set. */
function refusing(real: CoordinationStore, refusal: { code: Code | undefined }): CoordinationStore {
  const ask = <T>(call: () => Promise<T>): Promise<T> =>
    refusal.code === undefined
      ? call()
      : Promise.reject(new WireError(refusal.code, "etcdserver: permission denied (key secret/one)"));
  return {
    range: (request, signal) => ask(() => real.range(request, signal)),
    txn: (request, signal) => ask(() => real.txn(request, signal)),
    watch: (request, signal) => real.watch(request, signal),
    grantLease: (ttl, signal) => real.grantLease(ttl, signal),
    keepAlive: (lease, signal) => real.keepAlive(lease, signal),
    revokeLease: (lease, signal) => real.revokeLease(lease, signal),
    compact: (revision, signal) => real.compact(revision, signal),
  };
}

for (const code of ["FORBIDDEN", "UNAUTHENTICATED"] as const) {
  test(`own rights: the store answers ${code} -> UNAVAILABLE for callers, who have done nothing wrong`, async () => {
    const clock = new SimulatedClock(new Agenda());
    const real = await openMemoryStore(clock, seededRandom("rights"));
    const refusal: { code: Code | undefined } = { code: undefined };
    const coordination = refusing(real, refusal);
    const { transport, close } = await openTestBroker({
      clock,
      coordination,
      autoCreate: [{ prefix: "examples/", template }],
    });
    const append = (journal: string, fields: Partial<AppendPreamble> = {}): Promise<unknown> =>
      transport.append(preamble(journal, fields), EMPTY, never);
    const told = {
      code: "UNAVAILABLE",
      message: "the coordination store refuses this broker: its log says what",
    };
    try {
      await applySpec(transport, journalSpec("a/journal"));
      await append("a/journal");
      refusal.code = code;
      await assert.rejects(append("examples/new"), told);
      await assert.rejects(append("a/journal", { suspend: "SUSPEND_NOW" }), told);
      await assert.rejects(applySpec(transport, journalSpec("b/journal")), told);
      await assert.rejects(
        new HoldersStore(coordination, "/gazette/cluster").read("a/journal", 1, never),
        told,
      );
      refusal.code = undefined;
      await append("a/journal");
    } finally {
      refusal.code = undefined;
      await close();
      await real.close();
    }
  });
}
