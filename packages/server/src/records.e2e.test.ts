// Records at the HTTP source of a real platform: every kind of body becomes rows, and whatever is wrong with one is
// said with its bound, column or position, and leaves no row.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { compress, init } from "@bokuweb/zstd-wasm";
import { ask, post, type Answer } from "./test-http.ts";
import { scratch, TestPlatform } from "./test-platform.ts";
import { createStream, sql, waitForRows, type Column } from "./test-streams.ts";

const COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "ip", name: "ip" },
  { type: "headers", name: "headers" },
  { type: "path", name: "origin", path: "origin", rawString: true },
  { type: "path", name: "tags", path: "deep.tags[1]", defaultValue: "none" },
  { type: "body", name: "body" },
];
const NDJSON = { "content-type": "application/x-ndjson" };
/** Tests come from 127.0.0.1, and from here when they are a proxy. */
const PROXY = "127.0.0.2";
const FLAGS = [
  ...["--http-source.request-timeout", "1s", "--http-source.idle-timeout", "1s"],
  ...["--http-source.trusted-proxies", `${PROXY},10.0.0.0/8,fd00::/8`],
];

let platform: TestPlatform;
let url = "";
/** Records that were accepted so far. */
let accepted = 0;

before(async () => {
  await init();
  platform = await TestPlatform.start(scratch(), FLAGS);
  url = await createStream(platform.endpoints, "records", COLUMNS);
});

after(async () => {
  await waitForRows(platform.endpoints, "main.records", accepted);
  await platform.stop();
});

/** Posts a body of which `records` are good. */
async function accept(
  records: number,
  body: string | Uint8Array,
  headers: Record<string, string>,
): Promise<Answer> {
  const answer = await ask(url, { method: "POST", body, headers });
  assert.equal(answer.status, 200, answer.text);
  accepted += records;
  await waitForRows(platform.endpoints, "main.records", accepted);
  return answer;
}

/** Columns of the newest rows, in journal order. */
async function newest(rows: number, columns = "origin"): Promise<readonly unknown[]> {
  const found = await sql(
    platform.endpoints,
    `select ${columns} from (select *, row_number() over (order by _journal, _offset desc) as back from main.records)
     where back <= ${rows} order by back desc`,
  );
  return found.map((row) => (columns === "origin" ? row["origin"] : row));
}

test("a JSON record -> 200 OK, and each column has its value", async () => {
  const body = '{"origin":"PRG","deep":{"tags":["a","b \\"quoted\\""]},"n":12345678901234567890}';
  const answer = await accept(1, body, {
    "content-type": "application/json; charset=utf-8",
    "x-trace": "t1",
  });
  assert.deepEqual([answer.text, answer.headers["content-type"]], ["OK", "text/plain"]);
  const [row] = (await newest(1, "*")) as Record<string, string>[];
  assert.match(row!["id"]!, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(row!["received_at"]!, /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,3})?/);
  assert.equal(row!["ip"], "127.0.0.1");
  const headers = JSON.parse(row!["headers"]!) as Record<string, string>;
  assert.equal(headers["X-Trace"], "t1");
  assert.equal(row!["origin"], "PRG");
  assert.equal(row!["tags"], JSON.stringify('b "quoted"'));
  assert.equal(row!["body"], body);
  assert.match(row!["_journal"]!, /^stream\/1\/1\/records\/records\/p\d+$/);
});

test("X-Forwarded-For from a trusted proxy, from another peer -> the client's address, the peer's", async () => {
  const from = async (localAddress: string, header: string, value: string): Promise<unknown> => {
    const headers = { "content-type": "application/json", [header]: value };
    const answer = await ask(url, { method: "POST", body: '{"origin":"PRG"}', headers, localAddress });
    assert.equal(answer.status, 200, answer.text);
    await waitForRows(platform.endpoints, "main.records", ++accepted);
    return ((await newest(1, "ip")) as Record<string, unknown>[])[0]!["ip"];
  };
  const forged = "6.6.6.6, 2001:DB8::7, 10.1.1.1";
  assert.equal(await from(PROXY, "X-Forwarded-For", forged), "2001:db8::7");
  assert.equal(await from(PROXY, "Forwarded", "for=6.6.6.6, for=203.0.113.7;proto=https"), "203.0.113.7");
  assert.equal(await from("127.0.0.1", "X-Forwarded-For", forged), "127.0.0.1");
  assert.equal(await from("127.0.0.1", "Forwarded", "for=6.6.6.6"), "127.0.0.1");
});

