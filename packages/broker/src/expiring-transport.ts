// Journals as the bearer of a token sees them: what it began ends when the token does. Reads and watched listings just
// end, as if the broker had had enough; whoever waits for an answer is told.
import { WireError, type Clock } from "@millrace/base";
import type { AppendContent, JournalTransport } from "@millrace/client";
import type {
  AppendPreamble,
  AppendResponse,
  ApplyRequest,
  ApplyResponse,
  FragmentsRequest,
  FragmentsResponse,
  ListRequest,
  ListResponse,
  ReadRequest,
  ReadResponse,
} from "@millrace/protocol";
import { eitherSignal } from "./either-signal.ts";
import { TIMER_MS_MAX } from "./limits.ts";

/** For streams, which merely end. @throws {WireError} UNAUTHENTICATED when what was under way ended with its token */
export function refuseExpired(transport: JournalTransport): void {
  if (transport instanceof ExpiringTransport && transport.hasExpired)
    throw new WireError("UNAUTHENTICATED", "the token of the request has expired");
}

export class ExpiringTransport implements JournalTransport {
  readonly #inner: JournalTransport;
  readonly #expiresAtMs: number;
  readonly #clock: Clock;
  #hasExpired = false;

  /** @param expiresAtMs Unix milliseconds */
  constructor(inner: JournalTransport, expiresAtMs: number, clock: Clock) {
    this.#inner = inner;
    this.#expiresAtMs = expiresAtMs;
    this.#clock = clock;
  }

  /** Something that was under way has ended with the token. */
  get hasExpired(): boolean {
    return this.#hasExpired;
  }

  append(request: AppendPreamble, content: AppendContent, signal: AbortSignal): Promise<AppendResponse> {
    return this.#answered(signal, (until) => this.#inner.append(request, content, until));
  }

  read(request: ReadRequest, signal: AbortSignal): AsyncIterable<ReadResponse> {
    return this.#streamed(signal, (until) => this.#inner.read(request, until));
  }

  list(request: ListRequest, signal: AbortSignal): Promise<ListResponse> {
    return this.#inner.list(request, signal);
  }

  watchList(request: ListRequest, signal: AbortSignal): AsyncIterable<ListResponse> {
    return this.#streamed(signal, (until) => this.#inner.watchList(request, until));
  }

  apply(request: ApplyRequest, signal: AbortSignal): Promise<ApplyResponse> {
    return this.#answered(signal, (until) => this.#inner.apply(request, until));
  }

  listFragments(request: FragmentsRequest, signal: AbortSignal): Promise<FragmentsResponse> {
    return this.#answered(signal, (until) => this.#inner.listFragments(request, until));
  }

  async #answered<T>(signal: AbortSignal, call: (until: AbortSignal) => Promise<T>): Promise<T> {
    const life = this.#life(signal);
    try {
      return await call(life.signal);
    } finally {
      life.dispose();
    }
  }

  async *#streamed<T>(
    signal: AbortSignal,
    call: (until: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    const life = this.#life(signal);
    try {
      yield* call(life.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!life.hasExpired()) throw error;
    } finally {
      life.dispose();
    }
  }

  #life(signal: AbortSignal): {
    readonly signal: AbortSignal;
    readonly hasExpired: () => boolean;
    readonly dispose: () => void;
  } {
    const expired = new AbortController();
    const leftMs = Math.min(TIMER_MS_MAX, Math.max(0, this.#expiresAtMs - this.#clock.wallMs()));
    const cancel = this.#clock.after(leftMs, () => {
      this.#hasExpired = true;
      expired.abort(new WireError("REQUEST_TIMEOUT", "the token of the request has expired"));
    });
    const scope = eitherSignal(signal, expired.signal);
    return {
      signal: scope.signal,
      hasExpired: () => expired.signal.aborted,
      dispose: () => {
        cancel();
        scope.dispose();
      },
    };
  }
}
