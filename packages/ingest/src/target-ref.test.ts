import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { isSameTarget, targetName, type TargetRef } from "./target-ref.ts";
import { onlyTarget } from "./target.ts";

const text = fc.constantFrom("a", "b", '","', "main.t");
const ref: fc.Arbitrary<TargetRef> = fc
  .tuple(text, fc.option(text, { nil: undefined }))
  .map(([tableId, connection]) => ({
    kind: "duckdb",
    tableId,
    ...(connection === undefined ? {} : { connection }),
  }));

test("targets: the same place <-> the same name, and every part counts", () => {
  fc.assert(
    fc.property(ref, ref, (a, b) => {
      const same = a.tableId === b.tableId && a.connection === b.connection;
      assert.equal(isSameTarget(a, b), same);
      assert.equal(targetName(a) === targetName(b), same);
    }),
  );
});

test("targets: the only one there is -> opened for its kind, no other connection", async () => {
  const registry = onlyTarget("duckdb", 7);
  assert.equal(await registry.open({ kind: "duckdb", tableId: "main.t" }), 7);
  await assert.rejects(() => registry.open({ kind: "duckdb", connection: "x", tableId: "main.t" }), {
    code: "UNPROCESSABLE",
  });
});
