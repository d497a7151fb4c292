import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { text } from "./bytes.ts";

import { headerLines, headerValue, type RequestHead } from "./http1-head.ts";
import { HEADERS_MAX, type Refusal } from "./http1-head-parser.ts";
import { DISCARD_BYTES_MAX, Http1Parser, type BodyPlan } from "./http1-parser.ts";

class Fixture {
  readonly events: string[] = [];
  refusal: Refusal | undefined;
  plan: BodyPlan = 100;
  onHead: (head: RequestHead) => void = () => undefined;
  readonly parser = new Http1Parser(
    {
      onHead: (head) => {
        this.onHead(head);
        return this.plan;
      },
      onContinue: () => void this.events.push("continue"),
      onRequest: (head, body, begin, end) => {
        const content = text(body.bytes.subarray(begin, end));
        this.events.push(`${head.method} ${head.path} ${content}${head.keepAlive ? "" : " last"}`);
      },
      onRefused: (refusal) => {
        this.refusal = refusal;
        this.events.push(`refused ${refusal.status}`);
      },
    },
    2000,
  );

  push(...chunks: string[]): this {
    for (const chunk of chunks) this.parser.push(Buffer.from(chunk, "latin1"));
    return this;
  }
}

const get = (target = "/", lines = "Host: h\r\n", version = "1.1"): string =>
  `GET ${target} HTTP/${version}\r\n${lines}\r\n`;

