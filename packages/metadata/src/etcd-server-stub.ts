// A client of the etcd server's handlers without a transport, for tests: what a call is given, sends and ends with.
import { equal, ok } from "node:assert/strict";
import { MetricsRegistry, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { CallHandlers, RpcError, ServerCall, ServerCallListener, StatusCode } from "@millrace/grpc";
import { decode, encode } from "@millrace/protobuf";
import type { EmbeddedStore } from "./embedded-store.ts";
import type { Method } from "./etcd-api/method.ts";
import { EtcdServer } from "./etcd-server.ts";
import { openMemoryStore } from "./memory-store.ts";

/** How a call ended, if not with OK. */
export class CallFailure extends Error {
  readonly code: StatusCode;
  constructor(code: StatusCode, message: string) {
    super(message);
    this.code = code;
  }
}

class StubCall implements ServerCall {
  readonly path: string;
  readonly authority = "stub:2379";
  readonly metadata: ReadonlyMap<string, string>;
  readonly peer = { address: "127.0.0.1:1", isTls: false, certificate: undefined };
  readonly timeoutMs = undefined;
  readonly isCompressed = false;
  readonly sent: Uint8Array[] = [];
  /** What send() answers. */
  hasRoom = true;
  isPaused = false;
  status: { readonly code: StatusCode; readonly message: string } | undefined;
  readonly #controller = new AbortController();

  constructor(path: string, metadata: ReadonlyMap<string, string>) {
    this.path = path;
    this.metadata = metadata;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.status !== undefined;
  }

  holds(): void {}

  keep(): boolean {
    return false;
  }

  sendMetadata(): void {}

  send(bytes: Uint8Array): boolean {
    if (!this.isOver) this.sent.push(bytes.slice());
    return this.hasRoom;
  }

  finish(code: StatusCode, message = ""): void {
    if (this.isOver) return;
    this.status = { code, message };
    this.#controller.abort(new Error("over"));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }
}

/** One stream of requests and answers. */
export class StubStream<Request, Response> {
  readonly call: StubCall;
  readonly #method: Method<Request, Response>;
  readonly #listener: ServerCallListener;
  #taken = 0;

  constructor(
    handlers: CallHandlers,
    method: Method<Request, Response>,
    metadata: ReadonlyMap<string, string>,
  ) {
    this.#method = method;
    this.call = new StubCall(method.path, metadata);
    const handler = handlers.get(method.path);
    ok(handler !== undefined, method.path);
    this.#listener = handler(this.call);
  }

  /** Gives the fields that are not zero. */
  send(fields: Partial<Request>): void {
    this.sendBytes(encode(this.#method.request, { ...this.#method.request.zero, ...fields }));
  }

  sendBytes(bytes: Uint8Array): void {
    const view = bytes.slice();
    if (!this.call.isOver) this.#listener.onMessage(view);
    view.fill(0xee); // it was only lent
  }

  halfClose(): void {
    if (!this.call.isOver) this.#listener.onHalfClose();
  }

  drain(): void {
    this.call.hasRoom = true;
    this.#listener.onDrain?.();
  }

  cancel(error: RpcError): void {
    this.call.finish("CANCELLED");
    this.#listener.onCancelled?.(error);
  }

  /** The answers that came since the last call. */
  async answers(): Promise<readonly Response[]> {
    await settle();
    const fresh = this.call.sent.slice(this.#taken);
    this.#taken = this.call.sent.length;
    return fresh.map((bytes) => decode(this.#method.response, bytes));
  }
}

export interface StubServer {
  readonly agenda: Agenda;
  readonly store: EmbeddedStore;
  readonly metrics: MetricsRegistry;
  readonly server: EtcdServer;
  readonly handlers: CallHandlers;
}

/** A server over a store in memory; passwords are hashed by concatenation. */
export async function openStubServer(token = ""): Promise<StubServer> {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom("etcd server");
  const metrics = new MetricsRegistry();
  const store = await openMemoryStore(clock, random);
  const server = new EtcdServer({
    store,
    clock,
    random,
    logger: silentLogger,
    metrics,
    hashPassword: (password, salt) => Promise.resolve(Buffer.concat([Buffer.from(password), salt])),
    token,
    address: () => "127.0.0.1:2379",
  });
  return { agenda, store, metrics, server, handlers: server.handlers };
}

export class StubClient {
  readonly #handlers: CallHandlers;
  readonly #metadata: ReadonlyMap<string, string>;

  constructor(handlers: CallHandlers, metadata: Readonly<Record<string, string>> = {}) {
    this.#handlers = handlers;
    this.#metadata = new Map(Object.entries(metadata));
  }

  stream<Request, Response>(method: Method<Request, Response>): StubStream<Request, Response> {
    return new StubStream(this.#handlers, method, this.#metadata);
  }

  /** @throws {CallFailure} */
  async call<Request, Response>(
    method: Method<Request, Response>,
    fields: Partial<Request> = {},
  ): Promise<Response> {
    const stream = this.stream(method);
    stream.send(fields);
    stream.halfClose();
    const answers = await stream.answers();
    const { status } = stream.call;
    ok(status !== undefined, `${method.path} has ended`);
    if (status.code !== "OK") throw new CallFailure(status.code, status.message);
    equal(answers.length, 1);
    return answers[0]!;
  }
}
