// The client: one address, one connection that is made when it is first needed, and made again after it was lost.
//
// N1 A call whose connection cannot be made fails at once (UNAVAILABLE, not processed), unless it waits for readiness.
// N2 After a failed attempt the next one waits, twice as long each time up to a cap; calls in between fail with the
//    last reason. A connection that was ready begins anew.
// N3 A connection that says GOAWAY finishes its calls; the next call makes another one.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { assert } from "@millrace/base";
import { GrpcClientCall, type ClientContext, type ClientConnection } from "./client-call.ts";
import { Deadlines } from "./deadlines.ts";
import type { H2Connection } from "./h2-connection.ts";
import type { ConnectionFault } from "./h2-error.ts";
import type { ConnectionOwner, StreamListener } from "./h2-stream.ts";
import { KeptList } from "./hpack-encoder.ts";
import { HeldBytes } from "./held-bytes.ts";
import { limitsOf, WAITING_CALLS_MAX } from "./limits.ts";
import { PartialMessages } from "./message-reader.ts";
import { NO_METADATA, pushMetadata } from "./metadata.ts";
import { ChunkPool } from "./outbox.ts";
import type { ConnectionLimits, GrpcChannelOptions } from "./peer-options.ts";
import type { CallOptions, Channel, ChannelState, ClientCall, ClientCallListener, Metadata } from "./rpc.ts";
import { describeFault, SocketLink } from "./socket-link.ts";
import { targetOf, type Target } from "./target.ts";
import { formatTimeout } from "./timeout.ts";

const BACKOFF_FIRST_MS = 20;
const BACKOFF_MAX_MS = 500;
const CONNECT_TIMEOUT_MS = 5000;
/** Lists of request headers that are kept encoded: one for each method that is called, and no more than that. */
const KEPT_LISTS_MAX = 256;
/** Codes of sockets where nobody listens: a port, or a path. */
const NOBODY_THERE: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOENT"]);
const NO_EXTRA: readonly string[] = [];

export class GrpcChannel implements Channel {
  readonly #options: GrpcChannelOptions;
  readonly #limits: ConnectionLimits;
  readonly #target: Target;
  readonly #pool = new ChunkPool();
  readonly #context: ClientContext;
  readonly #links = new Set<ChannelConnection>();
  readonly #waiting = new Set<GrpcClientCall>();
  #calls = 0;
  #state: ChannelState = "idle";
  #current: ChannelConnection | undefined;
  #backoffMs = BACKOFF_FIRST_MS;
  #cancelTimer: (() => void) | undefined;
  #lastFault = "";
  #later: (() => void)[] = [];
  #onIdle: (() => void) | undefined;

