import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { WireError } from "@millrace/base";
import { compress, init } from "@bokuweb/zstd-wasm";

import { DoorHarness, type RawAnswer } from "./http-source-testkit.ts";

const NDJSON = { "Content-Type": "application/x-ndjson" };

interface BatchBody {
  readonly statusCode: number;
  readonly error?: string;
  readonly message: string;
  readonly accepted: number;
  readonly rejected: readonly { index: number; reason: string }[];
  readonly rejectedCount: number;
}

let door: DoorHarness;
beforeEach(async () => {
  door = await new DoorHarness().open();
});
afterEach(() => door.close());

function batch(answer: RawAnswer): BatchBody {
  const body = JSON.parse(answer.body) as BatchBody;
  assert.equal(body.statusCode, answer.status);
  return body;
}

/** Values of the first column. */
function origins(journal = "flights/0"): string[] {
  return door.frames.rows(journal).map((row) => /^"([^"]*)"/.exec(row)![1]!);
}

describe("NDJSON", () => {
  const accepted: [name: string, body: string, origins: string[]][] = [
    ["lines", '{"origin":"a"}\n{"origin":"b"}\n', ["a", "b"]],
    ["last line without newline", '{"origin":"a"}\n{"origin":"b"}', ["a", "b"]],
    ["CRLF", '{"origin":"a"}\r\n{"origin":"b"}\r\n', ["a", "b"]],
    ["empty lines", '\n\n{"origin":"a"}\n \t\r\n{"origin":"b"}\n\n', ["a", "b"]],
    ["spaces around", '  {"origin":"a"} \t\n', ["a"]],
    ["nothing", "", []],
    ["only newlines", "\n\r\n", []],
  ];
  for (const [name, body, expected] of accepted) {
    test(`${name} -> ${expected.length} records`, async () => {
      const answer = await door.post(body, NDJSON);
      assert.deepEqual(batch(answer), {
        statusCode: 200,
        message: `Accepted ${expected.length} of ${expected.length} records.`,
        accepted: expected.length,
        rejected: [],
        rejectedCount: 0,
      });
      assert.deepEqual(origins(), expected);
    });
  }

  test("body column -> each line by itself, without what surrounds it", async () => {
    await door.post(' {"origin":"a"}\r\n{"origin":"b","x":[1, 2]}\n', NDJSON);
    assert.deepEqual(door.frames.rows("flights/0"), [
      '"a","{""origin"":""a""}"\n',
      '"b","{""origin"":""b"",""x"":[1, 2]}"\n',
    ]);
  });

  test("some are bad -> 200, the others are accepted, each bad one with index and reason", async () => {
    const lines = [
      '{"origin":"a"}',
      "{",
      '{"origin":"b"}',
      '{"x":1}',
      "",
      '{"origin":"c"} x',
      '"s"',
      '{"origin":\n"d"}',
    ];
    const answer = await door.post(lines.join("\n"), NDJSON);
    const column = 'Invalid value for column "origin": ';
    assert.deepEqual(batch(answer), {
      statusCode: 200,
      message: "Accepted 2 of 8 records.",
      accepted: 2,
      rejected: [
        {
          index: 1,
          reason: `${column}invalid JSON: unexpected end of the line, expected a key at position 1.`,
        },
        { index: 3, reason: `${column}path "origin" not found in the body.` },
        { index: 4, reason: `${column}invalid JSON: unexpected data after the value at position 15.` },
        { index: 5, reason: `${column}path "origin" not found in the body.` },
        {
          index: 6,
          reason: `${column}invalid JSON: unexpected end of the line, expected a value at position 10.`,
        },
        { index: 7, reason: `${column}invalid JSON: unexpected data after the value at position 3.` },
      ],
      rejectedCount: 6,
    });
    assert.deepEqual(origins(), ["a", "b"]);
  });

  test("all are bad -> 422, the list is cut", async () => {
    const answer = await door.post("x\n".repeat(5000), NDJSON);
    const body = batch(answer);
    assert.deepEqual([answer.status, body.error], [422, "stream.in.unprocessableContent"]);
    assert.deepEqual([body.accepted, body.rejected.length, body.rejectedCount], [0, 1000, 5000]);
    assert.equal(body.rejected.at(-1)!.index, 999);
  });

  test("more rows than a frame holds -> several frames, every row once and in order", async () => {
    const count = 40_000;
    const body = Array.from({ length: count }, (_, i) => `{"origin":${i}}`).join("\n");
    assert.equal(batch(await door.post(body, NDJSON)).accepted, count);
    assert.ok(door.frames.frames("flights/0").length >= 3);
    assert.deepEqual(
      origins(),
      Array.from({ length: count }, (_, i) => String(i)),
    );
  });

  test("a later frame fails -> its records are rejected, the others accepted", async () => {
    let appends = 0;
    door.frames.fail = () => (++appends === 2 ? new WireError("DISK_FULL", "full") : undefined);
    const count = 40_000;
    const body = Array.from({ length: count }, (_, i) => `{"origin":${i}}`).join("\n");
    const answer = batch(await door.post(body, NDJSON));
    // Where frames end depends on what else the loop had to do; what counts is that each record is told its own fate.
    assert.equal(answer.statusCode, 200);
    assert.ok(answer.rejectedCount > 0 && answer.rejectedCount < count);
    assert.equal(answer.accepted, count - answer.rejectedCount);
    assert.ok(answer.rejected[0]!.index > 0);
    assert.equal(answer.rejected[0]!.reason, "The disk is full.");
    assert.equal(door.frames.rows("flights/0").length, answer.accepted);
  });

  test("every frame fails -> what the append said", async () => {
    door.frames.fail = () => new WireError("DISK_FULL", "full");
    const answer = await door.post('{"origin":1}\n', NDJSON);
    assert.deepEqual([answer.status, batch(answer).error], [507, "stream.in.insufficientStorage"]);
    assert.equal(answer.headers["retry-after"], "5");
  });

  test("a record over the limit of one -> rejected, the batch goes on", async () => {
    await door.close();
    door = await new DoorHarness().open({ limits: { recordBytesMax: 100 } });
    const big = JSON.stringify({ origin: "x".repeat(200) });
    const body = batch(await door.post(`${big}\n{"origin":"a"}\n`, NDJSON));
    assert.deepEqual(body.rejected, [{ index: 0, reason: 'Record size is over the maximum "100B".' }]);
    assert.deepEqual(origins(), ["a"]);
  });

  test("several sinks -> a record that one cannot map goes to none", async () => {
    await door.close();
    door = await new DoorHarness().open({
      sinks: [{ sinkId: "a", columns: [{ type: "body", name: "b" }] }, { sinkId: "b" }],
    });
    const body = batch(await door.post('{"origin":1}\n{"x":1}\n{"origin":2}\n', NDJSON));
    assert.equal(body.accepted, 2);
    assert.deepEqual(body.rejected, [
      { index: 1, reason: 'b: Invalid value for column "origin": path "origin" not found in the body.' },
    ]);
    assert.equal(door.frames.rows("a/0").length, 2);
    assert.equal(door.frames.rows("b/0").length, 2);
  });

  test("verbose -> what each sink did, with counts, and who refused", async () => {
    await door.close();
    const settings = { "storage.level.local.encoding.sync.wait": false };
    door = await new DoorHarness().open({
      sinks: [{ sinkId: "a", columns: [{ type: "body", name: "b" }], settings }, { sinkId: "b" }],
    });
    const refusal = 'Invalid value for column "origin": path "origin" not found in the body.';
    const sources = async (body: string, headers: Record<string, string>): Promise<unknown> => {
      const answer = await door.post(body, headers, `${door.path}?verbose=true`);
      return (JSON.parse(answer.body) as { sources: unknown }).sources;
    };
    const source = { projectId: 1, sourceId: "flights", branchId: 1 };
    assert.deepEqual(await sources('{"origin":1}\n{"x":1}\n{"origin":2}\n', NDJSON), [
      {
        ...source,
        statusCode: 200,
        message: "Successfully written to 2/2 sinks.",
        sinks: [
          { sinkId: "a", statusCode: 202, message: "accepted", accepted: 2, refused: 0 },
          {
            sinkId: "b",
            statusCode: 200,
            error: "stream.in.unprocessableContent",
            message: refusal,
            accepted: 2,
            refused: 1,
          },
        ],
      },
    ]);
    assert.deepEqual(await sources('[{"origin":1}]', {}), [
      {
        ...source,
        statusCode: 200,
        message: "Successfully written to 2/2 sinks.",
        sinks: [
          { sinkId: "a", statusCode: 202, message: "accepted", accepted: 1, refused: 0 },
          { sinkId: "b", statusCode: 200, message: "processed", accepted: 1, refused: 0 },
        ],
      },
    ]);
    assert.equal("sources" in batch(await door.post('{"origin":1}\n', NDJSON)), false);
  });

  test("no sink -> 200 that says so, and nothing counts as accepted", async () => {
    await door.close();
    door = await new DoorHarness().open({ sinks: [] });
    const { statusCode, message, accepted } = JSON.parse(
      (await door.post('{"a":1}\n{"a":2}\n', NDJSON)).body,
    ) as {
      readonly [name: string]: unknown;
    };
    assert.deepEqual([statusCode, message, accepted], [200, "No enabled sink found.", 0]);
  });

  test("a sink that does not wait -> 202", async () => {
    await door.close();
    const settings = { "storage.level.local.encoding.sync.wait": false };
    door = await new DoorHarness().open({ sinks: [{ settings }] });
    assert.equal(batch(await door.post('{"origin":1}\n', NDJSON)).statusCode, 202);
  });
});

