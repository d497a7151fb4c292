import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { hex, text, utf8 } from "@millrace/base";
import {
  encodeResponse,
  exportOverHttp,
  otlpHttpTarget,
  type OtlpHttpHead,
  type OtlpHttpOutcome,
  type OtlpHttpTarget,
} from "./index.ts";
import { CASES } from "./otlp-cases-testkit.ts";
import { FakeDoor, GUNZIP_BYTES_MAX, SECRET } from "./otlp-door-testkit.ts";
import { exportLogsRequest } from "./otlp-logs.ts";
import { encode } from "@millrace/protobuf";

const LOGS_PATH = `/otlp/1/otel/${SECRET}/v1/logs`;
const HEAD: OtlpHttpHead = {
  method: "POST",
  path: LOGS_PATH,
  contentType: "application/json",
  contentEncoding: "",
  authorization: undefined,
};
const TWO_LOGS =
  '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityText":"a"},{"severityText":"b"}]}]}]}';

function target(head: Partial<OtlpHttpHead>): OtlpHttpTarget<string> | undefined {
  return otlpHttpTarget({ ...HEAD, ...head }, new FakeDoor());
}

function refusal(head: Partial<OtlpHttpHead>): string {
  const found = target(head);
  return found?.kind === "refused"
    ? `${found.refusal.status} ${found.refusal.message}`
    : (found?.kind ?? "no path");
}

function post(door: FakeDoor, body: Uint8Array, head: Partial<OtlpHttpHead> = {}): Promise<OtlpHttpOutcome> {
  const found = otlpHttpTarget({ ...HEAD, ...head }, door);
  assert.equal(found?.kind, "export");
  return exportOverHttp(found.request, body, door);
}

test("paths: secret in the path or as Bearer; anything else -> none of OTLP", () => {
  const paths: readonly (readonly [path: string, authorization: string | undefined, kind: string])[] = [
    [LOGS_PATH, undefined, "export"],
    [LOGS_PATH, "Bearer other", "export"],
    [`/otlp/1/otel/${SECRET}/v1/metrics`, undefined, "export"],
    [`/otlp/1/otel/${SECRET}/v1/traces`, undefined, "export"],
    ["/otlp/1/otel/v1/traces", `Bearer ${SECRET}`, "export"],
    ["/otlp/1/otel/v1/traces", `bEARER  ${SECRET}`, "export"],
    ["/otlp/1/otel/v1/traces", undefined, "404 Nobody."],
    ["/otlp/1/otel/v1/traces", `Basic ${SECRET}`, "404 Nobody."],
    ["/otlp/1/otel/v1/traces", `Bearer ${SECRET}x`, "404 Nobody."],
    [`/otlp/2/otel/${SECRET}/v1/logs`, undefined, "404 Nobody."],
    ["/otlp/1/otel/wrong/v1/logs", `Bearer ${SECRET}`, "404 Nobody."],
    [`/otlp/1/otel/${SECRET}/v1/profiles`, undefined, "no path"],
    [`/otlp/1/otel/${SECRET}/v1/logs/`, undefined, "no path"],
    [`/otlp/1/otel/${SECRET}`, undefined, "no path"],
    ["/v1/logs", undefined, "no path"],
  ];
  for (const [path, authorization, kind] of paths) assert.equal(refusal({ path, authorization }), kind, path);
});

test("methods: OPTIONS and others than POST -> answered without a look at the secret", () => {
  assert.equal(target({ method: "OPTIONS", path: "/otlp/1/x/wrong/v1/logs" })?.kind, "options");
  assert.deepEqual(target({ method: "GET" }), { kind: "notAllowed", allow: "OPTIONS, POST" });
  assert.equal(target({ method: "PUT" })?.kind, "notAllowed");
});

test("content types and encodings: others than ours -> 415, but only with the right secret", () => {
  for (const contentType of [
    "application/json",
    "Application/JSON; charset=utf-8",
    "application/x-protobuf",
    "application/protobuf ;v=1",
  ]) {
    assert.equal(refusal({ contentType }), "export", contentType);
  }
  for (const contentType of ["", "text/plain", "application/jsonx", "application/x-ndjson"]) {
    assert.match(refusal({ contentType }), /^415 Content type "[^"]*" is not supported, expected/);
    assert.equal(refusal({ contentType, path: "/otlp/1/otel/wrong/v1/logs" }), "404 Nobody.");
  }
  for (const contentEncoding of ["", "identity", "gzip", "GZip", "x-gzip"]) {
    assert.equal(refusal({ contentEncoding }), "export");
  }
  assert.equal(
    refusal({ contentEncoding: "br" }),
    '415 Content encoding "br" is not supported, expected gzip or none.',
  );
});

