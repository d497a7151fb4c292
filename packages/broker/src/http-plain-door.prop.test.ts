// node:http is the oracle: whatever bytes come in whatever pieces, with plain PUTs in front of it the same appends are
// made and the same is answered, to the byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import fc from "fast-check";
import { openTestDoor, turns, type Wire } from "./http-plain-testkit.ts";

interface Outcome {
  readonly answers: string;
  readonly appended: readonly string[];
  readonly isClosed: boolean;
  readonly handedOver: number;
}

async function outcomeOf(isPlain: boolean, run: (wire: Wire) => Promise<void>): Promise<Outcome> {
  const agenda = new Agenda();
  const opened = openTestDoor(new SimulatedClock(agenda));
  const wire = opened.connect(isPlain);
  await run(wire);
  // What is not whole goes to node:http by then.
  while (await agenda.step(3000));
  await turns();
  const { answers, socket } = wire;
  const isClosed = socket.destroyed || socket.writableEnded;
  socket.destroy();
  opened.server.close();
  return { answers, appended: opened.journals.appended, isClosed, handedOver: opened.handedOver };
}

/** Sends each of `requests` when those before it are answered, each in pieces of `sizes`. */
function oneByOne(requests: readonly Buffer[], sizes: readonly number[]): (wire: Wire) => Promise<void> {
  return async (wire) => {
    for (const request of requests) for (const piece of pieces(request, sizes)) await wire.send(piece);
  };
}

function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    if (at < bytes.length) parts.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return parts;
}

const path = fc.constantFrom(
  "/a/journal",
  "/a/journal",
  "/another/one.two",
  "/lost/journal",
  "/full/journal",
  "/closed/journal",
  "/a/journal;meta",
);
const oddPath = fc.constantFrom(
  "/a/journal?offset=0",
  "/a/journal?",
  "/a//journal",
  "/a/./journal",
  "/a/../journal",
  "/a/.journal",
  "/a/journal/",
  "/a/%6aournal",
  "/a/%",
  "/a/jour\u00e9",
  "/v1/journals/list",
  "/v1/x",
  "/metrics",
  "/livez",
  "/debug/ready",
  "/debug/other",
  "/ab",
  "/",
  "*",
  "http://localhost/a/journal",
  "//a/journal",
  "/a/journal#x",
  '/a/"journal"',
  "/a/{journal}",
);
const oddLines = fc.constantFrom(
  "Connection: close",
  "Connection: Keep-Alive",
  "Connection: keep-alive, close",
  "Connection: upgrade\r\nUpgrade: h2c",
  "Upgrade: websocket",
  "Proxy-Connection: close",
  "Keep-Alive: timeout=1",
  "Expect: 100-continue",
  "Expect: other",
  "Origin: http://localhost",
  "Origin: http://evil.example",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding : chunked",
  "TE: trailers",
  "Trailer: X-A",
  "Content-Length: 5",
  "Content-Length: 05",
  "Content-Length: +5",
  "Content-Encoding: gzip",
  "Host: localhost",
  "Host: evil.example",
  "Authorization: Bearer passing",
  "Authorization: Bearer wrong",
  "Authorization: Bearer passing\r\nAuthorization: Bearer wrong",
  " folded",
  "X-A: b\r\n\tfolded",
  "X-A: \u0001",
  "no colon",
  "X-Long: " + "x".repeat(9000),
  "X-Longer: " + "x".repeat(17_000),
  "X-A: \u00e9",
);
const host = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom("Host: localhost", "host: 127.0.0.1:8080", "HOST:[::1]") },
  fc.constantFrom("Host: evil.example", "Host: a b", "Host:", "X-No: host"),
);
/** A body, and what its length is said to be. */
const body = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom("hello", "x", "x".repeat(300)).map((text) => [text, text.length] as const),
  },
  fc.constantFrom(
    ["", 0] as const,
    ["hello extra", 5] as const,
    ["hell", 5] as const,
    ["5\r\nhello\r\n0\r\n\r\n", -1] as const,
    ["", -1] as const,
    ["x", 300_000] as const,
    ["\r\n", 0] as const,
  ),
);
const wholeBody = fc
  .constantFrom("hello", "x", "", "x".repeat(300))
  .map((text) => [text, text.length] as const);
