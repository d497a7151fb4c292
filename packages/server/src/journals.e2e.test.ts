// Journals over HTTP on a real platform: the lines of the Gazette tutorial word for word, and what bad input gets.
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { after, before, test } from "node:test";
import { ask, begin } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";

let platform: TestPlatform;
let broker = "";
const shells: ChildProcess[] = [];
const noCurl = spawnSync("curl", ["--version"]).status === 0 ? false : "curl is not installed";

before(async () => {
  platform = await TestPlatform.start(scratch());
  ({ broker } = platform.endpoints);
});

after(async () => {
  for (const { pid } of shells) if (pid !== undefined) process.kill(-pid, "SIGKILL");
  await platform.stop();
});

/** The tutorial's line, at this platform's address. */
function atHome(line: string): string {
  return line.replaceAll("http://localhost:8080", broker.replace("127.0.0.1", "localhost"));
}

function shell(line: string): string {
  const options = { encoding: "utf8", timeout: 20_000 } as const;
  const { stdout, stderr, status } = spawnSync("bash", ["-c", atHome(line)], options);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Starts a line that goes on by itself. */
function background(line: string): { text: string } {
  const child = spawn("bash", ["-c", atHome(line)], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  shells.push(child);
  const seen = { text: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (seen.text += text));
  return seen;
}

test(
  "the tutorial -> written, read, read from an offset, streamed while a loop appends",
  { skip: noCurl },
  async () => {
    const written = shell(`curl -X PUT --data-binary @- http://localhost:8080/examples/foobar << EOF
Hello, Gazette!
EOF`);
    assert.equal(written, "");
    assert.equal(shell("curl http://localhost:8080/examples/foobar"), "Hello, Gazette!\n");
    assert.equal(shell(`curl "http://localhost:8080/examples/foobar?offset=7"`), "Gazette!\n");
    background(`while true; do curl -X PUT --data-binary @- http://localhost:8080/examples/foobar << EOF
ping
EOF
sleep 0.2
done`);
    const tail = background(`curl -N "http://localhost:8080/examples/foobar?offset=7&block=true"`);
    await until("three pings have come", 20_000, () => tail.text.split("ping\n").length > 3);
    assert.match(tail.text, /^Gazette!\n(ping\n)+$/);
  },
);

test("a blocking read -> every append as it is made, in order", async () => {
  const url = `${broker}/examples/stream`;
  const sent = Array.from({ length: 50 }, (_, i) => `line ${i} ${"x".repeat(i * 100)}\n`);
  const whole = sent.join("");
  await ask(url, { method: "PUT", body: sent[0]! });
  const message = await begin(`${url}?block=true`);
  assert.equal(message.statusCode, 206);
  const reading = (async () => {
    let text = "";
    for await (const part of message) {
      text += String(part);
      if (text.length >= whole.length) break;
    }
    return text;
  })();
  for (const line of sent.slice(1)) assert.equal((await ask(url, { method: "PUT", body: line })).status, 204);
  assert.equal(await reading, whole);
});

test("many writers of one journal -> every append stands whole at the offsets of its answer", async () => {
  const url = `${broker}/examples/many`;
  const writers = Array.from({ length: 16 }, async (_, writer) => {
    const places: { readonly begin: number; readonly body: string }[] = [];
    for (let i = 0; i < 20; i++) {
      const body = `${writer}.${i} ${"y".repeat(writer * i)}\n`;
      const answer = await ask(url, { method: "PUT", body });
      assert.equal(answer.status, 204, answer.text);
      places.push({ begin: Number(answer.headers["x-commit-begin"]), body });
    }
    return places;
  });
  const places = (await Promise.all(writers)).flat().sort((a, b) => a.begin - b.begin);
  const { text, headers } = await ask(url);
  assert.equal(text, places.map(({ body }) => body).join(""));
  for (const { begin: at, body } of places) assert.equal(text.slice(at, at + body.length), body);
  assert.equal(headers["x-write-head"], String(text.length));
});

const SPEC = { name: "examples/spec", replication: 1, fragment: { length: "1024", refreshInterval: "300s" } };
const upsert = (spec: object): string =>
  JSON.stringify({ changes: [{ expectModRevision: "0", upsert: spec }] });
const selector = '{"selector":{"include":{"labels":[{}]}}}';
const short = { ...SPEC, fragment: { ...SPEC.fragment, length: "10" } };

const REFUSED: readonly [
  name: string,
  method: string,
  path: string,
  body: string | undefined,
  status: number,
  says: RegExp,
][] = [
  ["a journal that is not there", "GET", "/not/there", undefined, 404, /^JOURNAL_NOT_FOUND\n$/],
  ["an append outside of the templates", "PUT", "/not/there", "x", 404, /^JOURNAL_NOT_FOUND\n$/],
  [
    "a short name",
    "GET",
    "/x",
    undefined,
    400,
    /^Journal: invalid length \(1; expected 4 <= length <= 512\)\n$/,
  ],
  [
    "a name with a space",
    "PUT",
    "/examples/a%20b",
    "x",
    400,
    /^Journal: not a valid token \(examples\/a b\)\n$/,
  ],
  ["an offset that is no number", "GET", "/examples/many?offset=x", undefined, 400, /"offset"/],
  [
    "an offset below -1",
    "GET",
    "/examples/many?offset=-2",
    undefined,
    400,
    /invalid Offset \(-2; expected -1 <= /,
  ],
  [
    "an offset beyond the head",
    "GET",
    "/examples/many?offset=99999",
    undefined,
    416,
    /^OFFSET_NOT_YET_AVAILABLE\n$/,
  ],
  ["an unknown argument", "GET", "/examples/many?extra=1", undefined, 400, /schema: invalid path "extra"/],
  ["a method nobody knows", "DELETE", "/examples/many", undefined, 400, /unknown method: DELETE/],
  ["a selector that is none", "POST", "/v1/journals/list", selector, 400, /Selector/i],
  [
    "a spec without a name",
    "POST",
    "/v1/journals/apply",
    upsert({ ...SPEC, name: "" }),
    400,
    /Name: invalid length/,
  ],
  [
    "a fragment length out of range",
    "POST",
    "/v1/journals/apply",
    upsert(short),
    400,
    /invalid Length \(10; expected/,
  ],
];
for (const [name, method, path, body, status, says] of REFUSED) {
  test(`${name} -> ${status} in the words of the protocol`, async () => {
    const headers = path.startsWith("/v1/") ? { "content-type": "application/json" } : {};
    const answer = await ask(broker + path, { method, headers, ...(body === undefined ? {} : { body }) });
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.text, says);
  });
}
