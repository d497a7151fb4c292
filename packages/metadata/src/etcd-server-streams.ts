// The two streams of etcd's API over the transport: Watch and LeaseKeepAlive. Neither queues more than the peer takes:
// what cannot be sent now is not made, and what would need too many answers is not read.
import type { Clock, Gauge } from "@millrace/base";
import type { ServerCall, ServerCallListener } from "@millrace/grpc";
import { encode } from "@millrace/protobuf";
import { LEASE } from "./etcd-api/lease.ts";
import { WATCH } from "./etcd-api/watch.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { decodeRequest, end, refuse, type CallPorts } from "./etcd-server-calls.ts";
import type { LeaseService } from "./etcd-server-lease.ts";
import type { HistoryView } from "./history-view.ts";
import { STREAM_ANSWERS_MAX, STREAM_TURN_ANSWERS } from "./limits.ts";
import type { WatchStream } from "./watch-stream.ts";

export interface WatchPorts extends CallPorts {
  readonly clock: Clock;
  /** Watches of all streams. */
  readonly watches: Gauge;
}

/** A call that ends only when somebody ends it. */
export interface StreamCall {
  /** Ends it, since the server stops. */
  stop(): void;
}

/** Drives a WatchStream: whenever the store went on, the peer takes more, or progress is due. */
export class WatchCall implements ServerCallListener, StreamCall {
  readonly #call: ServerCall;
  readonly #ports: WatchPorts;
  readonly #stream: WatchStream;
  readonly #history: HistoryView;
  readonly #open: Set<StreamCall>;
  #counted = 0;
  #isBlocked = false;
  #cancelWake = (): void => {};

  /** @param open has the call as long as it goes on */
  constructor(
    call: ServerCall,
    ports: WatchPorts,
    of: { readonly stream: WatchStream; readonly history: HistoryView },
    open: Set<StreamCall>,
  ) {
    this.#call = call;
    this.#ports = ports;
    this.#stream = of.stream;
    this.#history = of.history;
    this.#open = open;
    open.add(this);
    void this.#follow();
  }

  stop(): void {
    this.#finish(() => refuse(this.#call, this.#ports, etcdRefusal("stopped")));
  }

  onMessage(bytes: Uint8Array): void {
    try {
      this.#stream.request(decodeRequest(WATCH.watch.request, bytes), this.#ports.clock.monotonicMs());
    } catch (error) {
      this.#finish(() => refuse(this.#call, this.#ports, error));
      return;
    }
    this.#pump();
  }

  /** The client goes on to listen, as etcd has it. */
  onHalfClose(): void {}

  onDrain(): void {
    this.#isBlocked = false;
    this.#pump();
  }

  onCancelled(): void {
    this.#finish(() => undefined);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#call;
    while (!signal.aborted) {
      if (this.#history.isClosed) {
        this.stop();
        return;
      }
      try {
        await this.#history.progress.next(signal);
      } catch {
        return; // the call is over
      }
      this.#pump();
    }
  }

  #pump(): void {
    this.#cancelWake();
    for (let sent = 0; !this.#isBlocked && !this.#call.isOver; sent++) {
      if (sent === STREAM_TURN_ANSWERS) {
        this.#wakeIn(0);
        break;
      }
      const nowMs = this.#ports.clock.monotonicMs();
      const answer = this.#stream.next(nowMs);
      if (answer === undefined) {
        const { dueMs } = this.#stream;
        if (dueMs !== undefined) this.#wakeIn(Math.max(1, dueMs - nowMs));
        break;
      }
      this.#isBlocked = !this.#call.send(encode(WATCH.watch.response, answer));
    }
    if (this.#call.isOver) return;
    this.#count(this.#stream.watches);
    if (this.#stream.isFull) this.#call.pause();
    else this.#call.resume();
  }

  #wakeIn(ms: number): void {
    this.#cancelWake = this.#ports.clock.after(ms, () => this.#pump());
  }

  #finish(how: () => void): void {
    this.#cancelWake();
    this.#count(0);
    this.#open.delete(this);
    how();
  }

  #count(watches: number): void {
    this.#ports.watches.add(watches - this.#counted);
    this.#counted = watches;
  }
}

/** Renews leases, one answer for each request, in order. */
export class KeepAliveCall implements ServerCallListener, StreamCall {
  readonly #call: ServerCall;
  readonly #ports: CallPorts;
  readonly #leases: LeaseService;
  readonly #open: Set<StreamCall>;
  #waiting = 0;
  #isBlocked = false;
  #isHalfClosed = false;

  /** @param open has the call as long as it goes on */
  constructor(call: ServerCall, ports: CallPorts, leases: LeaseService, open: Set<StreamCall>) {
    this.#call = call;
    this.#ports = ports;
    this.#leases = leases;
    this.#open = open;
    open.add(this);
  }

  stop(): void {
    this.#finish(() => refuse(this.#call, this.#ports, etcdRefusal("stopped")));
  }

  onMessage(bytes: Uint8Array): void {
    this.#waiting++;
    void this.#renew(bytes);
    this.#steer();
  }

  onHalfClose(): void {
    this.#isHalfClosed = true;
    if (this.#waiting === 0) this.#finish(() => end(this.#call, this.#ports, "OK"));
  }

  onDrain(): void {
    this.#isBlocked = false;
    this.#steer();
  }

  onCancelled(): void {
    this.#open.delete(this);
  }

  async #renew(bytes: Uint8Array): Promise<void> {
    try {
      const request = decodeRequest(LEASE.leaseKeepAlive.request, bytes);
      const answer = await this.#leases.keepAlive(request, this.#call.signal);
      if (this.#call.isOver) return;
      if (!this.#call.send(encode(LEASE.leaseKeepAlive.response, answer))) this.#isBlocked = true;
    } catch (error) {
      if (!this.#call.isOver) this.#finish(() => refuse(this.#call, this.#ports, error));
      return;
    }
    this.#waiting--;
    if (this.#isHalfClosed && this.#waiting === 0) this.#finish(() => end(this.#call, this.#ports, "OK"));
    else this.#steer();
  }

  #finish(how: () => void): void {
    this.#open.delete(this);
    how();
  }

  #steer(): void {
    if (this.#call.isOver) return;
    if (this.#isBlocked || this.#waiting >= STREAM_ANSWERS_MAX) this.#call.pause();
    else this.#call.resume();
  }
}
