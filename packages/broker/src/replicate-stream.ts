// The replica's end of one Replicate stream (section 4.7): who the primary is and whether it may write here, the
// spool's token, and what comes until one of the two ends it.
//
//   waiting ──► opening ──► running ──► closing ──► over     the first message, the spool, the others, last answers
//                  └───────────┴── evicted ───────────┘        WRONG_ROUTE follows the answers that are owed
//
//  T1  Messages are taken in their order; those that come while one waits are kept, bounded. What they say of confirmed
//      bytes is heard at once: the write that waits may wait for just that.
//  T2  The spool is given back when nothing more can be written by this stream, whatever answers are still owed.
//  T3  The first answer carries the header, whatever its status.
//  T4  On a route with a broker that keeps no lists the list is void before the first answer (D15). What the primary
//      commits there is shown as it is synced when it keeps none itself: it says nothing of what is confirmed.
import { unreachable, WireError } from "@millrace/base";
import {
  equivalentRoutes,
  newReplicateResponse,
  stripMeta,
  validateHeader,
  validateReplicateRequest,
  type Header,
  type ReplicateRequest,
  type ReplicateResponse,
  type Route,
} from "@millrace/protocol";
import type { SpoolCounts } from "./broker-metrics.ts";
import type { JournalHolder, SpoolAttempt } from "./journal-holder.ts";
import { REPLICATE_QUEUE_BYTES_MAX } from "./limits.ts";
import type { LocalJournal } from "./local-journal.ts";
import type { PeerListener, PeerStream } from "./peer-pipeline.ts";
import { ReplicaSpool } from "./replica-spool.ts";
import type { SpoolLease, SpoolUser } from "./spool-token.ts";

/** What the keyspace says of a stream's first message. */
export type StreamResolution =
  | { readonly kind: "refused"; readonly response: ReplicateResponse }
  | {
      readonly kind: "local";
      readonly local: LocalJournal;
      readonly holder: JournalHolder;
      /** Of the answers. */
      readonly header: Header;
      /** Whether the primary says what is confirmed. */
      readonly isConfirming: boolean;
      /** Whether a member of the route keeps no lists. */
      readonly isMixed: boolean;
    };

export interface ReplicateStreamPorts {
  /** Waits for what the header was made at. @throws {WireError} */
  resolve(journal: string, header: Header, signal: AbortSignal): Promise<StreamResolution>;
  /** Marks the journal's list void (T4). @throws {WireError} */
  markVoid(journal: string, confirmed: number, signal: AbortSignal): Promise<void>;
  /** Header of a refusal now. */
  headerOf(journal: string): Header;
  /** The stream's journal and route are known. */
  opened(stream: ReplicateStream): void;
  readonly counts: SpoolCounts;
  /** @param end the status of its last answer, or why it failed */
  over(stream: ReplicateStream, end: string | WireError): void;
}

type Phase = "waiting" | "opening" | "running" | "closing" | "over";

export class ReplicateStream implements PeerStream, SpoolUser {
  readonly #ports: ReplicateStreamPorts;
  readonly #listener: PeerListener;
  readonly #ended = new AbortController();
  readonly #queue: ReplicateRequest[] = [];
  #queuedBytes = 0;
  #isFull = false;
  #phase: Phase = "waiting";
  #journal = "";
  #route: Route | undefined;
  #local: LocalJournal | undefined;
  #spool: ReplicaSpool | undefined;
  #lease: SpoolLease | undefined;
  #header: Header | undefined;
  #isWriting = false;
  #isHalfClosed = false;
  /** Responses that were asked for and not given. */
  #owed = 0;
  /** What is about to be told to be synced; 0: nothing. */
  #synced = 0;
  /** Told after what is owed. */
  #last: ReplicateResponse | undefined;

  constructor(ports: ReplicateStreamPorts, listener: PeerListener) {
    this.#ports = ports;
    this.#listener = listener;
  }

  /** "" before the first message. */
  get journal(): string {
    return this.#journal;
  }

  /** Under which its primary writes. */
  get route(): Route | undefined {
    return this.#route;
  }