test("a form -> a record", async () => {
  await accept(1, "origin=LIS+1&deep[tags][]=x&deep[tags][]=y", {
    "content-type": "application/x-www-form-urlencoded",
  });
  assert.deepEqual(await newest(1, "origin, tags"), [{ origin: "LIS 1", tags: '"y"' }]);
});

const LINES = ["A", "B", "C"].map((origin) =>
  JSON.stringify({ origin, text: 'line\nfeed, "quotes", ünïcode' }),
);

const BATCHES: readonly [name: string, body: () => string | Uint8Array, headers: Record<string, string>][] = [
  ["NDJSON", () => LINES.join("\n"), NDJSON],
  ["NDJSON with empty lines and CRLF", () => `\n${LINES.join("\r\n\r\n")}\r\n`, NDJSON],
  ["an array", () => `[${LINES.join(", ")}]`, { "content-type": "application/json" }],
  ["NDJSON in gzip", () => gzipSync(LINES.join("\n")), { ...NDJSON, "content-encoding": "gzip" }],
  [
    "NDJSON in zstd",
    () => compress(Buffer.from(LINES.join("\n")), 3),
    { ...NDJSON, "content-encoding": "zstd" },
  ],
  [
    "an array in two members of gzip",
    () => Buffer.concat([gzipSync("["), gzipSync(`${LINES.join(",")}]`)]),
    { "content-type": "application/vnd.api+json", "content-encoding": "gzip" },
  ],
];
for (const [name, body, headers] of BATCHES) {
  test(`${name} -> a row for each record, in order`, async () => {
    const answer = await accept(3, body(), headers);
    assert.deepEqual([answer.json()["accepted"], answer.json()["rejected"]], [3, []]);
    assert.deepEqual(await newest(3), ["A", "B", "C"]);
    const bodies = (await newest(3, "body")) as { body: string }[];
    assert.deepEqual(
      bodies.map((row) => row.body),
      LINES,
    );
  });
}

test("a batch with bad records -> the good ones are accepted, the others named with their reason (D25)", async () => {
  const body = ['{"origin":"X"}', "{oops}", '{"other":1}', '{"origin":"Y"}'].join("\n");
  const { accepted: count, rejected } = (await accept(2, body, NDJSON)).json();
  assert.equal(count, 2);
  const reasons = rejected as { index: number; reason: string }[];
  assert.deepEqual(
    reasons.map(({ index }) => index),
    [1, 2],
  );
  assert.match(reasons[0]!.reason, /invalid JSON.*position 1/);
  assert.match(reasons[1]!.reason, /"?origin"?/);
  assert.deepEqual(await newest(2), ["X", "Y"]);
});

test("verbose -> what each sink did", async () => {
  const answer = await post(`${url}?verbose=true`, { origin: "V" });
  accepted++;
  assert.equal(answer.status, 200);
  const { message, sources } = answer.json() as { message: string; sources: { sinks: unknown[] }[] };
  assert.equal(message, "Successfully written to 1/1 sinks.");
  assert.deepEqual(sources[0]!.sinks, [{ sinkId: "records", statusCode: 200, message: "processed" }]);
});

test("an unknown source, a wrong secret -> one answer for both", async () => {
  const wrong = url.replace(/.$/, (last) => (last === "x" ? "y" : "x"));
  const unknown = url.replace("/records/", "/unknown/");
  const answers = [await post(wrong, { origin: "N" }), await post(unknown, { origin: "N" })];
  for (const answer of answers) assert.equal(answer.status, 404);
  assert.equal(answers[0]!.text, answers[1]!.text);
  assert.equal(answers[0]!.json()["error"], "stream.in.noSourceFound");
});

const MIB = 2 ** 20;
const big = (bytes: number) => JSON.stringify({ origin: "big", pad: "x".repeat(bytes) });

