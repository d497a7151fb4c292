// OTLP at a real platform: a source of that type, exports over HTTP and gRPC, rows; and what the API's test makes of a
// flattened record.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { never, silentLogger, systemClock } from "@millrace/base";
import { callUnary, GrpcChannel } from "@millrace/grpc";
import { CASES, protobufRequest } from "@millrace/otlp/testkit";
import { ask, post } from "./test-http.ts";
import { scratch, TestPlatform } from "./test-platform.ts";
import { createOtlpStream, sql, waitForRows } from "./test-streams.ts";

const SOURCE = "/v1/branches/default/sources/otel";
const LOGS_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const SERVICE = "Body('resource[\"service.name\"]')";

interface OtlpBlock {
  readonly url: string;
  readonly baseUrl: string;
  readonly secret: string;
}

let platform: TestPlatform;
let otlp: OtlpBlock;

before(async () => {
  platform = await TestPlatform.start(scratch());
  otlp = await createOtlpStream(platform.endpoints, "otel", [
    { type: "path", name: "body", path: "body", rawString: true },
    {
      type: "template",
      name: "service",
      template: { language: "jsonnet", content: SERVICE },
      rawString: true,
    },
  ]);
});
after(() => platform.stop());

const [logs] = CASES;

describe("OTLP at a platform", () => {
  test("create-otlp-source: url, baseUrl and a secret of 48 characters; no block of another type", async () => {
    const source = (await ask(platform.endpoints.api + SOURCE)).json();
    assert.deepEqual([source["type"], source["http"]], ["otlp", undefined]);
    assert.match(otlp.secret, /^[0-9a-zA-Z]{48}$/);
    assert.match(otlp.baseUrl, /^http:\/\/127\.0\.0\.1:\d+\/otlp\/1\/otel$/);
    assert.equal(otlp.url, `${otlp.baseUrl}/${otlp.secret}`);
  });

  test("exports over HTTP, in JSON and protobuf, and over gRPC -> rows", async () => {
    const inJson = await post(`${otlp.url}/v1/logs`, logs!.request);
    assert.deepEqual([inJson.status, inJson.text], [200, "{}"]);
    const headers = { "content-type": "application/x-protobuf", authorization: `Bearer ${otlp.secret}` };
    const body = protobufRequest(logs!.name);
    assert.equal((await ask(`${otlp.baseUrl}/v1/logs`, { method: "POST", body, headers })).status, 200);
    const { host } = new URL(otlp.url);
    const channel = new GrpcChannel({ address: `http://${host}`, clock: systemClock, logger: silentLogger });
    const metadata = new Map([["authorization", `Bearer ${otlp.secret}`]]);
    await callUnary(channel, LOGS_EXPORT, body, { metadata }, never);
    await channel.close(AbortSignal.abort());
    await waitForRows(platform.endpoints, "main.otel", 3);
    const rows = await sql(platform.endpoints, "select distinct body, service from main.otel");
    assert.deepEqual(rows, [{ body: 'gr\u00fc\u00df "Gott"\n', service: "checkout" }]);
  });

  test("otlp-test-mapping: a flattened record -> its row, or 422; sinks by their signals", async () => {
    const address = `${platform.endpoints.api}${SOURCE}/test`;
    const mapped = await post(address, { body: "b", resource: { "service.name": "s" } });
    assert.equal(mapped.status, 200, mapped.text);
    const [table] = mapped.json()["tables"] as { rows: unknown }[];
    const columns = [
      { name: "body", value: "b" },
      { name: "service", value: "s" },
    ];
    assert.deepEqual(table?.rows, [{ columns }]);
    const refused = await post(address, { body: "b" });
    assert.deepEqual([refused.status, refused.json()["error"]], [422, "stream.api.unprocessableContent"]);
    assert.match(String(refused.json()["message"]), /^Invalid value for column "service": /);
    const patched = await ask(`${platform.endpoints.api}${SOURCE}/sinks/otel`, {
      method: "PATCH",
      body: JSON.stringify({ allowedSignals: ["traces"] }),
      headers: { "content-type": "application/json" },
    });
    assert.equal(patched.status, 202, patched.text);
    const shown = (await ask(`${platform.endpoints.api}${SOURCE}/sinks/otel`)).json();
    assert.deepEqual(shown["allowedSignals"], ["traces"]);
    for (const [signal, tables] of [
      ["", 0],
      ["?signal=metrics", 0],
      ["?signal=traces", 1],
    ] as const) {
      const answer = await post(address + signal, { body: "b", resource: { "service.name": "s" } });
      assert.deepEqual([answer.status, (answer.json()["tables"] as unknown[]).length], [200, tables]);
    }
    assert.equal((await post(`${address}?signal=profiles`, {})).status, 400);
  });
});