describe("JSON array", () => {
  test("elements -> records, each by itself", async () => {
    const answer = batch(await door.post(' [ {"origin":"a"} ,{"origin":"b","x":[1,{}]}\n]\n'));
    assert.deepEqual([answer.statusCode, answer.accepted], [200, 2]);
    assert.deepEqual(door.frames.rows("flights/0"), [
      '"a","{""origin"":""a""}"\n',
      '"b","{""origin"":""b"",""x"":[1,{}]}"\n',
    ]);
  });

  test("an element cannot be mapped -> rejected by its index", async () => {
    const answer = batch(await door.post('[{"origin":"a"},1]'));
    assert.deepEqual([answer.accepted, answer.rejected.map(({ index }) => index)], [1, [1]]);
  });

  test("empty -> accepted, nothing written", async () => {
    assert.deepEqual(batch(await door.post("[ ]")).accepted, 0);
    assert.deepEqual(door.frames.rows("flights/0"), []);
  });

  const broken = [
    "[",
    "[1,",
    "[1 2]",
    '[{"origin":"a"}',
    '[{"origin":"a"},]',
    '[{"origin":"a"}] x',
    '[{"origin":"a"},{]',
  ];
  for (const body of broken) {
    test(`${body} -> 422, nothing of it accepted`, async () => {
      const answer = await door.post(body);
      assert.equal(answer.status, 422);
      assert.match(answer.body, /Invalid value for column \\"origin\\": invalid JSON: /);
      assert.deepEqual(door.frames.rows("flights/0"), []);
    });
  }
});

