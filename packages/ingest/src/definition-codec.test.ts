import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { text, utf8 } from "@millrace/base";

import {
  decodeLife,
  decodeSink,
  decodeSinkColumns,
  decodeSource,
  encodeSink,
  encodeSource,
  structuralHash,
} from "./definition-codec.ts";
import { isPartitionJournal, partitionJournal } from "./definitions.ts";
import { plainSecrets } from "./secret-box.ts";
import { aesSecrets } from "./system-aes-box.ts";

/** As the first version wrote them. */
const AT = "2026-01-01T00:00:00.000Z";
const BY = '"by":{"type":"system"}';
const VERSION = `{"number":1,"description":"New.","at":"${AT}",${BY},"hash":"0123456789abcdef"}`;
const HISTORY = `"created":{"at":"${AT}",${BY}},"version":${VERSION}`;
const SOURCE =
  '{"projectId":1,"branchId":1,"sourceId":"s","type":"http","name":"S","description":"",' +
  `"secret":"${"x".repeat(48)}",${HISTORY}}`;
const SINK =
  '{"projectId":1,"branchId":1,"sourceId":"s","sinkId":"k","type":"table","name":"K","description":"",' +
  '"table":{"type":"duckdb","tableId":"main.t","mapping":{"columns":[{"type":"ip","name":"i"}]}},' +
  '"conditions":{"upload":{"count":10000,"bytes":5000000,"intervalMs":200,"minIntervalMs":0},' +
  '"import":{"count":50000,"bytes":50000000,"intervalMs":300,"minIntervalMs":0,"slicesCount":100,"maxSlices":100}},' +
  `"waitForAppend":true,"partitions":1,"keyedPartitions":1,${HISTORY}}`;

describe("definitions of the first version", () => {
  test("a source -> as it was, in its ID's first life", () => {
    const source = decodeSource(utf8(SOURCE), "key", plainSecrets);
    assert.deepEqual([source.secret, source.incarnation], ["x".repeat(48), undefined]);
  });

  test("a sink -> as it was, and its journals have the names of old", () => {
    const sink = decodeSink(utf8(SINK), "key", plainSecrets);
    assert.equal(sink.table.tableId, "main.t");
    // What follows from the settings is not the record's any more.
    assert.ok(!("conditions" in sink) && !("waitForAppend" in sink));
    assert.equal(partitionJournal(sink, 7), "stream/1/1/s/k/p007");
  });
});

test("a sealed source -> opens as it was; one of the first version opens too, and is sealed when it is written", () => {
  const secrets = aesSecrets([new Uint8Array(32).fill(7)]);
  const source = decodeSource(utf8(SOURCE), "key", secrets);
  const bytes = encodeSource(source, secrets);
  assert.ok(!text(bytes).includes(source.secret));
  assert.deepEqual(decodeSource(bytes, "key", secrets), source);
  for (const secret of [
    '{"v":2,"k":"a","iv":"AAAA","data":"AAAA"}',
    '{"v":1,"k":"a","iv":"AAAA"}',
    "7",
    '""',
  ]) {
    const record = utf8(SOURCE.replace(`"${source.secret}"`, secret));
    assert.throws(() => decodeSource(record, "key", secrets), { code: "CORRUPT" }, secret);
  }
});

test("the secret of signatures -> sealed for its own place, and none of the hash", () => {
  const secrets = aesSecrets([new Uint8Array(32).fill(7)]);
  const plain = decodeSource(utf8(SOURCE), "key", secrets);
  const signature = { scheme: "slack", secret: "of a person's choice", toleranceSeconds: 60 } as const;
  const source = { ...plain, signature };
  const bytes = encodeSource(source, secrets);
  assert.ok(!text(bytes).includes(signature.secret));
  assert.deepEqual(decodeSource(bytes, "key", secrets), source);
  const record = JSON.parse(text(bytes)) as { secret: object; signature: { secret: object } };
  const swapped = { ...record, secret: record.signature.secret };
  assert.throws(() => decodeSource(utf8(JSON.stringify(swapped)), "key", secrets), { code: "CORRUPT" });
  const other = { ...source, signature: { ...signature, secret: "another" } };
  assert.equal(structuralHash(other), structuralHash(source));
  assert.notEqual(structuralHash(source), structuralHash(plain));
});

test("a password of a target -> sealed for its sink, opened there alone, in no hash", () => {
  const secrets = aesSecrets([new Uint8Array(32).fill(7)]);
  const first = decodeSink(utf8(SINK), "key", secrets);
  const connection = { host: "db", database: "d", user: "u", password: "hunter2", port: 6432 };
  const sink = { ...first, table: { ...first.table, type: "postgres", connection } } as const;
  const bytes = encodeSink(sink, secrets);
  assert.ok(!text(bytes).includes("hunter2"));
  assert.deepEqual(decodeSink(bytes, "key", secrets), sink);
  assert.deepEqual(decodeSinkColumns(bytes, "key"), sink.table.mapping.columns);
  const copied = utf8(text(bytes).replace('"sinkId":"k"', '"sinkId":"other"'));
  assert.throws(() => decodeSink(copied, "key", secrets), { code: "CORRUPT" });
  assert.throws(() => decodeSink(bytes, "key", plainSecrets), { code: "INVALID_ARGUMENT" });
  const other = { ...sink, table: { ...sink.table, connection: { ...connection, password: "other" } } };
  assert.equal(structuralHash(other), structuralHash(sink));
  assert.notEqual(structuralHash(sink), structuralHash(first));
  const lost = utf8(text(bytes).replace('"host":"db",', ""));
  assert.throws(() => decodeSinkColumns(lost, "key"), /field host: expected a text/);
});

test("a later life -> in the record, in the names of journals, not in the hash", () => {
  const first = decodeSink(utf8(SINK), "key", plainSecrets);
  const later = { ...first, incarnation: 2 };
  const bytes = encodeSink(later, plainSecrets);
  assert.match(text(bytes), /"incarnation":2/);
  assert.deepEqual(decodeSink(bytes, "key", plainSecrets), later);
  const journal = partitionJournal(later, 7);
  assert.equal(journal, "stream/1/1/s/k.2/p007");
  assert.ok(isPartitionJournal(journal));
  assert.equal(structuralHash(later), structuralHash(first));
  const wrong = encodeSink({ ...first, incarnation: 0 }, plainSecrets);
  assert.throws(() => decodeSink(wrong, "key", plainSecrets), { code: "CORRUPT" });
});

test("what a purge leaves -> the next life; nothing -> the first", () => {
  assert.deepEqual(decodeLife(undefined, "key"), {});
  assert.deepEqual(decodeLife(utf8('{"incarnation":3}'), "key"), { incarnation: 3 });
  assert.throws(() => decodeLife(utf8('{"incarnation":0}'), "key"), { code: "CORRUPT" });
});
