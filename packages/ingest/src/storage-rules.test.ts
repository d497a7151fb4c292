import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { FileState, Partition, Slice, SliceState, StorageFile } from "./storage-entities.ts";
import { fileMayBecome, fileViolation, sliceMayBecome, tilingViolation } from "./storage-rules.ts";
import { storedFile, storedSlice } from "./storage-fixtures.ts";
import type { TargetRef } from "./target-ref.ts";

const FILE_STATES: readonly FileState[] = ["writing", "closing", "importing", "imported"];
const SLICE_STATES: readonly SliceState[] = ["writing", "closing", "uploading", "uploaded", "imported"];

/** Specification 5.1. A new state does not compile until it is decided here. */
const PERMITTED: Record<FileState, Record<SliceState, boolean>> = {
  writing: { writing: true, closing: true, uploading: true, uploaded: true, imported: false },
  closing: { writing: false, closing: true, uploading: true, uploaded: true, imported: false },
  importing: { writing: false, closing: false, uploading: false, uploaded: true, imported: false },
  imported: { writing: false, closing: false, uploading: false, uploaded: false, imported: true },
};

describe("states of a file and of its slices", () => {
  for (const file of FILE_STATES) {
    for (const slice of SLICE_STATES) {
      const allowed = PERMITTED[file][slice];
      test(`a ${file} file with a ${slice} slice -> ${allowed ? "permitted" : "refused"}`, () => {
        const violation = fileViolation(storedFile(file).value, [
          ...permittedWith(file),
          storedSlice(slice).value,
        ]);
        assert.equal(violation === undefined, allowed);
      });
    }
  }

  test("a slice of another lane or target -> refused", () => {
    const file: StorageFile = storedFile("writing").value;
    assert.ok(fileViolation(file, [storedSlice("writing", { n: 24 }).value]) !== undefined);
    const others: TargetRef[] = [
      { kind: "duckdb", tableId: "main.other" },
      { kind: "duckdb", connection: "other", tableId: file.target.tableId },
    ];
    for (const target of others) {
      assert.ok(fileViolation(file, [storedSlice("writing", { target }).value]) !== undefined);
    }
  });

  test("transitions go forwards along the chain only", () => {
    for (const [i, from] of FILE_STATES.entries()) {
      for (const [j, to] of FILE_STATES.entries())
        assert.equal(fileMayBecome(from, to), j >= i, `${from} ${to}`);
    }
    for (const [i, from] of SLICE_STATES.entries()) {
      for (const [j, to] of SLICE_STATES.entries())
        assert.equal(sliceMayBecome(from, to), j >= i, `${from} ${to}`);
    }
  });
});

describe("tiling", () => {
  const key = { projectId: 1, branchId: 1, sourceId: "source", sinkId: "sink", n: 0 };
  const common = {
    ...key,
    journal: "j",
    createdAt: "2026-01-01T00:00:00.000Z",
    staged: { offset: 0, filter: [] },
  };
  const active: Partition = { ...common, state: "active" };
  const retired: Partition = {
    ...common,
    state: "retired",
    retiredAt: common.createdAt,
    end: 30,
    target: { kind: "duckdb", tableId: "main.t" },
  };
  const slice = (begin: number, end?: number): Slice => {
    return end === undefined
      ? storedSlice("writing", { begin }).value
      : storedSlice("uploaded", { begin, end }).value;
  };
  const elsewhere = (begin: number, startsTarget: boolean): Slice => {
    const target: TargetRef = { kind: "duckdb", connection: "other", tableId: "main.sink" };
    return storedSlice("writing", { begin, target, startsTarget }).value;
  };
  const cases: [name: string, partition: Partition, slices: Slice[], holds: boolean][] = [
    ["each begins where its predecessor ends", active, [slice(0, 10), slice(10, 30), slice(30)], true],
    ["removed at the front", active, [slice(10, 30), slice(30)], true],
    ["an empty one in between", active, [slice(0, 10), slice(10, 10), slice(10)], true],
    ["one that starts another target", active, [slice(0, 10), elsewhere(10, true)], true],
    ["one with another target that does not say so", active, [slice(0, 10), elsewhere(10, false)], false],
    ["a gap", active, [slice(0, 10), slice(11)], false],
    ["an overlap", active, [slice(0, 10), slice(9)], false],
    ["an end before its begin", active, [slice(10, 9), slice(9)], false],
    ["two that are open", active, [slice(0), slice(10)], false],
    ["none that is open", active, [slice(0, 10)], false],
    ["nothing", active, [], false],
    ["retired, to its end", retired, [slice(0, 10), slice(10, 30)], true],
    ["retired, all removed", retired, [], true],
    ["retired, not to its end", retired, [slice(0, 10)], false],
    ["retired, with an open slice", retired, [slice(0, 30), slice(30)], false],
  ];
  for (const [name, partition, slices, holds] of cases) {
    test(`${name} -> ${holds ? "tiles" : "violation"}`, () => {
      assert.equal(tilingViolation(partition, slices) === undefined, holds);
    });
  }
});

/** A slice that the file may have, so that the other one decides. */
function permittedWith(file: FileState): Slice[] {
  return [storedSlice(file === "imported" ? "imported" : "uploaded").value];
}
