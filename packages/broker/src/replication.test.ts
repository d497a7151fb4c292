import assert from "node:assert/strict";
import { test } from "node:test";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import type { CommitOutcome } from "@millrace/fragments";
import { LIMBO_MS } from "./limits.ts";
import type { LocalJournal } from "./local-journal.ts";
import { Replication, type ReplicationPorts } from "./replication.ts";

interface World {
  readonly agenda: Agenda;
  readonly lease: { isLate: boolean };
  /** What becomes of appends that are in the log. */
  readonly kinds: CommitOutcome["kind"][];
  commit(): void;
  /** What the store says of the lease. */
  answer(isAlive: boolean): void;
}

function world(): World {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  let answer: ((isAlive: boolean) => void) | undefined;
  const lease = {
    isLate: false,
    isAlive: (signal: AbortSignal): Promise<boolean> =>
      new Promise((resolve, reject) => {
        answer = resolve;
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      }),
  };
  const replication = new Replication({ clock, lease } as unknown as ReplicationPorts, {} as LocalJournal, {
    evicted: () => assert.fail("nobody evicts"),
    stalled: () => assert.fail("nobody waits"),
  });
  const kinds: CommitOutcome["kind"][] = [];
  return {
    agenda,
    lease,
    kinds,
    commit: () => {
      const told = replication.committedAlone(({ kind }) => void kinds.push(kind));
      told({ kind: "acknowledged", begin: 0, end: 5 });
    },
    answer: (isAlive) => answer!(isAlive),
  };
}

test("commit on a route of one member: the lease is not late -> acknowledged, and nobody is asked", () => {
  const w = world();
  w.commit();
  assert.deepEqual(w.kinds, ["acknowledged"]);
});

test("the same, late -> the outcome is as the store says of the lease, not known when it says nothing", async () => {
  const w = world();
  w.lease.isLate = true;
  for (const isAlive of [true, false]) {
    w.commit();
    await settle();
    w.answer(isAlive);
    await settle();
  }
  assert.deepEqual(w.kinds, ["acknowledged", "unknown"]);
  w.commit();
  await w.agenda.advance(LIMBO_MS - 1);
  assert.equal(w.kinds.length, 2);
  await w.agenda.advance(1);
  assert.deepEqual(w.kinds, ["acknowledged", "unknown", "unknown"]);
});