test("all taken -> 200 with an empty response, encoded as the request, which the source has got", async () => {
  for (const { signal, request, records } of CASES) {
    const door = new FakeDoor();
    const path = `/otlp/1/otel/${SECRET}/v1/${signal}`;
    const answer = await post(door, utf8(JSON.stringify(request)), { path });
    assert.deepEqual(answer, {
      kind: "answer",
      answer: { status: 200, contentType: "application/json", body: utf8("{}"), retryAfter: undefined },
    });
    assert.deepEqual(door.written, records.length === 0 ? [] : [{ source: "otel", signal, records }]);
  }
  const body = encode(exportLogsRequest, exportLogsRequest.fromJson(JSON.parse(TWO_LOGS)));
  const door = new FakeDoor();
  const answer = await post(door, body, { contentType: "application/protobuf" });
  assert.deepEqual(answer, {
    kind: "answer",
    answer: {
      status: 200,
      contentType: "application/x-protobuf",
      body: new Uint8Array(0),
      retryAfter: undefined,
    },
  });
  assert.equal(door.written[0]?.records.length, 2);
});

test("a source that takes nothing now -> refused before its body is opened", async () => {
  const door = new FakeDoor();
  door.refused = { status: 429, name: "rateLimited", message: "Slowly.", retryAfter: 1 };
  const answer = await post(door, gzipSync("{"), { contentEncoding: "gzip" });
  assert.deepEqual(answer, { kind: "refused", refusal: door.refused });
  assert.equal(door.gunzips, 0);
});

test("an empty batch -> 200, nothing is written", async () => {
  for (const [contentType, body] of [
    ["application/json", "{}"],
    ["application/x-protobuf", ""],
  ] as const) {
    const door = new FakeDoor();
    const answer = await post(door, utf8(body), { contentType });
    assert.equal(answer.kind === "answer" && answer.answer.status, 200);
    assert.deepEqual(door.written, []);
  }
});

test("some rejected -> 200 with partial success", async () => {
  const door = new FakeDoor();
  door.outcome = { rejected: 1, failure: { status: 422, firstError: "no column" } };
  const outcome = { total: 2, ...door.outcome };
  const json = await post(door, utf8(TWO_LOGS));
  assert.equal(json.kind, "answer");
  assert.equal(json.answer.status, 200);
  assert.deepEqual(JSON.parse(text(json.answer.body)), {
    partialSuccess: {
      rejectedLogRecords: "1",
      errorMessage: "1 of 2 records rejected; first error: no column",
    },
  });
  const body = encode(exportLogsRequest, exportLogsRequest.fromJson(JSON.parse(TWO_LOGS)));
  const protobuf = await post(door, body, { contentType: "application/x-protobuf" });
  assert.equal(protobuf.kind, "answer");
  assert.equal(hex(protobuf.answer.body), hex(encodeResponse("logs", "protobuf", outcome)));
});

test("all rejected -> the worst status and an empty body; 429 says when to come again", async () => {
  const door = new FakeDoor();
  const failures = [
    [{ status: 422, firstError: "x" }, 422, undefined],
    [{ status: 429, firstError: "x" }, 429, 1],
    [{ status: 503, firstError: "x", retryAfter: 5 }, 503, 5],
  ] as const;
  for (const [failure, status, retryAfter] of failures) {
    door.outcome = { rejected: 2, failure };
    const answer = { status, contentType: undefined, body: new Uint8Array(0), retryAfter };
    assert.deepEqual(await post(door, utf8(TWO_LOGS)), { kind: "answer", answer });
  }
});

test("gzip -> opened within the door's bounds; bombs and garbage -> refused", async () => {
  const door = new FakeDoor();
  const gzip = { contentEncoding: "gzip" };
  const answer = await post(door, gzipSync(TWO_LOGS), gzip);
  assert.equal(answer.kind, "answer");
  assert.equal(door.written[0]?.records.length, 2);
  const bomb = await post(door, gzipSync(Buffer.alloc(GUNZIP_BYTES_MAX + 1, " ")), gzip);
  assert.equal(bomb.kind === "refused" && bomb.refusal.status, 413);
  const garbage = await post(door, utf8("garbage"), gzip);
  assert.equal(garbage.kind === "refused" && garbage.refusal.status, 400);
  await post(door, utf8(TWO_LOGS));
  assert.equal(door.gunzips, 3, "only what says that it is compressed");
});

test("a body that is no request -> 400 with the place; too many records -> 413; nothing is written", async () => {
  const door = new FakeDoor();
  assert.deepEqual(await post(door, utf8('{"resourceLogs":5}')), {
    kind: "refused",
    refusal: {
      status: 400,
      name: "badRequest",
      message: "Cannot decode OTLP logs payload: resourceLogs: expected a JSON array.",
    },
  });
  const broken = await post(door, utf8("{}"), { contentType: "application/x-protobuf" });
  assert.equal(broken.kind === "refused" && broken.refusal.status, 400);
  const many = JSON.stringify({
    resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: 100_001 }, () => ({})) }] }],
  });
  assert.deepEqual(await post(door, utf8(many)), {
    kind: "refused",
    refusal: {
      status: 413,
      name: "bodyTooLarge",
      message: "Too many records in one request (100001 or more; expected <= 100000).",
    },
  });
  assert.deepEqual(door.written, []);
});
