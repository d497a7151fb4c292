// Servers that echo, ours and others', on a free port of the loopback, and clients for them.
import { createServer, type Server } from "node:http";
import { never, silentLogger, systemClock, text, utf8, type Clock, type Logger } from "@millrace/base";
import * as grpcJs from "@grpc/grpc-js";
import { GrpcChannel } from "./grpc-channel.ts";
import { GrpcServer } from "./grpc-server.ts";
import type { GrpcChannelOptions, GrpcServerOptions } from "./peer-options.ts";
import type { CallEnd, CallHandler, CallHandlers, ClientCallListener, Metadata } from "./rpc.ts";
import { bidi, clientStream, serverStream, unary } from "./server-async.ts";
import { SharedPort, type ServerTls } from "./shared-port.ts";
import { RpcError } from "./status.ts";

export const PATHS = {
  unary: "/echo.Echo/Unary",
  download: "/echo.Echo/Download",
  upload: "/echo.Echo/Upload",
  bidi: "/echo.Echo/Bidi",
  refuse: "/echo.Echo/Refuse",
  silent: "/echo.Echo/Silent",
} as const;

/** Request: `COUNT SIZE`. */
function* download(request: Uint8Array): Generator<Uint8Array> {
  const [count = 0, size = 0] = text(request).split(" ").map(Number);
  for (let i = 0; i < count; i++) yield new Uint8Array(size).fill(i & 0xff);
}

export const ECHO: CallHandlers = new Map<string, CallHandler>([
  [PATHS.unary, unary((request) => Promise.resolve(request))],
  [
    PATHS.download,
    serverStream(async function* (request) {
      yield* download(request);
    }),
  ],
  [
    PATHS.upload,
    clientStream(async (requests) => {
      let bytes = 0;
      let count = 0;
      for await (const request of requests) {
        bytes += request.length;
        count++;
      }
      return utf8(`${count} ${bytes}`);
    }),
  ],
  [PATHS.bidi, bidi((requests) => requests)],
  [
    PATHS.refuse,
    (call) => {
      const trailers = new Map([["why", call.metadata.get("why") ?? "no reason"]]);
      throw new RpcError("FAILED_PRECONDITION", "grüße, 100% no\n", { trailers });
    },
  ],
  [PATHS.silent, () => ({ onMessage: () => undefined, onHalfClose: () => undefined })],
]);

export interface Echo {
  readonly server: GrpcServer;
  readonly port: number;
  readonly address: string;
  stop(): Promise<void>;
}

/** Our server on a port that it shares with an HTTP/1 server. */
export async function serveEcho(
  options: Partial<GrpcServerOptions> & { tls?: ServerTls; clock?: Clock; logger?: Logger } = {},
): Promise<Echo> {
  const { tls, ...rest } = options;
  const clock = systemClock;
  const server = new GrpcServer({ handlers: ECHO, clock, logger: silentLogger, ...rest });
  const http: Server = createServer((_request, response) => response.end("HTTP/1 speaking\n"));
  const port = new SharedPort({
    clock,
    logger: silentLogger,
    tls,
    onHttp2: (socket, read) => server.serve(socket, read),
    onOther: (socket) => void http.emit("connection", socket),
  });
  const bound = await port.listen({ host: "127.0.0.1", port: 0 });
  return {
    server,
    port: bound.port,
    address: `${tls === undefined ? "http" : "https"}://127.0.0.1:${bound.port}`,
    stop: async () => {
      const closed = port.close();
      await server.stop(AbortSignal.timeout(500));
      http.closeAllConnections();
      await closed;
    },
  };
}

export function channelTo(address: string, options: Partial<GrpcChannelOptions> = {}): GrpcChannel {
  return new GrpcChannel({ address, clock: systemClock, logger: silentLogger, ...options });
}

/** What a call received, and how it ended. */
export class Recorder implements ClientCallListener {
  readonly messages: Uint8Array[] = [];
  metadata: Metadata | undefined;
  drains = 0;
  end: CallEnd | undefined;
  readonly #waiters: [condition: () => boolean, wake: () => void][] = [];

  onMetadata(metadata: Metadata): void {
    this.metadata = metadata;
    this.#changed();
  }

  onMessage(bytes: Uint8Array): void {
    this.messages.push(bytes.slice());
    this.#changed();
  }

  onDrain(): void {
    this.drains++;
    this.#changed();
  }

  onEnd(end: CallEnd): void {
    this.end = end;
    this.#changed();
  }

  async ended(): Promise<CallEnd> {
    await this.until(() => this.end !== undefined);
    return this.end!;
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push([condition, resolve]));
  }

  #changed(): void {
    for (const [condition, wake] of this.#waiters) if (condition()) wake();
  }
}

const identity = (bytes: Buffer): Buffer => bytes;
const METHOD = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};

/** The same service on grpc-js. */
export async function serveEchoByGrpcJs(): Promise<{ port: number; stop(): void }> {
  const server = new grpcJs.Server();
  server.addService(
    {
      Unary: { path: PATHS.unary, requestStream: false, responseStream: false, ...METHOD },
      Download: { path: PATHS.download, requestStream: false, responseStream: true, ...METHOD },
      Upload: { path: PATHS.upload, requestStream: true, responseStream: false, ...METHOD },
      Bidi: { path: PATHS.bidi, requestStream: true, responseStream: true, ...METHOD },
      Refuse: { path: PATHS.refuse, requestStream: false, responseStream: false, ...METHOD },
      Silent: { path: PATHS.silent, requestStream: false, responseStream: false, ...METHOD },
    },
    grpcJsHandlers(),
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpcJs.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

function grpcJsHandlers(): grpcJs.UntypedServiceImplementation {
  return {
    Unary: (call: grpcJs.ServerUnaryCall<Buffer, Buffer>, reply: grpcJs.sendUnaryData<Buffer>) =>
      reply(null, call.request),
    Download: (call: grpcJs.ServerWritableStream<Buffer, Buffer>) => {
      const messages = download(call.request);
      const write = (): void => {
        for (let next = messages.next(); next.done !== true; next = messages.next()) {
          if (!call.write(Buffer.from(next.value))) {
            call.once("drain", write);
            return;
          }
        }
        call.end();
      };
      write();
    },
    Upload: (call: grpcJs.ServerReadableStream<Buffer, Buffer>, reply: grpcJs.sendUnaryData<Buffer>) => {
      let bytes = 0;
      let count = 0;
      call.on("data", (message: Buffer) => {
        bytes += message.length;
        count++;
      });
      call.on("end", () => reply(null, Buffer.from(`${count} ${bytes}`)));
    },
    Bidi: (call: grpcJs.ServerDuplexStream<Buffer, Buffer>) => {
      call.on("data", (message: Buffer) => void call.write(message));
      call.on("end", () => call.end());
    },
    Refuse: (call: grpcJs.ServerUnaryCall<Buffer, Buffer>, reply: grpcJs.sendUnaryData<Buffer>) => {
      const metadata = new grpcJs.Metadata();
      metadata.set("why", String(call.metadata.get("why")[0] ?? "no reason"));
      reply({ code: grpcJs.status.FAILED_PRECONDITION, details: "grüße, 100% no\n", metadata });
    },
    Silent: () => undefined,
  };
}

export const signal: AbortSignal = never;
