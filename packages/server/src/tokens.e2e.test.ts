// Tokens of the project at every door of a real platform: open until the first one, and then each by its role.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask, begin, type Ask } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { createStream, pathColumn, waitForRows } from "./test-streams.ts";

const JSON_TYPE = { "content-type": "application/json" };
const QUERY = { method: "POST", headers: JSON_TYPE, body: '{"query":"select 1 as one"}' };
const SOURCES = "/v1/branches/default/sources";
const SOURCE = `${SOURCES}/records`;
const SINK = `${SOURCE}/sinks/records`;

interface Request extends Ask {
  readonly door: "broker" | "api" | "http-source" | "warehouse";
  readonly path: string;
  /** Status of a read-only token's request; an administrator's is never 403. */
  readonly readOnly: number;
}

const REQUESTS: readonly Request[] = [
  { door: "broker", path: "/metrics", readOnly: 200 },
  { door: "api", path: "/metrics", readOnly: 200 },
  { door: "http-source", path: "/metrics", readOnly: 200 },
  { door: "warehouse", path: "/metrics", readOnly: 200 },
  { door: "broker", path: "/examples/guarded", method: "PUT", body: "x", readOnly: 403 },
  { door: "broker", path: "/examples/guarded", readOnly: 206 },
  {
    door: "broker",
    path: "/v1/journals/list",
    method: "POST",
    headers: JSON_TYPE,
    body: "{}",
    readOnly: 200,
  },
  {
    door: "broker",
    path: "/v1/journals/apply",
    method: "POST",
    headers: JSON_TYPE,
    body: '{"changes":[]}',
    readOnly: 403,
  },
  { door: "warehouse", path: "/sql", ...QUERY, readOnly: 200 },
  { door: "api", path: "/console/api/sql", ...QUERY, readOnly: 200 },
];

/** Row of docs/stream-tests.md, and what it asks. */
const MISSING: Readonly<Record<string, readonly [method: string, path: string]>> = {
  "source create-010-missing-storage-token-400": ["POST", SOURCES],
  "source delete-003-missing-storage-token-400": ["DELETE", SOURCE],
  "source disable-002-missing-token": ["PUT", `${SOURCE}/disable`],
  "source enable-002-missing-token": ["PUT", `${SOURCE}/enable`],
  "source get-002-missing-storage-token-400": ["GET", SOURCE],
  "source list-003-missing-token": ["GET", SOURCES],
  "source list-deleted-missing-token": ["GET", `${SOURCES}/deleted`],
  "source rotate-secret-missing-token": ["POST", `${SOURCE}/rotate-secret`],
  "source undelete-missing-token": ["PUT", `${SOURCE}/undelete`],
  "source update-005-missing-token": ["PATCH", SOURCE],
  "source aggregation-003-missing-token": ["GET", "/v1/branches/default/aggregation/sources"],
  "sink create-010-missing-storage-token-400": ["POST", `${SOURCE}/sinks`],
  "sink delete-003-missing-token": ["DELETE", SINK],
  "sink disable-002-missing-token": ["PUT", `${SINK}/disable`],
  "sink enable-002-missing-token": ["PUT", `${SINK}/enable`],
  "sink get-002-missing-token": ["GET", SINK],
  "sink list-004-missing-token": ["GET", `${SOURCE}/sinks`],
  "sink update-005-missing-token": ["PATCH", SINK],
};