  send(request: ReplicateRequest): boolean {
    switch (this.#phase) {
      case "waiting":
        this.#begin(request);
        return true;
      case "opening":
        return this.#keep(request);
      case "running":
        this.#confirm(request.confirmed); // T1
        if (this.#isWriting || this.#queue.length > 0) return this.#keep(request);
        this.#take(request);
        return true;
      case "closing":
      case "over":
        return true;
      default:
        return unreachable(this.#phase);
    }
  }

  halfClose(): void {
    this.#isHalfClosed = true;
    if (this.#phase === "waiting") this.#fail(new WireError("INVALID_ARGUMENT", "EOF"));
    else if (this.#phase === "running" && !this.#isWriting) this.#close();
  }

  cancel(): void {
    this.#end(new WireError("UNAVAILABLE", "the stream was cancelled"), false);
  }

  evict(reason: WireError): void {
    if (this.#phase !== "running" && this.#phase !== "opening") return;
    this.#last = newReplicateResponse({
      status: "WRONG_ROUTE",
      header: this.#ports.headerOf(this.#journal),
    });
    this.#queue.length = 0;
    this.#isHalfClosed = true;
    this.#ended.abort(reason);
    if (this.#phase === "running" && !this.#isWriting) this.#close();
  }

  #begin(request: ReplicateRequest): void {
    this.#phase = "opening";
    this.#open(request).catch((error: unknown) => this.#stop(error));
  }

  async #open(request: ReplicateRequest): Promise<void> {
    const { signal } = this.#ended;
    // Whoever opened it is not called back before he has it.
    await Promise.resolve();
    validateReplicateRequest(request);
    const { header, proposal, epoch, stream } = request;
    if (header === undefined || proposal === undefined)
      throw new WireError("INVALID_ARGUMENT", "expected first ReplicateRequest to have Header");
    validateHeader(header);
    this.#journal = stripMeta(proposal.journal);
    this.#route = header.route;
    this.#ports.opened(this);
    const found = await this.#acquire(header, { epoch, stream }, signal);
    if (found === undefined) return;
    const { local, holder, isConfirming, isMixed } = found;
    this.#local = local;
    if (isMixed) {
      await this.#ports.markVoid(this.#journal, local.spool.end, signal);
      if (!isConfirming) await holder.goOn(signal);
    }
    signal.throwIfAborted();
    if (!isConfirming) local.spool.confirm(Number.POSITIVE_INFINITY); // T4
    const early = {
      synced: (end: number) => this.#tellSynced(end),
      lost: () => holder.lostBytes(),
    };
    this.#spool = new ReplicaSpool(
      local.spool,
      { codec: local.spec.fragment.compressionCodec, takesCommits: epoch > 0, counts: this.#ports.counts },
      { answer: (response) => this.#answer(response), failed: (error) => this.#fail(error) },
      request.early ? early : undefined,
    );
    this.#phase = "running";
    this.#confirm(request.confirmed);
    this.#take(request);
    this.#drain();
  }

  /** Gets the spool, on the route that the primary has. @returns undefined when it was refused */
  async #acquire(
    header: Header,
    attempt: SpoolAttempt,
    signal: AbortSignal,
  ): Promise<Extract<StreamResolution, { kind: "local" }> | undefined> {
    for (;;) {
      const found = await this.#ports.resolve(this.#journal, header, signal);
      signal.throwIfAborted();
      if (found.kind === "refused") {
        this.#last = found.response;
        this.#close();
        return undefined;
      }
      this.#header = found.header;
      if (found.holder.answerAppend(attempt) === "WRONG_ROUTE") {
        this.#last = newReplicateResponse({ status: "WRONG_ROUTE", header: found.header });
        this.#close();
        return undefined;
      }
      const lease = await found.holder.takeSpool(this, attempt, signal);
      // It may have waited long.
      const { route } = this.#ports.headerOf(this.#journal);
      if (equivalentRoutes(route, header.route)) {
        this.#lease = lease;
        return found;
      }
      lease.release();
    }
  }

  #keep(request: ReplicateRequest): boolean {
    // What is given may change when this returns.
    const content = request.content?.slice();
    this.#queue.push(content === undefined ? request : { ...request, content });
    this.#queuedBytes += content?.length ?? 0;
    this.#isFull ||= this.#queuedBytes > REPLICATE_QUEUE_BYTES_MAX;
    return !this.#isFull;
  }

  #take(request: ReplicateRequest): void {
    const { acknowledge, confirmed } = request;
    const isSaying = request.proposal !== undefined || request.content !== undefined || request.rollback;
    if (!isSaying && !acknowledge && confirmed > 0) return;
    try {
      if (acknowledge) this.#owed++;
      const taken = this.#spool!.receive(this.#owned(request), this.#ended.signal);
      if (taken !== undefined) this.#await(taken);
    } catch (error) {
      this.#fail(WireError.from(error));
    }
  }

