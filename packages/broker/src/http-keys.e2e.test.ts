// Signed tokens at the HTTP door.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock, TokenBook } from "@millrace/base";
import { AuthKeys } from "@millrace/client";
import { CAPABILITY, parseLabelSelector } from "@millrace/protocol";
import { Authoriser } from "./authoriser.ts";
import { applySpec, journalSpec, openTestBroker, type TestBroker } from "./broker-testkit.ts";
import { ask, openTestGateway } from "./http-testkit.ts";

const { name: _, ...template } = journalSpec("examples/foobar");
const KEYS = AuthKeys.parse("c2VjcmV0");

function bearing(capabilities: number, selector: string, lifeMs = 3_600_000): Record<string, string> {
  const claims = { capabilities, selector: parseLabelSelector(selector) };
  return { authorization: KEYS.sign(claims, lifeMs, systemClock.wallMs()) };
}

async function withKeys(run: (port: number, broker: TestBroker) => Promise<void>): Promise<void> {
  const broker = await openTestBroker({
    clock: systemClock,
    autoCreate: [{ prefix: "examples/", template }],
  });
  const authoriser = new Authoriser({ tokens: new TokenBook(""), keys: KEYS }, systemClock);
  const gateway = await openTestGateway(broker, {
    authorise: (authorization, need) => authoriser.authorise(authorization, need),
    transport: (principal) => broker.broker.journalsFor(principal).transport,
    refuseAppend: (journal, principal) =>
      journal.endsWith("/closed") && broker.broker.specOf(journal, principal) !== undefined
        ? `journal ${journal} is closed`
        : undefined,
  });
  try {
    await run(gateway.port, broker);
  } finally {
    await gateway.close();
    await broker.close();
  }
}

test("gateway with keys: no token, or one without the capability -> 401; probes and metrics answer", async () => {
  await withKeys(async (port) => {
    const body = "{}";
    for (const headers of [undefined, bearing(CAPABILITY.REPLICATE, "")]) {
      for (const [method, path] of [
        ["GET", "/examples/one"],
        ["HEAD", "/examples/one"],
        ["PUT", "/examples/one"],
        ...["list", "read", "apply", "fragments", "store-health"].map((name) => [
          "POST",
          `/v1/journals/${name}`,
        ]),
      ] as [string, string][]) {
        const options = method === "POST" ? { method, body } : { method };
        const answer = await ask(port, path, headers === undefined ? options : { ...options, headers });
        assert.equal(answer.status, 401, `${method} ${path}`);
        assert.equal(answer.headers["www-authenticate"], "Bearer");
      }
    }
    for (const path of ["/livez", "/readyz", "/debug/ready", "/metrics", "/debug/metrics", "/debug/vars"]) {
      assert.equal((await ask(port, path)).status, 200, path);
    }
  });
});

test("gateway with keys: token for some journals -> the others are not found, whether they exist or not", async () => {
  await withKeys(async (port) => {
    const all = bearing(CAPABILITY.APPEND | CAPABILITY.READ, "");
    const one = bearing(CAPABILITY.APPEND | CAPABILITY.READ | CAPABILITY.LIST, "name=examples/one");
    const put = async (journal: string, headers: Record<string, string>): Promise<number> =>
      (await ask(port, `/${journal}`, { method: "PUT", body: "x", headers })).status;
    assert.deepEqual(await Promise.all([put("examples/one", one), put("examples/two", all)]), [204, 204]);
    assert.deepEqual(await Promise.all([put("examples/two", one), put("examples/new", one)]), [404, 404]);
    assert.equal((await ask(port, "/examples/one", { headers: one })).body, "x");
    assert.equal((await ask(port, "/examples/two", { headers: one })).status, 404);
    const listed = await ask(port, "/v1/journals/list", { method: "POST", body: "{}", headers: one });
    assert.match(listed.body, /examples\/one/);
    assert.doesNotMatch(listed.body, /examples\/two/);
  });
});

