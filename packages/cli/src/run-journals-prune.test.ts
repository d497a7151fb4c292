import assert from "node:assert/strict";
import { test } from "node:test";
import { never, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import type { JournalTransport } from "@millrace/client";
import { newFragment, newFragmentsResponse, newJournalSpec, type Fragment } from "@millrace/protocol";
import { pruneEach } from "./run-journals-prune.ts";

const NAMES = ["a/one", "a/two", "a/three"];

function fragmentsOf(journal: string): Fragment[] {
  const store = { backingStore: "file:///", modTime: 1 };
  return [0, 1, 2, 3].map((at) => newFragment({ journal, begin: at * 10, end: at * 10 + 10, ...store }));
}

test("prune: a store or a broker refuses -> no hole in that journal, others go on, all is told last", async () => {
  const specs = NAMES.map((name) =>
    newJournalSpec({ name, fragment: { ...newJournalSpec({ name }).fragment, retentionMs: 1 } }),
  );
  const listFragments: JournalTransport["listFragments"] = async ({ journal }) => {
    if (journal === "a/three") throw new WireError("UNAVAILABLE", "no broker has it");
    return newFragmentsResponse({ fragments: fragmentsOf(journal).map((spec) => ({ spec, signedUrl: "" })) });
  };
  const lines: string[] = [];
  const remove = async ({ journal, begin }: Fragment): Promise<void> => {
    if (journal === "a/one" && begin === 10) throw new WireError("FORBIDDEN", "the store refuses");
    lines.push(`removed ${journal} ${begin}`);
  };
  const transport = { listFragments } as JournalTransport;
  const door = { transport, clock: new SimulatedClock(new Agenda()) };
  const counts: number[] = [];
  const io = { signal: never, err: (text: string) => void lines.push(text.trimEnd()) };
  await assert.rejects(
    pruneEach(door, specs, remove, ({ fragmentsPruned }) => void counts.push(fragmentsPruned), io),
    { code: "FORBIDDEN", message: "2 of 3 journals could not be pruned, or not to the end" },
  );
  assert.deepEqual(counts, [1, 3, 0]);
  assert.deepEqual(lines, [
    ...["removed a/one 0", "removed a/two 0", "removed a/two 10", "removed a/two 20"],
    ...["a/one: the store refuses", "a/three: no broker has it"],
  ]);
});
