// Follows a stream of server-sent events over fetch, and comes back when it breaks.
//
// F1 A refusal (4xx but 401, 408 and 429) is final: asking again would not change it. 401 waits for a token.
// F2 A stream that says nothing for `silenceMs` is broken, whatever the network thinks.
// F3 The delay starts again from the shortest once an event has come.
// F4 After stop() nothing is called any more.
import { ApiError } from "./api-client.ts";
import { reconnectDelayMs } from "./reconnect-delay.ts";
import { SseParser, type ServerEvent } from "./sse-parser.ts";

export type Connection =
  | { readonly kind: "connecting"; readonly attempt: number }
  | { readonly kind: "live" }
  | {
      readonly kind: "waiting";
      readonly attempt: number;
      readonly retryAtMs: number;
      readonly reason: string;
    }
  | { readonly kind: "unauthorised" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "stopped" };

export interface FollowerPorts {
  /** @returns a 2xx answer @throws {ApiError} */
  readonly open: (signal: AbortSignal) => Promise<Response>;
  readonly onEvent: (event: ServerEvent) => void;
  readonly onConnection: (connection: Connection) => void;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Calls `run` once after `ms`; the returned function cancels. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Infinity: a stream that may be quiet. */
  readonly silenceMs: number;
}

export class StreamFollower {
  readonly #ports: FollowerPorts;
  #run: AbortController | undefined;
  #wake: (() => void) | undefined;

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /** Starts from anew, also when it is running. */
  start(): void {
    this.#run?.abort();
    const run = new AbortController();
    this.#run = run;
    void this.#loop(run.signal);
  }

  stop(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#ports.onConnection({ kind: "stopped" });
  }

  /** Ends a wait for the next try, or begins again after a refusal. */
  retryNow(): void {
    if (this.#wake !== undefined) this.#wake();
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const say = (connection: Connection): void => {
      if (!signal.aborted) this.#ports.onConnection(connection); // F4
    };
    let failures = 0;
    while (!signal.aborted) {
      say({ kind: "connecting", attempt: failures + 1 });
      let reason = "the stream ended";
      try {
        await this.#follow(signal, {
          onOpen: () => say({ kind: "live" }),
          onEvent: (event) => {
            failures = 0; // F3
            if (!signal.aborted) this.#ports.onEvent(event);
          },
        });
      } catch (thrown) {
        if (signal.aborted) return;
        const settled = refusal(thrown); // F1
        if (settled !== undefined) {
          say(settled);
          await this.#sleep(Infinity, signal);
          continue;
        }
        reason = thrown instanceof Error ? thrown.message : String(thrown);
      }
      if (signal.aborted) return;
      failures += 1;
      const delayMs = reconnectDelayMs(failures, this.#ports.random());
      say({ kind: "waiting", attempt: failures, retryAtMs: this.#ports.nowMs() + delayMs, reason });
      await this.#sleep(delayMs, signal);
    }
  }

  /** @returns when the stream ended */
  async #follow(
    signal: AbortSignal,
    on: { readonly onOpen: () => void; readonly onEvent: (event: ServerEvent) => void },
  ): Promise<void> {
    const attempt = new AbortController();
    const onAbort = (): void => attempt.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    let silent = false;
    let cancel: (() => void) | undefined;
    const listen = (): void => {
      cancel?.();
      if (this.#ports.silenceMs === Infinity) return;
      cancel = this.#ports.after(this.#ports.silenceMs, () => {
        silent = true; // F2
        attempt.abort();
      });
    };
    try {
      listen();
      const response = await this.#ports.open(attempt.signal);
      const body = response.body;
      if (body === null) throw new Error("the answer has no body");
      const parser = new SseParser();
      const decoder = new TextDecoder();
      const reader = body.getReader();
      let isOpen = false;
      for (;;) {
        const { done, value } = await reader.read();
        if (done || signal.aborted) return;
        listen();
        if (!isOpen) on.onOpen();
        isOpen = true;
        for (const event of parser.push(decoder.decode(value, { stream: true }))) on.onEvent(event);
      }
    } catch (thrown) {
      throw silent ? new Error("the stream fell silent", { cause: thrown }) : thrown;
    } finally {
      cancel?.();
      signal.removeEventListener("abort", onAbort);
      attempt.abort(); // releases the body of a stream that is left early
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = ms === Infinity ? (): void => undefined : this.#ports.after(ms, () => done());
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

function refusal(thrown: unknown): Connection | undefined {
  if (!(thrown instanceof ApiError)) return undefined;
  if (thrown.status === 401) return { kind: "unauthorised" };
  const isFinal =
    thrown.status >= 400 && thrown.status < 500 && thrown.status !== 408 && thrown.status !== 429;
  return isFinal ? { kind: "refused", reason: thrown.message } : undefined;
}
