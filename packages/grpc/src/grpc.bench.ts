// What a call costs: `node packages/grpc/dist/grpc.bench.js [SECONDS]`. Servers (ours, grpc-js, node:http2 with the
// least that gRPC needs) in a process of their own under the same load of our client, then clients against our server,
// in turns, three rounds, medians. Prints calls of 100 B for each CPU second of the side that is measured, with 64 in
// flight, and MB for each CPU second of streams of 64 KiB messages, up and down.
import { fork, type ChildProcess } from "node:child_process";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import * as grpcJs from "@grpc/grpc-js";
import { utf8 } from "@millrace/base";
import { channelTo, PATHS, serveEcho, serveEchoByGrpcJs } from "./echo-testkit.ts";
import type { CallEnd, CallHandler, Channel, ClientCall, ClientCallListener, ServerCall } from "./rpc.ts";

const SECONDS = Number(process.argv[2] ?? 2) || 2;
const ROUNDS = 3;
const IN_FLIGHT = 64;
const SMALL = new Uint8Array(100).fill(1);
const LARGE = new Uint8Array(65_536).fill(1);
const STREAMS = 8;

/** Without promises, as a door would be written. */
const FAST: ReadonlyMap<string, CallHandler> = new Map<string, CallHandler>([
  [
    PATHS.unary,
    (call) => ({ onMessage: (bytes) => void call.send(bytes), onHalfClose: () => call.finish("OK") }),
  ],
  [PATHS.upload, (call) => ({ onMessage: () => undefined, onHalfClose: () => call.finish("OK") })],
  [PATHS.download, (call) => new Download(call)],
]);

class Download {
  readonly #call: ServerCall;
  #left = 0;

  constructor(call: ServerCall) {
    this.#call = call;
  }

  onMessage(bytes: Uint8Array): void {
    this.#left = Number(Buffer.from(bytes).toString().split(" ")[0]);
  }

  onHalfClose(): void {
    this.onDrain();
  }

