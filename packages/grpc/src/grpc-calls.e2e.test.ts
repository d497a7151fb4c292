// What a call promises on real sockets: flow control that stops whoever sends, ends that are told once, connections
// that are lost, stopped and made again, TLS, and the port that is shared with HTTP/1.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger, systemClock, text, utf8 } from "@millrace/base";
import { callServerStream, callUnary } from "./client-async.ts";
import { channelTo, PATHS, Recorder, serveEcho, signal, type Echo } from "./echo-testkit.ts";
import type { GrpcChannel } from "./grpc-channel.ts";
import { GrpcServer } from "./grpc-server.ts";
import type { CallHandler, ServerCall } from "./rpc.ts";
import type { RpcError } from "./status.ts";
import { SharedPort } from "./shared-port.ts";
import { AUTHORITY, CLIENT_CERT, CLIENT_KEY, SERVER_CERT, SERVER_KEY } from "./tls-testkit.ts";

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function echoServer(...options: Parameters<typeof serveEcho>): Promise<Echo> {
  const echo = await serveEcho(...options);
  cleanups.push(() => echo.stop());
  return echo;
}

function channel(...options: Parameters<typeof channelTo>): GrpcChannel {
  const made = channelTo(...options);
  cleanups.push(() => made.close(AbortSignal.timeout(200)));
  return made;
}

/** A server with one handler, at `/s/m`. */
async function serverOf(handler: CallHandler): Promise<Echo> {
  return echoServer({ handlers: new Map([["/s/m", handler]]) });
}

const SILENT = { onMessage: () => undefined, onHalfClose: () => undefined };
const KIB64 = new Uint8Array(65_536).fill(7);

describe("flow control", () => {
  test("client: a handler that is paused -> send says false, and all arrives after resume", async () => {
    let call: ServerCall | undefined;
    let received = 0;
    const echo = await serverOf((begun) => {
      call = begun;
      call.pause();
      return {
        onMessage: (bytes) => void (received += bytes.length),
        onHalfClose: () => begun.finish("OK"),
      };
    });
    const wanted = 200;
    let count = 0;
    const recorder = new Recorder();
    const sent = channel(echo.address).start("/s/m", {}, recorder);
    const fill = (): void => {
      while (count < wanted) {
        count++;
        if (!sent.send(KIB64)) return;
      }
      sent.halfClose();
    };
    recorder.onDrain = fill;
    fill();
    while (call === undefined) await sleep(1);
    await sleep(50);
    assert.ok(count < 100, `${count} messages of 64 KiB were taken`);
    assert.equal(received, 0);
    call.resume();
    assert.equal((await recorder.ended()).code, "OK");
    assert.equal(received, wanted * KIB64.length);
  });

  test("server: a caller that is paused -> send says false, onDrain comes after resume, and all arrives", async () => {
    const wanted = 400;
    let sent = 0;
    let drains = 0;
    const echo = await serverOf((call) => {
      const fill = (): void => {
        while (sent < wanted) {
          sent++;
          if (!call.send(KIB64)) return;
        }
        call.finish("OK");
      };
      return {
        onMessage: () => undefined,
        onHalfClose: fill,
        onDrain: () => {
          drains++;
          fill();
        },
      };
    });
    const recorder = new Recorder();
    const call = channel(echo.address).start("/s/m", {}, recorder);
    call.pause();
    call.halfClose();
    while (sent === 0) await sleep(1);
    await sleep(30);
    assert.ok(sent < 100, `${sent} messages of 64 KiB were taken`);
    assert.equal(recorder.messages.length, 0);
    call.resume();
    assert.equal((await recorder.ended()).code, "OK");
    assert.equal(recorder.messages.length, wanted);
    assert.ok(drains > 0);
  });

  test("a call that is not read -> others on the connection go on", async () => {
    const echo = await echoServer();
    const client = channel(echo.address);
    const recorders = Array.from({ length: 40 }, () => new Recorder());
    for (const recorder of recorders) {
      const call = client.start(PATHS.download, {}, recorder);
      call.pause();
      call.send(utf8("100 65536"));
      call.halfClose();
    }
    await sleep(50);
    assert.equal(
      text(await callUnary(client, PATHS.unary, utf8("through"), { timeoutMs: 5000 }, signal)),
      "through",
    );
  });

  test("more unsent than the queue may have -> the call ends with RESOURCE_EXHAUSTED", async () => {
    const echo = await serverOf((call) => {
      call.pause();
      return SILENT;
    });
    const recorder = new Recorder();
    const limits = { sendQueueBytesMax: 1024 * 1024 };
    const call = channel(echo.address, { limits }).start("/s/m", {}, recorder);
    for (let i = 0; i < 100; i++) call.send(KIB64);
    assert.equal((await recorder.ended()).code, "RESOURCE_EXHAUSTED");
  });
});