  /** A write that waits needs bytes that stay. */
  #owned(request: ReplicateRequest): ReplicateRequest {
    const { content, contentDelta } = request;
    if (content === undefined || contentDelta + content.length < this.#local!.spool.directBytesMin)
      return request;
    return { ...request, content: content.slice() };
  }

  #await(taken: Promise<void>): void {
    this.#isWriting = true;
    taken.then(
      () => {
        this.#isWriting = false;
        if (this.#phase === "over") this.#release();
        else if (this.#last !== undefined) this.#close();
        else this.#drain();
      },
      (error: unknown) => {
        this.#isWriting = false;
        this.#stop(error);
      },
    );
  }

  /** What was under way has failed, or was ended on purpose. */
  #stop(error: unknown): void {
    if (this.#phase === "over") this.#release();
    else if (this.#last !== undefined) this.#close();
    else this.#fail(WireError.from(error));
  }

  #drain(): void {
    while (this.#phase === "running" && !this.#isWriting && this.#queue.length > 0) {
      const next = this.#queue.shift()!;
      this.#queuedBytes -= next.content?.length ?? 0;
      this.#take(next);
    }
    if (this.#phase !== "running" || this.#isWriting) return;
    if (this.#isFull) {
      this.#isFull = false;
      this.#listener.drained();
    }
    if (this.#isHalfClosed) this.#close();
  }

  #confirm(end: number): void {
    const { spool } = this.#local!;
    if (end > spool.end) spool.confirm(Math.min(end, spool.syncedEnd));
  }

  #answer(response: ReplicateResponse): void {
    if (this.#phase === "over") return;
    this.#owed--;
    this.#tell(response);
    if (this.#phase === "closing" && this.#owed === 0) this.#finish();
  }

  /** Once for all that a sync has covered. */
  #tellSynced(end: number): void {
    const isTold = this.#synced === 0;
    this.#synced = end;
    if (!isTold) return;
    queueMicrotask(() => {
      const synced = this.#synced;
      this.#synced = 0;
      if (this.#phase !== "over") this.#listener.answered(newReplicateResponse({ status: "OK", synced }));
    });
  }

  /** T3 */
  #tell(response: ReplicateResponse): void {
    const header = this.#header;
    this.#header = undefined;
    this.#listener.answered(
      header === undefined || response.header !== undefined ? response : { ...response, header },
    );
  }

  /** Nothing more is taken. */
  #close(): void {
    if (this.#phase === "closing" || this.#phase === "over") return;
    this.#phase = "closing";
    this.#spool?.close();
    this.#release(); // T2
    if (this.#spool === undefined) this.#owed = 0;
    if (this.#owed === 0) this.#finish();
  }

  #finish(): void {
    const last = this.#last;
    if (last !== undefined) this.#tell(last);
    this.#end(undefined, true);
  }

  #fail(error: WireError): void {
    this.#end(error, true);
  }

  #end(failure: WireError | undefined, isTold: boolean): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#queue.length = 0;
    this.#ended.abort(failure ?? new WireError("UNAVAILABLE", "the stream has ended"));
    this.#spool?.end();
    if (!this.#isWriting) this.#release();
    this.#ports.over(this, failure ?? (isTold ? (this.#last?.status ?? "OK") : "cancelled"));
    if (isTold) this.#listener.ended(failure);
  }

  #release(): void {
    const lease = this.#lease;
    this.#lease = undefined;
    lease?.release();
  }
}