describe("tokens of the project", () => {
  const data = scratch();
  let platform: TestPlatform;
  let admin = "";
  let reader = "";
  let readerId = "";
  let sourceUrl = "";

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const send = (request: Omit<Request, "readOnly">, headers: Ask["headers"] = {}) =>
    ask(platform.endpoints[request.door] + request.path, {
      ...request,
      headers: { ...request.headers, ...headers },
    });
  const make = async (role: string, headers: Ask["headers"] = {}): Promise<Record<string, unknown>> => {
    const body = JSON.stringify({ role, description: `${role} of a test` });
    const request = { door: "api", path: "/v1/tokens", method: "POST", body } as const;
    const answer = await send(request, { ...JSON_TYPE, ...headers });
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
  };

  before(async () => {
    platform = await TestPlatform.start(data);
    sourceUrl = await createStream(platform.endpoints, "records", [pathColumn("n")]);
    for (const request of REQUESTS) {
      const { status } = await send(request);
      assert.ok(status < 300, `open: ${request.door} ${request.path} ${status}`);
    }
    admin = String((await make("admin"))["token"]);
    const made = await make("readOnly", { "x-storageapi-token": admin });
    reader = String(made["token"]);
    readerId = String(made["tokenId"]);
  });
  after(() => platform.stop());

  const everyRole = async (): Promise<void> => {
    for (const request of REQUESTS) {
      const what = `${request.door} ${request.method ?? "GET"} ${request.path}`;
      for (const headers of [{}, bearer("wrong"), bearer(`${reader}0`)])
        assert.equal((await send(request, headers)).status, 401, what);
      const read = await send(request, bearer(reader));
      assert.equal(read.status, request.readOnly, `${what}: ${read.text}`);
      const all = await send(request, bearer(admin));
      assert.ok(all.status < 300, `${what}: ${all.status} ${all.text}`);
    }
  };

  test("the first one -> every door asks for one, and each token does what its role allows", everyRole);

  for (const [row, [method, path]] of Object.entries(MISSING)) {
    test(`missing token: ${row} -> 400 missingField; a wrong one -> 401`, async () => {
      const answer = await send({ door: "api", path, method });
      assert.equal(answer.status, 400, answer.text);
      assert.deepEqual(answer.json(), {
        statusCode: 400,
        error: "stream.api.missingField",
        message: '"X-StorageApi-Token" is missing from header.',
      });
      assert.equal((await send({ door: "api", path, method }, bearer("wrong"))).status, 401);
    });
  }

  test("guest user workflow: reads are served, writes are 403 and change nothing", async () => {
    const headers = { "x-storageapi-token": reader };
    for (const [method, path] of Object.values(MISSING)) {
      const answer = await send({ door: "api", path, method }, headers);
      if (method === "GET") assert.ok([200, 404].includes(answer.status), `${path}: ${answer.text}`);
      else {
        assert.equal(answer.status, 403, `${method} ${path}: ${answer.text}`);
        assert.deepEqual(answer.json(), {
          statusCode: 403,
          error: "stream.api.forbidden",
          message: "Only admin token can do write operations on streams.",
        });
      }
    }
    const source = await send({ door: "api", path: SOURCE }, headers);
    assert.equal((source.json()["version"] as { number: number }).number, 1);
  });

  test("the console's page is open, its feed is not; records need no token", async () => {
    const { console } = platform.endpoints;
    assert.equal((await ask(console)).status, 200);
    assert.equal((await ask(`${console}api/feed`)).status, 401);
    const feed = await begin(`${console}api/feed`, { headers: bearer(reader) });
    assert.equal(feed.statusCode, 200);
    feed.destroy();
    assert.equal((await ask(sourceUrl, { method: "POST", headers: JSON_TYPE, body: '{"n":1}' })).status, 200);
    await waitForRows(platform.endpoints, "main.records", 1, 30_000, bearer(reader));
  });

  test("killed and started again -> the tokens still hold", async () => {
    await platform.killGroup();
    platform = await TestPlatform.start(data);
    await everyRole();
  });

  test("the warehouse's process dies -> its successor asks for the token too", async () => {
    const { warehouse } = platform.endpoints;
    const statusOf = async (headers: Ask["headers"]): Promise<number> =>
      (await ask(`${warehouse}/sql`, { ...QUERY, headers: { ...JSON_TYPE, ...headers } })).status;
    const [child] = platform.children();
    process.kill(child!, "SIGKILL");
    await until("its successor answers", 30_000, async () => {
      const isNew = platform.children().length > 0 && platform.children()[0] !== child;
      if (isNew) assert.notEqual(await statusOf({}).catch(() => 503), 200);
      return isNew && (await statusOf(bearer(admin)).catch(() => 503)) === 200;
    });
    assert.equal(await statusOf({}), 401);
  });

  test("deleted -> opens nothing any more; the last administrator's stays", async () => {
    const remove = (id: string) =>
      send({ door: "api", path: `/v1/tokens/${id}`, method: "DELETE" }, bearer(admin));
    assert.equal((await remove(readerId)).status, 200);
    for (const request of REQUESTS) assert.equal((await send(request, bearer(reader))).status, 401);
    const listed = await send({ door: "api", path: "/v1/tokens" }, bearer(admin));
    const [last] = (listed.json() as unknown as { tokens: { tokenId: string }[] }).tokens;
    assert.equal((await remove(last!.tokenId)).status, 409);
  });
});