test("what a callback is given -> a plain array, so that slice copies", async () => {
  let given: Uint8Array | undefined;
  const echo = await serverOf((call) => ({
    onMessage: (bytes) => {
      given = bytes;
      call.send(bytes);
    },
    onHalfClose: () => call.finish("OK"),
  }));
  const recorder = new Recorder();
  const sent = channel(echo.address).start("/s/m", {}, recorder);
  let received: Uint8Array | undefined;
  recorder.onMessage = (bytes) => {
    received = bytes;
  };
  sent.send(utf8("x"));
  sent.halfClose();
  await recorder.ended();
  assert.equal(given?.constructor, Uint8Array);
  assert.equal(received?.constructor, Uint8Array);
});

describe("ends", () => {
  test("the client cancels -> the handler hears CANCELLED, its signal aborts, and sending is in vain", async () => {
    let wasHeard: (what: [RpcError, ServerCall]) => void;
    const heard = new Promise<[RpcError, ServerCall]>((resolve) => {
      wasHeard = resolve;
    });
    const echo = await serverOf((call) => ({ ...SILENT, onCancelled: (error) => wasHeard([error, call]) }));
    const sent = channel(echo.address).start("/s/m", {}, new Recorder());
    while (echo.server.calls === 0) await sleep(1);
    sent.cancel();
    const [error, call] = await heard;
    assert.equal(error.code, "CANCELLED");
    assert.equal(call.signal.aborted, true);
    assert.equal(call.isOver, true);
    assert.equal(call.send(utf8("late")), false);
  });

  test("a handler throws -> INTERNAL with its text; in a callback too", async () => {
    const throwing = await serverOf(() => {
      throw new Error("at once");
    });
    const later = await serverOf(() => ({
      onMessage: () => {
        throw new Error("later");
      },
      onHalfClose: () => undefined,
    }));
    for (const [echo, message] of [[throwing, "at once"] as const, [later, "later"] as const]) {
      const call = callUnary(channel(echo.address), "/s/m", utf8("x"), {}, signal);
      await assert.rejects(call, { code: "INTERNAL", message });
    }
  });

  test("the server answers before the client has sent all -> the status, and the rest is dropped", async () => {
    const echo = await serverOf((call) => ({
      onMessage: () => call.finish("ABORTED", "enough"),
      onHalfClose: () => undefined,
    }));
    const client = channel(echo.address);
    const recorder = new Recorder();
    const call = client.start("/s/m", {}, recorder);
    for (let i = 0; i < 50; i++) call.send(KIB64);
    assert.deepEqual(await recorder.ended().then(({ code, message }) => [code, message]), [
      "ABORTED",
      "enough",
    ]);
    await assert.rejects(callUnary(client, "/s/m", utf8("x"), {}, signal), { code: "ABORTED" });
    assert.equal(echo.server.connections, 1);
  });

  test("headers larger than the other side takes -> RESOURCE_EXHAUSTED, and the connection goes on", async () => {
    const trailers = new Map(Array.from({ length: 20 }, (_, i) => [`x-${i}`, "v".repeat(1000)]));
    const echo = await serverOf((call) => ({
      onMessage: (bytes) => void call.send(bytes),
      onHalfClose: () => call.finish("OK", "", call.metadata.has("much") ? trailers : undefined),
    }));
    const client = channel(echo.address, { limits: { headerListBytesMax: 16_000 } });
    const much = { metadata: new Map([["much", "1"]]) };
    const tooMuch = { metadata: new Map(Array.from({ length: 80 }, (_, i) => [`x-${i}`, "v".repeat(1000)])) };
    await assert.rejects(callUnary(client, "/s/m", utf8("x"), much, signal), { code: "RESOURCE_EXHAUSTED" });
    await assert.rejects(callUnary(client, "/s/m", utf8("x"), tooMuch, signal), {
      code: "RESOURCE_EXHAUSTED",
    });
    assert.equal(text(await callUnary(client, "/s/m", utf8("x"), {}, signal)), "x");
    assert.equal(echo.server.connections, 1);
  });

  test("deadline on the server -> the handler hears DEADLINE_EXCEEDED", async () => {
    const heard = new Promise<string>((resolve) => {
      void serverOf((call) => ({
        ...SILENT,
        onCancelled: ({ code }) => resolve(`${code} ${call.timeoutMs! > 0}`),
      })).then((echo) => {
        const raw = connectHttp2(echo.address);
        cleanups.push(() => raw.destroy());
        const headers = {
          ":method": "POST",
          ":path": "/s/m",
          "content-type": "application/grpc",
          "grpc-timeout": "20m",
        };
        raw.request(headers).on("error", () => undefined);
      });
    });
    assert.equal(await heard, "DEADLINE_EXCEEDED true");
  });
});