describe("compressed batches", () => {
  const lines = Array.from({ length: 3000 }, (_, i) => `{"origin":${i}}\n`).join("");

  test("gzip, in two members -> all records", async () => {
    const half = lines.indexOf("1500");
    const cut = lines.indexOf("\n", half) + 1;
    const body = Buffer.concat([gzipSync(lines.slice(0, cut)), gzipSync(lines.slice(cut))]);
    const answer = batch(await door.post(body, { ...NDJSON, "Content-Encoding": "gzip" }));
    assert.equal(answer.accepted, 3000);
  });

  test("zstd, in two frames -> all records; a bomb -> 413; broken -> 400", async () => {
    await init();
    const post = (body: Uint8Array): Promise<RawAnswer> =>
      door.post(body, { ...NDJSON, "Content-Encoding": "zstd" });
    const cut = lines.indexOf("\n", 10_000) + 1;
    const frames = [lines.slice(0, cut), lines.slice(cut)].map((part) => compress(Buffer.from(part), 3));
    assert.equal(batch(await post(Buffer.concat(frames))).accepted, 3000);
    const bomb = compress(Buffer.alloc(20 * 1024 * 1024, 0x20), 3);
    assert.equal((await post(bomb)).status, 413);
    assert.equal((await post(Buffer.from("no zstd"))).status, 400);
    assert.equal((await post(frames[0]!.subarray(0, 50))).status, 400);
    const rotten = frames[0]!.slice();
    for (let i = 20; i < 200; i++) rotten[i]! ^= 0x55;
    assert.equal((await post(rotten)).status, 400);
    const tiny = compress(Buffer.from("{}"), 3);
    const many = await post(Buffer.concat(Array<Uint8Array>(2000).fill(tiny)));
    assert.equal(many.status, 400);
    assert.match(many.body, /more than 1000 frames/);
  });
});