const method = fc.oneof(
  { weight: 20, arbitrary: fc.constant("PUT") },
  fc.constantFrom("GET", "HEAD", "POST", "put", "PUT ", "DELETE"),
);
const version = fc.oneof(
  { weight: 20, arbitrary: fc.constant("HTTP/1.1") },
  fc.constantFrom("HTTP/1.0", "HTTP/1.2", "http/1.1"),
);

function encode(
  line: string,
  lines: readonly string[],
  [content, length]: readonly [string, number],
): Buffer {
  const all = length < 0 ? lines : [...lines, `Content-Length: ${length}`];
  return Buffer.from(`${[line, ...all].join("\r\n")}\r\n\r\n${content}`, "latin1");
}

const plain = fc
  .tuple(path, wholeBody, fc.constantFrom([], ["Content-Type: text/plain"], ["Connection: keep-alive"]))
  .map(([target, content, lines]) =>
    encode(`PUT ${target} HTTP/1.1`, ["Host: localhost", ...lines], content),
  );

const odd = fc
  .record({
    method,
    target: fc.oneof({ weight: 3, arbitrary: path }, oddPath),
    version,
    host,
    others: fc.array(oddLines, { maxLength: 2 }),
    body,
    lead: fc.oneof({ weight: 20, arbitrary: fc.constant("") }, fc.constantFrom("\r\n", "\n", " ")),
  })
  .map((all) =>
    Buffer.concat([
      Buffer.from(all.lead),
      encode(`${all.method} ${all.target} ${all.version}`, [all.host, ...all.others], all.body),
    ]),
  );

const edit = fc.tuple(
  fc.nat(),
  fc.constantFrom("\r", "\n", "\0", " ", ":", "x", "\u0080", "", "0"),
  fc.nat(1),
);
const edited = fc.tuple(plain, edit).map(([bytes, [place, replacement, cut]]) => {
  const at = place % bytes.length;
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(replacement, "latin1"), bytes.subarray(at + cut)]);
});

const requests = fc.array(
  fc.oneof({ weight: 4, arbitrary: plain }, { weight: 2, arbitrary: odd }, { weight: 1, arbitrary: edited }),
  { minLength: 1, maxLength: 4 },
);
const sizes = fc.oneof(
  fc.constant<number[]>([]),
  fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 5 }),
);

/**
 * Of a connection that breaks node:http forgets the answers that are due, and says 400 unless it is in the middle of
 * another one: both depend on how its bytes came together.
 */
const BROKEN = /HTTP\/1\.1 4\d\d [^\r]*\r\nConnection: close\r\n\r\n$/;

function assertSame(ours: Outcome, theirs: Outcome): void {
  if (!BROKEN.test(ours.answers) && !BROKEN.test(theirs.answers)) {
    assert.deepEqual({ ...ours, handedOver: 0 }, { ...theirs, handedOver: 0 });
    return;
  }
  const [short, long] = [ours, theirs]
    .map(({ answers }) => answers.replace(BROKEN, ""))
    .sort((a, b) => a.length - b.length);
  assert.ok(long!.startsWith(short!), "the same answers before");
  assert.deepEqual(ours.appended.slice(0, theirs.appended.length), theirs.appended);
  assert.ok(ours.isClosed && theirs.isClosed, "both are closed");
}

test("door: requests one by one, plain, odd and broken, in any pieces -> answered as by node:http", async () => {
  let served = 0;
  await fc.assert(
    fc.asyncProperty(requests, sizes, async (all, cuts) => {
      const run = oneByOne(all, cuts);
      const [ours, theirs] = [await outcomeOf(true, run), await outcomeOf(false, run)];
      assertSame(ours, theirs);
      if (ours.handedOver === 0) served++;
    }),
    { numRuns: 1500 },
  );
  assert.ok(served > 100, `${served} connections were served without node:http`);
});

test("door: plain requests all at once, in any pieces -> answered as by node:http, in order", async () => {
  const group = fc.array(plain, { minLength: 2, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(group, sizes, async (all, cuts) => {
      const run = oneByOne([Buffer.concat(all)], cuts);
      const [ours, theirs] = [await outcomeOf(true, run), await outcomeOf(false, run)];
      assert.equal(ours.answers, theirs.answers);
      assert.deepEqual(ours.appended, theirs.appended);
    }),
    { numRuns: 500 },
  );
});
