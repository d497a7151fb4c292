import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  hostPolicy,
  MetricsRegistry,
  silentLogger,
  systemClock,
  systemRandom,
  TokenBook,
} from "@millrace/base";
import { openEngine, type Engine } from "./engine.ts";
import { QueryRunner } from "./query-runner.ts";
import { parseQuery, sqlRequestListener } from "./sql-http.ts";

const fails = (error: unknown): void => assert.fail(String(error));
const scratch = mkdtempSync(join(tmpdir(), "millrace-sql-http-"));
const TOKEN = "0123456789abcdef";
let engine: Engine;
const servers: Server[] = [];
let open = 0;
let guarded = 0;

before(async () => {
  mkdirSync(join(scratch, "staging"));
  engine = await openEngine({
    file: join(scratch, "w.db"),
    stagingDir: `${join(scratch, "staging")}/`,
    tempDir: join(scratch, "tmp"),
    memoryBytes: 256 * 2 ** 20,
    threads: 1,
  });
  open = await listen("");
  guarded = await listen(TOKEN);
});
after(() => {
  for (const server of servers) server.close();
  engine.closeSync();
  rmSync(scratch, { recursive: true });
});

async function listen(token: string): Promise<number> {
  const book = new TokenBook(token);
  const server = createServer(
    sqlRequestListener({
      runner: new QueryRunner(engine, { clock: systemClock, onLost: fails }, { concurrency: 2, queue: 2 }),
      problems: () => [],
      hostPolicy: hostPolicy("127.0.0.1", token !== ""),
      tokens: () => book,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      metrics: new MetricsRegistry(),
    }),
  );
  servers.push(server);
  await new Promise<void>((up) => server.listen(0, "127.0.0.1", up));
  return (server.address() as AddressInfo).port;
}

interface Call {
  readonly port?: number;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function call({ port = open, method = "POST", path = "/sql", headers = {}, body = "" }: Call) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const all = { "content-type": "application/json", ...headers };
    const outgoing = request({ port, host: "127.0.0.1", method, path, headers: all }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const SELECT = '{"query":"select 42 as n"}';
const REFUSED: readonly [string, Call, number, string][] = [
  ["GET /sql", { method: "GET" }, 405, "METHOD_NOT_ALLOWED"],
  ["another path", { path: "/nope", body: SELECT }, 404, "NOT_FOUND"],
  ["a form", { headers: { "content-type": "text/plain" }, body: SELECT }, 415, "UNSUPPORTED_MEDIA_TYPE"],
  ["no JSON", { body: "{" }, 400, "INVALID_ARGUMENT"],
  ["an unknown Accept", { headers: { accept: "image/png" }, body: SELECT }, 400, "INVALID_ARGUMENT"],
  ["too long a body", { body: `{"query":"${"x".repeat(2 ** 20)}"}` }, 413, "TOO_LARGE"],
  ["a rebound host name", { headers: { host: "evil.example" }, body: SELECT }, 403, "FORBIDDEN"],
  ["a foreign page", { headers: { origin: "http://evil.example" }, body: SELECT }, 403, "FORBIDDEN"],
  ["a syntax error", { body: '{"query":"selec 1"}' }, 400, '"position":1'],
  ["no token", { port: -1, body: SELECT }, 401, "UNAUTHENTICATED"],
];
for (const [name, given, status, expected] of REFUSED) {
  test(`sql over http: ${name} -> ${status}`, async () => {
    const answer = await call(given.port === -1 ? { ...given, port: guarded } : given);
    assert.equal(answer.status, status, answer.text);
    assert.ok(answer.text.includes(expected), answer.text);
  });
}

test("sql over http: a query -> its rows; with a token where one is needed", async () => {
  assert.match((await call({ body: SELECT })).text, /"rows":\[\{"n":42\}\]/);
  const headers = { authorization: `Bearer ${TOKEN}`, host: "millrace.example" };
  assert.equal((await call({ port: guarded, headers, body: SELECT })).status, 200);
});

test("sql over http: probes and metrics", async () => {
  assert.deepEqual(await call({ method: "GET", path: "/livez" }), { status: 200, text: "ok\n" });
  assert.deepEqual(await call({ method: "GET", path: "/readyz", port: guarded }), {
    status: 200,
    text: "ready\n",
  });
  assert.match((await call({ method: "GET", path: "/metrics" })).text, /millrace_sql_queries_total/);
});

const FIELDS: readonly [string, RegExp][] = [
  ["[]", /"body": expected an object/],
  ["{}", /"query": expected a string/],
  ['{"query":"select 1","sql":"x"}', /"sql": expected one of query, parameters, limits/],
  ['{"query":"select 1","parameters":[{}]}', /"parameters\.0": expected a string, number, boolean or null/],
  ['{"query":"select 1","limits":{"rows":0}}', /"limits\.rows": expected an integer in \[1, 10000000\]/],
  [
    '{"query":"select 1","limits":{"timeoutMs":1000}}',
    /"limits\.timeoutMs": expected one of limits\.rows, limits\.timeMs/,
  ],
  ['{"query":"select 1","limits":[]}', /"limits": expected an object/],
  ['{"query":"select 1","limits":{"timeMs":1.5}}', /"limits\.timeMs": expected an integer/],
];
for (const [body, expected] of FIELDS) {
  test(`sql over http: ${body} -> refused by name and rule`, () => {
    assert.throws(() => parseQuery(body), expected);
  });
}
