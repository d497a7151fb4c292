// node:http is the oracle: whatever it refuses is refused here, and what both accept is read the same way. Requests
// that only this parser refuses must be refused for a reason that is on the list.
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { Duplex } from "node:stream";
import { after, before, describe, test } from "node:test";

import fc from "fast-check";

import { headerLines } from "./http1-head.ts";
import type { Refusal } from "./http1-head-parser.ts";
import { Http1Parser } from "./http1-parser.ts";

interface Read {
  readonly requests: readonly Request[];
  readonly refused: string | undefined;
  /** Ended because the client asked for it: what follows is not looked at. */
  readonly closed: boolean;
}
interface Request {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly string[];
  readonly body: string;
}

const BODY_MAX = 10_000;
const HEAD_MAX = 16 * 1024;

function readWithOurs(chunks: readonly Uint8Array[]): Read {
  const requests: Request[] = [];
  let refused: Refusal | undefined;
  const parser = new Http1Parser(
    {
      onHead: () => BODY_MAX,
      onContinue: () => undefined,
      onRequest: (head, body, begin, end) => {
        requests.push({
          method: head.method,
          target: head.queryEnd > head.pathEnd ? `${head.path}?${head.query}` : head.path,
          version: `1.${head.minor}`,
          headers: headerLines(head).flat(),
          body: Buffer.from(body.bytes.subarray(begin, end)).toString("latin1"),
        });
      },
      onRefused: (refusal) => (refused = refusal),
    },
    HEAD_MAX,
  );
  for (const chunk of chunks) parser.push(chunk);
  return {
    requests,
    refused: refused?.message,
    closed: refused === undefined && parser.waitsFor === "nothing",
  };
}

/** A server over streams in memory: no sockets, no timers. */
class Oracle {
  readonly #server: Server;
  #onRequest: (request: IncomingMessage) => void = () => undefined;
  #onError: (error: Error) => void = () => undefined;
  constructor() {
    this.#server = createServer(
      { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
      (request, response) => {
        this.#onRequest(request);
        request.on("end", () => response.end());
        request.resume();
      },
    );
    this.#server.on("clientError", (error) => this.#onError(error));
  }

  async read(bytes: Uint8Array): Promise<Read> {
    const requests: (Request | undefined)[] = [];
    let refused: string | undefined;
    let written = "";
    this.#onRequest = (request) => {
      const at = requests.push(undefined) - 1;
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString("latin1")));
      request.on("error", () => undefined);
      request.on("end", () => {
        requests[at] = {
          method: request.method ?? "",
          target: request.url ?? "",
          version: request.httpVersion,
          headers: request.rawHeaders,
          body,
        };
      });
    };
    this.#onError = (error) => (refused ??= error.message);
    const stream = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        written += chunk.toString("latin1");
        done();
      },
    });
    stream.on("error", () => undefined);
    this.#server.emit("connection", stream);
    stream.push(bytes);
    for (let turn = 0; turn < 6; turn++) await new Promise((done) => setImmediate(done));
    stream.destroy();
    if (/^HTTP\/1\.1 4/m.test(written)) refused ??= "answered with 4xx";
    return { requests: requests.filter((request) => request !== undefined), refused, closed: false };
  }

  close(): void {
    this.#server.close();
  }
}

/** Reasons for which only this parser refuses. */
const STRICTER = new RegExp(
  [
    "Method is not implemented",
    "HTTP version is not supported",
    "Invalid (protocol version|request target|host|header value|header name|method)",
    "Invalid (chunk|chunk size|chunk extension|trailer|content length|transfer encoding)",
    "Request target without path",
    "Expected (one host|a line feed)",
    "More than one content (type|encoding|length)",
    "Content length beside transfer encoding",
    "Transfer encoding in HTTP/1\\.0",
    "Expectation is not supported",
    "Request has more than 100 headers",
    'Request (header|body) size is over the maximum ".*"',
    "Chunk extensions and trailers are too long",
  ]
    .map((reason) => `^${reason}\\.$`)
    .join("|"),
);

