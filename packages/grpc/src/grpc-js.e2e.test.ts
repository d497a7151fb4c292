// Our server with the client of grpc-js, and our client with its server: every shape of call, statuses and metadata.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpcJs from "@grpc/grpc-js";
import { text, utf8 } from "@millrace/base";
import { callBidi, callClientStream, callServerStream, callUnary } from "./client-async.ts";
import { channelTo, PATHS, serveEcho, serveEchoByGrpcJs, signal, type Echo } from "./echo-testkit.ts";
import type { GrpcChannel } from "./grpc-channel.ts";
import { unary } from "./server-async.ts";
import type { RpcError } from "./status.ts";

const identity = (bytes: Buffer): Buffer => bytes;
const big = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => (i * 7) & 0xff);

for (const side of ["ours with ours", "our client with grpc-js"]) {
  describe(side, () => {
    let stop: () => Promise<void> | void;
    let channel: GrpcChannel;

    before(async () => {
      const echo = side === "ours with ours" ? await serveEcho() : await serveEchoByGrpcJs();
      stop = () => echo.stop();
      channel = channelTo(`http://127.0.0.1:${echo.port}`);
    });
    after(async () => {
      await channel.close(AbortSignal.timeout(500));
      await stop();
    });

    test("unary calls, small, empty and large -> the same back", async () => {
      for (const request of [utf8("hello"), new Uint8Array(0), big(3 * 1024 * 1024)]) {
        assert.deepEqual(
          Buffer.from(await callUnary(channel, PATHS.unary, request, {}, signal)),
          Buffer.from(request),
        );
      }
    });

    test("many unary calls at once -> each its own answer", async () => {
      const calls = Array.from({ length: 500 }, (_, i) =>
        callUnary(channel, PATHS.unary, utf8(`${i}`), {}, signal),
      );
      assert.deepEqual(
        (await Promise.all(calls)).map(text),
        Array.from({ length: 500 }, (_, i) => `${i}`),
      );
    });

    test("server stream of 64 KiB messages -> all of them, in order", async () => {
      let count = 0;
      for await (const message of callServerStream(channel, PATHS.download, utf8("200 65536"), {}, signal)) {
        assert.equal(message.length, 65_536);
        assert.equal(message[0], count & 0xff);
        count++;
      }
      assert.equal(count, 200);
    });

    test("client stream -> one answer", async () => {
      const requests = Array.from({ length: 200 }, () => big(65_536));
      assert.equal(
        text(await callClientStream(channel, PATHS.upload, requests, {}, signal)),
        `200 ${200 * 65_536}`,
      );
    });

    test("bidi -> every message back", async () => {
      const requests = Array.from({ length: 100 }, (_, i) => big(i * 1000));
      const sizes: number[] = [];
      for await (const message of callBidi(channel, PATHS.bidi, requests, {}, signal))
        sizes.push(message.length);
      assert.deepEqual(
        sizes,
        requests.map((request) => request.length),
      );
    });

    test("a refusal -> code, message and trailers", async () => {
      const metadata = new Map([["why", "because"]]);
      await assert.rejects(
        callUnary(channel, PATHS.refuse, utf8("x"), { metadata }, signal),
        (error: RpcError) => {
          assert.equal(error.code, "FAILED_PRECONDITION");
          assert.equal(error.message, "grüße, 100% no\n");
          assert.equal(error.trailers.get("why"), "because");
          return true;
        },
      );
    });

    test("unknown method -> UNIMPLEMENTED", async () => {
      await assert.rejects(callUnary(channel, "/echo.Echo/Nope", utf8("x"), {}, signal), {
        code: "UNIMPLEMENTED",
      });
    });

    test("deadline -> DEADLINE_EXCEEDED", async () => {
      const call = callUnary(channel, PATHS.silent, utf8("x"), { timeoutMs: 30 }, signal);
      await assert.rejects(call, { code: "DEADLINE_EXCEEDED", maybeProcessed: true });
    });

    test("the caller aborts -> CANCELLED", async () => {
      const abort = new AbortController();
      const call = callUnary(channel, PATHS.silent, utf8("x"), {}, abort.signal);
      await sleep(10);
      abort.abort(new Error("enough"));
      await assert.rejects(call, { code: "CANCELLED" });
    });
  });
}