describe("connections", () => {
  test("nobody listens -> UNAVAILABLE, not processed; later the next call gets through", async () => {
    const probe = await echoServer();
    const { port } = probe;
    await probe.stop();
    const client = channel(`http://127.0.0.1:${port}`);
    await assert.rejects(callUnary(client, PATHS.unary, utf8("x"), {}, signal), {
      code: "UNAVAILABLE",
      maybeProcessed: false,
    });
    const waiting = callUnary(client, PATHS.unary, utf8("there"), { waitForReady: true }, signal);
    const server = new GrpcServer({
      handlers: new Map([
        [
          PATHS.unary,
          (call: ServerCall) => ({
            onMessage: (bytes: Uint8Array) => void call.send(bytes),
            onHalfClose: () => call.finish("OK"),
          }),
        ],
      ]),
      clock: systemClock,
      logger: silentLogger,
    });
    const shared = new SharedPort({
      clock: systemClock,
      logger: silentLogger,
      onHttp2: (socket, read) => server.serve(socket, read),
      onOther: (socket) => socket.destroy(),
    });
    await shared.listen({ host: "127.0.0.1", port });
    cleanups.push(async () => {
      const closed = shared.close();
      await server.stop(AbortSignal.timeout(100));
      await closed;
    });
    assert.equal(text(await waiting), "there");
  });

  test("the connection is lost -> calls end with UNAVAILABLE; the next call makes another", async () => {
    const sockets: Socket[] = [];
    const echo = await echoServer();
    const proxy = createServer((socket) => {
      const other = connect(echo.port, "127.0.0.1");
      sockets.push(socket, other);
      socket.pipe(other).pipe(socket);
      for (const each of [socket, other]) each.on("error", () => undefined);
    });
    const port = await listen(proxy);
    const client = channel(`http://127.0.0.1:${port}`);
    const call = callUnary(client, PATHS.silent, utf8("x"), {}, signal);
    while (echo.server.calls === 0) await sleep(1);
    for (const socket of sockets) socket.destroy();
    await assert.rejects(call, { code: "UNAVAILABLE", maybeProcessed: true });
    assert.equal(text(await callUnary(client, PATHS.unary, utf8("again"), {}, signal)), "again");
  });

  test("a peer that is silent -> keepalive ends the connection", async () => {
    const proxied: Socket[] = [];
    const echo = await echoServer();
    const proxy = createServer((socket) => {
      const other = connect(echo.port, "127.0.0.1");
      proxied.push(socket, other);
      socket.pipe(other).pipe(socket);
      for (const each of [socket, other]) each.on("error", () => undefined);
    });
    const port = await listen(proxy);
    const client = channel(`http://127.0.0.1:${port}`, { keepalive: { afterMs: 30, timeoutMs: 30 } });
    const call = callUnary(client, PATHS.silent, utf8("x"), {}, signal);
    while (echo.server.calls === 0) await sleep(1);
    for (const socket of proxied) socket.unpipe();
    await assert.rejects(call, { code: "UNAVAILABLE", message: "no answer to a PING in 30 ms" });
  });

  test("the server stops -> calls under way end in peace, new ones are not begun there", async () => {
    let call: ServerCall | undefined;
    const echo = await serverOf((begun) => {
      call = begun;
      return SILENT;
    });
    const client = channel(echo.address);
    const answer = callUnary(client, "/s/m", utf8("x"), {}, signal);
    while (call === undefined) await sleep(1);
    const stopped = echo.server.stop(AbortSignal.timeout(5000));
    while (client.state === "ready") await sleep(1);
    call.send(utf8("done"));
    call.finish("OK");
    assert.equal(text(await answer), "done");
    await stopped;
    assert.equal(echo.server.connections, 0);
  });

  test("the server stops and a call does not end -> it is cut with UNAVAILABLE at the abort", async () => {
    const heard: string[] = [];
    const echo = await serverOf(() => ({ ...SILENT, onCancelled: ({ code }) => heard.push(code) }));
    const call = callUnary(channel(echo.address), "/s/m", utf8("x"), {}, signal);
    while (echo.server.calls === 0) await sleep(1);
    const stopped = echo.server.stop(AbortSignal.timeout(30));
    await assert.rejects(call, { code: "UNAVAILABLE" });
    await stopped;
    assert.deepEqual(heard, ["UNAVAILABLE"]);
  });

  test("more calls than the server takes at once -> the others wait for their places", async () => {
    const echo = await echoServer({ limits: { maxConcurrentStreams: 4 } });
    const client = channel(echo.address);
    const calls = Array.from({ length: 50 }, (_, i) =>
      callUnary(client, PATHS.unary, utf8(`${i}`), {}, signal),
    );
    assert.deepEqual(
      (await Promise.all(calls)).map(text),
      Array.from({ length: 50 }, (_, i) => `${i}`),
    );
  });

  test("unix socket -> calls get through", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-grpc-"));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "socket");
    const echo = await echoServer();
    const proxy = createServer((socket) => {
      const other = connect(echo.port, "127.0.0.1");
      socket.pipe(other).pipe(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(path, resolve));
    cleanups.push(() => void proxy.close());
    assert.equal(text(await callUnary(channel(`unix://${path}`), PATHS.unary, utf8("x"), {}, signal)), "x");
  });
});

describe("one port", () => {
  test("HTTP/1 -> its own server", async () => {
    const { port } = await echoServer();
    const body = await new Promise<string>((resolve, reject) => {
      const request = httpRequest({ port, host: "127.0.0.1", agent: false }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (piece: string) => (body += piece));
        response.on("end", () => resolve(body));
      });
      request.on("error", reject).end();
    });
    assert.equal(body, "HTTP/1 speaking\n");
  });

  test("HTTP/2 that is no gRPC -> 415; another method -> 405", async () => {
    const { address } = await echoServer();
    const session = connectHttp2(address);
    cleanups.push(() => session.destroy());
    const statusOf = (headers: Record<string, string>): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const request = session.request(headers);
        request.on("response", (head) => resolve(head[":status"]));
        request.on("error", reject).resume();
        request.end();
      });
    assert.equal(await statusOf({ ":path": "/" }), 415);
    assert.equal(
      await statusOf({ ":method": "POST", ":path": PATHS.unary, "content-type": "application/json" }),
      415,
    );
    assert.equal(await statusOf({ ":path": PATHS.unary, "content-type": "application/grpc" }), 405);
    assert.equal(
      await statusOf({ ":method": "POST", ":path": PATHS.unary, "content-type": "application/grpc+proto" }),
      200,
    );
  });

  test("neither -> closed without a word", async () => {
    const { port } = await echoServer();
    const socket = connect(port, "127.0.0.1");
    let received = 0;
    socket.on("data", (chunk) => (received += chunk.length));
    socket.write("\x16\x03\x01hello");
    await new Promise((resolve) => socket.on("close", resolve));
    assert.equal(received, 0);
  });
});