const eol = fc.oneof(
  { weight: 60, arbitrary: fc.constant("\r\n") },
  fc.constantFrom("\n", "\r", "\r\r\n", "\n\r", " \r\n"),
);
const method = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH") },
  fc.constantFrom("get", "PROPFIND", "FOO", "", "PO ST", "POST\t", "CONNECT"),
);
const target = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("/", "/stream/1/s/x", "/a?b=c", "/?", "/a?b?c", "/%20", "/[x]|y") },
  fc.constantFrom(
    "*",
    "http://h/p",
    "http://h:80/p?q",
    "http://h",
    "/a#b",
    "/é",
    "/a b",
    "",
    "x",
    "//",
    "http://u@h/p",
  ),
);
const version = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom("HTTP/1.1", "HTTP/1.0") },
  fc.constantFrom("HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/11", "HTTP/1,1"),
);
const name = fc.constantFrom(
  "X-A",
  "Accept",
  "x_y",
  "A.b",
  "Content-Type",
  "Content-Encoding",
  "Upgrade",
  "Trailer",
);
const value = fc.constantFrom(
  "v",
  "",
  "  spaced  ",
  "a,b",
  "\ttab",
  "é",
  '"q"',
  "a:b",
  "x\u007f",
  "nul\0",
  "\x01",
  "text/plain; a=b",
);
const framing = fc.oneof(
  { weight: 6, arbitrary: fc.constant<string[]>([]) },
  fc.constantFrom(
    ["Content-Length: 5"],
    ["Transfer-Encoding: chunked"],
    ["Content-Length: 5", "Content-Length: 5"],
    ["Content-Length: 5", "Content-Length: 6"],
    ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: chunked, identity"],
    ["Transfer-Encoding: CHUNKED"],
    ["Transfer-Encoding:  chunked "],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding : chunked"],
    ["Transfer-Encoding:\u000bchunked"],
    ["Content-Length: +5"],
    ["Content-Length: 5 "],
    ["Content-Length: 0x5"],
    ["Content-Length: 05"],
    ["Content-Length: 5,5"],
    ["Content-Length: -1"],
    ["Content-Length:"],
    ["Content-Length: 99999999999999999999"],
    ["Content-Length: 20000"],
    ["content-length: 0"],
  ),
);
const connection = fc.oneof(
  { weight: 5, arbitrary: fc.constant<string[]>([]) },
  fc.constantFrom(
    ["Connection: close"],
    ["Connection: keep-alive"],
    ["Connection: Keep-Alive, x"],
    ["Connection: x, close"],
    ["Connection: upgrade", "Upgrade: h2c"],
    ["Expect: 100-continue"],
    ["Expect: other"],
  ),
);
const host = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(["Host: h"], ["host: h:80"], ["Host: [::1]"]) },
  fc.constantFrom<string[]>([], ["Host: a", "Host: b"], ["Host: a b"], ["Host:"], ["Host : a"]),
);
const odd = fc.constantFrom(
  " folded",
  "\tfolded",
  "no colon",
  ": empty",
  "a b: c",
  "é: x",
  "X:y\0",
  "X-Ok:1",
);
const body = fc.constantFrom(
  "",
  "hello",
  "hello",
  "hell",
  "hello extra",
  "5\r\nhello\r\n0\r\n\r\n",
  "5\r\nhello\r\n0\r\n\r\n",
  "5;ext=1\r\nhello\r\n0\r\n\r\n",
  "5; ext=1\r\nhello\r\n0\r\n\r\n",
  "5;a=1=2\r\nhello\r\n0\r\n\r\n",
  "5;a=;b\r\nhello\r\n0\r\n\r\n",
  "5;\r\nhello\r\n0\r\n\r\n",
  "5;a;b=c\r\nhello\r\n0\r\n\r\n",
  '5;a="q\\"x"\r\nhello\r\n0\r\n\r\n',
  "5 ;ext\r\nhello\r\n0\r\n\r\n",
  "005\r\nhello\r\n000\r\n\r\n",
  "0000000005\r\nhello\r\n0\r\n\r\n",
  "5\r\nhello0\r\n\r\n",
  "5\nhello\n0\n\n",
  "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
  "5\r\nhello\r\n0\r\nX-T : 1\r\n\r\n",
  "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
  "0x5\r\nhello\r\n0\r\n\r\n",
  "-5\r\nhello\r\n0\r\n\r\n",
  "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
  "100000000\r\nhello\r\n0\r\n\r\n",
  "A\r\nhello\r\n0\r\n\r\n",
  "\r\n",
  "0\r\n\r\n",
);
const request = fc
  .record({
    lead: fc.oneof(
      { weight: 20, arbitrary: fc.constant("") },
      fc.constantFrom("\r\n", "\r\n\r\n", "\n", " "),
    ),
    line: fc.tuple(method, target, version),
    lines: fc.tuple(host, framing, connection, fc.array(fc.tuple(name, value), { maxLength: 3 })),
    odd: fc.oneof(
      { weight: 20, arbitrary: fc.constant<string[]>([]) },
      odd.map((line) => [line]),
    ),
    shuffle: fc.nat(),
    eol,
    body,
  })
  .map(({ lead, line, lines: [hosts, frame, options, others], odd, shuffle, eol, body }) => {
    const lines = [...hosts, ...frame, ...options, ...others.map(([n, v]) => `${n}: ${v}`)];
    lines.splice(shuffle % (lines.length + 1), 0, ...odd);
    const ends = lines.map((text, i) => text + (i === shuffle % 7 ? eol : "\r\n"));
    return `${lead}${line.join(" ")}\r\n${ends.join("")}\r\n${body}`;
  });
