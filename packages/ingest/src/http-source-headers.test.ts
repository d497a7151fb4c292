import assert from "node:assert/strict";
import { test } from "node:test";
import { HeadParser, text } from "@millrace/base";
import { headersOf } from "./http-source-headers.ts";

test("headers: canonical names, sorted, first value of each", () => {
  const parser = new HeadParser(1024);
  const lines =
    'x-b-c: 1\r\nHOST: h\r\nAccept:\t a, b \r\nX-B-C: 2\r\nX-Q: "\u00e9"\r\n7: seven\r\n__proto__: p\r\n';
  const bytes = Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n`, "latin1");
  assert.equal(parser.parse(bytes, 0, bytes.length), bytes.length);
  const headers = headersOf(parser.head);
  const json = '{"7":"seven","Accept":"a, b","Host":"h","X-B-C":"1","X-Q":"\\"\u00e9\\"","__proto__":"p"}';
  assert.equal(text(headers.json()), json);
  assert.equal(headers.text(), '7: seven\nAccept: a, b\nHost: h\nX-B-C: 1\nX-Q: "\u00e9"\n__proto__: p\n');
  assert.deepEqual(Object.entries(headers.object()).length, 6);
  assert.equal(headers.get("X-B-C"), "1");
  assert.equal(headers.get("X-Nothing"), undefined);
});
