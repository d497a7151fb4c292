import assert from "node:assert/strict";
import { test } from "node:test";
import { HeadParser, utf8 } from "@millrace/base";
import { headersJson } from "./http-source-headers.ts";

test("headers: canonical names, sorted, first value of each", () => {
  const parser = new HeadParser(1024);
  const lines = 'x-b-c: 1\r\nHOST: h\r\nAccept:\t a, b \r\nX-B-C: 2\r\nX-Q: "\u00e9"\r\n';
  const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n`, "latin1");
  assert.equal(parser.parse(bytes, 0, bytes.length), bytes.length);
  const json = headersJson(parser.head);
  assert.equal(json, '{"Accept":"a, b","Host":"h","X-B-C":"1","X-Q":"\\"\u00e9\\""}');
  assert.ok(utf8(json).length > 0);
});