test("gateway with keys: a journal that nobody may PUT to -> 403 for whoever sees it, 404 else", async () => {
  await withKeys(async (port, broker) => {
    await applySpec(broker.transport, journalSpec("examples/closed"));
    const all = bearing(CAPABILITY.APPEND | CAPABILITY.READ, "");
    const other = bearing(CAPABILITY.APPEND | CAPABILITY.READ, "prefix=other/");
    const path = "/examples/closed";
    // With a length the plain door takes it, in chunks node:http.
    for (const how of [{}, { "transfer-encoding": "chunked" }]) {
      const put = (headers: Record<string, string>, at = path) =>
        ask(port, at, { method: "PUT", body: "x", headers: { ...headers, ...how } });
      assert.equal((await put(all)).status, 403);
      const hidden = await put(other);
      const missing = await put(other, "/examples/missing");
      assert.deepEqual([hidden.status, missing.status], [404, 404]);
      assert.equal(hidden.body.replaceAll("closed", "missing"), missing.body);
    }
  });
});

test("gateway with keys: token that ends during a blocking read -> the trailer says why it ended", async () => {
  await withKeys(async (port) => {
    const headers = bearing(CAPABILITY.APPEND | CAPABILITY.READ, "", 1999);
    await ask(port, "/examples/one", { method: "PUT", body: "x", headers });
    const answer = await ask(port, "/examples/one?block=true", { headers });
    assert.deepEqual([answer.status, answer.body], [206, "x"]);
    const why = "UNAUTHENTICATED: the token of the request has expired";
    assert.equal(answer.trailers["x-close-error"], why);
  });
});

test("gateway with keys: token that ends before a blocking read has anything to answer -> 401", async () => {
  await withKeys(async (port) => {
    const headers = bearing(CAPABILITY.APPEND | CAPABILITY.READ, "", 1999);
    await ask(port, "/examples/one", { method: "PUT", body: "x", headers });
    const answer = await ask(port, "/examples/one?block=true&offset=-1", { headers });
    assert.deepEqual([answer.status, answer.headers["www-authenticate"]], [401, "Bearer"], answer.body);
  });
});

test("gateway with keys: token that ends under a blocking read of /v1 -> 401, or the last line says so", async () => {
  await withKeys(async (port) => {
    const headers = bearing(CAPABILITY.APPEND | CAPABILITY.READ, "", 1999);
    await ask(port, "/examples/one", { method: "PUT", body: "x", headers });
    const read = (offset: number) =>
      ask(port, "/v1/journals/read", {
        method: "POST",
        headers,
        body: JSON.stringify({ journal: "examples/one", offset, block: true }),
      });
    const [whole, atHead] = await Promise.all([read(0), read(-1)]);
    const lines = whole.body.trim().split("\n");
    const last = JSON.parse(lines.at(-1)!) as { error?: { httpCode: number; message: string } };
    assert.deepEqual([whole.status, last.error?.httpCode], [200, 401], whole.body);
    assert.ok(atHead.status === 401 || /"httpCode":401/.test(atHead.body), `${atHead.status} ${atHead.body}`);
  });
});

test("gateway with keys: brokers -> told only to whoever may list every journal", async () => {
  await withKeys(async (port) => {
    const get = (headers?: Record<string, string>, method = "GET") =>
      ask(port, "/v1/brokers", { method, ...(headers === undefined ? {} : { headers }) });
    assert.equal((await get()).status, 401);
    assert.equal((await get(bearing(CAPABILITY.READ, ""))).status, 401);
    assert.equal((await get(bearing(CAPABILITY.LIST, "name=examples/one"))).status, 403);
    assert.equal((await get(bearing(CAPABILITY.LIST, ""), "POST")).status, 501);
    const { status, body } = await get(bearing(CAPABILITY.LIST, ""));
    const { brokers } = JSON.parse(body) as { brokers: { product: string; exiting: boolean }[] };
    assert.deepEqual(
      [status, brokers.length, brokers[0]!.exiting, brokers[0]!.product],
      [200, 1, false, "millrace"],
    );
  });
});
