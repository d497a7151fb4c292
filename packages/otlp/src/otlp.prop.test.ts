// Requests at random: both encodings become the same records; broken ones a refusal and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { text, unhex, utf8, WireError } from "@millrace/base";
import { encode, type Message } from "@millrace/protobuf";
import { readFileSync } from "node:fs";
import { walkExactJson } from "./exact-json.ts";
import { FLATTEN_LIMITS, recordsOf, type OtlpEncoding, type Signal } from "./index.ts";
import { CASES } from "./otlp-cases-testkit.ts";
import { exportLogsRequest } from "./otlp-logs.ts";
import { exportMetricsRequest } from "./otlp-metrics.ts";
import { NO_OFFICIAL, officialOtlp } from "./otlp-official-testkit.ts";
import { exportTracesRequest } from "./otlp-traces.ts";

const official = officialOtlp();

function parseExactJson(json: string): unknown {
  const walk = walkExactJson(json);
  for (;;) {
    const step = walk.next();
    if (step.done === true) return step.value;
  }
}

const uint64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(String);
const int64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }).map(String);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint32 = fc.nat({ max: 2 ** 32 - 1 });
/** Without -0, which JSON.stringify writes as 0. */
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0);
const word = fc.string({ unit: "grapheme", maxLength: 6 });
const list = <T>(items: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(items, { maxLength: 3 });
const some = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<object> =>
  fc.record(fields, { requiredKeys: [] });
const idOf = (bytes: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constant(""),
    fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((id) => Buffer.from(id).toString("hex")),
  );

const { value, attributes } = fc.letrec<{ value: object; attributes: object[] }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: "value" },
    word.map((stringValue) => ({ stringValue })),
    int64.map((intValue) => ({ intValue })),
    double.map((doubleValue) => ({ doubleValue })),
    fc.boolean().map((boolValue) => ({ boolValue })),
    fc.base64String({ maxLength: 12 }).map((bytesValue) => ({ bytesValue })),
    fc.constant({}),
    list(tie("value")).map((values) => ({ arrayValue: { values } })),
    tie("attributes").map((values) => ({ kvlistValue: { values } })),
  ),
  attributes: fc.array(some({ key: word, value: tie("value") }), {
    maxLength: 3,
    depthIdentifier: "value",
  }),
}));

const times = { startTimeUnixNano: uint64, timeUnixNano: uint64, attributes };
const distribution = { ...times, count: uint64, sum: double, min: double, max: double };
const buckets = some({ offset: int32, bucketCounts: list(uint64) });
const numberPoint = fc.oneof(
  some(times),
  some({ ...times, asInt: int64 }),
  some({ ...times, asDouble: double }),
);
const points = (point: fc.Arbitrary<object>, more: Record<string, fc.Arbitrary<unknown>> = {}) =>
  some({ dataPoints: list(point), ...more });
const temporality = { aggregationTemporality: fc.nat({ max: 3 }) };
const data: fc.Arbitrary<object> = fc.oneof(
  points(numberPoint).map((gauge) => ({ gauge })),
  points(numberPoint, { ...temporality, isMonotonic: fc.boolean() }).map((sum) => ({ sum })),
  points(
    some({ ...distribution, bucketCounts: list(uint64), explicitBounds: list(double) }),
    temporality,
  ).map((histogram) => ({ histogram })),
  points(
    some({ ...distribution, scale: int32, zeroCount: uint64, positive: buckets, negative: buckets }),
    temporality,
  ).map((exponentialHistogram) => ({ exponentialHistogram })),
  points(
    some({
      ...times,
      count: uint64,
      sum: double,
      quantileValues: list(some({ quantile: double, value: double })),
    }),
  ).map((summary) => ({ summary })),
);
const metric = fc
  .tuple(some({ name: word, description: word, unit: word }), data)
  .map(([head, of]) => ({ ...head, ...of }));
const logRecord = some({
  timeUnixNano: uint64,
  observedTimeUnixNano: uint64,
  severityNumber: int32,
  severityText: word,
  body: value,
  attributes,
  flags: uint32,
  traceId: idOf(16),
  spanId: idOf(8),
});
const span = some({
  traceId: idOf(16),
  spanId: idOf(8),
  parentSpanId: idOf(8),
  traceState: word,
  flags: uint32,
  name: word,
  kind: fc.nat({ max: 7 }),
  startTimeUnixNano: uint64,
  endTimeUnixNano: uint64,
  attributes,
  events: list(some({ timeUnixNano: uint64, name: word, attributes })),
  links: list(some({ traceId: idOf(16), spanId: idOf(8), traceState: word, attributes, flags: uint32 })),
  status: some({ message: word, code: fc.nat({ max: 3 }) }),
});

const resource = some({ attributes });
const scope = some({ name: word, version: word });
const requestsOf = (what: string, items: string, item: fc.Arbitrary<object>): fc.Arbitrary<object> =>
  some({
    [`resource${what}`]: list(
      some({ resource, [`scope${what}`]: list(some({ scope, [items]: list(item) })) }),
    ),
  });
