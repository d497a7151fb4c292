import assert from "node:assert/strict";
import { test } from "node:test";
import type { LocalEntry } from "@millrace/fragments";
import { encodeReadResponse, newReadResponse, ZERO_SHA1 } from "@millrace/protocol";
import type { JournalReplica } from "./journal-replica.ts";
import { localFragment } from "./local-fragment.ts";
import { journalSpec } from "./broker-testkit.ts";

test("local fragment: its sum is not known without reading it -> the zero sum, which goes over the wire", () => {
  const replica = { journal: "a/journal", spec: journalSpec("a/journal") } as JournalReplica;
  const span = { begin: 0, end: 20, firstAppendMs: 0, closed: false, sum: () => "" };
  const entry: LocalEntry = { kind: "local", begin: 0, end: 20, fragment: span };
  const fragment = localFragment(replica, entry);
  assert.equal(fragment.sum, ZERO_SHA1);
  assert.ok(encodeReadResponse(newReadResponse({ status: "OK", fragment })).length > 0);
});
