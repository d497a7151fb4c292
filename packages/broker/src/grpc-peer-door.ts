// What other brokers call over gRPC: `protocol.Journal/Replicate`, and the service of those that keep lists of holders.
//
//  P1  A stream's messages are taken as they come, without a promise for each; while the stream has enough of them its
//      sender is stopped by flow control.
//  P2  A stream of a broker that keeps lists ends with the token that it began with: such a broker opens another one
//      long before. Gazette's brokers have theirs for as long as a route lasts.
//  P3  What is said is checked before anything is done for it, and a stream that says nonsense ends alone.
import { WireError, type Clock } from "@millrace/base";
import type { CallHandler, ServerCall, ServerCallListener } from "@millrace/grpc";
import { HOLDER_SERVICE, JOURNAL_SERVICE, type ReplicateResponse } from "@millrace/protocol";
import type { Principal } from "./authoriser.ts";
import { finishFailed, oneRequest } from "./grpc-calls.ts";
import { fetchRequestOf, holdRequestOf, holdResponseMessage } from "./holder-wire.ts";
import { FETCH_MESSAGE_BYTES, TIMER_MS_MAX } from "./limits.ts";
import type { PeerDoor } from "./peer-door.ts";
import type { PeerListener, PeerStream } from "./peer-pipeline.ts";

/**
 * @param admit throws when the caller is no broker of this cluster
 * @param doorOf with the journals that exist for the caller; throws {WireError} while the broker starts, and when it is
 * alone
 */
export function grpcPeerDoor(
  admit: (call: ServerCall) => Principal,
  doorOf: (principal: Principal) => PeerDoor,
  clock: Clock,
): readonly [string, CallHandler][] {
  const { hold, fetch, digest } = HOLDER_SERVICE;
  return [
    [JOURNAL_SERVICE.replicate.path, (call) => new ReplicateCall(call, () => admit(call), doorOf, clock)],
    [
      hold.path,
      oneRequest(hold.decodeRequest, admit, async (message, call, principal) => {
        const answer = await doorOf(principal).hold(holdRequestOf(message), call.signal);
        await call.send(hold.encodeResponse(holdResponseMessage(answer)));
      }),
    ],
    [
      fetch.path,
      oneRequest(fetch.decodeRequest, admit, async (message, call, principal) => {
        for await (const content of doorOf(principal).fetch(fetchRequestOf(message), call.signal)) {
          for (let at = 0; at < content.length; at += FETCH_MESSAGE_BYTES) {
            const piece = content.subarray(at, at + FETCH_MESSAGE_BYTES);
            await call.send(fetch.encodeResponse({ content: piece }));
          }
        }
      }),
    ],
    [
      digest.path,
      oneRequest(digest.decodeRequest, admit, async (message, call, principal) => {
        const sha256 = await doorOf(principal).digest(fetchRequestOf(message), call.signal);
        await call.send(digest.encodeResponse({ sha256 }));
      }),
    ],
  ];
}

class ReplicateCall implements ServerCallListener, PeerListener {
  readonly #call: ServerCall;
  readonly #clock: Clock;
  #stream: PeerStream | undefined;
  /** Until the first message of a broker that keeps lists. */
  #expiresAtMs = Number.POSITIVE_INFINITY;
  #cancelExpiry: (() => void) | undefined;

  constructor(
    call: ServerCall,
    admit: () => Principal,
    doorOf: (principal: Principal) => PeerDoor,
    clock: Clock,
  ) {
    this.#call = call;
    this.#clock = clock;
    try {
      const principal = admit();
      this.#expiresAtMs = principal.expiresAtMs;
      this.#stream = doorOf(principal).replicate(this);
    } catch (error) {
      finishFailed(call, error);
    }
  }

  onMessage(bytes: Uint8Array): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    try {
      const request = JOURNAL_SERVICE.replicate.decodeRequest(bytes);
      if (request.epoch > 0 && this.#expiresAtMs !== Number.POSITIVE_INFINITY) this.#endWithToken();
      if (!stream.send(request)) this.#call.pause();
    } catch (error) {
      this.#over()?.cancel();
      finishFailed(this.#call, error);
    }
  }

  onHalfClose(): void {
    this.#stream?.halfClose();
  }

  onCancelled(): void {
    this.#over()?.cancel();
  }

  answered(response: ReplicateResponse): void {
    this.#call.send(JOURNAL_SERVICE.replicate.encodeResponse(response));
  }

  drained(): void {
    this.#call.resume();
  }

  ended(failure: WireError | undefined): void {
    this.#over();
    if (failure === undefined) this.#call.finish("OK");
    else finishFailed(this.#call, failure);
  }

  /** P2 */
  #endWithToken(): void {
    const leftMs = this.#expiresAtMs - this.#clock.wallMs();
    this.#expiresAtMs = Number.POSITIVE_INFINITY;
    this.#cancelExpiry = this.#clock.after(Math.min(TIMER_MS_MAX, Math.max(0, leftMs)), () => {
      this.#over()?.cancel();
      finishFailed(this.#call, new WireError("UNAUTHENTICATED", "the token of the stream has expired"));
    });
  }

  #over(): PeerStream | undefined {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#cancelExpiry?.();
    return stream;
  }
}