describe("grpc-js with our server", () => {
  let echo: Echo;
  let client: grpcJs.Client;

  before(async () => {
    echo = await serveEcho();
    client = new grpcJs.Client(`127.0.0.1:${echo.port}`, grpcJs.credentials.createInsecure());
  });
  after(async () => {
    client.close();
    await echo.stop();
  });

  function unaryCall(
    path: string,
    request: Uint8Array,
    metadata = new grpcJs.Metadata(),
    deadline?: number,
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = deadline === undefined ? {} : { deadline: Date.now() + deadline };
      client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.from(request),
        metadata,
        options,
        (error, reply) => (error === null ? resolve(reply!) : reject(error)),
      );
    });
  }

  test("unary calls, small, empty and large -> the same back", async () => {
    for (const request of [utf8("hello"), new Uint8Array(0), big(3 * 1024 * 1024)]) {
      assert.deepEqual(await unaryCall(PATHS.unary, request), Buffer.from(request));
    }
  });

  test("many unary calls at once -> each its own answer", async () => {
    const calls = Array.from({ length: 500 }, (_, i) => unaryCall(PATHS.unary, utf8(`${i}`)));
    assert.deepEqual(
      (await Promise.all(calls)).map((reply) => reply.toString()),
      Array.from({ length: 500 }, (_, i) => `${i}`),
    );
  });

  test("server stream of 64 KiB messages -> all of them, in order", async () => {
    const call = client.makeServerStreamRequest(PATHS.download, identity, identity, Buffer.from("200 65536"));
    let count = 0;
    for await (const message of call as AsyncIterable<Buffer>) {
      assert.equal(message.length, 65_536);
      assert.equal(message[0], count & 0xff);
      count++;
    }
    assert.equal(count, 200);
  });

  test("client stream -> one answer", async () => {
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const call = client.makeClientStreamRequest(PATHS.upload, identity, identity, (error, reply) =>
        error === null ? resolve(reply!) : reject(error),
      );
      for (let i = 0; i < 200; i++) call.write(Buffer.from(big(65_536)));
      call.end();
    });
    assert.equal(answer.toString(), `200 ${200 * 65_536}`);
  });

  test("bidi -> every message back", async () => {
    const call = client.makeBidiStreamRequest(PATHS.bidi, identity, identity);
    for (let i = 0; i < 100; i++) call.write(Buffer.from(big(i * 1000)));
    call.end();
    const sizes: number[] = [];
    for await (const message of call as AsyncIterable<Buffer>) sizes.push(message.length);
    assert.deepEqual(
      sizes,
      Array.from({ length: 100 }, (_, i) => i * 1000),
    );
  });

  test("a refusal -> code, message and trailers", async () => {
    const metadata = new grpcJs.Metadata();
    metadata.set("why", "because");
    await assert.rejects(unaryCall(PATHS.refuse, utf8("x"), metadata), (error: grpcJs.ServiceError) => {
      assert.equal(error.code, grpcJs.status.FAILED_PRECONDITION);
      assert.equal(error.details, "grüße, 100% no\n");
      assert.deepEqual(error.metadata.get("why"), ["because"]);
      return true;
    });
  });

  test("unknown service and method -> UNIMPLEMENTED, with the texts of grpc-go", async () => {
    await assert.rejects(unaryCall("/echo.Echo/Nope", utf8("x")), {
      details: "unknown method Nope for service echo.Echo",
    });
    await assert.rejects(unaryCall("/other.S/M", utf8("x")), {
      code: 12,
      details: "unknown service other.S",
    });
  });

  test("deadline -> DEADLINE_EXCEEDED, and the server has no call left", async () => {
    await assert.rejects(unaryCall(PATHS.silent, utf8("x"), undefined, 30), {
      code: grpcJs.status.DEADLINE_EXCEEDED,
    });
    while (echo.server.calls > 0) await sleep(5);
  });

  test("a message larger than what is received -> RESOURCE_EXHAUSTED", async () => {
    await assert.rejects(unaryCall(PATHS.unary, big(4 * 1024 * 1024 + 1)), {
      code: grpcJs.status.RESOURCE_EXHAUSTED,
      details: "grpc: received message larger than max (4194305 vs. 4194304)",
    });
  });
});

describe("grpc-js with gzip", () => {
  const gzipTo = (port: number): grpcJs.Client =>
    new grpcJs.Client(`127.0.0.1:${port}`, grpcJs.credentials.createInsecure(), {
      "grpc.default_compression_algorithm": grpcJs.compressionAlgorithms.gzip,
    });
  const request = (client: grpcJs.Client, bytes: Uint8Array): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(PATHS.unary, identity, identity, Buffer.from(bytes), (error, reply) =>
        error === null ? resolve(reply!) : reject(error),
      );
    });

  test("an encoding that is not passed on -> UNIMPLEMENTED, with the text of grpc-go", async () => {
    const echo = await serveEcho();
    const client = gzipTo(echo.port);
    await assert.rejects(request(client, utf8("hello")), {
      code: grpcJs.status.UNIMPLEMENTED,
      details: 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
    });
    client.close();
    await echo.stop();
  });

  test("an encoding that is passed on -> the handler gets the message as it was sent, and is told", async () => {
    const handler = unary((message, call) => {
      assert.ok(call.isCompressed);
      return Promise.resolve(gunzipSync(message));
    });
    const echo = await serveEcho({ handlers: new Map([[PATHS.unary, handler]]), passEncodings: ["gzip"] });
    const client = gzipTo(echo.port);
    for (const bytes of [utf8("hello"), big(3 * 1024 * 1024)]) {
      assert.deepEqual(await request(client, bytes), Buffer.from(bytes));
    }
    client.close();
    await echo.stop();
  });
});
