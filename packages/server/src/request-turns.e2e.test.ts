// Pipelined requests at node:http over loopback: what else the process has to do gets its turn between them.
import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { utf8, headsEnd, takeTurns } from "@millrace/base";

async function listening(onRequest: RequestListener): Promise<Server> {
  const server = createServer(onRequest);
  takeTurns(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function stop(server: Server): void {
  server.close();
  server.closeAllConnections();
}

/** What comes back until `isWhole`, or the connection ends. */
function answered(socket: Socket, isWhole: (text: string) => boolean): Promise<string> {
  let text = "";
  return new Promise((resolve, reject) => {
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (isWhole(text)) resolve(text);
    });
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
  });
}

const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const paths = (count: number): string[] => Array.from({ length: count }, (_, i) => `/${i}`);
const bodies = (text: string): string[] => Array.from(text.matchAll(/<([^>]*)>/g), ([, body]) => body!);

test("pipelined requests: more than a turn takes -> all answered in order, others have turns between", async () => {
  let inTurn = 0;
  let most = 0;
  const server = await listening((request, response) => {
    inTurn++;
    most = Math.max(most, inTurn);
    response.end(`<${request.url}>`);
  });
  let isOver = false;
  const turn = (): void => {
    inTurn = 0;
    if (!isOver) setImmediate(turn);
  };
  turn();
  const wanted = paths(3000);
  const text = wanted.map((path) => get(path)).join("");
  const { port } = server.address() as AddressInfo;
  const all = await Promise.all(
    [0, 1, 2].map(async () => {
      const socket = connect(port, "127.0.0.1");
      socket.write(text);
      const got = await answered(socket, (so) => so.endsWith(`<${wanted.at(-1)}>`));
      socket.destroy();
      return got;
    }),
  );
  isOver = true;
  stop(server);
  for (const got of all) assert.deepEqual(bodies(got), wanted);
  assert.ok(most <= 128, `${most} requests were begun in one turn`);
});

test("pipelined requests: nobody answers -> few are begun; answered one by one -> all are", async () => {
  const open: ServerResponse[] = [];
  let most = 0;
  let awaited: (() => void) | undefined;
  const server = await listening((request, response) => {
    response.setHeader("X-Path", request.url!);
    open.push(response);
    most = Math.max(most, open.length);
    awaited?.();
  });
  const wanted = paths(400);
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write(wanted.map((path) => get(path)).join(""));
  const text = answered(socket, (so) => so.endsWith(`<${wanted.at(-1)}>`));
  for (let count = 0; count < wanted.length; count++) {
    if (open.length === 0) await new Promise<void>((resolve) => (awaited = resolve));
    const response = open.shift()!;
    response.end(`<${String(response.getHeader("X-Path"))}>`);
  }
  assert.deepEqual(bodies(await text), wanted);
  socket.destroy();
  stop(server);
  assert.ok(most <= 24, `${most} were begun and not answered`);
});

test("a body of blank lines between pipelined requests -> comes whole, read slowly or at once", async () => {
  const server = await listening((request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      request.pause();
      setImmediate(() => request.resume());
    });
    request.on("end", () => response.end(`<${request.url} ${bytes}>`));
  });
  const body = "a line\r\n\r\n\n\n".repeat(20_000);
  const put = `PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const chunked = `PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`;
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.write(get("/a") + put + get("/d") + chunked + get("/e", "Connection: close\r\n"));
  const text = await answered(socket, () => false);
  stop(server);
  assert.deepEqual(bodies(text), ["/a 0", `/b ${body.length}`, "/d 0", `/c ${body.length}`, "/e 0"]);
});

test("pipelined requests: one that is none among them -> those before are begun, nothing behind is", async () => {
  const begun: string[] = [];
  const server = await listening((request, response) => {
    begun.push(request.url!);
    response.end(`<${request.url}>`);
  });
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const wanted = paths(300);
  socket.write(`${wanted.map((path) => get(path)).join("")}no request\r\n\r\n${get("/behind").repeat(50)}`);
  const got = bodies(await answered(socket, () => false));
  stop(server);
  assert.deepEqual(begun, wanted);
  // node:http cuts the connection: what of the answers has left by then is not sure.
  assert.deepEqual(got, wanted.slice(0, got.length));
});

test("ends of heads -> with and without CR, no more than were asked for, all when there are fewer", () => {
  const end = (text: string, count: number): readonly number[] => {
    const found = headsEnd(utf8(text), count);
    return [found.end, found.heads];
  };
  assert.deepEqual(end("", 1), [0, 0]);
  assert.deepEqual(end("a\r\n\r\nb", 1), [5, 1]);
  assert.deepEqual(end("a\n\nb\n\r\nc", 2), [7, 2]);
  assert.deepEqual(end("a\n\nb\n\r\nc", 3), [8, 2]);
  assert.deepEqual(end("a\r\n\r", 1), [4, 0]);
  assert.deepEqual(end("\n", 1), [1, 0]);
});
