// One stream to one member for one watch. Answers wait here until they are taken; when too many bytes wait, the member
// is stopped by flow control.
import { Gate, WireError } from "@millrace/base";
import { builder, decode, encode } from "@millrace/protobuf";
import type { WatchRequest } from "./coordination.ts";
import { WATCH, watchCreateRequest } from "./etcd-api/watch.ts";
import type { RpcCall } from "./etcd-channel.ts";
import type { Endpoint } from "./etcd-endpoints.ts";
import type { RpcEnd } from "./etcd-errors.ts";
import { WatchEvents, type WatchStep } from "./etcd-watch-events.ts";
import { WATCH_WAITING_BYTES_MAX } from "./limits.ts";

export type StreamStep = WatchStep | { readonly kind: "end"; readonly end: RpcEnd };

const newCreate = builder(watchCreateRequest);

export class EtcdWatchStream {
  readonly #call: RpcCall;
  readonly #events: WatchEvents;
  readonly #waiting: { readonly step: StreamStep; readonly bytes: number }[] = [];
  readonly #arrived = new Gate();
  #waitingBytes = 0;
  #isPaused = false;
  #isOver = false;

  constructor(
    endpoint: Endpoint,
    metadata: ReadonlyMap<string, string>,
    request: WatchRequest & { readonly fromRevision: number },
  ) {
    this.#events = new WatchEvents(request.fromRevision);
    this.#call = endpoint.channel.start(
      WATCH.watch.path,
      { metadata },
      { onMessage: (bytes) => this.#onMessage(bytes), onEnd: (end) => this.#end(end) },
    );
    const createRequest = newCreate({
      key: request.key,
      rangeEnd: request.end ?? "",
      startRevision: request.fromRevision,
      progressNotify: true,
      fragment: true,
    });
    this.#call.send(encode(WATCH.watch.request, { createRequest }));
  }

  /** The revision to go on from on another stream, once everything has been taken. */
  get next(): number {
    return this.#events.next;
  }

  /** Asks how far the member is; the answer is a batch without events. */
  askProgress(): void {
    if (!this.#isOver) this.#call.send(encode(WATCH.watch.request, { progressRequest: {} }));
  }

  /** The next step; after `end` there is none. @throws `signal.reason` */
  async take(signal: AbortSignal): Promise<StreamStep> {
    while (this.#waiting.length === 0) await this.#arrived.next(signal);
    const { step, bytes } = this.#waiting.shift()!;
    this.#waitingBytes -= bytes;
    if (this.#isPaused && this.#waitingBytes <= WATCH_WAITING_BYTES_MAX / 2) {
      this.#isPaused = false;
      this.#call.resume();
    }
    return step;
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.cancel();
  }

  #onMessage(bytes: Uint8Array): void {
    if (this.#isOver) return;
    try {
      // A copy: events hold views of it for as long as somebody wants them.
      const steps = this.#events.push(decode(WATCH.watch.response, Uint8Array.from(bytes)));
      steps.forEach((step, at) => this.#put(step, at === 0 ? bytes.length : 0));
    } catch (thrown) {
      this.#call.cancel();
      this.#end({ code: "INTERNAL", message: WireError.from(thrown).message, maybeProcessed: true });
    }
  }

  #put(step: StreamStep, bytes: number): void {
    this.#waiting.push({ step, bytes });
    this.#waitingBytes += bytes;
    if (!this.#isPaused && this.#waitingBytes > WATCH_WAITING_BYTES_MAX) {
      this.#isPaused = true;
      this.#call.pause();
    }
    this.#arrived.open();
  }

  #end(end: RpcEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const failed =
      end.code === "OK" ? { ...end, code: "UNAVAILABLE", message: "etcd ended the stream" } : end;
    this.#put({ kind: "end", end: failed }, 0);
  }
}
