import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommitOutcome } from "@millrace/fragments";
import type { LocalJournal } from "./local-journal.ts";
import { Replication, type ReplicationPorts } from "./replication.ts";

test("commit on a route of one member: the lease was not renewed in time -> the outcome is not known", () => {
  let isLate = false;
  const ports = { isLate: () => isLate } as unknown as ReplicationPorts;
  const replication = new Replication(ports, {} as LocalJournal, {
    evicted: () => assert.fail("nobody evicts"),
    stalled: () => assert.fail("nobody waits"),
  });
  const outcomes: CommitOutcome[] = [];
  const done = replication.committedAlone((outcome) => void outcomes.push(outcome));
  done({ kind: "acknowledged", begin: 0, end: 5 });
  isLate = true;
  done({ kind: "acknowledged", begin: 0, end: 5 });
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ["acknowledged", "unknown"],
  );
});
