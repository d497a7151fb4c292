import assert from "node:assert/strict";
import { test } from "node:test";
import { never, WireError } from "@millrace/base";
import type { JournalTransport } from "@millrace/client";
import { deleteChange, type ListResponse } from "@millrace/protocol";
import { applyChanges } from "./apply-changes.ts";

/** A broker that has `journals` at their revisions, and refuses each transaction but the first `taken`. */
function brokerWith(journals: Readonly<Record<string, number>>, taken: number): JournalTransport {
  const header = { etcd: { revision: 7 } };
  const listed = Object.entries(journals).map(([name, modRevision]) => ({ spec: { name }, modRevision }));
  let applied = 0;
  return {
    apply: () =>
      Promise.resolve({ status: applied++ < taken ? "OK" : "ETCD_TRANSACTION_FAILED", header, keys: [] }),
    list: () => Promise.resolve({ status: "OK", header, journals: listed } as unknown as ListResponse),
  } as unknown as JournalTransport;
}

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof WireError && error.code === "ETCD_TRANSACTION_FAILED");
  assert.match(error.message, message);
  return true;
};

test("apply: revisions do not fit -> the journals that they do not fit, and what was done before", async () => {
  const transport = brokerWith({ "a/there": 14, "a/fits": 3 }, 1);
  const changes = [
    deleteChange("a/done", -1),
    deleteChange("a/any", -1),
    deleteChange("a/there", 0),
    deleteChange("a/fits", 3),
    deleteChange("a/gone", 5),
  ];
  const all =
    /: a\/there is at revision 14, expected is 0: that it does not exist; a\/gone does not exist, expected is 5$/;
  await assert.rejects(
    applyChanges(brokerWith({ "a/there": 14, "a/fits": 3 }, 0), changes, 9, never),
    refused(all),
  );
  const second =
    /a\/there is at revision 14, expected is 0: that it does not exist; 2 changes before it are done$/;
  await assert.rejects(applyChanges(transport, changes, 2, never), refused(second));
});

test("apply: many do not fit -> five are named; none does any more -> somebody was faster", async () => {
  const many = Array.from({ length: 60 }, (_, at) => deleteChange(`a/${at}`, 5));
  const more = /a\/4 does not exist, expected is 5; and 55 more$/;
  await assert.rejects(applyChanges(brokerWith({}, 0), many, 99, never), refused(more));
  const fits = [deleteChange("a/x", 5)];
  await assert.rejects(
    applyChanges(brokerWith({ "a/x": 5 }, 0), fits, 9, never),
    refused(/somebody else changed/),
  );
  assert.equal(await applyChanges(brokerWith({}, 9), many, 20, never), 7);
});
