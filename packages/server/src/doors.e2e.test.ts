// Who may use a listener of a real platform, and what every listener says of itself: Host, Origin, tokens, CORS,
// probes, metrics, request ids.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Endpoints } from "./endpoints.ts";
import { ask, begin, post, type Answer, type Ask } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { createStream, sql } from "./test-streams.ts";

const DOORS = ["broker", "api", "http-source", "warehouse"] as const;
type Door = (typeof DOORS)[number];

const TOKEN = "correct-horse-battery-staple";
const BEARER = { authorization: `Bearer ${TOKEN}` };
const EVIL_ORIGIN = "http://evil.example";

interface Request extends Ask {
  readonly door: Door;
  readonly path: string;
  /** Status of the owner's own request. */
  readonly ok: number;
  /** Whether it is answered without a token too. */
  readonly isOpen?: true;
}

const JSON_TYPE = { "content-type": "application/json" };
const query = { method: "POST", headers: JSON_TYPE, body: '{"query":"select 1 as one"}' };

/** One of everything that is no ingest path. */
const REQUESTS: readonly Request[] = [
  ...DOORS.flatMap((door): Request[] => [
    { door, path: "/livez", ok: 200, isOpen: true },
    { door, path: "/readyz", ok: 200, isOpen: true },
    { door, path: "/metrics", ok: 200 },
  ]),
  { door: "broker", path: "/examples/guarded", method: "PUT", body: "x", ok: 204 },
  { door: "broker", path: "/examples/guarded", ok: 206 },
  { door: "broker", path: "/examples/guarded", method: "HEAD", ok: 206 },
  { door: "broker", path: "/v1/journals/list", method: "POST", headers: JSON_TYPE, body: "{}", ok: 200 },
  { door: "api", path: "/v1/branches/default/sources", ok: 200 },
  { door: "api", path: "/console/", ok: 200, isOpen: true },
  { door: "api", path: "/", ok: 301, isOpen: true },
  { door: "api", path: "/health-check", ok: 200, isOpen: true },
  { door: "api", path: "/console/api/sql", ...query, ok: 200 },
  { door: "warehouse", path: "/sql", ...query, ok: 200 },
  { door: "http-source", path: "/health-check", ok: 200, isOpen: true },
];

/** Requests that are wrong in themselves: whoever may not use the address must not learn even that. */
const MISTAKES: readonly Omit<Request, "ok">[] = [
  { door: "broker", path: "/examples//unclean" },
  { door: "broker", path: "/examples/guarded?extra=1" },
  { door: "broker", path: "/examples/guarded", method: "DELETE" },
  { door: "broker", path: "/v1/other", method: "POST", body: "{}" },
  { door: "broker", path: "/v1/journals/list", method: "OPTIONS" },
  { door: "api", path: "/nowhere" },
  { door: "api", path: "/v1/nowhere" },
  { door: "warehouse", path: "/nowhere" },
  { door: "http-source", path: "/nowhere" },
];

function send(
  endpoints: Endpoints,
  request: Omit<Request, "ok">,
  headers: Ask["headers"] = {},
): Promise<Answer> {
  return ask(endpoints[request.door] + request.path, {
    ...request,
    headers: { ...request.headers, ...headers },
  });
}

function nameOf({ door, method = "GET", path }: Omit<Request, "ok">): string {
  return `${door}: ${method} ${path}`;
}

let open: TestPlatform;
let openUrl = "";
let closed: TestPlatform;
let closedUrl = "";

before(async () => {
  const columns = [{ type: "body", name: "body" }] as const;
  open = await TestPlatform.start(scratch());
  openUrl = await createStream(open.endpoints, "records", columns);
  closed = await TestPlatform.start(scratch(), ["--auth.token", TOKEN]);
  closedUrl = await createStream(closed.endpoints, "records", columns, BEARER);
});

after(async () => {
  await open.stop();
  await closed.stop();
});

test("without a token: the owner on loopback -> is served at every door", async () => {
  for (const request of REQUESTS) {
    const answer = await send(open.endpoints, request);
    assert.equal(answer.status, request.ok, `${nameOf(request)}: ${answer.text}`);
    const origin = new URL(open.endpoints[request.door]).origin;
    assert.equal(
      (await send(open.endpoints, request, { origin })).status,
      request.ok,
      `${nameOf(request)}, own origin`,
    );
  }
});

test("without a token: another Host or a foreign Origin -> 403 at every door, and nothing more", async () => {
  const all = [...REQUESTS, ...MISTAKES];
  const port = (door: Door) => new URL(open.endpoints[door]).port;
  for (const request of all) {
    for (const headers of [
      { host: "evil.example" },
      { host: `evil.example:${port(request.door)}` },
      { origin: EVIL_ORIGIN },
      { origin: "null" },
      { origin: `http://localhost.evil.example:${port(request.door)}` },
    ]) {
      const answer = await send(open.endpoints, request, headers);
      const what = `${nameOf(request)} ${JSON.stringify(headers)}`;
      assert.equal(answer.status, 403, `${what}: ${answer.status} ${answer.text}`);
      assert.equal(answer.headers["access-control-allow-origin"], undefined, what);
    }
  }
  assert.equal(await readGuarded(open.endpoints), await readGuarded(open.endpoints));
});