const REQUESTS: readonly (readonly [
  signal: Signal,
  requests: fc.Arbitrary<object>,
  table: Message<unknown>,
])[] = [
  ["logs", requestsOf("Logs", "logRecords", logRecord), exportLogsRequest as Message<unknown>],
  ["metrics", requestsOf("Metrics", "metrics", metric), exportMetricsRequest as Message<unknown>],
  ["traces", requestsOf("Spans", "spans", span), exportTracesRequest as Message<unknown>],
];

function recordsText(signal: Signal, encoding: OtlpEncoding, body: Uint8Array): string {
  return text(recordsOf({ signal, encoding }, body, FLATTEN_LIMITS).bytes);
}

/** What a request that may be broken becomes. */
function outcomeOf(signal: Signal, encoding: OtlpEncoding, body: Uint8Array): void {
  try {
    for (const line of recordsText(signal, encoding, body).trimEnd().split("\n")) {
      if (line !== "") JSON.parse(line);
    }
  } catch (thrown) {
    if (!(thrown instanceof WireError)) throw thrown;
  }
}

for (const [signal, requests, table] of REQUESTS) {
  test(`${signal}: JSON and protobuf of one request -> the same records, each a line of JSON`, () => {
    fc.assert(
      fc.property(requests, (request) => {
        const json = recordsText(signal, "json", utf8(JSON.stringify(request)));
        const bytes = encode(table, table.fromJson(request));
        assert.equal(recordsText(signal, "protobuf", bytes), json);
        for (const line of json.split("\n")) if (line !== "") JSON.parse(line);
      }),
    );
  });

  const skip = official === undefined ? NO_OFFICIAL : false;
  test(
    `${signal}: a request encoded by the official definitions -> the records of its JSON`,
    { skip },
    () => {
      fc.assert(
        fc.property(requests, (request) => {
          const json = recordsText(signal, "json", utf8(JSON.stringify(request)));
          assert.equal(recordsText(signal, "protobuf", official!.encodeRequest(signal, request)), json);
        }),
      );
    },
  );
}

const golden = readFileSync(new URL("../src/otlp.golden.txt", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => unhex(line.split("\t")[1]!)!);
const signals = fc.constantFrom<Signal>("logs", "metrics", "traces");

test("protobuf changed, cut or at random -> records or a WireError, never anything else", () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  const bodies = fc.oneof(fc.constantFrom(...golden), fc.uint8Array({ maxLength: 64 }));
  fc.assert(
    fc.property(signals, bodies, flips, fc.nat(), (signal, body, changes, cut) => {
      const mutated = Uint8Array.from(body).subarray(
        0,
        body.length - (cut % 4 === 0 ? cut % body.length || 0 : 0),
      );
      for (const [where, byte] of changes) if (mutated.length > 0) mutated[where % mutated.length] = byte;
      outcomeOf(signal, "protobuf", mutated);
    }),
    { numRuns: 3000 },
  );
});

test("JSON changed, cut or at random -> records or a WireError, never anything else", () => {
  const changes = fc.array(
    fc.tuple(fc.nat(), fc.nat({ max: 8 }), fc.oneof(fc.string({ maxLength: 3 }), fc.json({ maxDepth: 2 }))),
    { maxLength: 3 },
  );
  const bodies = fc.oneof(fc.constantFrom(...CASES.map(({ request }) => JSON.stringify(request))), fc.json());
  fc.assert(
    fc.property(signals, bodies, changes, (signal, body, edits) => {
      let mutated = body;
      for (const [where, length, by] of edits) {
        const at = where % (mutated.length + 1);
        mutated = mutated.slice(0, at) + by + mutated.slice(at + length);
      }
      outcomeOf(signal, "json", utf8(mutated));
    }),
    { numRuns: 3000 },
  );
});

test("exact JSON: any text -> refused when JSON.parse refuses it, else the same value but for large integers", () => {
  const texts = fc.oneof(
    fc.json(),
    fc.jsonValue().map((json) => JSON.stringify(json, undefined, 2)),
    fc.string({ unit: fc.constantFrom(...Array.from('{}[]",:\\u0019.eE+-tfn \n')) }),
  );
  fc.assert(
    fc.property(texts, (json) => {
      let expected: unknown;
      try {
        expected = JSON.parse(json, (key, value: unknown) => (key === "__proto__" ? undefined : value));
      } catch {
        assert.throws(() => parseExactJson(json), WireError);
        return;
      }
      const rounded = JSON.stringify(parseExactJson(json), (_key, value: unknown) =>
        typeof value === "bigint" ? Number(value) : value,
      );
      assert.equal(rounded, JSON.stringify(expected));
    }),
    { numRuns: 2000 },
  );
});

test("exact JSON: nesting, values and members -> bounded", () => {
  assert.throws(() => parseExactJson("[".repeat(1_000_000)), {
    message: /nests too deeply \(expected <= 100\)/,
  });
  assert.throws(() => parseExactJson(`[${"0,".repeat(1 << 21)}0]`), { message: /too many values in JSON/ });
  const object = (members: number): string =>
    `{${Array.from({ length: members }, (_, i) => `"${i}":0`).join(",")}}`;
  assert.throws(() => parseExactJson(object(10_001)), {
    message: "too many members in a JSON object (expected <= 10000)",
  });
  assert.deepEqual(parseExactJson(object(10_000)), JSON.parse(object(10_000)));
  assert.deepEqual(parseExactJson(`${"[".repeat(100)}${"]".repeat(100)}`)?.constructor, Array);
});
