import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { WireError, type Code } from "@millrace/base";

import { DoorHarness, type RawAnswer } from "./http-source-testkit.ts";

const BAD_PATH = "/stream/1/flights/wrong";
const LONG_SECRET = "x".repeat(48);

let door: DoorHarness;
beforeEach(async () => {
  door = await new DoorHarness().open();
});
afterEach(() => door.close());

function error(answer: RawAnswer): unknown {
  const body = JSON.parse(answer.body) as { statusCode: number; error: string; message: string };
  assert.equal(body.statusCode, answer.status);
  return [answer.status, body.error, body.message];
}

describe("HTTP source: routes", () => {
  test("health check -> OK", async () => {
    const answer = await door.request("GET", "/health-check");
    assert.deepEqual([answer.status, answer.body], [200, "OK\n"]);
    assert.equal(answer.headers["content-type"], "text/plain");
  });

  test("OPTIONS of an ingest path -> what a browser wants to know", async () => {
    const { status, headers } = await door.request("OPTIONS", door.path);
    assert.equal(status, 200);
    assert.equal(headers["allow"], "OPTIONS, POST");
    assert.equal(headers["access-control-allow-methods"], "OPTIONS, POST");
    for (const name of ["headers", "origin"]) assert.equal(headers[`access-control-allow-${name}`], "*");
    assert.equal(headers["access-control-expose-headers"], "*");
  });

  const cases: [method: string, path: string, status: number, allow: string | undefined][] = [
    ["GET", "/stream/1/flights/s", 405, "OPTIONS, POST"],
    ["PUT", "/stream/1/flights/s", 405, "OPTIONS, POST"],
    ["POST", "/health-check", 405, "GET, OPTIONS"],
    ["OPTIONS", "/health-check", 200, "GET, OPTIONS"],
  ];
  for (const [method, path, status, allow] of cases) {
    test(`${method} ${path} -> ${status}, Allow: ${allow}`, async () => {
      const answer = await door.request(method, path);
      assert.deepEqual([answer.status, answer.headers["allow"], answer.body], [status, allow, ""]);
    });
  }

  const unknown: [method: string, path: string][] = [
    ["GET", "/"],
    ["POST", "/foo"],
    ["POST", "/stream"],
    ["POST", "/stream/1/flights"],
    ["POST", "/stream/1/flights/"],
    ["POST", "/stream/1/flights/s/more"],
    ["POST", "/stream//flights/s"],
  ];
  for (const [method, path] of unknown) {
    test(`${method} ${path} -> 404 routeNotFound`, async () => {
      const answer = await door.request(method, path);
      const message = "Not found, please send data using POST /stream/<projectID>/<sourceID>/<secret>";
      assert.deepEqual(error(answer), [404, "stream.in.routeNotFound", message]);
      assert.match(answer.body, /\\u003cprojectID\\u003e/);
    });
  }

  test("unknown source, wrong secret, secret of the right length -> the same 404", async () => {
    const bodies = new Set<string>();
    for (const path of [
      BAD_PATH,
      "/stream/1/other/s",
      `/stream/1/flights/${LONG_SECRET}`,
      `/stream/2/flights/${door.secret}`,
    ]) {
      const answer = await door.post("{}", {}, path);
      assert.equal(answer.status, 404);
      bodies.add(answer.body);
    }
    assert.equal(bodies.size, 1);
    const message = "The specified combination of projectID, sourceID and secret was not found.";
    assert.deepEqual(JSON.parse([...bodies][0]!), {
      statusCode: 404,
      error: "stream.in.noSourceFound",
      message,
    });
  });

  test("project that is no number -> 400", async () => {
    const answer = await door.post("{}", {}, "/stream/foo/flights/s");
    assert.deepEqual(error(answer), [400, "stream.in.badRequest", 'Invalid project ID "foo".']);
  });

  test("a page of the process -> served; every answer says who and which", async () => {
    const answer = await door.request("GET", "/metrics");
    assert.deepEqual([answer.status, answer.body], [200, "page\n"]);
    assert.equal(answer.headers["server"], "Millrace");
    assert.match(answer.headers["x-request-id"] ?? "", /^[0-9a-z]{15}$/);
  });
});