async function readGuarded(endpoints: Endpoints): Promise<string> {
  return (await ask(`${endpoints.broker}/examples/guarded`)).text;
}

test("without a token: a page's preflight for /v1 -> refused", async () => {
  const headers = { origin: EVIL_ORIGIN, "access-control-request-method": "POST" };
  const path = "/v1/branches/default/sources";
  const answer = await send(open.endpoints, { door: "api", path, method: "OPTIONS" }, headers);
  assert.equal(answer.status, 403);
  assert.equal(answer.headers["access-control-allow-origin"], undefined);
});

for (const [name, platform, url, token] of [
  ["without a token", () => open, () => openUrl, {}],
  ["with a token", () => closed, () => closedUrl, BEARER],
] as const) {
  test(`${name}: an ingest path from any page, under any name -> taken, and the page may see it`, async () => {
    const headers = { origin: EVIL_ORIGIN, host: "stream.example" };
    const preflight = await ask(url(), { method: "OPTIONS", headers });
    assert.equal(preflight.status, 200);
    assert.equal(preflight.headers["access-control-allow-origin"], "*");
    assert.equal(preflight.headers["access-control-allow-headers"], "*");
    assert.match(String(preflight.headers["access-control-allow-methods"]), /POST/);
    const accepted = await post(url(), { n: 1 }, headers);
    const refused = await post(url(), "{", headers);
    const unknown = await post(`${url().slice(0, -3)}abc`, { n: 1 }, headers);
    assert.deepEqual([accepted.status, unknown.status], [200, 404]);
    for (const answer of [accepted, refused, unknown])
      assert.equal(answer.headers["access-control-allow-origin"], "*");
    const rows = refused.status === 200 ? 2 : 1;
    await until("they are rows", 30_000, async () => {
      const [row] = await sql(platform().endpoints, "select count(*) as n from main.records", token);
      return row?.["n"] === rows;
    });
  });
}

/** The configuration API has the specification's own statuses: 400 without a token, 401 with a wrong one. */
function refusalOf(request: Omit<Request, "ok">, headers: Ask["headers"]): number {
  const isApi = request.door === "api" && request.path.startsWith("/v1");
  return isApi && !/^Bearer \S/.test(String(headers?.["authorization"])) ? 400 : 401;
}

test("with a token: nobody's request -> 401 at every door; the token's -> served", async () => {
  for (const request of REQUESTS) {
    const { endpoints } = closed;
    const wrong = { authorization: `Bearer ${TOKEN.slice(0, -1)}x` };
    const given: NonNullable<Ask["headers"]>[] = [
      {},
      wrong,
      { authorization: "Bearer " },
      { authorization: TOKEN },
    ];
    for (const headers of given) {
      const status = request.isOpen ? request.ok : refusalOf(request, headers);
      const answer = await send(endpoints, request, headers);
      assert.equal(answer.status, status, `${nameOf(request)}: ${answer.text}`);
      if (status !== request.ok)
        assert.match(String(answer.headers["www-authenticate"]), /^Bearer/, nameOf(request));
    }
    const answer = await send(endpoints, request, BEARER);
    assert.equal(answer.status, request.ok, `${nameOf(request)}: ${answer.text}`);
  }
});

test("with a token: a path with any of its letters percent-encoded -> nobody gets an answer by it", async () => {
  for (const request of REQUESTS.filter(({ isOpen }) => isOpen === undefined)) {
    for (const { index, 0: letter } of request.path.matchAll(/[a-z0-9]/g)) {
      const code = letter.charCodeAt(0).toString(16);
      const path = `${request.path.slice(0, index)}%${code}${request.path.slice(index + 1)}`;
      const answer = await send(closed.endpoints, { ...request, path });
      assert.ok(answer.status >= 400, `${request.door}: ${path}: ${answer.status}`);
    }
  }
});

test("with a token: the console's feed -> 401 without it, events with it", async () => {
  const feed = `${closed.endpoints.console}api/feed`;
  assert.equal((await ask(feed)).status, 401);
  const message = await begin(feed, { headers: BEARER });
  assert.equal(message.statusCode, 200);
  let text = "";
  for await (const chunk of message) {
    text += String(chunk);
    if (text.includes("event: snapshot")) break;
  }
  assert.match(text, /"acceptedRecords":/);
});

