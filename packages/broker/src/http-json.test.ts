import assert from "node:assert/strict";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { WireError } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import { RequestBodies } from "./http-json.ts";

const bodies = new RequestBodies(1002);
const server = createServer((incoming, response) => {
  bodies.read(incoming, response, 600).then(
    (body) => response.end(String(body.length)),
    (error: unknown) => response.writeHead(WireError.from(error).status).end(WireError.from(error).message),
  );
});
const port = await new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
});
after(() => server.close());

interface Asked {
  readonly send: (bytes: number, isLast?: boolean) => void;
  readonly answer: Promise<{ readonly status: number; readonly text: string; readonly connection: string }>;
}

function ask(headers: Record<string, string> = {}): Asked {
  const call = request({ port, host: "127.0.0.1", method: "POST", headers, agent: false });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    call.on("response", resolve);
    call.on("error", reject);
  }).then(async (response) => {
    let text = "";
    for await (const part of response) text += String(part);
    return { status: response.statusCode!, text, connection: response.headers.connection ?? "" };
  });
  const send = (bytes: number, isLast = true): void => {
    call.write("x".repeat(bytes));
    if (isLast) call.end();
  };
  return { send, answer };
}

test("request bodies: within the bounds -> collected, again and again", async () => {
  for (let i = 0; i < 5; i++) {
    const { send, answer } = ask();
    send(600);
    assert.deepEqual((await answer).text, "600");
  }
});

test("request bodies: too long, by its length or as it comes -> refused, and the connection is over", async () => {
  const told = ask({ "content-length": "601" });
  told.send(1, false);
  const streamed = ask();
  streamed.send(601, false);
  for (const { answer } of [told, streamed]) {
    const { status, text, connection } = await answer;
    assert.deepEqual([status, text], [413, "the body of a request is larger than 600 bytes"]);
    assert.equal(connection, "close");
  }
});

test("request bodies: more than all may take together -> the one that goes beyond is refused", async () => {
  const all = [ask(), ask()];
  for (const { send } of all) send(500, false);
  while (bodies.held < 1000) await settle();
  const third = ask({ "content-length": "600" });
  third.send(1, false);
  const { status, text } = await third.answer;
  assert.deepEqual([status, text], [429, "bodies of requests take more than 1002 bytes together"]);
  for (const { send } of all) send(1);
  for (const { answer } of all) assert.equal((await answer).text, "501");
});
