import assert from "node:assert/strict";
import { test } from "node:test";
import { HeadParser } from "@millrace/base";
import { PLAIN_BODY_BYTES_MAX, PLAIN_HEAD_BYTES_MAX, readPlainPut, type PlainPut } from "./http-plain-put.ts";

const parser = new HeadParser(PLAIN_HEAD_BYTES_MAX);

function read(line: string, lines: readonly string[] = [], length = 5): PlainPut | undefined {
  const all = [line, "Host: h:80", ...lines, ...(length < 0 ? [] : [`Content-Length: ${length}`])];
  return readPlainPut(parser, Buffer.from(`${all.join("\r\n")}\r\n\r\n`, "latin1"), 0);
}

test("plain PUT: head -> journal, host, token, length of the body and of the head", () => {
  const put = read("PUT /a/journal.x;meta HTTP/1.1", ["authorization:  Bearer t ", "X-Other: \u00e9"])!;
  const { url, host, authorization, append, bodyBytes, head } = put;
  assert.deepEqual([url, host, authorization, bodyBytes], ["/a/journal.x;meta", "h:80", "Bearer t", 5]);
  assert.equal(append.journal, "a/journal.x;meta");
  assert.equal(Buffer.from(head).toString("latin1").slice(-23), "\r\nContent-Length: 5\r\n\r\n");
});

const PLAIN: readonly (readonly [what: string, line: string, lines?: string[], length?: number])[] = [
  ["an empty line before", "\r\nPUT /a/journal HTTP/1.1"],
  ["keep-alive", "PUT /a/journal HTTP/1.1", ["connection: Keep-Alive"]],
  ["no body", "PUT /a/journal HTTP/1.1", [], 0],
  ["the largest body", "PUT /a/journal HTTP/1.1", [], PLAIN_BODY_BYTES_MAX],
  ["a content type and encoding", "PUT /a/journal HTTP/1.1", ["Content-Type: x/y", "Content-Encoding: gzip"]],
  ["a name that begins as a path of the gateway", "PUT /metrics-of/x HTTP/1.1"],
];

for (const [what, ...head] of PLAIN) {
  test(`plain PUT: ${what} -> plain`, () => assert.ok(read(...head)));
}

const OTHER: typeof PLAIN = [
  ["another method", "POST /a/journal HTTP/1.1"],
  ["HTTP/1.0", "PUT /a/journal HTTP/1.0", ["Connection: keep-alive"]],
  ["a query", "PUT /a/journal?offset=1 HTTP/1.1"],
  ["an empty query", "PUT /a/journal? HTTP/1.1"],
  ["an absolute target", "PUT http://h/a/journal HTTP/1.1"],
  ["an escape", "PUT /a/%6aournal HTTP/1.1"],
  ["an empty segment", "PUT /a//journal HTTP/1.1"],
  ["a segment of dots", "PUT /a/../journal HTTP/1.1"],
  ["a slash at the end", "PUT /a/journal/ HTTP/1.1"],
  ["a name that is too short", "PUT /abc HTTP/1.1"],
  ["REST", "PUT /v1/journals/list HTTP/1.1"],
  ["a probe", "PUT /livez HTTP/1.1"],
  ["metrics", "PUT /metrics HTTP/1.1"],
  ["diagnostics", "PUT /debug/metrics HTTP/1.1"],
  ["close", "PUT /a/journal HTTP/1.1", ["Connection: close"]],
  ["keep-alive and more", "PUT /a/journal HTTP/1.1", ["Connection: keep-alive, x"]],
  ["close for a proxy", "PUT /a/journal HTTP/1.1", ["Proxy-Connection: close"]],
  ["an upgrade", "PUT /a/journal HTTP/1.1", ["Upgrade: h2c"]],
  ["an origin", "PUT /a/journal HTTP/1.1", ["Origin: http://h"]],
  ["an expectation", "PUT /a/journal HTTP/1.1", ["Expect: 100-continue"]],
  ["trailers", "PUT /a/journal HTTP/1.1", ["Trailer: X"]],
  ["two tokens", "PUT /a/journal HTTP/1.1", ["Authorization: a", "Authorization: a"]],
  ["two hosts", "PUT /a/journal HTTP/1.1", ["Host: h"]],
  ["two lengths", "PUT /a/journal HTTP/1.1", ["Content-Length: 5"]],
  ["chunks", "PUT /a/journal HTTP/1.1", ["Transfer-Encoding: chunked"], -1],
  ["chunks and a length", "PUT /a/journal HTTP/1.1", ["Transfer-Encoding: chunked"]],
  ["no length", "PUT /a/journal HTTP/1.1", [], -1],
  ["a body too large", "PUT /a/journal HTTP/1.1", [], PLAIN_BODY_BYTES_MAX + 1],
  ["a head too large", "PUT /a/journal HTTP/1.1", [`X: ${"x".repeat(PLAIN_HEAD_BYTES_MAX)}`]],
  ["a folded line", "PUT /a/journal HTTP/1.1", ["X: a\r\n b"]],
  ["a bare line feed", "PUT /a/journal HTTP/1.1", ["X: a\nY: b"]],
  ["a space before a colon", "PUT /a/journal HTTP/1.1", ["X : a"]],
];

for (const [what, ...head] of OTHER) {
  test(`plain PUT: ${what} -> not plain`, () => assert.equal(read(...head), undefined));
}

test("plain PUT: a head that is not whole -> not plain, wherever it is cut", () => {
  const whole = Buffer.from("PUT /a/journal HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
  for (let end = 0; end < whole.length; end++)
    assert.equal(readPlainPut(parser, whole.subarray(0, end), 0), undefined);
  assert.ok(readPlainPut(parser, whole, 0));
});
