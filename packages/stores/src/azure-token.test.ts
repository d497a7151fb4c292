import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { systemClock, text, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { azureToken } from "./azure-token.ts";

const SECRET = "s3cret&=%";

async function fixture(
  t: TestContext,
  answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<{ credential: ReturnType<typeof azureToken>; pass: (ms: number) => void }> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (chunk: Buffer) => parts.push(chunk));
    request.on("end", () => answer(request, text(Buffer.concat(parts)), response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  let aheadMs = 0;
  const env = {
    AZURE_CLIENT_ID: "the-application",
    AZURE_CLIENT_SECRET: SECRET,
    AZURE_AUTHORITY_HOST: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
  };
  const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + aheadMs };
  const credential = azureToken("the tenant", { clock, random: seededRandom("token"), env });
  return { credential, pass: (ms) => void (aheadMs += ms) };
}

test("getToken: the documented request; kept until shortly before its end", async (t) => {
  const asked: string[] = [];
  const { credential, pass } = await fixture(t, (request, body, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers["content-type"]}`);
    const form = new URLSearchParams(body);
    assert.deepEqual(Object.fromEntries(form), {
      grant_type: "client_credentials",
      client_id: "the-application",
      client_secret: SECRET,
      scope: "https://storage.azure.com/.default",
    });
    response.end(
      JSON.stringify({ token_type: "Bearer", expires_in: 3599, access_token: `t${asked.length}` }),
    );
  });
  assert.equal((await credential.getToken([]))?.token, "t1");
  assert.equal((await credential.getToken([]))?.token, "t1");
  pass(3599_000 - 6 * 60_000);
  assert.equal((await credential.getToken([]))?.token, "t1");
  pass(2 * 60_000);
  assert.equal((await credential.getToken([]))?.token, "t2");
  assert.deepEqual(
    asked,
    Array(2).fill("POST /the%20tenant/oauth2/v2.0/token application/x-www-form-urlencoded"),
  );
});

test("getToken: refusals and nonsense -> coded errors that tell no secret", async (t) => {
  const answers: [status: number, body: string, code: string, said: RegExp][] = [
    [
      401,
      '{"error":"invalid_client","error_description":"s3cret&=%"}',
      "FORBIDDEN",
      /401 refused: invalid_client/,
    ],
    [400, "<html>", "FORBIDDEN", /not JSON/],
    [503, "{}", "UNAVAILABLE", /503 refused/],
    [429, "{}", "UNAVAILABLE", /429/],
    [200, '{"access_token":"t"}', "UNAVAILABLE", /no token/],
    [200, '{"access_token":"t","expires_in":-1}', "UNAVAILABLE", /no token/],
    [200, '{"access_token":7,"expires_in":60}', "UNAVAILABLE", /no token/],
    [200, `{"x":"${"x".repeat(70_000)}"}`, "UNAVAILABLE", /more than 65536 bytes/],
  ];
  let current = answers[0]!;
  const { credential } = await fixture(t, (_request, _body, response) => {
    response.writeHead(current[0]).end(current[1]);
  });
  for (const row of answers) {
    current = row;
    await assert.rejects(
      () => credential.getToken([]),
      (error) => {
        assert.ok(error instanceof WireError, String(error));
        assert.equal(error.code, row[2]);
        assert.match(error.message, row[3]);
        assert.ok(!error.message.includes(SECRET));
        return true;
      },
    );
  }
});