  onDrain(): void {
    while (this.#left > 0) {
      this.#left--;
      if (!this.#call.send(LARGE)) return;
    }
    this.#call.finish("OK");
  }
}

const SERVERS: Readonly<Record<string, () => Promise<number>>> = {
  ours: async () => (await serveEcho({ handlers: FAST })).port,
  "grpc-js": async () => (await serveEchoByGrpcJs()).port,
  "node:http2": serveByHttp2,
};

/** The least: bytes back as they come, for a call and for an upload; for a download so many messages. */
async function serveByHttp2(): Promise<number> {
  const server = createHttp2Server({ settings: { initialWindowSize: 1024 * 1024 } });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    if (headers[":path"] === PATHS.unary) stream.on("data", (chunk: Buffer) => stream.write(chunk));
    else if (headers[":path"] === PATHS.upload) stream.resume();
    else {
      stream.once("data", (chunk: Buffer) => {
        let left = Number(chunk.subarray(5).toString().split(" ")[0]);
        const message = Buffer.concat([Uint8Array.of(0, 0, 1, 0, 0), LARGE]);
        const fill = (): void => {
          while (left-- > 0) if (!stream.write(message)) return void stream.once("drain", fill);
          stream.end();
        };
        fill();
      });
      return;
    }
    stream.on("end", () => stream.end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** Sends `count` large messages, or the one that is given, and waits for the end. */
class OneCall implements ClientCallListener {
  #call: ClientCall | undefined;
  #left: number;
  readonly #request: Uint8Array;
  readonly #done: (end: CallEnd) => void;

  constructor(request: Uint8Array, count: number, done: (end: CallEnd) => void) {
    this.#request = request;
    this.#left = count;
    this.#done = done;
  }

  start(channel: Channel, path: string): void {
    this.#call = channel.start(path, {}, this);
    this.onDrain();
  }

  onMessage(): void {}

  onDrain(): void {
    const call = this.#call!;
    while (this.#left > 0) {
      this.#left--;
      if (!call.send(this.#request)) return;
    }
    call.halfClose();
  }

  onEnd(end: CallEnd): void {
    if (end.code !== "OK") throw new Error(`${end.code}: ${end.message}`);
    this.#done(end);
  }
}

type Kind = "unary" | "upload" | "download";
const COUNT = 64;

/** @returns calls, or megabytes, that were done in the time */
function load(channel: Channel, kind: Kind): Promise<number> {
  const endMs = performance.now() + SECONDS * 1000;
  const width = kind === "unary" ? IN_FLIGHT : STREAMS;
  const unit = kind === "unary" ? 1 : (COUNT * LARGE.length) / 1e6;
  const request = kind === "unary" ? SMALL : kind === "upload" ? LARGE : utf8(`${COUNT} ${LARGE.length}`);
  let done = 0;
  return new Promise((resolve) => {
    let running = width;
    const next = (): void => {
      if (performance.now() >= endMs) {
        if (--running === 0) resolve(done);
        return;
      }
      new OneCall(request, kind === "upload" ? COUNT : 1, () => {
        done += unit;
        next();
      }).start(channel, PATHS[kind]);
    };
    for (let i = 0; i < width; i++) next();
  });
}

/** The same with the client of grpc-js. */
function loadByGrpcJs(client: grpcJs.Client): Promise<number> {
  const same = (bytes: Buffer): Buffer => bytes;
  const request = Buffer.from(SMALL);
  const endMs = performance.now() + SECONDS * 1000;
  let done = 0;
  return new Promise((resolve, reject) => {
    let running = IN_FLIGHT;
    const next = (): void => {
      if (performance.now() >= endMs) {
        if (--running === 0) resolve(done);
        return;
      }
      client.makeUnaryRequest(PATHS.unary, same, same, request, (error) => {
        if (error !== null) return reject(error);
        done++;
        next();
      });
    };
    for (let i = 0; i < IN_FLIGHT; i++) next();
  });
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function child(name: string): Promise<void> {
  const port = await SERVERS[name]!();
  process.on("message", () => process.send!({ cpu: cpuSeconds() }));
  process.on("disconnect", () => process.exit(0));
  process.send!({ port });
}

async function ask<T>(server: ChildProcess, question?: string): Promise<T> {
  return new Promise((resolve) => {
    server.once("message", (answer) => resolve(answer as T));
    if (question !== undefined) server.send(question);
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

async function main(): Promise<void> {
  const results = new Map<string, number[]>();
  const note = (name: string, value: number): void =>
    void results.set(name, [...(results.get(name) ?? []), value]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of Object.keys(SERVERS)) {
      const server = fork(fileURLToPath(import.meta.url), ["server", name]);
      const { port } = await ask<{ port: number }>(server);
      const channel = channelTo(`http://127.0.0.1:${port}`);
      for (const kind of ["unary", "upload", "download"] as const) {
        const before = (await ask<{ cpu: number }>(server, "cpu")).cpu;
        const own = cpuSeconds();
        const done = await load(channel, kind);
        const cpu = (await ask<{ cpu: number }>(server, "cpu")).cpu - before;
        note(`server ${name}: ${kind} per CPU second`, done / cpu);
        note(`server ${name}: ${kind} per second`, done / SECONDS);
        if (name === "ours") note(`client ours: ${kind} per CPU second`, done / (cpuSeconds() - own));
      }
      await channel.close(AbortSignal.timeout(100));
      if (name === "ours") {
        const client = new grpcJs.Client(`127.0.0.1:${port}`, grpcJs.credentials.createInsecure());
        const own = cpuSeconds();
        note("client grpc-js: unary per CPU second", (await loadByGrpcJs(client)) / (cpuSeconds() - own));
        client.close();
      }
      server.disconnect();
    }
  }
  for (const [name, values] of results) {
    process.stdout.write(`${JSON.stringify({ what: name, median: Math.round(median(values)) })}\n`);
  }
}

if (process.argv[2] === "server") await child(process.argv[3]!);
else await main();