describe("HTTP/1.1 parser: refusals", () => {
  const cases: [name: string, bytes: string, status: number, message: string][] = [
    ["TLS", "\x16\x03\x01\x02", 400, "Invalid method."],
    ["lower case method", "get / HTTP/1.1\r\n", 501, "Method is not implemented."],
    ["unknown method", "FOO / HTTP/1.1\r\n", 501, "Method is not implemented."],
    ["CONNECT", "CONNECT h:1 HTTP/1.1\r\n", 501, "Method is not implemented."],
    ["fragment", get("/a#b"), 400, "Invalid request target."],
    ["relative target", get("a"), 400, "Invalid request target."],
    ["user in the target", get("http://u@h/"), 400, "Request target without path."],
    ["HTTP/2", "GET / HTTP/2.0\r\n\r\n", 505, "HTTP version is not supported."],
    ["no HTTP", "GET / FOO\r\n", 400, "Invalid protocol version."],
    ["bare LF", "GET / HTTP/1.1\nHost: h\n\n", 400, "Invalid protocol version."],
    ["bare LF behind a header", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400, "Invalid header value."],
    ["folded header", get("/", "Host: h\r\nX: a\r\n b\r\n"), 400, "Invalid header name."],
    ["space before the colon", get("/", "Host : h\r\n"), 400, "Invalid header name."],
    ["NUL", get("/", "Host: h\r\nX: a\0b\r\n"), 400, "Invalid header value."],
    ["no host", get("/", ""), 400, "Expected one host."],
    ["two hosts", get("/", "Host: a\r\nHost: a\r\n"), 400, "Expected one host."],
    ["host with a path", get("/", "Host: a/b\r\n"), 400, "Invalid host."],
    [
      "two lengths",
      get("/", "Host: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n"),
      400,
      "More than one content length.",
    ],
    ["list of lengths", get("/", "Host: h\r\nContent-Length: 1,1\r\n"), 400, "Invalid content length."],
    ["signed length", get("/", "Host: h\r\nContent-Length: +1\r\n"), 400, "Invalid content length."],
    [
      "length and chunks",
      get("/", "Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
      400,
      "Content length beside transfer encoding.",
    ],
    [
      "other coding",
      get("/", "Host: h\r\nTransfer-Encoding: gzip, chunked\r\n"),
      400,
      "Invalid transfer encoding.",
    ],
    [
      "chunks in 1.0",
      get("/", "Transfer-Encoding: chunked\r\n", "1.0"),
      400,
      "Transfer encoding in HTTP/1.0.",
    ],
    ["expectation", get("/", "Host: h\r\nExpect: foo\r\n"), 417, "Expectation is not supported."],
    [
      "body over the limit",
      get("/", "Host: h\r\nContent-Length: 101\r\n"),
      413,
      'Request body size is over the maximum "100B".',
    ],
    [
      "head over the limit",
      get("/", `Host: h\r\nX: ${"x".repeat(2000)}\r\n`),
      413,
      'Request header size is over the maximum "2000B".',
    ],
    [
      "head over the limit, no end",
      `GET /${"x".repeat(2000)}`,
      413,
      'Request header size is over the maximum "2000B".',
    ],
    [
      "too many headers",
      get("/", `Host: h\r\n${"a:\r\n".repeat(HEADERS_MAX)}`),
      413,
      `Request has more than ${HEADERS_MAX} headers.`,
    ],
  ];
  for (const [name, bytes, status, message] of cases) {
    test(`${name} -> ${status}`, () => {
      const { events, refusal, parser } = new Fixture().push(bytes, get());
      assert.deepEqual(events, [`refused ${status}`]);
      assert.equal(refusal?.message, message);
      assert.equal(parser.waitsFor, "nothing");
    });
  }

  const chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const bodies: [name: string, bytes: string, status: number, message: string][] = [
    ["chunk size with a sign", "+5\r\n", 400, "Invalid chunk size."],
    ["chunk size with 0x", "0x5\r\n", 400, "Invalid chunk size."],
    ["chunk size of 9 digits", "000000005\r\n", 400, "Invalid chunk size."],
    ["no chunk size", "\r\n", 400, "Invalid chunk size."],
    ["bare LF behind a chunk size", "5\n", 400, "Invalid chunk size."],
    ["chunk longer than it says", "2\r\nabc\r\n", 400, "Invalid chunk."],
    ["extension with a space", "2; a=b\r\n", 400, "Invalid chunk extension."],
    ["endless extension", `2;${"a".repeat(3000)}`, 400, "Chunk extensions and trailers are too long."],
    ["framing in a trailer", "0\r\nContent-Length: 5\r\n\r\n", 400, "Invalid trailer."],
    [
      "chunks over the limit",
      "60\r\n" + "x".repeat(0x60) + "\r\n5\r\n",
      413,
      'Request body size is over the maximum "100B".',
    ],
  ];
  for (const [name, bytes, status, message] of bodies) {
    test(`${name} -> ${status}`, () => {
      const { events, refusal } = new Fixture().push(chunked + bytes);
      assert.deepEqual(events, [`refused ${status}`]);
      assert.equal(refusal?.message, message);
    });
  }
});

describe("HTTP/1.1 parser: requests", () => {
  test("pipelined, in any pieces -> all of them", () => {
    const bytes = `${get("/1")}POST /2 HTTP/1.1\r\nhost: h\r\ncontent-LENGTH: 5\r\n\r\nhello${get("/3")}`;
    for (let size = 1; size <= bytes.length; size++) {
      const f = new Fixture();
      for (let at = 0; at < bytes.length; at += size) f.push(bytes.slice(at, at + size));
      assert.deepEqual(f.events, ["GET /1 ", "POST /2 hello", "GET /3 "]);
      assert.equal(f.parser.waitsFor, "idle");
    }
  });

  test("chunks with extensions and trailers -> the body alone", () => {
    const bytes =
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n" +
      "3;a=b;c\r\nabc\r\n0A\r\n0123456789\r\n000\r\nX-Sum: 1\r\n\r\n";
    for (let size = 1; size <= bytes.length; size++) {
      const f = new Fixture();
      for (let at = 0; at < bytes.length; at += size) f.push(bytes.slice(at, at + size));
      assert.deepEqual(f.push(get()).events, ["POST /c abc0123456789", "GET / "]);
    }
  });

  test("absolute target -> its path; query apart", () => {
    const f = new Fixture();
    const seen: string[] = [];
    f.onHead = (head) => void seen.push(`${head.path} ${head.query}`);
    f.push(get("http://h:80/p/q?a=b?c"), get("/?"), get("/x"), "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert.deepEqual(seen, ["/p/q a=b?c", "/ ", "/x ", "* "]);
  });

  test("keep-alive: by version and Connection", () => {
    const cases: [lines: string, version: string, isLast: boolean][] = [
      ["Host: h\r\n", "1.1", false],
      ["Host: h\r\nConnection: close\r\n", "1.1", true],
      ["Host: h\r\nConnection: x , CLOSE\r\n", "1.1", true],
      ["Host: h\r\nConnection: close\r\nConnection: keep-alive\r\n", "1.1", true],
      ["", "1.0", true],
      ["Connection: keep-alive\r\n", "1.0", false],
    ];
    for (const [lines, version, isLast] of cases) {
      const f = new Fixture().push(get("/", lines, version) + get());
      assert.equal(f.events.length, isLast ? 1 : 2, lines);
    }
  });

  test("Expect: 100-continue -> asked for only while the body has not come", () => {
    const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    assert.deepEqual(new Fixture().push(head, "ab").events, ["continue", "POST / ab"]);
    assert.deepEqual(new Fixture().push(`${head}ab`).events, ["POST / ab"]);
    assert.deepEqual(new Fixture().push(`${head}a`, "b").events, ["POST / ab"]);
  });

  test("discarded bodies: small ones are read over, large and expecting ones end the connection", () => {
    const post = (lines: string): string => `POST / HTTP/1.1\r\nHost: h\r\n${lines}\r\n`;
    const discard = (...chunks: string[]): string[] => {
      const f = new Fixture();
      f.plan = "discard";
      return f.push(...chunks).events;
    };
    const max = DISCARD_BYTES_MAX;
    assert.deepEqual(discard(post(`Content-Length: ${max}\r\n`), "x".repeat(max), get()), [
      "POST / ",
      "GET / ",
    ]);
    assert.deepEqual(discard(post(`Content-Length: ${max + 1}\r\n`), "x", get()), ["POST /  last"]);
    assert.deepEqual(discard(post("Content-Length: 2\r\nExpect: 100-continue\r\n"), "ab"), ["POST /  last"]);
    assert.deepEqual(discard(post("Transfer-Encoding: chunked\r\n"), "2\r\nab\r\n0\r\n\r\n", get()), [
      "POST / ",
      "GET / ",
    ]);
  });

  test("what it waits for", () => {
    const f = new Fixture();
    assert.equal(f.parser.waitsFor, "idle");
    assert.equal(f.push("GE").parser.waitsFor, "head");
    assert.equal(f.push(get().slice(2)).parser.waitsFor, "idle");
    assert.equal(f.push("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na").parser.waitsFor, "body");
    assert.equal(f.parser.receivingBytes, 1);
    assert.equal(f.push("bc").parser.waitsFor, "idle");
    assert.equal(f.parser.receivingBytes, 0);
  });
});

test("headers: lines in their order, names as received; a value by its name", () => {
  let lines: readonly (readonly [string, string])[] = [];
  let host: string | undefined;
  const f = new Fixture();
  f.onHead = (head) => {
    lines = headerLines(head);
    host = headerValue(head, "host");
  };
  f.push("GET / HTTP/1.1\r\nx-b: 1\r\nHOST: h\r\nAccept:\t a, b \r\nX-B: 2\r\n\r\n");
  assert.deepEqual(lines, [
    ["x-b", "1"],
    ["HOST", "h"],
    ["Accept", "a, b"],
    ["X-B", "2"],
  ]);
  assert.equal(host, "h");
});
