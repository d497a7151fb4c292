import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hex, text, unhex, utf8, WireError } from "@millrace/base";
import { encode } from "@millrace/protobuf";
import { type RequestKind, walkRequest } from "./export-request.ts";
import { FLATTEN_LIMITS, recordsOf, type OtlpEncoding, type Signal } from "./index.ts";
import { CASES } from "./otlp-cases-testkit.ts";
import { exportLogsRequest } from "./otlp-logs.ts";
import { exportMetricsRequest } from "./otlp-metrics.ts";
import { NO_OFFICIAL, officialOtlp } from "./otlp-official-testkit.ts";

const golden = new Map(
  readFileSync(new URL("../src/otlp.golden.txt", import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t") as [name: string, bytes: string]),
);
const official = officialOtlp();

function linesOf(signal: Signal, encoding: OtlpEncoding, body: Uint8Array): string[] {
  const records = recordsOf({ signal, encoding }, body, FLATTEN_LIMITS);
  const lines = text(records.bytes).split("\n");
  assert.equal(lines.pop(), "", "a line feed behind each record");
  assert.equal(records.count, lines.length);
  assert.equal(records.signal, signal);
  return lines;
}

function jsonRefusal(signal: Signal, body: string): string {
  try {
    recordsOf({ signal, encoding: "json" }, utf8(body), FLATTEN_LIMITS);
  } catch (thrown) {
    if (thrown instanceof WireError) return `${thrown.code} ${thrown.message}`;
    throw thrown;
  }
  return "";
}

for (const { name, signal, request, records } of CASES) {
  test(`${name}: JSON and protobuf -> the records of the table`, () => {
    assert.deepEqual(linesOf(signal, "json", utf8(JSON.stringify(request))), records);
    assert.deepEqual(linesOf(signal, "protobuf", unhex(golden.get(name)!)!), records);
    for (const record of records) JSON.parse(record);
  });
}

test(
  "golden requests: the official definitions -> the same bytes",
  { skip: official ? false : NO_OFFICIAL },
  () => {
    assert.equal(golden.size, CASES.length);
    for (const { name, signal, request } of CASES) {
      assert.equal(hex(official!.encodeRequest(signal, request)), golden.get(name), name);
    }
  },
);

test("JSON: 64-bit integers as numbers or strings, enums as numbers or names, unknown names, nulls -> read", () => {
  const logs = (record: string): string =>
    `{"unknown":{"deep":[1,{}]},"resourceLogs":[{"scopeLogs":[{"logRecords":[${record}]}]}]}`;
  const line = (record: string): string => linesOf("logs", "json", utf8(logs(record)))[0]!;
  assert.match(line('{"timeUnixNano":1700000000123456789}'), /"timestamp":"2023-11-14T22:13:20.123456789Z"/);
  assert.match(line('{"body":{"intValue":9007199254740993}}'), /"body":9007199254740993,/);
  assert.match(line('{"body":{"intValue":-7}}'), /"body":-7,/);
  assert.match(line('{"body":{"doubleValue":9007199254740993}}'), /"body":9007199254740992,/);
  assert.match(line('{"body":{"doubleValue":"-0.25"}}'), /"body":-0.25,/);
  assert.match(line('{"severity_number":"9"}'), /"severity_number":9,/);
  assert.match(line('{"severityNumber":"SEVERITY_NUMBER_FATAL4"}'), /"severity_number":24,/);
  assert.match(
    line('{"severityText":null,"body":null,"attributes":null}'),
    /"severity_text":"","body":null,/,
  );
  assert.match(line(`{"traceId":"${"AB".repeat(16)}"}`), new RegExp(`"trace_id":"${"ab".repeat(16)}"`));
  assert.match(line('{"body":{"stringValue":"\\u0000\\ud83d\\ude00"}}'), /"body":"\\u0000\u{1f600}",/u);
  assert.match(line(' { "__proto__" : { "severityText" : "x" } } '), /"severity_text":"",/);
});

test("JSON: what does not fit -> refused, with the place", () => {
  const record = (fields: string): string =>
    `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{${fields}}]}]}]}`;
  const where = "INVALID_ARGUMENT resourceLogs.scopeLogs.logRecords.";
  const refused: readonly (readonly [body: string, text: string])[] = [
    ["", "INVALID_ARGUMENT invalid JSON: unexpected end at position 0"],
    ["[]", "INVALID_ARGUMENT expected a JSON object"],
    ['{"a":1', "INVALID_ARGUMENT invalid JSON: expected ',' or '}' at position 6"],
    ['{"a":01}', "INVALID_ARGUMENT invalid JSON: expected ',' or '}' at position 6"],
    ['{"a":tru}', "INVALID_ARGUMENT invalid JSON: unexpected character at position 5"],
    ['{"a":"\\x"}', "INVALID_ARGUMENT invalid JSON: invalid escape in a string at position 5"],
    ['{"a":"\n"}', "INVALID_ARGUMENT invalid JSON: control character in a string at position 6"],
    ['{"a":"', "INVALID_ARGUMENT invalid JSON: unexpected end at position 6"],
    ["{}{}", "INVALID_ARGUMENT invalid JSON: unexpected data after the value at position 2"],
    [record('"traceId":"0g"'), `${where}traceId: not hex digits`],
    [record('"traceId":"00"'), `${where}traceId: wrong length (1 bytes; expected 16 or none)`],
    [
      record('"timeUnixNano":"-1"'),
      `${where}timeUnixNano: value out of range (-1; expected 0 <= value <= ${2n ** 64n - 1n})`,
    ],
    [record('"timeUnixNano":1.5'), `${where}timeUnixNano: expected an integer`],
    [record('"severityNumber":"LOUD"'), `${where}severityNumber: invalid severity number (LOUD)`],
    [record('"body":{"stringValue":"a","intValue":1}'), `${where}body: more than one value of a oneof`],
    [record('"body":{"doubleValue":"1x"}'), `${where}body.doubleValue: expected a number`],
    [record('"body":{"boolValue":"true"}'), `${where}body.boolValue: expected a JSON boolean`],
  ];
  for (const [body, text] of refused) assert.equal(jsonRefusal("logs", body), text, body);
  const notUtf8 = (): unknown =>
    recordsOf({ signal: "logs", encoding: "json" }, Uint8Array.of(0xff), FLATTEN_LIMITS);
  assert.throws(notUtf8, { message: "invalid JSON: not UTF-8" });
});

test("a oneof that is given twice in protobuf -> the last value", () => {
  // body { string_value: "a" int_value: 5 }
  const body = unhex("0a0b" + "1209" + "1207" + "2a05" + "0a0161" + "1805")!;
  assert.match(linesOf("logs", "protobuf", body)[0]!, /"body":5,/);
});

test("ids of a wrong length in protobuf -> refused", () => {
  const body = unhex("0a0712051203" + "4a01ff")!;
  assert.throws(() => recordsOf({ signal: "logs", encoding: "protobuf" }, body, FLATTEN_LIMITS), {
    message: "resource_logs.scope_logs.log_records.trace_id: wrong length (1 bytes; expected 16 or none)",
  });
});

test("more records or bytes than allowed -> refused with value and bound, whatever the size of the request", () => {
  const many = (count: number, resource: string): Uint8Array =>
    utf8(
      JSON.stringify({
        resourceLogs: [
          {
            resource: { attributes: [{ key: "r", value: { stringValue: resource } }] },
            scopeLogs: [{ logRecords: Array.from({ length: count }, () => ({})) }],
          },
        ],
      }),
    );
  const of = (body: Uint8Array, recordsMax: number, bytesMax: number): number =>
    recordsOf({ signal: "logs", encoding: "json" }, body, { recordsMax, bytesMax }).bytes.length;
  const one = of(many(1, "\u00e9"), 10, 10_000);
  assert.equal(of(many(10, "\u00e9"), 10, 10 * one), 10 * one);
  assert.throws(() => of(many(11, ""), 10, 10_000), {
    code: "TOO_LARGE",
    message: "too many records in one request (11 or more; expected <= 10)",
  });
  const message = (count: number, bytes: number, max: number): string =>
    `flattened records are too large (${count} of them take ${bytes} bytes or more; expected <= ${max})`;
  assert.throws(() => of(many(10, "\u00e9"), 10, 10 * one - 1), {
    message: message(10, 10 * one, 10 * one - 1),
  });
  assert.throws(() => of(many(1000, "x".repeat(100_000)), 1000, 1_000_000), { code: "TOO_LARGE" });
});

test("values that nest -> as deep as the bounds of both encodings, and refused beyond", () => {
  const nested = (depth: number): object =>
    depth === 0 ? { boolValue: true } : { arrayValue: { values: [nested(depth - 1)] } };
  const request = (depth: number): string =>
    JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: nested(depth) }] }] }] });
  assert.match(linesOf("logs", "json", utf8(request(29)))[0]!, /"body":\[{29}true\]{29},/);
  assert.match(
    jsonRefusal("logs", request(1000)),
    /INVALID_ARGUMENT JSON nests too deeply \(expected <= 100\)/,
  );
  let value: Uint8Array = unhex("1001")!;
  const field = (tag: number, bytes: Uint8Array): Uint8Array => {
    const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
    return Uint8Array.from([tag, ...length, ...bytes]);
  };
  for (let i = 0; i < 1000; i++) value = field(0x2a, field(0x0a, value));
  const body = field(0x0a, field(0x12, field(0x12, field(0x2a, value))));
  assert.throws(() => linesOf("logs", "protobuf", body), { message: /messages nest too deeply/ });
});

