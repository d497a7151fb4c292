import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { utf8, WireError } from "@millrace/base";

import { decodeFile, decodePartition, decodeSlice, decodeSum, encodeJson } from "./storage-codec.ts";
import type { FileState, Partition, SliceState } from "./storage-entities.ts";
import { storedFile, storedSlice } from "./storage-fixtures.ts";

const AT = "2026-01-01T00:00:00.000Z";
const RETRY = { attempt: 1, reason: "no", firstFailedAt: AT, lastFailedAt: AT, retryAfter: AT };
const WAREHOUSE = { kind: "duckdb", tableId: "main.t" } as const;
const KEY = { projectId: 1, branchId: 2, sourceId: "s", sinkId: "k" };

function refused(decode: () => unknown, field: string): void {
  assert.throws(decode, (error) => {
    assert.ok(error instanceof WireError);
    assert.equal(error.code, "CORRUPT");
    assert.ok(error.message.includes(field), error.message);
    return true;
  });
}

describe("entities as JSON", () => {
  for (const state of ["writing", "closing", "importing", "imported"] satisfies FileState[]) {
    test(`a ${state} file -> itself, with and without a retry block`, () => {
      for (const fields of [{}, { retry: RETRY }]) {
        const { value } = storedFile(state, fields);
        assert.deepEqual(decodeFile(encodeJson(value), "file"), value);
      }
    });
  }

  for (const state of ["writing", "closing", "uploading", "uploaded", "imported"] satisfies SliceState[]) {
    test(`a ${state} slice -> itself`, () => {
      for (const fields of [{}, { retry: RETRY, filter: [["00deadbeef00cafe", 3]] as const }]) {
        const { value } = storedSlice(state, fields);
        assert.deepEqual(decodeSlice(encodeJson(value), "slice"), value);
      }
    });
  }

  test("partitions and sums -> themselves", () => {
    const common = {
      ...KEY,
      n: 3,
      journal: "a/b",
      createdAt: AT,
      staged: { offset: 9, filter: [["ab", 1]] as const },
    };
    const partitions: Partition[] = [
      { ...common, state: "active" },
      { ...common, state: "retired", retiredAt: AT, end: 9, target: { kind: "duckdb", tableId: "main.t" } },
    ];
    for (const one of partitions) assert.deepEqual(decodePartition(encodeJson(one), "partition"), one);
    const statistics = { recordsCount: 0, uncompressedSize: 0, compressedSize: 0 };
    const sum = { ...KEY, files: 1, slices: 2, statistics };
    assert.deepEqual(decodeSum(encodeJson(sum), "sum"), sum);
  });

  test("records of the first version -> a table of the warehouse", () => {
    const key = '"projectId":1,"branchId":1,"sourceId":"s","sinkId":"k"';
    const file = `{${key},"fileId":"5","lane":0,"target":{"tableId":"main.t"},"openedAt":"${AT}","state":"writing"}`;
    assert.deepEqual(decodeFile(utf8(file), "file").target, WAREHOUSE);
    const slice = file.replace('"lane":0', '"n":0,"begin":0,"startsTarget":true');
    assert.deepEqual(decodeSlice(utf8(slice), "slice").target, WAREHOUSE);
    const partition =
      `{${key},"n":0,"journal":"a/b","createdAt":"${AT}","staged":{"offset":9,"filter":[]},` +
      `"state":"retired","retiredAt":"${AT}","end":9,"tableId":"main.t"}`;
    const retired = decodePartition(utf8(partition), "partition");
    assert.ok(retired.state === "retired");
    assert.deepEqual(retired.target, WAREHOUSE);
  });

  test("a target -> itself; of a kind that nobody has -> CORRUPT", () => {
    const target = { ...WAREHOUSE, connection: "other" };
    const { value } = storedFile("writing", { target });
    assert.equal(
      new TextDecoder().decode(encodeJson(value.target)),
      '{"kind":"duckdb","tableId":"main.t","connection":"other"}',
    );
    assert.deepEqual(decodeFile(encodeJson(value), "file").target, target);
    refused(
      () => decodeFile(encodeJson({ ...value, target: { ...target, kind: "floppy" } }), "file"),
      "kind",
    );
    refused(
      () => decodeFile(encodeJson({ ...value, target: { ...target, connection: "" } }), "file"),
      "connection",
    );
  });

  test("a field that is missing, wrong or of another state -> CORRUPT that names it", () => {
    const file = storedFile("closing").value;
    refused(() => decodeFile(encodeJson({ ...file, closingAt: undefined }), "file"), "closingAt");
    refused(() => decodeFile(encodeJson({ ...file, importingAt: AT }), "file"), "importingAt");
    refused(() => decodeFile(encodeJson({ ...file, state: "open" }), "file"), "state");
    refused(() => decodeFile(encodeJson({ ...file, openedAt: "yesterday" }), "file"), "openedAt");
    refused(() => decodeFile(encodeJson({ ...file, lane: -1 }), "file"), "lane");
    refused(() => decodeFile(utf8("{"), "file"), "not JSON");
    const uploaded = storedSlice("uploaded").value;
    refused(() => decodeSlice(encodeJson({ ...uploaded, end: undefined }), "slice"), "end");
    refused(() => decodeSlice(encodeJson({ ...uploaded, begin: 200 }), "slice"), "end");
    refused(() => decodeSlice(encodeJson({ ...uploaded, filter: [["a"]] }), "slice"), "filter[0]");
    refused(() => decodeSlice(encodeJson({ ...uploaded, objects: [{ path: "x" }] }), "slice"), "objects[0]");
    refused(
      () => decodeSlice(encodeJson({ ...storedSlice("imported").value, filter: [] }), "slice"),
      "filter",
    );
    refused(() => decodeSlice(encodeJson({ ...storedSlice("writing").value, end: 5 }), "slice"), "end");
    const statistics = { ...uploaded.statistics, firstRecordAt: undefined };
    refused(() => decodeSlice(encodeJson({ ...uploaded, statistics }), "slice"), "firstRecordAt");
  });
});
