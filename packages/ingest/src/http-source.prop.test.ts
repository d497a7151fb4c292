// Anything at all on an ingest connection: the door answers or ends the connection, and goes on serving others.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import fc from "fast-check";

import { DoorHarness } from "./http-source-testkit.ts";

let door: DoorHarness;
before(async () => {
  door = await new DoorHarness().open();
});
after(() => door.close());

const type = fc.constantFrom(
  "application/json",
  "application/x-ndjson",
  "application/x-www-form-urlencoded",
  "text/plain",
  "application/json; charset=utf-16",
  "x",
);
const encoding = fc.constantFrom("", "", "", "gzip", "zstd", "br");
const body = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.json().map((json) => Buffer.from(json)),
  fc.array(fc.json({ maxDepth: 1 })).map((lines) => Buffer.from(lines.join("\n"))),
  fc
    .constantFrom('{"origin":1}', "[1,", "a[b]=%", '{"origin":"\\ud800"}', "\x1f\x8b\x08")
    .map((text) => Buffer.from(text)),
);
const edit = fc.tuple(fc.nat(), fc.constantFrom("\r", "\n", "\0", " ", ":", "é", ""));

test("door: any request with any body, damaged or not -> answers, and serves the next", async () => {
  const request = fc.record({
    type,
    encoding,
    body,
    isChunked: fc.boolean(),
    edits: fc.array(edit, { maxLength: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ type, encoding, body, isChunked, edits }) => {
      const lines = [`POST ${door.path} HTTP/1.1`, "Host: h", `Content-Type: ${type}`, "Connection: close"];
      if (encoding !== "") lines.push(`Content-Encoding: ${encoding}`);
      lines.push(isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`);
      let head = `${lines.join("\r\n")}\r\n\r\n`;
      for (const [place, text] of edits) {
        const at = place % head.length;
        head = head.slice(0, at) + text + head.slice(at + (place % 2));
      }
      const chunk = Buffer.concat([
        Buffer.from(`${body.length.toString(16)}\r\n`),
        body,
        Buffer.from("\r\n"),
      ]);
      const content = isChunked ? [...(body.length > 0 ? [chunk] : []), Buffer.from("0\r\n\r\n")] : [body];
      const client = door.connect();
      client.send(Buffer.concat([Buffer.from(head, "latin1"), ...content]));
      client.end();
      await client.ended();
      assert.match(client.pending, /^HTTP\/1\.1 (200|400|404|405|413|415|417|422|501|505) /);
      client.close();
    }),
    { numRuns: 300 },
  );
  assert.equal((await door.post('{"origin":"last"}')).status, 200);
  assert.ok(door.frames.rows("flights/0").at(-1)!.startsWith('"last"'));
});
