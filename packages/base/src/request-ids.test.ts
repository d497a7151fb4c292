import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestIds } from "./request-ids.ts";
import { seededRandom } from "./testkit.ts";

test("request ids: many of one process, across the carry -> 15 letters, none twice, one beginning", () => {
  const ids = new RequestIds(seededRandom("ids"));
  const seen = Array.from({ length: 3 * 36 * 36 }, () => ids.next());
  assert.equal(new Set(seen).size, seen.length);
  for (const id of seen) assert.match(id, /^[0-9a-z]{15}$/);
  assert.equal(new Set(seen.map((id) => id.slice(0, 9))).size, 1);
  assert.notEqual(new RequestIds(seededRandom("others")).next().slice(0, 9), seen[0]!.slice(0, 9));
});