  constructor(options: GrpcChannelOptions) {
    this.#options = options;
    this.#limits = limitsOf(options.limits);
    this.#target = targetOf(options.address);
    this.#context = {
      limits: this.#limits,
      deadlines: new Deadlines(options.clock),
      logger: options.logger,
      later: (task) => this.#runLater(task),
      onEnded: (call) => this.#onCallEnded(call),
    };
  }

  get state(): ChannelState {
    return this.#state;
  }

  start(path: string, options: CallOptions, listener: ClientCallListener): ClientCall {
    const {
      timeoutMs,
      metadata = NO_METADATA,
      authority = this.#options.authority ?? this.#target.authority,
    } = options;
    const isTimed = timeoutMs !== undefined;
    const deadlineMs = isTimed ? this.#options.clock.monotonicMs() + timeoutMs : Number.POSITIVE_INFINITY;
    const waitsForReady = options.waitForReady === true;
    const request = { path, authority, metadata, timeoutMs, deadlineMs, waitsForReady };
    const call = new GrpcClientCall(this.#context, request, listener);
    this.#calls++;
    if (isTimed) this.#context.deadlines.add(call);
    if (isTimed && timeoutMs <= 0) call.onDeadline();
    else if (this.#state === "closed") call.refuse("UNAVAILABLE", "the channel is closed");
    else if (this.#state === "backing-off" && !waitsForReady)
      call.refuse("UNAVAILABLE", this.#lastFault); // N1
    else if (this.#current?.mayOpen === true && this.#waiting.size === 0) this.#current.open(call);
    else if (this.#waiting.size >= WAITING_CALLS_MAX) {
      call.refuse("RESOURCE_EXHAUSTED", `${WAITING_CALLS_MAX} calls wait for ${this.#options.address}`);
    } else {
      this.#waiting.add(call);
      if (this.#state === "idle") this.#connect();
    }
    return call;
  }

  async close(signal: AbortSignal): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelTimer?.();
    this.#failWaiting("the channel is closed", true);
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    const cut = (): void => {
      for (const link of this.#links) link.destroy("the channel is closed");
    };
    for (const link of this.#links) link.endIfIdle(true);
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
    this.#checkIdle();
    await idle;
    signal.removeEventListener("abort", cut);
    this.#context.deadlines.close();
  }

  #runLater(task: () => void): void {
    if (this.#later.push(task) > 1) return;
    setImmediate(() => {
      const tasks = this.#later;
      this.#later = [];
      for (const each of tasks) each();
    });
  }

  #connect(): void {
    this.#state = "connecting";
    const { clock, keepalive, connectTimeoutMs = CONNECT_TIMEOUT_MS } = this.#options;
    const link: ChannelConnection = new ChannelConnection(
      this.#socket(),
      {
        role: "client",
        limits: this.#limits,
        clock,
        pool: this.#pool,
        keepalive,
        connectTimeoutMs,
        target: this.#target,
        userAgent: this.#options.userAgent ?? "millrace",
      },
      {
        onReady: () => this.#onReady(link),
        onSpent: () => this.#onSpent(link),
        onPlace: () => this.#openWaiting(),
        onGone: (reason, isRefused) => this.#onGone(link, reason, isRefused),
      },
    );
    this.#links.add(link);
    this.#current = link;
  }

  #socket(): Socket {
    const target = this.#target;
    if (target.path !== undefined) return connect({ path: target.path });
    const { host, port } = target;
    if (!target.isTls) return connect({ host, port });
    const { ca, cert, key, serverName = host } = this.#options.tls?.() ?? {};
    const pem = (value: string | Uint8Array): string | Buffer =>
      typeof value === "string" ? value : Buffer.from(value);
    return connectTls({
      host,
      port,
      ...(/^[\d.]+$|:/.test(serverName) ? {} : { servername: serverName }),
      ...(ca === undefined ? {} : { ca: pem(ca) }),
      ...(cert === undefined ? {} : { cert: pem(cert) }),
      ...(key === undefined ? {} : { key: pem(key) }),
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.2",
    });
  }

  #onReady(link: ChannelConnection): void {
    if (link !== this.#current || this.#state === "closed") return;
    this.#state = "ready";
    this.#backoffMs = BACKOFF_FIRST_MS;
    this.#options.onAttempt?.("connected");
    this.#openWaiting();
  }

  #openWaiting(): void {
    const link = this.#current;
    if (link === undefined || this.#state !== "ready") return;
    for (const call of this.#waiting) {
      if (!link.mayOpen) return;
      this.#waiting.delete(call);
      link.open(call);
    }
  }

  /** N3 */
  #onSpent(link: ChannelConnection): void {
    if (link !== this.#current || this.#state === "closed") return;
    this.#current = undefined;
    this.#state = "idle";
    if (this.#waiting.size > 0) this.#connect();
  }

  #onGone(link: ChannelConnection, reason: string, isRefused: boolean): void {
    this.#links.delete(link);
    if (this.#state === "closed") this.#checkIdle();
    if (link !== this.#current || this.#state === "closed") return;
    this.#current = undefined;
    const wasReady = this.#state === "ready";
    this.#lastFault = reason;
    if (wasReady) {
      this.#state = "idle";
      if (this.#waiting.size > 0) this.#connect();
      return;
    }
    this.#state = "backing-off"; // N2
    const { logger, address, clock, backoffMaxMs = BACKOFF_MAX_MS } = this.#options;
    logger.debug("grpc-connect-failed", { address, reason, backoffMs: this.#backoffMs });
    this.#cancelTimer = clock.after(this.#backoffMs, () => {
      this.#state = "idle";
      if (this.#waiting.size > 0) this.#connect();
    });
    this.#backoffMs = Math.min(2 * this.#backoffMs, backoffMaxMs);
    this.#failWaiting(reason, false);
    this.#options.onAttempt?.(isRefused ? "refused" : "failed");
  }

  #failWaiting(reason: string, isForGood: boolean): void {
    for (const call of this.#waiting)
      if (isForGood || !call.waitsForReady) call.refuse("UNAVAILABLE", reason);
  }

  #onCallEnded(call: GrpcClientCall): void {
    this.#waiting.delete(call);
    this.#calls--;
    if (this.#state === "closed") this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#calls === 0) for (const link of this.#links) link.endIfIdle(true);
    // The ends that calls are still to be told come before.
    if (this.#links.size === 0) this.#runLater(() => this.#onIdle?.());
  }
}

interface ChannelConnectionOptions {
  readonly role: "client";
  readonly limits: ConnectionLimits;
  readonly clock: GrpcChannelOptions["clock"];
  readonly pool: ChunkPool;
  readonly keepalive: GrpcChannelOptions["keepalive"];
  readonly connectTimeoutMs: number;
  readonly target: Target;
  readonly userAgent: string;
}

interface ChannelConnectionEvents {
  onReady(): void;
  /** No further calls can be opened on it. */
  onSpent(): void;
  /** A call has ended: there is a place for another one. */
  onPlace(): void;
  onGone(reason: string, isRefused: boolean): void;
}

class ChannelConnection implements ConnectionOwner, ClientConnection {
  readonly held = new HeldBytes(undefined, () => undefined);
  readonly partial = new PartialMessages(this.held);
  readonly #options: ChannelConnectionOptions;
  readonly #events: ChannelConnectionEvents;
  readonly #lists = new Map<string, { readonly metadata: Metadata; readonly list: KeptList }>();
  readonly #socket: Socket;
  #link: SocketLink | undefined;
  #isReady = false;
  #isGone = false;
  #isEnding = false;
  #reason = "";
  #cancelTimer: () => void;

  constructor(socket: Socket, options: ChannelConnectionOptions, events: ChannelConnectionEvents) {
    this.#socket = socket;
    this.#options = options;
    this.#events = events;
    this.#cancelTimer = options.clock.after(options.connectTimeoutMs, () => {
      this.destroy(`no connection in ${options.connectTimeoutMs} ms`);
    });
    const onError = (error: NodeJS.ErrnoException): void =>
      this.#onGone(error.message, NOBODY_THERE.has(error.code ?? ""));
    const onClose = (): void => this.#onGone("the connection was closed");
    socket.once("error", onError);
    socket.once("close", onClose);
    socket.once(options.target.isTls ? "secureConnect" : "connect", () => {
      socket.removeListener("error", onError);
      socket.removeListener("close", onClose);
      this.#onConnected();
    });
  }

  get connection(): H2Connection {
    assert(this.#link !== undefined, "calls are opened on a connection that is ready");
    return this.#link.connection;
  }

  get mayOpen(): boolean {
    return this.#isReady && !this.#isEnding && this.connection.mayOpen;
  }

  open(call: GrpcClientCall): void {
    const { timeoutMs, deadlineMs } = call;
    const leftMs =
      timeoutMs === undefined ? 0 : Math.max(deadlineMs - this.#options.clock.monotonicMs(), 0.001);
    const extra = timeoutMs === undefined ? NO_EXTRA : ["grpc-timeout", formatTimeout(leftMs)];
    call.attach(this, (listener: StreamListener) =>
      this.connection.open(this.#fields(call), extra, listener),
    );
    if (this.connection.isSpent) this.#events.onSpent();
  }

  endIfIdle(isWanted: boolean): void {
    this.#isEnding ||= isWanted;
    if (!this.#isReady) this.destroy("the channel is closed");
    else if (this.connection.openStreams === 0) this.#link!.end();
  }

  destroy(reason: string): void {
    this.#reason = reason;
    if (this.#link !== undefined) this.#link.destroy(reason);
    else this.#socket.destroy();
    this.#onGone(reason);
  }

  onRequest(): StreamListener {
    throw new Error("a server opens no streams"); // It cannot: PUSH_PROMISE is refused.
  }

  onReady(): void {
    this.#cancelTimer();
    this.#isReady = true;
    this.#events.onReady();
  }

  onGoAway(): void {
    this.#isEnding = true;
    this.#events.onSpent();
    this.#link!.later(() => this.#endIfSpent());
  }

  onStreamClosed(): void {
    if (this.#isEnding) this.#link?.later(() => this.#endIfSpent());
    else this.#events.onPlace();
  }

  onOver(fault: ConnectionFault): void {
    this.#reason ||= describeFault(fault);
    this.#onGone(this.#reason);
  }

  #endIfSpent(): void {
    if (this.connection.openStreams === 0) this.#link!.end();
  }

  #onConnected(): void {
    const socket = this.#socket;
    if (this.#options.target.isTls && "alpnProtocol" in socket && socket.alpnProtocol !== "h2") {
      this.destroy("the server does not agree on HTTP/2 (ALPN)");
      return;
    }
    this.#link = new SocketLink(socket, { ...this.#options, held: this.held }, this, () =>
      this.#onGone(this.#reason),
    );
  }

  #onGone(reason: string, isRefused = false): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#isReady = false;
    this.#cancelTimer();
    this.#events.onGone(reason, isRefused);
  }

  /** The headers of a call; for the same method, authority and metadata they are the same object each time. */
  #fields(call: GrpcClientCall): KeptList {
    const key = `${call.path}\n${call.authority}`;
    const known = this.#lists.get(key);
    if (known?.metadata === call.metadata) return known.list;
    const { target, userAgent } = this.#options;
    const fields = [":method", "POST", ":scheme", target.isTls ? "https" : "http", ":path", call.path];
    if (call.authority !== "") fields.push(":authority", call.authority);
    fields.push("content-type", "application/grpc", "user-agent", userAgent, "te", "trailers");
    pushMetadata(fields, call.metadata);
    const list = new KeptList(fields);
    if (this.#lists.size >= KEPT_LISTS_MAX) this.#lists.clear();
    this.#lists.set(key, { metadata: call.metadata, list });
    return list;
  }
}
