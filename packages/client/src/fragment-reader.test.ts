import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import {
  concatBytes,
  never,
  silentLogger,
  systemClock,
  text,
  utf8,
  WireError,
  type Code,
} from "@millrace/base";
import { newFragment, type Fragment } from "@millrace/protocol";
import { FakeTransport } from "./fake-transport.ts";
import { FragmentReader, type Decompressor } from "./fragment-reader.ts";
import { readJournal, type ReaderOptions } from "./journal-reader.ts";

const CONTENT = "0123456789";

/** Knows NONE and GZIP, and the lengths. */
const codecs: Decompressor = {
  decompress: async function* (codec, stored, bytes) {
    const parts: Uint8Array[] = [];
    for await (const part of stored) parts.push(part);
    const whole = concatBytes(parts);
    const content = codec === "GZIP" ? gunzipSync(whole) : whole;
    if (content.length !== bytes) throw new WireError("CORRUPT", `content of ${content.length} bytes`);
    for (let at = 0; at < content.length; at += 4) yield content.subarray(at, at + 4);
  },
};

async function fixture(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ reader: FragmentReader; url: string }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const reader = new FragmentReader(codecs, 2);
  t.after(async () => {
    await reader.close();
    server.closeAllConnections();
    server.close();
  });
  return { reader, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret?signature=x` };
}

function fragmentOf(more: Partial<Fragment>, content = CONTENT): Fragment {
  const sum = createHash("sha1").update(content).digest("hex");
  return newFragment({ journal: "j/one", begin: 100, end: 110, sum, compressionCodec: "NONE", ...more });
}

async function read(
  reader: FragmentReader,
  fragment: Fragment,
  url: string,
  offset: number,
): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of reader.read(fragment, url, offset, never)) parts.push(part);
  return text(concatBytes(parts));
}

const refused = (code: Code, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof WireError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  assert.ok(!error.message.includes("signature"), "the URL is a credential");
  return true;
};

test("read: raw content from any offset, whether the server knows ranges or not", async (t) => {
  for (const ranges of [true, false]) {
    const { reader, url } = await fixture(t, (request, response) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (!ranges || from === 0) return void response.end(CONTENT);
      response.writeHead(206, { "content-range": `bytes ${from}-9/10` }).end(CONTENT.slice(from));
    });
    assert.equal(await read(reader, fragmentOf({}), url, 100), CONTENT);
    assert.equal(await read(reader, fragmentOf({}), url, 103), "3456789");
  }
});

test("read: gzip offload, decompressed by the store or not; gzip from the middle", async (t) => {
  let encoding = false;
  const { reader, url } = await fixture(t, (request, response) => {
    assert.equal(request.headers["accept-encoding"], "identity");
    if (encoding) response.setHeader("content-encoding", "gzip");
    response.end(encoding ? gzipSync(CONTENT) : CONTENT);
  });
  const offload = fragmentOf({ compressionCodec: "GZIP_OFFLOAD_DECOMPRESSION" });
  assert.equal(await read(reader, offload, url, 100), CONTENT);
  encoding = true;
  assert.equal(await read(reader, offload, url, 100), CONTENT);
  assert.equal(await read(reader, fragmentOf({ compressionCodec: "GZIP" }), url, 105), "56789");
});

test("read: refusals and wrong content -> coded errors, and never the last piece of what is wrong", async (t) => {
  let respond: (response: ServerResponse) => void = () => undefined;
  const { reader, url } = await fixture(t, (_request, response) => respond(response));
  const cases: [(response: ServerResponse) => void, offset: number, Code, RegExp][] = [
    [(r) => r.writeHead(403).end("expired"), 100, "FORBIDDEN", /^j\/one\/.*: status 403/],
    [(r) => r.writeHead(404).end(), 100, "NOT_FOUND", /status 404/],
    [(r) => r.writeHead(503).end(), 100, "UNAVAILABLE", /status 503/],
    [(r) => r.writeHead(206, { "content-range": "bytes 0-9/10" }).end(CONTENT), 100, "UNAVAILABLE", /206/],
    [
      (r) => r.writeHead(206, { "content-range": "bytes 0-9/10" }).end(CONTENT),
      104,
      "UNAVAILABLE",
      /bytes 0-9/,
    ],
    [(r) => r.end(CONTENT.slice(1)), 100, "CORRUPT", /9 bytes/],
    [(r) => r.end("012345678X"), 100, "CORRUPT", /SHA-1/],
    [(r) => r.destroy(), 100, "UNAVAILABLE", /./],
  ];
  for (const [answer, offset, code, message] of cases) {
    respond = answer;
    let seen = "";
    await assert.rejects(
      async () => {
        for await (const part of reader.read(fragmentOf({}), url, offset, never)) seen += text(part);
      },
      refused(code, message),
    );
    assert.ok(seen.length < CONTENT.length);
  }
});

test("read: an abort -> its reason, and the request has ended", async (t) => {
  let gone = (): void => undefined;
  const isGone = new Promise<void>((resolve) => (gone = resolve));
  const abort = new AbortController();
  const reason = new Error("stop");
  const { reader, url } = await fixture(t, (_request, response) => {
    response.once("close", gone);
    response.write("01");
    abort.abort(reason);
  });
  await assert.rejects(
    async () => {
      for await (const _ of reader.read(fragmentOf({}), url, 100, abort.signal));
    },
    (error) => error === reason,
  );
  await isGone;
});

test("readJournal: a stored fragment is read at its URL; one that fails, and the rest, from the broker", async (t) => {
  let isBroken = false;
  let count = 0;
  const { reader, url } = await fixture(t, (_request, response) => {
    count++;
    if (isBroken) response.writeHead(403).end();
    else response.end(CONTENT);
  });
  for (isBroken of [false, true]) {
    const transport = new FakeTransport();
    transport.journals.set("j/one", utf8(`${CONTENT} and more`));
    transport.stored = { fragment: fragmentOf({ begin: 0, end: 10 }), fragmentUrl: url };
    const ports = { transport, clock: systemClock, logger: silentLogger, fragments: reader };
    const options: ReaderOptions = { journal: "j/one", offset: 0, block: false };
    let got = "";
    for await (const event of readJournal(ports, options, never)) {
      assert.ok(event.kind === "content");
      assert.equal(event.offset, got.length);
      got += text(event.bytes);
    }
    assert.equal(got, `${CONTENT} and more`);
    const [first, second] = transport.calls;
    assert.deepEqual([first, second], ["read j/one@0", isBroken ? "read j/one@0" : "read j/one@10"]);
  }
  assert.equal(count, 2);
  let part = "";
  const transport = new FakeTransport();
  transport.journals.set("j/one", utf8(CONTENT));
  transport.stored = { fragment: fragmentOf({ begin: 0, end: 10 }), fragmentUrl: url };
  isBroken = false;
  const ports = { transport, clock: systemClock, logger: silentLogger, fragments: reader };
  const options: ReaderOptions = { journal: "j/one", offset: 2, block: false, endOffset: 5 };
  for await (const event of readJournal(ports, options, never)) {
    if (event.kind === "content") part += text(event.bytes);
  }
  assert.equal(part, "234");
});
