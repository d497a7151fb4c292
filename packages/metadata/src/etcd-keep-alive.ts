// Renewals of leases, all over one stream: etcd answers them in the order in which they were asked.
import { WireError, type Clock } from "@millrace/base";
import { decode, encode } from "@millrace/protobuf";
import type { StoreHeader } from "./coordination.ts";
import { LEASE } from "./etcd-api/lease.ts";
import type { Outcome, RpcCall, RpcOptions } from "./etcd-channel.ts";
import type { Endpoint } from "./etcd-endpoints.ts";
import type { RpcEnd } from "./etcd-errors.ts";
import { headerOf } from "./etcd-messages.ts";

export interface Renewal {
  readonly header: StoreHeader;
  /** Seconds; 0 when there is no such lease. */
  readonly ttl: number;
}

/** Renewals under way; more wait for nothing good. */
const WAITING_MAX = 10_000;

export class EtcdKeepAlives {
  readonly #clock: Clock;
  #stream: Stream | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One attempt; when it gets no answer in time the stream is given up, and with it the others that wait. */
  renew(
    lease: bigint,
    endpoint: Endpoint,
    rpc: RpcOptions & { readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<Outcome<Renewal>> {
    const stream = this.#streamTo(endpoint, rpc.metadata);
    if (stream.waiting.length >= WAITING_MAX) {
      throw new WireError("OVERLOADED", `${WAITING_MAX} renewals of leases wait for etcd`);
    }
    return new Promise((resolve) => {
      const stopTimer = this.#clock.after(rpc.timeoutMs, () =>
        stream.cut(`no answer to a lease's renewal within ${rpc.timeoutMs} ms`),
      );
      // The answer that is still to come keeps its place in the order.
      const onAbort = (): void => resolve({ kind: "aborted", mayHaveHappened: true });
      signal.addEventListener("abort", onAbort, { once: true });
      stream.ask(lease, (outcome) => {
        stopTimer();
        signal.removeEventListener("abort", onAbort);
        resolve(outcome);
      });
    });
  }

  close(): void {
    this.#stream?.cut("closing");
  }

  #streamTo(endpoint: Endpoint, metadata: ReadonlyMap<string, string>): Stream {
    const present = this.#stream;
    if (present?.endpoint === endpoint && present.token === metadata.get("token")) return present;
    present?.cut("another member is asked now");
    const stream: Stream = new Stream(endpoint, metadata, () => {
      if (this.#stream === stream) this.#stream = undefined;
    });
    this.#stream = stream;
    return stream;
  }
}

interface Waiting {
  readonly lease: bigint;
  readonly settle: (outcome: Outcome<Renewal>) => void;
}

class Stream {
  readonly endpoint: Endpoint;
  readonly token: string | undefined;
  readonly waiting: Waiting[] = [];
  readonly #call: RpcCall;
  readonly #onGone: () => void;
  #isOver = false;

  constructor(endpoint: Endpoint, metadata: ReadonlyMap<string, string>, onGone: () => void) {
    this.endpoint = endpoint;
    this.token = metadata.get("token");
    this.#onGone = onGone;
    this.#call = endpoint.channel.start(
      LEASE.leaseKeepAlive.path,
      { metadata },
      { onMessage: (bytes) => this.#onMessage(bytes), onEnd: (end) => this.#end(end) },
    );
  }

  ask(lease: bigint, settle: (outcome: Outcome<Renewal>) => void): void {
    this.waiting.push({ lease, settle });
    this.#call.send(encode(LEASE.leaseKeepAlive.request, { id: lease }));
  }

  cut(message: string): void {
    if (this.#isOver) return;
    this.#call.cancel();
    this.#end({ code: "UNAVAILABLE", message: `etcd: ${message}`, maybeProcessed: true });
  }

  #onMessage(bytes: Uint8Array): void {
    if (this.#isOver) return;
    try {
      const response = decode(LEASE.leaseKeepAlive.response, bytes);
      const next = this.waiting[0];
      if (next?.lease !== response.id) {
        throw new WireError("INTERNAL", `renewal of lease ${response.id}, expected ${next?.lease}`);
      }
      const header = headerOf(response);
      this.waiting.shift();
      next.settle({ kind: "answer", response: { header, ttl: response.ttl } });
    } catch (thrown) {
      this.cut(WireError.from(thrown).message);
    }
  }

  #end(end: RpcEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onGone();
    const failed =
      end.code === "OK" ? { ...end, code: "UNAVAILABLE", message: "etcd ended the stream" } : end;
    for (const { settle } of this.waiting.splice(0)) settle({ kind: "end", end: failed });
  }
}
