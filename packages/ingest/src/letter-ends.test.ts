import assert from "node:assert/strict";
import { test } from "node:test";

import { LetterEnds } from "./letter-ends.ts";
import { ModelCatalog, modelSink } from "./model-catalog.ts";

test("ends of letters: own and seen ones count until they are forgotten, and are told until it is whole", () => {
  const catalog = new ModelCatalog();
  const sinks = Array.from({ length: 1024 }, (_, i) => modelSink({ sinkId: `sink-${i}` }));
  const ends = new LetterEnds(catalog);
  const [first, last] = [sinks[0]!, sinks.at(-1)!];
  catalog.put(last);
  for (const sink of sinks) ends.note(sink, 70);
  ends.note(last, 50);
  ends.forget(last);
  assert.deepEqual([ends.known(last), ends.heard(last)], [0, 70]);
  ends.note(last, 60);
  assert.deepEqual([ends.known(last), ends.heard(last)], [60, 70]);
  ends.noteWhole(last, 65);
  assert.deepEqual([ends.known(last), ends.heard(last)], [65, 65]);
  assert.equal(ends.known(first), 70);
  ends.note(modelSink({ sinkId: "one-more" }), 1); // those that are gone make room
  assert.deepEqual([ends.known(first), ends.known(last)], [0, 65]);
});
