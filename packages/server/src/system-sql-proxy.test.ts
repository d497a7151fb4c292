import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { never, WireError } from "@millrace/base";
import { sqlProxy } from "./system-sql-proxy.ts";

test("SQL proxy: the begin of an answer -> is there before its end; what it asks for is passed on", async (t) => {
  const seen: (string | undefined)[] = [];
  let answering!: ServerResponse;
  const server = createServer((request, response) => {
    seen.push(request.url, request.headers.accept, request.headers.authorization);
    answering = response;
    response.writeHead(200, { "content-type": "text/csv" }).write("begin\n");
  });
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const ask = sqlProxy(() => `http://127.0.0.1:${port}`, "secret");
  const answer = await ask("{}", "text/csv", never);
  assert.deepEqual([answer.status, answer.contentType], [200, "text/csv"]);
  assert.deepEqual(seen, ["/sql", "text/csv", "Bearer secret"]);
  const parts = answer.body[Symbol.asyncIterator]();
  assert.equal(String((await parts.next()).value), "begin\n");
  answering.end("end\n");
  assert.equal(String((await parts.next()).value), "end\n");
  assert.equal((await parts.next()).done, true);
});

test("SQL proxy: nobody listens -> UNAVAILABLE", async () => {
  const ask = sqlProxy(() => "http://127.0.0.1:9", "");
  await assert.rejects(
    () => ask("{}", "*/*", never),
    (error) => error instanceof WireError && error.code === "UNAVAILABLE",
  );
});
