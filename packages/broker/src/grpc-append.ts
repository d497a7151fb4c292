// Append over gRPC: a preamble, chunks, an empty message that commits, and the end of the stream; one answer.
//
// A small append is here whole within a turn of the event loop or two. It is collected, and begins when its stream has
// ended: then it goes from the wire to the commit without a promise or a timer, and nobody holds a journal while his
// bytes travel. An append that is larger, or takes its time, begins with what is there and takes the rest as it comes;
// the pieces that wait are bounded, and their sender is stopped (F2).
import { WireError, type Clock } from "@millrace/base";
import { FRAMES_METADATA } from "@millrace/client";
import type { CallHandler, RpcError, ServerCall, ServerCallListener } from "@millrace/grpc";
import {
  AppendAnswers,
  decodeAppendRequest,
  plainAppendRequest,
  stripMeta,
  validateAppendRequest,
  type AppendPreamble,
  type AppendRequest,
  type AppendResponse,
} from "@millrace/protocol";
import type { AppendCaller, RunningAppend } from "./append-ports.ts";
import { AppendFeed } from "./append-feed.ts";
import type { Principal, RefuseAppend } from "./authoriser.ts";
import { ContentCopies, SMALL_BYTES_MAX } from "./content-copies.ts";
import { finishFailed, finishUndecoded } from "./grpc-calls.ts";
import { APPEND_LINGER_MS, EXPIRY_SWEEP_MS } from "./limits.ts";
import type { AppendDoor } from "./local-transport.ts";
import { PlainPreambles } from "./plain-preambles.ts";
import { SharedTimer, type Waiter } from "./shared-timer.ts";

export interface GrpcAppendPorts {
  readonly clock: Clock;
  /** @throws {WireError} UNAUTHENTICATED */
  readonly admit: (call: ServerCall) => Principal;
  /** @throws {WireError} UNAVAILABLE while the broker starts */
  readonly appendsOf: (principal: Principal) => AppendDoor;
  /** Why nobody may append to a journal from outside but who brings frames, fit for who tried. */
  readonly refuseAppend: RefuseAppend;
}

export function grpcAppend(ports: GrpcAppendPorts): CallHandler {
  const shared: Shared = {
    ports,
    answers: new AppendAnswers(),
    lingering: new Lingering(ports.clock),
    bounded: new BoundedAppends(ports.clock),
    preambles: new PlainPreambles(),
    copies: new ContentCopies(),
  };
  return (call) => new GrpcAppend(shared, call);
}

/** What the appends of a door share. */
interface Shared {
  readonly ports: GrpcAppendPorts;
  readonly answers: AppendAnswers;
  readonly lingering: Lingering;
  readonly bounded: BoundedAppends;
  readonly preambles: PlainPreambles;
  readonly copies: ContentCopies;
}

type Phase = "preamble" | "collecting" | "running" | "over";

const INTENT = new Uint8Array(0);
/** What frames begin with, whatever their version: `MF`. */
const FRAME_START = [0x4d, 0x46] as const;

class GrpcAppend implements ServerCallListener, AppendCaller, Waiter {
  readonly #shared: Shared;
  readonly #call: ServerCall;
  readonly #feed = new AppendFeed(() => this.#call.resume());
  #phase: Phase = "preamble";
  #principal: Principal | undefined;
  #request: AppendPreamble | undefined;
  /** Why its content is refused unless it begins as frames do; undefined once it has, or for other journals. */
  #unlessFrames: string | undefined;
  /** It was said that its content is frames: who did not say so has none. */
  #bringsFrames = false;
  #running: RunningAppend | undefined;
  /** Of its feed, what was said to be held. */
  #countedBytes = 0;
  #isSlow = false;

  constructor(shared: Shared, call: ServerCall) {
    this.#shared = shared;
    this.#call = call;
    try {
      this.#principal = shared.ports.admit(call);
      if (this.expiresAtMs !== Number.POSITIVE_INFINITY) shared.bounded.add(this);
    } catch (error) {
      this.failed(WireError.from(error));
    }
  }