describe("HTTP source: callers whom the process refuses", () => {
  for (const path of ["/metrics", "/health-check", "/nowhere"]) {
    test(`${path} -> the refusal, without CORS`, async () => {
      const answer = await door.request("GET", path, "", { Origin: "http://evil.example" });
      assert.deepEqual([answer.status, answer.body], [403, "not you\n"]);
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
    });
  }

  test("an ingest path -> open to any page", async () => {
    const answer = await door.post('{"origin":"MCI"}', { Origin: "http://evil.example" });
    assert.deepEqual([answer.status, answer.headers["access-control-allow-origin"]], [200, "*"]);
  });
});

describe("HTTP source: single records", () => {
  test("JSON -> 200 OK once the frame stands in the journal, with CORS", async () => {
    const answer = await door.post('{"origin":"MCI"}');
    assert.deepEqual([answer.status, answer.body], [200, "OK"]);
    assert.equal(answer.headers["access-control-allow-origin"], "*");
    assert.equal(answer.headers["content-type"], "text/plain");
    assert.deepEqual(door.frames.rows("flights/0"), ['"MCI","{""origin"":""MCI""}"\n']);
  });

  const types: [contentType: string, body: string, row: string][] = [
    ["application/json; charset=utf-8", '{"origin":"é"}', '"é","{""origin"":""é""}"\n'],
    ["application/vnd.api+json", '{"origin":"A"}', '"A","{""origin"":""A""}"\n'],
    ["Application/JSON", ' {"origin":1}\n', '"1"," {""origin"":1}\n"\n'],
    ["application/x-www-form-urlencoded", "origin=M%20C+I&x[y]=1", '"M C I","origin=M%20C+I&x[y]=1"\n'],
  ];
  for (const [contentType, body, row] of types) {
    test(`${contentType} -> its row`, async () => {
      assert.equal((await door.post(body, { "Content-Type": contentType })).status, 200);
      assert.deepEqual(door.frames.rows("flights/0"), [row]);
    });
  }

  test("another charset -> decoded", async () => {
    const body = Buffer.from('{"origin":"é"}', "latin1");
    assert.equal(
      (await door.post(body, { "Content-Type": "application/json; charset=iso-8859-1" })).status,
      200,
    );
    assert.deepEqual(door.frames.rows("flights/0"), ['"é","{""origin"":""é""}"\n']);
  });

  test("verbose -> the whole story", async () => {
    const answer = await door.post('{"origin":"A"}', {}, `${door.path}?verbose=true`);
    assert.deepEqual(JSON.parse(answer.body), {
      statusCode: 200,
      message: "Successfully written to 1/1 sinks.",
      sources: [
        {
          projectId: 1,
          sourceId: "flights",
          branchId: 1,
          statusCode: 200,
          message: "Successfully written to 1/1 sinks.",
          sinks: [{ sinkId: "flights", statusCode: 200, message: "processed" }],
        },
      ],
    });
    assert.match(answer.body, /^\{\n {2}"statusCode": 200,/);
  });

  const refused: [
    name: string,
    contentType: string,
    body: string | Uint8Array,
    status: number,
    message: string,
  ][] = [
    [
      "unknown charset",
      "application/json; charset=x-foo",
      "{}",
      415,
      'Content type "application/json; charset=x-foo" has an unknown charset.',
    ],
  ];
  for (const [name, contentType, body, status, message] of refused) {
    test(`${name} -> ${status}`, async () => {
      const answer = await door.post(body, { "Content-Type": contentType });
      const errorName = status === 415 ? "unsupportedMediaType" : "unprocessableContent";
      assert.deepEqual(error(answer), [status, `stream.in.${errorName}`, message]);
      assert.deepEqual(door.frames.rows("flights/0"), []);
    });
  }

  const perSink: [
    name: string,
    headers: Record<string, string>,
    body: string | Uint8Array,
    status: number,
    errorName: string,
    message: string,
  ][] = [
    [
      "no JSON",
      { "Content-Type": "application/json" },
      '{"origin":',
      422,
      "unprocessableContent",
      'Invalid value for column "origin": invalid JSON: unexpected end, expected a value at position 10.',
    ],
    [
      "nothing",
      { "Content-Type": "application/json" },
      "",
      422,
      "unprocessableContent",
      'Invalid value for column "origin": invalid JSON: unexpected end, expected a value at position 0.',
    ],
    [
      "two values",
      { "Content-Type": "application/json" },
      "{} {}",
      422,
      "unprocessableContent",
      'Invalid value for column "origin": invalid JSON: unexpected data after the value at position 3.',
    ],
    [
      "malformed UTF-8",
      { "Content-Type": "application/json" },
      Buffer.from('{"origin":"\xff"}', "latin1"),
      422,
      "unprocessableContent",
      'Invalid value for column "origin": invalid JSON: malformed UTF-8 at position 11.',
    ],
    [
      "bad form",
      { "Content-Type": "application/x-www-form-urlencoded" },
      "origin=%zz",
      422,
      "unprocessableContent",
      'Invalid value for column "origin": invalid form data: invalid escape in "origin=%zz".',
    ],
    [
      "not its charset",
      { "Content-Type": "application/json; charset=utf-16le" },
      "abc",
      422,
      "unprocessableContent",
      'Invalid value for column "origin": the body is not utf-16le.',
    ],
    [
      "a path that is missing",
      {},
      '{"other":1}',
      422,
      "unprocessableContent",
      'Invalid value for column "origin": path "origin" not found in the body.',
    ],
    [
      "a type that cannot be looked into",
      { "Content-Type": "text/plain" },
      "text",
      415,
      "unsupportedMediaType",
      'Column "origin" needs a JSON or form body.',
    ],
  ];
  for (const [name, headers, body, status, errorName, message] of perSink) {
    test(`${name} -> ${status}, said by the sink`, async () => {
      const answer = await door.post(body, headers);
      assert.equal(answer.status, status);
      const parsed = JSON.parse(answer.body) as {
        error: string;
        message: string;
        sources: { sinks: unknown[] }[];
      };
      assert.deepEqual([parsed.error, parsed.message], ["stream.in.writeFailed", "Written to 0/1 sinks."]);
      assert.deepEqual(parsed.sources[0]!.sinks, [
        { sinkId: "flights", statusCode: status, error: `stream.in.${errorName}`, message },
      ]);
    });
  }
});

describe("HTTP source: several sinks", () => {
  test("one cannot map -> the other has the record, the answer says both", async () => {
    await door.close();
    door = await new DoorHarness().open({
      sinks: [
        { sinkId: "all", columns: [{ type: "body", name: "b" }] },
        { sinkId: "some" },
        {
          sinkId: "later",
          columns: [{ type: "ip", name: "i" }],
          settings: { "storage.level.local.encoding.sync.wait": false },
        },
      ],
    });
    const answer = await door.post("{}");
    const { statusCode, message, sources } = JSON.parse(answer.body) as {
      statusCode: number;
      message: string;
      sources: { sinks: { sinkId: string; statusCode: number; message: string }[] }[];
    };
    assert.deepEqual([answer.status, statusCode, message], [422, 422, "Written to 2/3 sinks."]);
    assert.deepEqual(
      sources[0]!.sinks.map((sink) => [sink.sinkId, sink.statusCode]),
      [
        ["all", 200],
        ["later", 202],
        ["some", 422],
      ],
    );
    assert.deepEqual(door.frames.rows("all/0"), ['"{}"\n']);
    assert.deepEqual(door.frames.rows("later/0"), ['"127.0.0.1"\n']);
    const whole = await door.post('{"origin":1}');
    assert.deepEqual([whole.status, whole.body], [202, "OK"]);
  });

  test("no sink -> 200, and verbose says so", async () => {
    await door.close();
    door = await new DoorHarness().open({ sinks: [] });
    assert.deepEqual([(await door.post("{}")).body], ["OK"]);
    const answer = await door.post("{}", {}, `${door.path}?verbose=true`);
    assert.equal((JSON.parse(answer.body) as { message: string }).message, "No enabled sink found.");
  });

  test("a sink that is created later -> gets the next record", async () => {
    const sink = {
      projectId: 1,
      branchId: 1,
      sourceId: "flights",
      sinkId: "second",
      name: "n",
      description: "",
      tableId: "main.second",
      columns: [{ type: "headers", name: "h" }] as const,
      settings: {},
    };
    const outcome = await door.repository.createSink(sink, { type: "system" }, new AbortController().signal);
    assert.ok(outcome.kind === "created");
    await door.mirror.waitForRevision(outcome.revision, new AbortController().signal);
    await door.post('{"origin":1}', { "X-Odd-name": "v" });
    assert.deepEqual(door.frames.rows("second/0"), [
      '"{""Content-Length"":""12"",""Content-Type"":""application/json"",""Host"":""in.test"",""X-Odd-Name"":""v""}"\n',
    ]);
  });
});

describe("HTTP source: failures of the append", () => {
  const cases: [code: Code, status: number, name: string, retryAfter: string | undefined][] = [
    ["OVERLOADED", 429, "overloaded", "1"],
    ["DISK_FULL", 507, "insufficientStorage", "5"],
    ["UNAVAILABLE", 503, "pipelineNotReady", "1"],
    ["SHUTTING_DOWN", 503, "shutdown", "1"],
    ["REGISTER_MISMATCH", 503, "writeFailed", "1"],
  ];
  for (const [code, status, name, retryAfter] of cases) {
    test(`${code} -> ${status}, and the next record is accepted`, async () => {
      door.frames.fail = () => new WireError(code, "why");
      const answer = await door.post('{"origin":1}');
      assert.deepEqual([answer.status, answer.headers["retry-after"]], [status, retryAfter]);
      const { sources } = JSON.parse(answer.body) as { sources: { sinks: { error: string }[] }[] };
      assert.equal(sources[0]!.sinks[0]!.error, `stream.in.${name}`);
      door.frames.fail = () => undefined;
      assert.equal((await door.post('{"origin":2}')).status, 200);
      assert.equal(door.frames.rows("flights/0").length, 1);
    });
  }

  test("more waits than may -> 429 with the bound, without waiting", async () => {
    await door.close();
    door = await new DoorHarness().open({ limits: { queuedBytesMax: 1000, partitionQueuedBytesMax: 1000 } });
    let open: () => void = () => undefined;
    door.frames.gate = new Promise((resolve) => (open = resolve));
    const first = door.post(JSON.stringify({ origin: "x".repeat(2000) }));
    while (door.source.load.queuedBytes === 0) await new Promise((done) => setImmediate(done));
    const refused = await door.post('{"origin":1}');
    assert.equal(refused.status, 429);
    assert.match(refused.body, /Rows of 1000B are waiting to be appended\./);
    open();
    assert.equal((await first).status, 200);
  });
});

describe("HTTP source: limits and encodings", () => {
  test("a record over the limit -> 413 with the bound, single or declared", async () => {
    await door.close();
    door = await new DoorHarness().open({ limits: { recordBytesMax: 1000, batchBytesMax: 5000 } });
    const big = JSON.stringify({ origin: "x".repeat(2000) });
    const expected = [413, "stream.in.bodyTooLarge", 'Request body size is over the maximum "1000B".'];
    assert.deepEqual(error(await door.post(big)), expected);
    assert.deepEqual(error(await door.post(big, { "Content-Type": "text/plain" })), expected);
    assert.deepEqual(error(await door.post(gzipSync(big), { "Content-Encoding": "gzip" })), expected);
    const declared = await door.post("", { "Content-Length": "6000" });
    assert.deepEqual(error(declared), [
      413,
      "stream.in.bodyTooLarge",
      'Request body size is over the maximum "5000B".',
    ]);
    assert.equal(declared.headers["connection"], "close");
  });

  test("a row over the limit -> 413 with column and bound", async () => {
    const answer = await door.post(JSON.stringify({ origin: '"'.repeat(400_000) }));
    assert.equal(answer.status, 413);
    assert.match(answer.body, /Too big CSV row, column: \\"body\\", row limit: 1536KB\./);
  });

  test("a head over the limit -> 413", async () => {
    const answer = await door.post("{}", { "X-Long": "x".repeat(17_000) });
    assert.deepEqual(error(answer), [
      413,
      "stream.in.headerTooLarge",
      'Request header size is over the maximum "16KB".',
    ]);
  });

  test("gzip -> decompressed, small at once and large aside", async () => {
    for (const length of [10, 200_000]) {
      const noise = Array.from({ length }, (_, i) => String.fromCharCode(97 + ((i * i * 7919) % 26))).join(
        "",
      );
      const answer = await door.post(gzipSync(JSON.stringify({ origin: noise })), {
        "Content-Encoding": "gzip",
      });
      assert.equal(answer.status, 200);
      assert.ok(door.frames.rows("flights/0").at(-1)!.startsWith(`"${noise}"`));
    }
  });

  test("gzip bomb -> 413 at the bound", async () => {
    const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024, 0x20));
    assert.ok(bomb.length < 10_000);
    const answer = await door.post(bomb, {
      "Content-Encoding": "gzip",
      "Content-Type": "application/x-ndjson",
    });
    assert.deepEqual(error(answer), [
      413,
      "stream.in.bodyTooLarge",
      "Request body size is over the maximum 100 times its compressed size.",
    ]);
  });

  test("no gzip at all -> 400; an unknown encoding -> 415", async () => {
    assert.deepEqual(error(await door.post("{}", { "Content-Encoding": "gzip" })), [
      400,
      "stream.in.badRequest",
      "Invalid gzip body: incorrect header check.",
    ]);
    assert.deepEqual(error(await door.post("{}", { "Content-Encoding": "br" })), [
      415,
      "stream.in.unsupportedMediaType",
      'Content encoding "br" is not supported, expected gzip or zstd.',
    ]);
  });
});

describe("HTTP source: stopping", () => {
  test("what was taken is answered, what comes then is refused, then the address is free", async () => {
    let open: () => void = () => undefined;
    door.frames.gate = new Promise((resolve) => (open = resolve));
    const busy = door.connect();
    const late = door.connect();
    const post = (body: string): string =>
      `POST ${door.path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`;
    busy.send(post('{"origin":1}'));
    late.send(`POST ${door.path} HTTP/1.1\r\nHost: h\r\n`);
    while (door.source.load.queuedBytes === 0) await new Promise((done) => setImmediate(done));
    const stopped = door.source.stop(new AbortController().signal);
    late.send("Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    const refused = await late.answer();
    assert.deepEqual(error(refused), [503, "stream.in.shutdown", "Node is shutting down."]);
    assert.equal(refused.headers["connection"], "close");
    open();
    const answer = await busy.answer();
    assert.deepEqual([answer.status, answer.headers["connection"]], [200, "close"]);
    await busy.ended();
    busy.close();
    late.close();
    await stopped;
    assert.equal(door.frames.rows("flights/0").length, 1);
  });
});
