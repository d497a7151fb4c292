// OTLP at the door over real sockets: HTTP in both encodings, and gRPC on the same port.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { never, silentLogger, systemClock, utf8, WireError } from "@millrace/base";
import { callUnary, GrpcChannel, RpcError } from "@millrace/grpc";
import { encodeResponse, type ExportOutcome } from "@millrace/otlp";
import { CASES, protobufRequest } from "@millrace/otlp/testkit";

import type { Column, Signal } from "./definitions.ts";
import { DoorHarness, type DoorOptions, type RawAnswer } from "./http-source-testkit.ts";

const COLUMNS: readonly Column[] = [{ type: "path", name: "record", path: "" }];
const PROTOBUF = { "Content-Type": "application/x-protobuf" };
const METHODS: Readonly<Record<Signal, string>> = {
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
};

let door: DoorHarness;
let channel: GrpcChannel | undefined;

afterEach(async () => {
  await channel?.close(AbortSignal.abort());
  channel = undefined;
  await door.close();
});

async function open(options: DoorOptions = {}): Promise<void> {
  door = await new DoorHarness().open({ type: "otlp", sinks: [{ columns: COLUMNS }], ...options });
}

function caseOf(signal: Signal): (typeof CASES)[number] {
  return CASES.find((one) => one.signal === signal && one.records.length > 0)!;
}

/** Rows as the mapping of the tests writes records. */
function rowsOf(records: readonly string[]): string[] {
  return records.map((record) => `"${record.replaceAll('"', '""')}"\n`);
}

function exported(outcome: ExportOutcome, encoding: "protobuf" | "json"): string {
  return Buffer.from(encodeResponse("logs", encoding, outcome)).toString("utf8");
}

