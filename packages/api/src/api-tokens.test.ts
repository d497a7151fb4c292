import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { never, utf8 } from "@millrace/base";

import { ApiHarness, at, FLIGHTS, SOURCES, type Json, type Method } from "./api-testkit.ts";
import { OPERATIONS } from "./operations.ts";
import { PROJECT_TOKENS_MAX } from "./project-tokens.ts";

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
});
afterEach(() => api.close());

async function make(role: string, description = role): Promise<{ id: string; token: string }> {
  const { status, body } = await api.call("POST", "/v1/tokens", { role, description });
  assert.equal(status, 200, JSON.stringify(body));
  return { id: String(body["tokenId"]), token: String(body["token"]) };
}

function as(token: string): void {
  api.headers = { "x-storageapi-token": token };
}

const urlOf = (path: string): string =>
  `/v1${path.replace("{branchId}", "default").replace(/\{\w+\*?\}/g, "1")}`;

describe("tokens", () => {
  test("the first one -> required from then on; shown once, listed without its secret", async () => {
    const { id, token } = await make("admin", "deploys");
    const missing = await api.call("GET", "/v1/tokens");
    assert.deepEqual(missing.body, {
      statusCode: 400,
      error: "stream.api.missingField",
      message: '"X-StorageApi-Token" is missing from header.',
    });
    as(token);
    const { tokens } = (await api.get("/v1/tokens")) as { tokens: Json[] };
    assert.deepEqual(Object.keys(tokens[0] ?? {}), ["tokenId", "description", "role", "created"]);
    assert.deepEqual([tokens[0]?.["tokenId"], tokens[0]?.["description"]], [id, "deploys"]);
    const { kvs } = await api.store.range({ key: "stream/token/", end: "stream/token0" }, never);
    assert.equal(kvs.length, 1);
    const stored = new TextDecoder().decode(kvs[0]?.value);
    assert.ok(!stored.includes(token.slice(-64)), "the secret is nowhere at rest");
  });

  test("every operation: none -> 400, a wrong one -> 401, in either header", async () => {
    await make("admin");
    assert.ok(OPERATIONS.length > 30);
    for (const { method, path, id } of OPERATIONS) {
      for (const [headers, status, error] of [
        [{}, 400, "stream.api.missingField"],
        [{ authorization: "Basic dTpw" }, 400, "stream.api.missingField"],
        [{ "x-storageapi-token": "wrong" }, 401, "stream.api.unauthorized"],
        [{ authorization: "Bearer wrong" }, 401, "stream.api.unauthorized"],
      ] as const) {
        api.headers = headers;
        const { status: got, body } = await api.call(method, urlOf(path));
        assert.deepEqual([got, body["error"]], [status, error], `${id} ${JSON.stringify(headers)}`);
      }
    }
  });

  test("read-only: every write -> 403 before its body is looked at, reads are served", async () => {
    as((await make("admin")).token);
    const reader = await make("readOnly");
    api.headers = { authorization: `Bearer ${reader.token}` };
    // By their methods, not by the table that the routes are made of; these two store nothing.
    const tries = ["testSource", "testMapping"];
    for (const { method, path, id } of OPERATIONS) {
      const { status, body } = await api.call(method, urlOf(path), method === "GET" ? undefined : { no: 1 });
      if (method === "GET" || tries.includes(id)) assert.ok(![401, 403].includes(status), id);
      else {
        assert.deepEqual([status, body["error"]], [403, "stream.api.forbidden"], id);
        assert.equal(body["message"], "Only admin token can do write operations on streams.");
      }
    }
  });

  test("a change by a token -> names it; the token's header goes before the other", async () => {
    const { id, token } = await make("admin", "deploys");
    api.headers = { "x-storageapi-token": token, authorization: "Bearer wrong" };
    await api.change("POST", SOURCES, FLIGHTS);
    const source = await api.get(`${SOURCES}/flights`);
    assert.deepEqual(at(source, "version", "by"), { type: "user", tokenId: id, tokenDesc: "deploys" });
    api.headers = { "x-storageapi-token": "wrong", authorization: `Bearer ${token}` };
    assert.equal((await api.call("GET", SOURCES)).status, 401);
  });

  test("the first one read-only, the last administrator's deleted -> refused", async () => {
    const refused = await api.call("POST", "/v1/tokens", { role: "readOnly" });
    assert.deepEqual([refused.status, refused.body["error"]], [400, "stream.api.badRequest"]);
    assert.equal((await api.call("GET", "/v1/tokens")).status, 200, "it is open still");
    const first = await make("admin");
    as(first.token);
    await make("readOnly");
    const last = await api.call("DELETE", `/v1/tokens/${first.id}`);
    assert.deepEqual([last.status, last.body["error"]], [409, "stream.api.lastAdminToken"]);
    const second = await make("admin");
    assert.equal((await api.call("DELETE", `/v1/tokens/${first.id}`)).status, 200);
    assert.equal((await api.call("GET", SOURCES)).status, 401, "it opens nothing any more");
    as(second.token);
    const gone = await api.call("DELETE", `/v1/tokens/${first.id}`);
    assert.deepEqual([gone.status, gone.body["error"]], [404, "stream.api.tokenNotFound"]);
  });

  test("wrong bodies -> 400", async () => {
    for (const [body, error] of [
      [{}, "missingField"],
      [{ role: "guest" }, "invalidEnumValue"],
      [{ role: "admin", description: "x".repeat(4097) }, "invalidLength"],
    ] as const) {
      const answer = await api.call("POST", "/v1/tokens", body);
      assert.deepEqual([answer.status, answer.body["error"]], [400, `stream.api.${error}`]);
    }
  });

  test(`${PROJECT_TOKENS_MAX} of them -> no more`, async () => {
    as((await make("admin")).token);
    for (let n = 1; n < PROJECT_TOKENS_MAX; n++) await make("readOnly");
    const { status, body } = await api.call("POST", "/v1/tokens", { role: "readOnly" });
    assert.deepEqual([status, body["error"]], [422, "stream.api.resourceLimitReached"]);
  });

  test("a record that cannot be read -> lets nobody in, and requires tokens", async () => {
    const seen = new Promise<void>((resolve) => api.book.observe(resolve));
    const put = { kind: "put", key: "stream/token/0123456789ab", value: utf8("{") } as const;
    await api.store.txn({ compare: [], success: [put] }, never);
    await seen;
    assert.equal((await api.call("GET", SOURCES)).status, 400);
  });
});

test("a platform with a token of its own: the first of the project may be read-only, the last may go", async (t: {
  after: (close: () => Promise<void>) => void;
}) => {
  const own = new ApiHarness("0123456789abcdef");
  await own.open();
  t.after(() => own.close());
  const call = (method: Method, url: string, payload?: unknown) => own.call(method, url, payload);
  assert.equal((await call("GET", SOURCES)).status, 400);
  own.headers = { authorization: "Bearer 0123456789abcdef" };
  const { status, body } = await call("POST", "/v1/tokens", { role: "readOnly" });
  assert.equal(status, 200);
  assert.deepEqual(at(body, "created", "by"), { type: "system" });
  assert.equal((await call("DELETE", `/v1/tokens/${String(body["tokenId"])}`)).status, 200);
  own.headers = {};
  assert.equal((await call("GET", SOURCES)).status, 400);
});