  /** Of the token that the append came with, Unix milliseconds. */
  get expiresAtMs(): number {
    return this.#principal!.expiresAtMs;
  }

  /** Its stream is not whole, and it has not begun. */
  get isCollecting(): boolean {
    return this.#phase === "collecting";
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#phase === "over") return;
    if (this.#phase === "preamble") {
      this.#onPreamble(bytes);
      return;
    }
    this.#onContent(bytes);
    if (this.#isSlow) this.#count();
    if (!this.#feed.isFull) return;
    this.#call.pause();
    if (this.#phase === "collecting") this.begin();
  }

  onHalfClose(): void {
    if (this.#phase === "over") return;
    if (this.#phase === "preamble") {
      this.failed(new WireError("INVALID_ARGUMENT", "EOF"));
      return;
    }
    this.#feed.push("end-of-stream");
    if (this.#phase === "collecting") this.begin();
  }

  onCancelled(error: RpcError): void {
    this.#end(new WireError("UNAVAILABLE", error.message));
  }

  /** The time that its token grants is over. What has not begun is refused as a new append: nothing is unknown. */
  expire(): void {
    if (this.#phase === "over") return;
    if (this.#phase !== "running") {
      this.failed(new WireError("UNAUTHENTICATED", "the token of the request has expired"));
      return;
    }
    this.#call.finish("DEADLINE_EXCEEDED", "append stream: context deadline exceeded");
    this.#end(new WireError("REQUEST_TIMEOUT", "the token of the request has expired"));
  }

  /** It was not whole, or had to wait, when what had been read was looked at: what it keeps counts from now on. */
  slow(): void {
    this.#isSlow = true;
    this.#count();
  }

  due(): void {
    this.begin();
  }

  /** Begins with what is there, if it has not begun. */
  begin(): void {
    if (this.#phase !== "collecting") return;
    const { ports } = this.#shared;
    // Between two sweeps: a stream that was opened in time may have said nothing until now.
    if (this.expiresAtMs !== Number.POSITIVE_INFINITY && ports.clock.wallMs() >= this.expiresAtMs) {
      this.expire();
      return;
    }
    this.#phase = "running";
    try {
      const running = ports
        .appendsOf(this.#principal!)
        .startAppend(this.#request!, this.#feed, this.#call, this);
      this.#running = running;
      if (!this.#feed.isEmpty) this.slow();
    } catch (error) {
      this.failed(WireError.from(error));
    }
  }

  answered(response: AppendResponse): void {
    if (this.#phase === "over") return;
    this.#leave();
    this.#call.send(this.#shared.answers.encode(response));
    this.#call.finish("OK");
  }

  failed(error: Error): void {
    if (this.#phase === "over") return;
    this.#leave();
    finishFailed(this.#call, error);
  }

  #end(reason: WireError): void {
    if (this.#phase === "over") return;
    this.#leave();
    this.#running?.aborted(reason);
  }

  #leave(): void {
    this.#phase = "over";
    if (this.#principal?.expiresAtMs !== Number.POSITIVE_INFINITY) this.#shared.bounded.delete(this);
  }

  #count(): void {
    const { bytes } = this.#feed;
    if (bytes !== this.#countedBytes) this.#call.holds(bytes - this.#countedBytes);
    this.#countedBytes = bytes;
  }

  #onPreamble(bytes: Uint8Array): void {
    try {
      const plain = plainAppendRequest(bytes);
      const request =
        plain.kind === "preamble"
          ? this.#shared.preambles.read(bytes, plain.begin)
          : this.#decodeFirst(bytes);
      if (request === undefined) return;
      const { refuseAppend } = this.#shared.ports;
      const journal = stripMeta(request.journal);
      this.#unlessFrames = refuseAppend(journal, this.#principal!, "content");
      this.#bringsFrames = this.#call.metadata.get(FRAMES_METADATA) === "1";
      if (this.#unlessFrames !== undefined && !this.#bringsFrames) {
        const isReset = request.suspend === "SUSPEND_KEEP";
        const refusal = isReset ? refuseAppend(journal, this.#principal!, "reset") : this.#unlessFrames;
        if (refusal !== undefined) throw new WireError("FORBIDDEN", refusal);
      }
      this.#request = request;
      this.#phase = "collecting";
      this.#shared.lingering.add(this);
    } catch (error) {
      this.failed(WireError.from(error));
    }
  }

  /** @returns undefined when the call has ended, with what is no request @throws {ValidationError} */
  #decodeFirst(bytes: Uint8Array): AppendPreamble | undefined {
    let request: AppendRequest;
    try {
      request = decodeAppendRequest(bytes);
    } catch (error) {
      this.#leave();
      finishUndecoded(this.#call, error);
      return undefined;
    }
    validateAppendRequest(request);
    return request;
  }

  #onContent(bytes: Uint8Array): void {
    if (this.#feed.isDecided) return;
    const plain = plainAppendRequest(bytes);
    if (plain.kind === "intent") this.#feed.push(INTENT);
    else if (plain.kind !== "chunk") this.#onUnusual(bytes);
    else if (this.#unlessFrames !== undefined) this.#onFirst(bytes.subarray(plain.begin));
    else this.#feed.push(this.#owned(bytes, plain.begin));
  }

  /** The first content for a journal of frames. */
  #onFirst(content: Uint8Array): void {
    if (!this.#bringsFrames || FRAME_START.some((byte, at) => content[at] !== byte)) {
      this.#feed.push({ shape: "invalid", text: this.#unlessFrames! });
      return;
    }
    this.#unlessFrames = undefined;
    this.#feed.push(content.slice());
  }

  /** The content from `begin` on; `bytes` are a view that may be valid during the call only. */
  #owned(bytes: Uint8Array, begin: number): Uint8Array {
    const isLarge = bytes.length > SMALL_BYTES_MAX;
    return isLarge && this.#call.keep() ? bytes.subarray(begin) : this.#shared.copies.copy(bytes, begin);
  }

  /** A message that is no plain chunk: most likely an error, which is told when its turn comes. */
  #onUnusual(bytes: Uint8Array): void {
    try {
      const request = decodeAppendRequest(bytes);
      validateAppendRequest(request);
      if (request.journal !== "") {
        this.#feed.push({ shape: "preamble" });
        return;
      }
      const content = request.content ?? INTENT;
      if (this.#unlessFrames !== undefined && content.length > 0) this.#onFirst(content);
      else this.#feed.push(content.slice());
    } catch (error) {
      this.#feed.push({ shape: "invalid", text: WireError.from(error).message });
    }
  }
}

/** Begins appends whose stream is not whole after a while. Most are, when what was read has been looked at. */
class Lingering {
  readonly #timer: SharedTimer;
  #fresh: GrpcAppend[] = [];

  constructor(clock: Clock) {
    this.#timer = new SharedTimer(clock, APPEND_LINGER_MS);
  }

  add(append: GrpcAppend): void {
    if (this.#fresh.push(append) > 1) return;
    queueMicrotask(() => {
      const fresh = this.#fresh;
      this.#fresh = [];
      for (const each of fresh) {
        if (!each.isCollecting) continue;
        each.slow();
        this.#timer.add(each);
      }
    });
  }
}

/** Ends appends whose token has expired. One timer for all of them. */
class BoundedAppends {
  readonly #clock: Clock;
  readonly #appends = new Set<GrpcAppend>();
  #isSweeping = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(append: GrpcAppend): void {
    this.#appends.add(append);
    this.#sweepLater();
  }

  delete(append: GrpcAppend): void {
    this.#appends.delete(append);
  }

  #sweepLater(): void {
    if (this.#isSweeping || this.#appends.size === 0) return;
    this.#isSweeping = true;
    this.#clock.after(EXPIRY_SWEEP_MS, () => {
      this.#isSweeping = false;
      const nowMs = this.#clock.wallMs();
      for (const each of this.#appends) if (nowMs >= each.expiresAtMs) each.expire();
      this.#sweepLater();
    });
  }
}