/** A request of two records, of which one has a trace. */
function twoLogs(): string {
  const logRecords = [
    { severityText: "a", traceId: "0af7651916cd43dd8448eb211c80319c" },
    { severityText: "b" },
  ];
  return JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

function exportOverGrpc(
  signal: Signal,
  request: Uint8Array,
  metadata: ReadonlyMap<string, string>,
): Promise<Uint8Array> {
  channel ??= new GrpcChannel({
    address: `http://127.0.0.1:${door.port}`,
    clock: systemClock,
    logger: silentLogger,
  });
  return callUnary(channel, METHODS[signal], request, { metadata }, never);
}

const bearer = (secret: string): ReadonlyMap<string, string> =>
  new Map([["authorization", `Bearer ${secret}`]]);

describe("OTLP over HTTP", () => {
  for (const signal of ["logs", "metrics", "traces"] as const) {
    const { name, request, records } = caseOf(signal);

    test(`${signal} in JSON -> rows of flat records`, async () => {
      await open();
      const answer = await door.post(JSON.stringify(request), {}, `${door.path}/v1/${signal}`);
      assert.deepEqual([answer.status, answer.body], [200, "{}"]);
      assert.equal(answer.headers["content-type"], "application/json");
      assert.deepEqual(door.frames.rows("flights/0"), rowsOf(records));
    });

    test(`${signal} in protobuf, gzip, the secret as Bearer -> the same rows`, async () => {
      await open();
      const headers = { ...PROTOBUF, "Content-Encoding": "gzip", Authorization: `Bearer ${door.secret}` };
      const body = gzipSync(protobufRequest(name));
      const answer = await door.post(body, headers, `/otlp/1/flights/v1/${signal}`);
      assert.deepEqual([answer.status, answer.body], [200, ""]);
      assert.equal(answer.headers["content-type"], "application/x-protobuf");
      assert.deepEqual(door.frames.rows("flights/0"), rowsOf(records));
    });
  }

  test("some records cannot be mapped -> 200, a partial success with the first reason", async () => {
    await open({ sinks: [{ columns: [{ type: "path", name: "t", path: "trace_id" }] }] });
    const answer = await door.post(twoLogs(), {}, `${door.path}/v1/logs`);
    const firstError = 'Invalid value for column "t": path "trace_id" not found in the body.';
    const outcome = { total: 2, rejected: 1, failure: { status: 422, firstError } };
    assert.deepEqual([answer.status, answer.body], [200, exported(outcome, "json")]);
    assert.match(
      answer.body,
      /"rejectedLogRecords":"1","errorMessage":"1 of 2 records rejected; first error: /,
    );
    assert.deepEqual(door.frames.rows("flights/0"), ['"""0af7651916cd43dd8448eb211c80319c"""\n']);
  });

  test("none can be mapped, or none was appended -> the worst status and nothing else", async () => {
    await open({ sinks: [{ columns: [{ type: "path", name: "t", path: "nowhere" }] }] });
    const unmapped = await door.post(twoLogs(), {}, `${door.path}/v1/logs`);
    assert.deepEqual([unmapped.status, unmapped.body], [422, ""]);
    await door.close();
    await open();
    door.frames.fail = () => new WireError("DISK_FULL", "full");
    const full = await door.post(twoLogs(), {}, `${door.path}/v1/logs`);
    assert.deepEqual([full.status, full.body, full.headers["retry-after"]], [507, "", "5"]);
  });

  test("sinks take the signals that they allow; without one that does, a success", async () => {
    await open({
      sinks: [
        { columns: COLUMNS, sinkId: "logs", allowedSignals: ["logs"] },
        { columns: COLUMNS, sinkId: "rest", allowedSignals: ["traces", "metrics"] },
      ],
    });
    for (const signal of ["logs", "metrics"] as const) {
      const body = JSON.stringify(caseOf(signal).request);
      assert.equal((await door.post(body, {}, `${door.path}/v1/${signal}`)).status, 200);
    }
    assert.deepEqual(door.frames.rows("logs/0"), rowsOf(caseOf("logs").records));
    assert.deepEqual(door.frames.rows("rest/0"), rowsOf(caseOf("metrics").records));
    await door.close();
    await open({ sinks: [{ columns: COLUMNS, allowedSignals: ["metrics"] }] });
    const answer = await door.post(twoLogs(), {}, `${door.path}/v1/logs`);
    assert.deepEqual([answer.status, answer.body], [200, "{}"]);
    assert.equal(door.frames.journals.size, 0);
  });

  test("headers of a request are its records', but not what authorises it", async () => {
    await open({ sinks: [{ columns: [{ type: "headers", name: "h" }] }] });
    const headers = { Authorization: `Bearer ${door.secret}`, "X-Tenant": "a" };
    const answer = await door.post(twoLogs(), headers, "/otlp/1/flights/v1/logs");
    assert.equal(answer.status, 200);
    const [row = ""] = door.frames.rows("flights/0");
    assert.match(row, /""X-Tenant"":""a""/);
    assert.doesNotMatch(row, /authorization/i);
  });

  test("a request of more records than one step takes -> all of them, in order", async () => {
    await open({
      sinks: [{ columns: [{ type: "path", name: "t", path: "severity_text", rawString: true }] }],
    });
    const logRecords = Array.from({ length: 9000 }, (_, i) => ({ severityText: String(i) }));
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    const answers = await Promise.all([
      door.post(body, {}, `${door.path}/v1/logs`),
      door.post(twoLogs(), {}, `${door.path}/v1/logs`),
    ]);
    for (const { status, body: said } of answers) assert.deepEqual([status, said], [200, "{}"]);
    const rows = door.frames.rows("flights/0").filter((row) => /\d/.test(row));
    assert.deepEqual(
      rows,
      logRecords.map(({ severityText }) => `"${severityText}"\n`),
    );
    assert.equal(door.frames.rows("flights/0").length, 9002);
  });

  const refusals: [
    what: string,
    path: (d: DoorHarness) => string,
    headers: Record<string, string>,
    wanted: unknown,
  ][] = [
    ["a wrong secret", () => "/otlp/1/flights/wrong/v1/logs", {}, [404, "stream.in.noSourceFound"]],
    ["no secret", () => "/otlp/1/flights/v1/logs", {}, [404, "stream.in.noSourceFound"]],
    ["a project that is no number", () => "/otlp/x/flights/s/v1/logs", {}, [400, "stream.in.badRequest"]],
    ["another path", (d) => `${d.path}/v1/profiles`, {}, [404, "stream.in.routeNotFound"]],
    [
      "the path of a plain source",
      (d) => d.path.replace("otlp", "stream"),
      {},
      [404, "stream.in.noSourceFound"],
    ],
    [
      "a content type",
      (d) => `${d.path}/v1/logs`,
      { "Content-Type": "text/plain" },
      [415, "stream.in.unsupportedMediaType"],
    ],
    [
      "an encoding",
      (d) => `${d.path}/v1/logs`,
      { "Content-Encoding": "zstd" },
      [415, "stream.in.unsupportedMediaType"],
    ],
    ["no request", (d) => `${d.path}/v1/logs`, PROTOBUF, [400, "stream.in.badRequest"]],
    ["no gzip", (d) => `${d.path}/v1/logs`, { "Content-Encoding": "gzip" }, [400, "stream.in.badRequest"]],
  ];
  for (const [what, path, headers, wanted] of refusals) {
    test(`${what} -> ${String(wanted)}`, async () => {
      await open();
      const answer = await door.post(twoLogs(), headers, path(door));
      assert.deepEqual([answer.status, errorOf(answer)], wanted);
      assert.equal(door.frames.journals.size, 0);
    });
  }

  test("a bomb -> 413; OPTIONS -> what may be sent; GET -> 405", async () => {
    await open({ limits: { recordBytesMax: 1000, batchBytesMax: 100_000 } });
    const bomb = await door.post(
      gzipSync(Buffer.alloc(90_000)),
      { ...PROTOBUF, "Content-Encoding": "gzip" },
      `${door.path}/v1/logs`,
    );
    assert.deepEqual([bomb.status, errorOf(bomb)], [413, "stream.in.bodyTooLarge"]);
    const large = await door.post(new Uint8Array(100_001), PROTOBUF, `${door.path}/v1/logs`);
    assert.deepEqual([large.status, errorOf(large)], [413, "stream.in.bodyTooLarge"]);
    const options = await door.request("OPTIONS", `${door.path}/v1/logs`);
    assert.deepEqual([options.status, options.headers["allow"]], [200, "OPTIONS, POST"]);
    assert.equal((await door.request("GET", `${door.path}/v1/logs`)).status, 405);
  });
});

describe("OTLP over gRPC, on the same port", () => {
  test("requests of all signals, the secret as Bearer -> rows that know the address and the metadata", async () => {
    await open({
      sinks: [{ columns: [...COLUMNS, { type: "ip", name: "ip" }, { type: "headers", name: "h" }] }],
    });
    const metadata = new Map([...bearer(door.secret), ["x-tenant", "a"]]);
    for (const signal of ["logs", "metrics", "traces"] as const) {
      const { name } = caseOf(signal);
      assert.equal((await exportOverGrpc(signal, protobufRequest(name), metadata)).length, 0);
    }
    const rows = door.frames.rows("flights/0");
    const records = (["logs", "metrics", "traces"] as const).flatMap((signal) =>
      rowsOf(caseOf(signal).records),
    );
    assert.deepEqual(
      rows.map((row) => `${row.slice(0, row.indexOf(',"127.0.0.1",'))}\n`),
      records,
    );
    for (const row of rows) assert.match(row, /""X-Tenant"":""a""/);
    assert.doesNotMatch(rows.join(""), /bearer/i);
    assert.equal(door.source.load.connections, 1);
    assert.equal((await door.request("GET", "/health-check")).status, 200);
  });

  test("no secret, a wrong one, one of a plain source, a disabled source -> refused", async () => {
    await open();
    const request = protobufRequest(caseOf("logs").name);
    await assert.rejects(exportOverGrpc("logs", request, new Map()), { code: "UNAUTHENTICATED" });
    await assert.rejects(exportOverGrpc("logs", request, bearer("wrong")), { code: "NOT_FOUND" });
    const disabled = await door.repository.changeSource(
      { projectId: 1, branchId: 1, sourceId: "flights" },
      { kind: "disable" },
      { type: "system" },
      never,
    );
    assert.ok(disabled.kind === "changed");
    await door.mirror.waitForRevision(disabled.revision, never);
    await assert.rejects(exportOverGrpc("logs", request, bearer(door.secret)), { code: "NOT_FOUND" });
    const changed = await door.repository.changeSource(
      { projectId: 1, branchId: 1, sourceId: "flights" },
      { kind: "update", type: "http" },
      { type: "system" },
      never,
    );
    assert.ok(changed.kind === "changed" && changed.entity.secret !== door.secret);
    await door.mirror.waitForRevision(changed.revision, never);
    await assert.rejects(exportOverGrpc("logs", request, bearer(changed.entity.secret)), {
      code: "NOT_FOUND",
    });
    assert.equal(door.frames.journals.size, 0);
  });

  test("too much waits for the disk -> UNAVAILABLE", async () => {
    await open();
    door.frames.fail = () => new WireError("OVERLOADED", "too much");
    const request = protobufRequest(caseOf("logs").name);
    await assert.rejects(exportOverGrpc("logs", request, bearer(door.secret)), (error: unknown) => {
      assert.ok(error instanceof RpcError);
      assert.equal(error.code, "UNAVAILABLE");
      return true;
    });
  });

  test("the preface in pieces -> gRPC all the same; a beginning that is none -> 400", async () => {
    await open();
    const client = door.connect();
    for (const byte of utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) client.send(Uint8Array.of(byte));
    client.send(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
    await client.until(/\x04/);
    assert.equal(client.pending.charCodeAt(3), 4);
    client.close();
    const other = door.connect();
    other.send("PR");
    other.send("OPFIND / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert.match(String((await other.answer()).status), /^(400|501)$/);
    other.close();
  });
});

function errorOf({ body }: RawAnswer): unknown {
  return (JSON.parse(body) as { error: unknown }).error;
}