/** A request of logs. */
function logsOf(logRecords: readonly object[], encoding: OtlpEncoding, resource: object = {}): Uint8Array {
  const json = { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] };
  if (encoding === "json") return utf8(JSON.stringify(json));
  return encode(exportLogsRequest, exportLogsRequest.fromJson(json));
}

function walked(body: Uint8Array, kind: RequestKind): { readonly yields: number; readonly error: string } {
  const walk = walkRequest(kind, body, { ...FLATTEN_LIMITS, recordsMax: 1000 });
  for (let yields = 0; ; yields++) {
    try {
      if (walk.next().done === true) return { yields, error: "" };
    } catch (thrown) {
      const { code, message } = WireError.from(thrown);
      return { yields, error: `${code} ${message}` };
    }
  }
}

for (const encoding of ["json", "protobuf"] as const) {
  const logs = { signal: "logs", encoding } as const;

  test(`${encoding}: between two yields there is one record`, () => {
    const { yields } = walked(
      logsOf(
        Array.from({ length: 1000 }, () => ({})),
        encoding,
      ),
      logs,
    );
    assert.ok(yields >= 1000, `${yields}`);
  });

  test(`${encoding}: too many records in a scope -> refused before one of them is opened`, () => {
    const wrong = { severityNumber: 1 };
    const { yields, error } = walked(
      logsOf(
        Array.from({ length: 1001 }, () => wrong),
        encoding,
      ),
      logs,
    );
    assert.equal(error, "TOO_LARGE too many records in one request (1001 or more; expected <= 1000)");
    assert.ok(yields < 20, `${yields}`);
  });

  test(`${encoding}: too many attributes in one record or resource -> refused; as many as may be -> taken`, () => {
    const attributes = (count: number): object[] =>
      Array.from({ length: count }, () => ({ key: "k", value: { intValue: 1 } }));
    const error = "TOO_LARGE too many attributes or values in one record (10001 or more; expected <= 10000)";
    const inRecord = (count: number): Uint8Array => logsOf([{ attributes: attributes(count) }], encoding);
    assert.equal(walked(inRecord(9_999), logs).error, "");
    assert.equal(walked(inRecord(10_001), logs).error, error);
    const inResource = logsOf([{}], encoding, { attributes: attributes(10_001) });
    assert.equal(walked(inResource, logs).error, error);
  });

  test(`${encoding}: many points of one metric -> opened one by one, and counted before`, () => {
    const metrics = { signal: "metrics", encoding } as const;
    const of = (count: number): Uint8Array => {
      const dataPoints = Array.from({ length: count }, () => ({ asInt: "1" }));
      const json = { resourceMetrics: [{ scopeMetrics: [{ metrics: [{ sum: { dataPoints } }] }] }] };
      if (encoding === "json") return utf8(JSON.stringify(json));
      return encode(exportMetricsRequest, exportMetricsRequest.fromJson(json));
    };
    assert.ok(walked(of(1000), metrics).yields >= 1000);
    const { yields, error } = walked(of(1001), metrics);
    assert.equal(error, "TOO_LARGE too many records in one request (1001 or more; expected <= 1000)");
    assert.ok(yields < 20, `${yields}`);
  });
}

test("JSON: many values that are none of OTLP -> read in pieces", () => {
  const unknown = Array.from({ length: 100_000 }, () => 1);
  const { yields, error } = walked(utf8(JSON.stringify({ unknown })), { signal: "logs", encoding: "json" });
  assert.equal(error, "");
  assert.ok(yields >= 200, `${yields}`);
});

test("a resource that is given twice in protobuf -> one of both", () => {
  // resource_logs { resource { attributes { key: "a" } } resource { attributes { key: "b" } } scope_logs { … } }
  const body = unhex("0a18" + "0a050a030a0161" + "0a050a030a0162" + "12021200" + "1a0401020304")!;
  assert.match(linesOf("logs", "protobuf", body)[0]!, /"resource":\{"a":null,"b":null\}/);
});