const edits = fc.array(
  fc.tuple(fc.nat(), fc.constantFrom("\r", "\n", "\0", " ", ":", "x", "\u0080", "", "0")),
  {
    maxLength: 1,
  },
);
const stream = fc
  .tuple(fc.array(request, { minLength: 1, maxLength: 3 }), edits, fc.boolean())
  .map(([requests, edits, edit]) => {
    let all = requests.join("");
    for (const [place, text] of edit ? edits : []) {
      const at = place % all.length;
      all = all.slice(0, at) + text + all.slice(at + (place % 2));
    }
    return Buffer.from(all, "latin1");
  });

describe("HTTP/1.1 parser", () => {
  let oracle: Oracle;
  before(() => (oracle = new Oracle()));
  after(() => oracle.close());

  test("push: any request stream -> never more lenient than node:http, and read the same", async () => {
    await fc.assert(
      fc.asyncProperty(stream, async (bytes) => {
        const ours = readWithOurs([bytes]);
        const theirs = await oracle.read(bytes);
        // node:http drops what is pipelined behind a request for an upgrade that it does not do.
        if (/^connection: upgrade/im.test(bytes.toString("latin1"))) return;
        assert.deepEqual(
          ours.requests.map(comparable),
          theirs.requests.slice(0, ours.requests.length).map(comparable),
        );
        if (ours.refused !== undefined) {
          if (theirs.refused === undefined) assert.match(ours.refused, STRICTER);
        } else if (!ours.closed) {
          assert.equal(theirs.requests.length, ours.requests.length, "node:http reads more");
          assert.equal(theirs.refused, undefined, "node:http refuses");
        }
      }),
      { numRuns: 4000 },
    );
  });

  test("push: any split -> the same requests and the same refusal as in one piece", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 }), (bytes, sizes) => {
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const size of [...sizes, bytes.length]) {
          if (at < bytes.length) chunks.push(Uint8Array.from(bytes.subarray(at, at + size)));
          at += size;
        }
        const whole = readWithOurs([bytes]);
        const split = readWithOurs(chunks);
        assert.deepEqual(split.requests, whole.requests);
        // In pieces a broken line may still wait for its end.
        if (split.refused !== undefined) assert.equal(split.refused, whole.refused);
        else if (whole.refused !== undefined)
          assert.ok(!endsWithLine(bytes), `refused only in one piece: ${whole.refused}`);
      }),
      { numRuns: 3000 },
    );
  });
});

function comparable(request: Request): Request {
  // node:http gives an absolute target as it is; here only its path counts.
  return { ...request, target: request.target.replace(/^https?:\/\/[^/?]*/, "") };
}

function endsWithLine(bytes: Uint8Array): boolean {
  return bytes.at(-1) === 0x0a;
}