describe("TLS", () => {
  const tls = { cert: SERVER_CERT, key: SERVER_KEY, ca: AUTHORITY };

  test("both sides with certificates -> a call, and the server knows whose it is", async () => {
    let subject: Uint8Array | undefined;
    const handler: CallHandler = (call) => {
      subject = call.peer.certificate;
      return { onMessage: (bytes) => void call.send(bytes), onHalfClose: () => call.finish("OK") };
    };
    const echo = await echoServer({ tls, handlers: new Map([["/s/m", handler]]) });
    const client = channel(echo.address, {
      tls: () => ({ ca: AUTHORITY, cert: CLIENT_CERT, key: CLIENT_KEY }),
    });
    assert.equal(text(await callUnary(client, "/s/m", utf8("secret"), {}, signal)), "secret");
    assert.ok(subject!.length > 100);
    let count = 0;
    for await (const _ of callServerStream(client, "/s/m", KIB64, {}, signal)) count++;
    assert.equal(count, 1);
  });

  test("no certificate where one is asked for, or an authority that is not known -> UNAVAILABLE", async () => {
    const echo = await echoServer({ tls });
    for (const keys of [{ ca: AUTHORITY }, { cert: CLIENT_CERT, key: CLIENT_KEY }]) {
      const client = channel(echo.address, { tls: () => keys });
      await assert.rejects(callUnary(client, PATHS.unary, utf8("x"), {}, signal), {
        code: "UNAVAILABLE",
        maybeProcessed: false,
      });
    }
  });
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => void server.close());
  return (server.address() as { port: number }).port;
}
