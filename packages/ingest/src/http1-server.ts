// The ingest listener: accepts connections, keeps their number, their memory and their time within bounds, and ends
// them in order when the process stops.
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Clock } from "@millrace/base";
import {
  Http1Connection,
  type AcceptSocket,
  type ConnectionLimits,
  type ConnectionOwner,
  type Session,
} from "./http1-connection.ts";
import type { DoorLimits } from "./limits.ts";
import type { Turns } from "./publisher-turns.ts";

export interface Http1ServerOptions {
  readonly limits: ConnectionLimits & Pick<DoorLimits, "maxConnections" | "receivingBytesMax">;
  readonly clock: Clock;
  readonly turns: Turns;
  /** Connections that begin as HTTP/2 does, with what was read of them; absent: they are refused. */
  readonly onHttp2?: AcceptSocket;
  /** The door's part of a new connection. @param clientAddress as the socket says it */
  readonly session: (clientAddress: string) => Session;
}

/**
 * Time is looked at so often. What a connection noted may lie a tick back, so a tick is added to what it waits: nobody
 * is cut off early, and nobody later than two ticks.
 */
const TICK_MS = 500;

export class Http1Server implements ConnectionOwner {
  readonly limits: ConnectionLimits;
  readonly turns: Turns;
  readonly #options: Http1ServerOptions;
  readonly #server: Server;
  readonly #connections = new Set<Http1Connection>();
  /** Connections in the middle of a body: those that are read, and those that wait for memory. */
  readonly #receivers = new Set<Http1Connection>();
  readonly #held = new Set<Http1Connection>();
  #nowMs: number;
  #receivingBytes = 0;
  #isStopping = false;
  #cancelTick: (() => void) | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: Http1ServerOptions) {
    this.#options = options;
    const { headTimeoutMs, requestTimeoutMs, idleTimeoutMs } = options.limits;
    this.limits = {
      ...options.limits,
      headTimeoutMs: headTimeoutMs + TICK_MS,
      requestTimeoutMs: requestTimeoutMs + TICK_MS,
      idleTimeoutMs: idleTimeoutMs + TICK_MS,
    };
    this.turns = options.turns;
    this.#nowMs = options.clock.monotonicMs();
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) =>
      this.#accept(socket),
    );
    this.#server.maxConnections = options.limits.maxConnections;
  }

  get onHttp2(): AcceptSocket | undefined {
    return this.#options.onHttp2;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** @returns the address; a port 0 has become a free one @throws the system's error (EADDRINUSE…) */
  async listen(address: {
    readonly host: string;
    readonly port: number;
  }): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(address.port, address.host, () => resolve());
    });
    this.#server.removeAllListeners("error");
    // After that only accepting fails (too many open files): the next one may succeed.
    this.#server.on("error", () => undefined);
    this.#tick();
    const bound = this.#server.address() as AddressInfo;
    return { host: address.host, port: bound.port };
  }

  /** Accepts no more, answers what is under way, ends; what remains when `signal` aborts is cut off. */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.stop();
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#connections.size === 0) resolve();
    });
    const cut = (): void => {
      for (const connection of this.#connections) connection.destroy();
    };
    if (signal.aborted) cut();
    signal.addEventListener("abort", cut, { once: true });
    await empty;
    await closed;
    signal.removeEventListener("abort", cut);
    this.#cancelTick?.();
  }

  onReceiving(connection: Http1Connection, bytes: number, delta: number): void {
    this.#receivingBytes += delta;
    const { receivingBytesMax } = this.#options.limits;
    if (bytes === 0) this.#receivers.delete(connection);
    else if (!this.#held.has(connection)) this.#receivers.add(connection);
    if (this.#receivingBytes > receivingBytesMax) {
      // One always goes on, so that bodies come to their ends.
      if (delta > 0 && this.#receivers.size > 1) this.#hold(connection);
      else if (this.#receivers.size === 0) this.#releaseOne();
    } else while (this.#held.size > 0) this.#releaseOne();
  }

  onClosed(connection: Http1Connection): void {
    this.#connections.delete(connection);
    this.#receivers.delete(connection);
    this.#held.delete(connection);
    if (this.#receivers.size === 0) this.#releaseOne();
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  #hold(connection: Http1Connection): void {
    this.#receivers.delete(connection);
    this.#held.add(connection);
    connection.hold(true);
  }

  #releaseOne(): void {
    for (const connection of this.#held) {
      this.#held.delete(connection);
      this.#receivers.add(connection);
      connection.hold(false);
      return;
    }
  }

  #accept(socket: Socket): void {
    const session = this.#options.session(socket.remoteAddress ?? "");
    const connection = new Http1Connection(socket, this, session);
    this.#connections.add(connection);
  }

  #tick(): void {
    this.#nowMs = this.#options.clock.monotonicMs();
    for (const connection of this.#connections) connection.checkTime();
    this.#cancelTick = this.#options.clock.after(TICK_MS, () => this.#tick());
  }
}