test("with a token: a page of another origin -> may use /v1 with the token, and no other path", async () => {
  const { endpoints } = closed;
  const path = "/v1/branches/default/sources";
  const wish = { origin: EVIL_ORIGIN, "access-control-request-method": "GET" };
  const preflight = await send(endpoints, { door: "api", path, method: "OPTIONS" }, wish);
  assert.ok([200, 204].includes(preflight.status), String(preflight.status));
  assert.equal(preflight.headers["access-control-allow-origin"], "*");
  assert.match(String(preflight.headers["access-control-allow-headers"]), /Authorization/i);
  assert.equal(preflight.headers["access-control-allow-methods"], "GET, POST, PUT, PATCH, DELETE");
  const headers = { ...BEARER, origin: EVIL_ORIGIN };
  const answer = await send(endpoints, { door: "api", path }, headers);
  assert.deepEqual([answer.status, answer.headers["access-control-allow-origin"]], [200, "*"]);
  assert.equal((await send(endpoints, { door: "api", path }, { origin: EVIL_ORIGIN })).status, 400);
  for (const request of REQUESTS.filter(({ door, path: one }) => door !== "api" || !one.startsWith("/v1")))
    assert.equal((await send(endpoints, request, headers)).status, 403, nameOf(request));
});

test("listen elsewhere: without authentication -> refused, saying what to set", async () => {
  for (const door of DOORS) {
    const others = DOORS.filter((one) => one !== door).flatMap((one) => [`--${one}.listen`, "127.0.0.1:0"]);
    const said = await TestPlatform.refused(scratch(), [`--${door}.listen`, "0.0.0.0:0", ...others]);
    for (const word of [
      `--${door}.listen 0.0.0.0:0`,
      "--auth.token",
      "MILLRACE_AUTH_TOKEN",
      "--allow-anonymous",
    ])
      assert.ok(said.includes(word), `${word}: ${said}`);
  }
  const said = await TestPlatform.refused(scratch(), [
    "--broker.listen",
    "0.0.0.0:0",
    "--auth.token",
    "short",
  ]);
  assert.match(said, /auth\.token has 5 characters \(expected >= 16\)/);
  assert.ok(!said.includes("short"), "secrets are not printed");
});

for (const [name, flags, headers] of [
  ["--allow-anonymous", ["--allow-anonymous"], {}],
  ["--auth.token", ["--auth.token", TOKEN], BEARER],
] as const) {
  test(`listen elsewhere: with ${name} -> serves`, async () => {
    const everywhere = DOORS.flatMap((door) => [`--${door}.listen`, "0.0.0.0:0"]);
    const platform = await TestPlatform.start(scratch(), [...everywhere, ...flags]);
    const { endpoints } = platform;
    for (const request of REQUESTS) {
      const answer = await send(endpoints, request, { ...headers, host: "millrace.example" });
      assert.equal(answer.status, request.ok, `${nameOf(request)}: ${answer.text}`);
    }
    assert.deepEqual(await sql(endpoints, "select 1 as one", headers), [{ one: 1 }]);
    await platform.stop();
    assert.match(platform.stderr, /set --http-source\.public-url/);
    const said = platform.logLines().filter(({ event }) => event === "listens-without-authentication");
    const warned = said.map(
      ({ level, setting, address }) => `${String(level)} ${String(setting)} ${String(address)}`,
    );
    const expected = name === "--allow-anonymous" ? DOORS.map((door) => `warn ${door}.listen 0.0.0.0:0`) : [];
    assert.deepEqual(warned.sort(), expected.sort());
  });
}

test("metrics: at every door -> the Prometheus text format, with something in it", async () => {
  for (const door of DOORS) {
    const answer = await ask(`${open.endpoints[door]}/metrics`);
    assert.match(String(answer.headers["content-type"]), /^text\/plain; version=0\.0\.4/, door);
    const lines = answer.text.trimEnd().split("\n");
    const samples = lines.filter((line) => !line.startsWith("#"));
    assert.ok(samples.length > 0, `${door} has no sample`);
    for (const line of samples)
      assert.match(line, /^[a-z][a-z0-9_]*(\{[^{}]*\})? (-?[0-9.e+-]+|[+-]Inf|NaN)$/, door);
    const typed = lines.filter((line) => line.startsWith("# TYPE ")).map((line) => line.split(" ")[2]);
    assert.equal(new Set(typed).size, typed.length, `${door} declares a metric twice`);
  }
});

test("metrics: the two logs of a platform -> told apart by a label", async () => {
  const { text } = await ask(`${open.endpoints.broker}/metrics`);
  for (const log of ["journals", "coordination"])
    assert.match(text, new RegExp(`^millrace_log_syncs_total\\{log="${log}"\\} [1-9]`, "m"));
});

test("request ids: every answer has one, and no two have the same", async () => {
  const ids: string[] = [];
  for (const request of [...REQUESTS, ...REQUESTS, ...MISTAKES]) {
    const answer = await send(open.endpoints, request);
    const id = answer.headers["x-request-id"];
    assert.match(String(id), /^[A-Za-z0-9-]{8,64}$/, nameOf(request));
    ids.push(String(id));
  }
  const refused = await ask(`${open.endpoints.broker}/examples/guarded`, {
    headers: { host: "evil.example" },
  });
  ids.push(String(refused.headers["x-request-id"]));
  assert.equal(new Set(ids).size, ids.length);
});
