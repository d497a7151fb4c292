import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WireError } from "@millrace/base";
import { builder, decode } from "@millrace/protobuf";
import * as kv from "./etcd-api/kv.ts";
import { watchResponse, type Event } from "./etcd-api/watch.ts";
import { WatchEvents } from "./etcd-watch-events.ts";

const newResponse = builder(watchResponse);
const newKeyValue = builder(kv.keyValue);
const header = { clusterId: 1n, memberId: 2n, revision: 1000, raftTerm: 3n };

test("watch events: any history, any fragments, a break anywhere -> every event once, whole revisions", () => {
  const history = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 20 });
  const sizes = fc.infiniteStream(fc.integer({ min: 1, max: 5 }));
  fc.assert(
    fc.property(history, sizes, sizes, fc.nat(40), (revisions, batches, fragments, breakAfter) => {
      const all = revisions.flatMap((count, at) => Array.from({ length: count }, () => at + 1));
      const seen: number[] = [];
      let next = 1;
      let answersLeft = breakAfter;
      for (let stream = 0; stream < 2; stream++) {
        const events = new WatchEvents(next);
        for (let from = next; from <= revisions.length;) {
          const to = from + batches.next().value; // etcd's batches end with a revision, its fragments anywhere.
          const batch = all.filter((revision) => revision >= from && revision < to);
          from = to;
          while (batch.length > 0 && (stream === 1 || answersLeft-- > 0)) {
            const part = batch.splice(0, fragments.next().value).map(eventOf);
            for (const step of events.push(
              newResponse({ header, events: part, fragment: batch.length > 0 }),
            )) {
              if (step.kind === "batch") seen.push(...step.batch.events.map((one) => one.kv.modRevision));
            }
          }
          if (stream === 0 && answersLeft < 0) break;
        }
        ({ next } = events);
      }
      deepEqual(seen, all);
    }),
  );
});

test("watch events: random bytes -> steps or a WireError", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (answers) => {
      const events = new WatchEvents(1);
      try {
        for (const bytes of answers) events.push(decode(watchResponse, bytes));
      } catch (thrown) {
        if (!(thrown instanceof WireError)) throw thrown;
      }
    }),
    { numRuns: 1000 },
  );
});

function eventOf(modRevision: number): Event {
  return { type: "PUT", kv: newKeyValue({ key: "k", modRevision }) };
}