const REFUSED: readonly [
  name: string,
  status: number,
  says: RegExp,
  body: () => string | Uint8Array,
  headers: Record<string, string>,
][] = [
  ["JSON that is none", 422, /origin.*position 5/s, () => '{"a":}', { "content-type": "application/json" }],
  ["a missing path", 422, /origin.*not found/s, () => '{"a":1}', { "content-type": "application/json" }],
  [
    "an array that is cut",
    422,
    /origin.*position/s,
    () => '[{"origin":1},',
    { "content-type": "application/json" },
  ],
  ["a batch without a good record", 422, /"accepted": 0/, () => "{\n[", NDJSON],
  ["text where a column looks into it", 415, /origin/, () => "hello", { "content-type": "text/plain" }],
  ["an encoding nobody knows", 415, /br.*gzip or zstd/, () => "x", { ...NDJSON, "content-encoding": "br" }],
  ["gzip that is none", 400, /gzip/i, () => "not gzip at all", { ...NDJSON, "content-encoding": "gzip" }],
  ["zstd that is none", 400, /zstd/i, () => "not zstd at all", { ...NDJSON, "content-encoding": "zstd" }],
  ["a record over its bound", 413, /maximum.*1MB/, () => big(MIB), { "content-type": "application/json" }],
  ["a batch over its bound", 413, /maximum.*16MB/, () => `${big(900_000)}\n`.repeat(20), NDJSON],
  [
    "a gzip bomb",
    413,
    /maximum.*(100 times|16MB)/,
    () => gzipSync(Buffer.alloc(64 * MIB, 0x20)),
    { ...NDJSON, "content-encoding": "gzip" },
  ],
  [
    "a zstd bomb",
    413,
    /maximum.*(100 times|16MB)/,
    () => compress(Buffer.alloc(64 * MIB, 0x20), 3),
    { ...NDJSON, "content-encoding": "zstd" },
  ],
];
for (const [name, status, says, body, headers] of REFUSED) {
  test(`${name} -> ${status} that says why, and no row`, async () => {
    const answer = await ask(url, { method: "POST", body: body(), headers });
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.text, says);
    assert.equal((await ask(`${platform.endpoints["http-source"]}/readyz`)).status, 200);
  });
}

test("a batch of which one record is over the bound -> only that one is refused", async () => {
  const answer = await accept(2, ['{"origin":"1"}', big(MIB), '{"origin":"2"}'].join("\n"), NDJSON);
  const { rejected } = answer.json() as { rejected: { index: number; reason: string }[] };
  assert.deepEqual(
    rejected.map(({ index }) => index),
    [1],
  );
  assert.match(rejected[0]!.reason, /maximum.*1MB/);
});

/** Sends `text` on a raw connection and waits until the door has closed it. @returns what it said */
function abuse(text: string, door = url): Promise<{ readonly said: string; readonly ms: number }> {
  const { port } = new URL(door);
  const beganMs = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1", () => socket.write(text));
    let said = "";
    socket.setEncoding("utf8").on("data", (more: string) => (said += more));
    socket.on("error", reject);
    socket.on("close", () => resolve({ said, ms: performance.now() - beganMs }));
    socket.setTimeout(20_000, () => socket.destroy(new Error("the door keeps the connection for 20 s")));
  });
}

test("a head over its bound -> 413 with the bound, and the connection is closed", async () => {
  const { said } = await abuse(
    `POST ${new URL(url).pathname} HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(20_000)}`,
  );
  assert.match(said, /^HTTP\/1\.1 413 /);
  assert.match(said, /headerTooLarge.*maximum .*16KB/s);
});

test("a body, or a head, that does not come -> the time runs out", async () => {
  const path = new URL(url).pathname;
  const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`;
  const [body, slowHead, idle] = await Promise.all([abuse(head), abuse("POST /stream/1/"), abuse("")]);
  assert.match(body.said, /^HTTP\/1\.1 408 /);
  assert.ok(body.ms < 5000, `${body.ms} ms`);
  assert.match(slowHead.said, /^HTTP\/1\.1 408 /);
  for (const { ms } of [body, slowHead]) assert.ok(ms >= 1000, `cut off early: ${ms} ms`);
  assert.ok(slowHead.ms < 5000, `${slowHead.ms} ms`);
  assert.ok(idle.ms < 15_000, `${idle.ms} ms`);
});

test("a head that does not come at the broker or the API -> the time runs out", async () => {
  const { broker, api } = platform.endpoints;
  const late = await Promise.all([broker, api].map((door) => abuse("GET / HTTP/1.1\r\nHo", door)));
  for (const { ms } of late) assert.ok(ms < 15_000, `${ms} ms`);
});

test("what is no HTTP -> 400 and closed", async () => {
  for (const text of ["\x16\x03\x01\x02\x00", "GET / HTTP/9.9\r\n\r\n", "POST  / HTTP/1.1\r\n\r\n"]) {
    const { said } = await abuse(text);
    assert.match(said, /^(HTTP\/1\.1 (400|505) |$)/, JSON.stringify(text));
  }
});