test("bodies that are gone through hold as much as they may -> 429 for the next batch, not for a record", async () => {
  await door.close();
  door = await new DoorHarness().open({ limits: { receivingBytesMax: 2_000_000 } });
  const body = '{"origin":"a"}\n'.repeat(100_000);
  const first = door.post(body, NDJSON).then(batch);
  while (door.frames.rows("flights/0").length === 0) await new Promise((done) => setImmediate(done));
  const [second, single] = await Promise.all([door.post(body, NDJSON), door.post('{"origin":"b"}')]);
  assert.deepEqual([second.status, single.status], [429, 200]);
  assert.equal((await first).accepted, 100_000);
  assert.equal(batch(await door.post(body, NDJSON)).accepted, 100_000);
});

describe("many tiny records in one body", () => {
  const record = '{"origin":"a"}';
  const count = 100_000;
  const bodies: [name: string, body: string, headers: Record<string, string>][] = [
    ["NDJSON", `${record}\n`.repeat(count), NDJSON],
    ["an array", `[${Array(count).fill(record).join()}]`, { "Content-Type": "application/json" }],
  ];
  for (const [name, body, headers] of bodies) {
    test(`${name} -> another request is answered before it, and all records are accepted`, async () => {
      const answered: string[] = [];
      const large = door.post(body, headers).then((answer) => {
        answered.push("large");
        return batch(answer);
      });
      const isTaken = (): boolean => door.frames.rows("flights/0").length > 0;
      while (!isTaken()) await new Promise((done) => setImmediate(done));
      assert.equal((await door.post(record)).status, 200);
      answered.push("small");
      assert.equal((await large).accepted, count);
      assert.deepEqual(answered, ["small", "large"]);
      assert.equal(door.frames.rows("flights/0").length, count + 1);
    });
  }
});

test("HTTP source: refused requests and records -> counted by status, pages and accepted ones are not", async () => {
  await door.post('{"origin":"a"}');
  await door.post('{"origin":"a"}', {}, "/stream/1/flights/wrong");
  await door.post("{");
  await door.post('{"no":"origin"}', {}, `${door.path}?verbose=true`);
  await door.post("x", { "Content-Type": "image/png" });
  await door.post('{"origin":"a"}\n{\n', NDJSON);
  await door.post("{\n{\n", NDJSON);
  await door.request("PUT", door.path);
  await door.request("GET", "/metrics", "", { Origin: "http://evil.example" });
  const lines = door.metrics.render().split("\n");
  const counted = lines.filter((line) =>
    /^millrace_ingest_(requests_refused|records_rejected)_total/.test(line),
  );
  assert.deepEqual(counted.sort(), [
    "millrace_ingest_records_rejected_total 3",
    'millrace_ingest_requests_refused_total{status="404"} 1',
    'millrace_ingest_requests_refused_total{status="405"} 1',
    'millrace_ingest_requests_refused_total{status="415"} 1',
    'millrace_ingest_requests_refused_total{status="422"} 3',
  ]);
});
