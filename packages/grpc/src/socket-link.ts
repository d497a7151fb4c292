// A connection on its socket: bytes in, what a turn of the event loop has made out in one write, silence noticed, and
// an end that the peer can still read.
//
// L1 What is written in one turn leaves in one write.
// L2 A socket whose peer does not read what we send is not read either.
// L3 What lies in the socket because this process was busy is not silence: it is read before the peer is given up.
import type { Socket } from "node:net";
import type { Clock } from "@millrace/base";
import type { ConnectionFault } from "./h2-error.ts";
import { H2Connection } from "./h2-connection.ts";
import type { ConnectionOwner } from "./h2-stream.ts";
import type { HeldBytes } from "./held-bytes.ts";
import { LINGER_MS, UNSENT_BYTES_MAX } from "./limits.ts";
import { Outbox, type ChunkPool } from "./outbox.ts";
import type { ConnectionLimits, Keepalive } from "./peer-options.ts";

export interface LinkOptions {
  readonly role: "server" | "client";
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly pool: ChunkPool;
  readonly keepalive: Keepalive | undefined;
  readonly held: HeldBytes;
}

export class SocketLink {
  readonly connection: H2Connection;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #held: HeldBytes;
  /** Of the outbox, what is counted as held. */
  #countedBytes = 0;
  #isTurnDue = false;
  #later: (() => void)[] = [];
  #isPaused = false;
  #readAtMs: number;
  #cancelTimer: (() => void) | undefined;
  readonly #onClosed: () => void;

  /** @param onClosed the socket is gone, and everything that was on it is over */
  constructor(socket: Socket, options: LinkOptions, owner: ConnectionOwner, onClosed: () => void) {
    const { clock, keepalive, held } = options;
    this.#held = held;
    this.#socket = socket;
    this.#clock = clock;
    this.#onClosed = onClosed;
    this.#readAtMs = clock.monotonicMs();
    this.#outbox = new Outbox(options.pool, () => this.#wantTurn());
    const { role, limits } = options;
    const mine: ConnectionOwner = {
      onRequest: (stream, request) => owner.onRequest(stream, request),
      onReady: () => owner.onReady(),
      onGoAway: (code, message) => owner.onGoAway(code, message),
      onStreamClosed: () => owner.onStreamClosed(),
      onOver: (fault) => {
        owner.onOver(fault);
        this.end();
      },
    };
    this.connection = new H2Connection(
      { role, limits, outbox: this.#outbox, owner: mine, held },
      this.#readAtMs,
    );
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 15_000);
    socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    socket.on("end", () => this.connection.onLost("the peer closed the connection"));
    socket.on("error", (error) => this.connection.onLost(error.message));
    socket.on("close", () => this.#onClose());
    if (keepalive !== undefined) this.#watch(keepalive, keepalive.afterMs);
  }

  /** What was read of the socket before it came here. */
  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#onData(bytes);
  }

  /** Runs `task` at the end of this turn, or of the next one. */
  later(task: () => void): void {
    this.#later.push(task);
    this.#wantTurn();
  }

  /** Sends what there is and ends the socket; cuts it when the peer does not end it too. */
  end(): void {
    if (this.#socket.destroyed) return;
    this.#turn();
    this.#socket.end();
    if (this.#isPaused) this.#socket.resume();
    this.#cancelTimer?.();
    this.#cancelTimer = this.#clock.after(LINGER_MS, () => this.#socket.destroy());
  }

  destroy(message: string): void {
    this.connection.onLost(message);
    this.#socket.destroy();
  }

  #onData(chunk: Uint8Array): void {
    this.#readAtMs = this.#clock.monotonicMs();
    // A plain array: `slice` of a Buffer would not copy, and everybody here relies on that it does.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.connection.push(bytes, this.#readAtMs);
    if (this.#outbox.pendingBytes > UNSENT_BYTES_MAX && !this.#isPaused && !this.connection.isOver) {
      this.#isPaused = true; // L2
      this.#socket.pause();
    }
  }

  #wantTurn(): void {
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isTurnDue = false;
    if (this.#later.length > 0) {
      const tasks = this.#later;
      this.#later = [];
      for (const task of tasks) task();
    }
    if (!this.#outbox.isEmpty) this.#flush();
  }

  /** L1 */
  #flush(): void {
    const views = this.#outbox.take();
    const socket = this.#socket;
    if (!socket.writable) {
      this.#outbox.release(views);
      return;
    }
    this.#countOutbox();
    const onWritten = (): void => this.#onWritten(views);
    if (views.length === 1) {
      socket.write(views[0]!, onWritten);
      return;
    }
    socket.cork();
    for (let i = 0; i < views.length - 1; i++) socket.write(views[i]!);
    socket.write(views.at(-1)!, onWritten);
    socket.uncork();
  }

  #onWritten(views: readonly Uint8Array[]): void {
    this.#outbox.release(views);
    this.#countOutbox();
    if (!this.connection.isOver) this.connection.sender.pump();
    if (!this.#isPaused || this.#outbox.pendingBytes > UNSENT_BYTES_MAX / 2) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  #countOutbox(): void {
    const { pendingBytes } = this.#outbox;
    this.#held.add(pendingBytes - this.#countedBytes);
    this.#countedBytes = pendingBytes;
  }

  /** After silence asks whether the peer is there; after more silence gives it up. */
  #watch(keepalive: Keepalive, waitMs: number): void {
    this.#cancelTimer = this.#clock.after(waitMs, () => {
      const silentMs = this.#clock.monotonicMs() - this.#readAtMs;
      if (silentMs < keepalive.afterMs) {
        this.#watch(keepalive, keepalive.afterMs - silentMs);
        return;
      }
      this.connection.ping();
      const readAtMs = this.#readAtMs;
      const judge = (): void => {
        if (this.connection.isOver) return;
        if (this.#readAtMs !== readAtMs) this.#watch(keepalive, keepalive.afterMs);
        else this.destroy(`no answer to a PING in ${keepalive.timeoutMs} ms`);
      };
      this.#cancelTimer = this.#clock.after(keepalive.timeoutMs, () => setImmediate(judge)); // L3
    });
  }

  #onClose(): void {
    this.#cancelTimer?.();
    this.connection.onLost("the connection was closed");
    for (const task of this.#later.splice(0)) task();
    this.#held.close();
    this.#onClosed();
  }
}

/** What went wrong, as one line. */
export function describeFault({ code, message }: ConnectionFault): string {
  return code === "CONNECT_ERROR" ? message : `${code}: ${message}`;
}
