// Calls over the simulated network: one answer, or a stream of them; and appends, whose content is a stream of its own.
// What a called process throws comes to the caller as it is, an InvariantError ends the run: it would end the process.
import { InvariantError, WireError } from "@millrace/base";
import type { AppendContent } from "@millrace/client";
import { brokenError, type Breakage, type Network, type Stream } from "./network.ts";
import type { SimProcess } from "./sim-process.ts";

export interface CallPorts {
  readonly network: Network;
  /** Whoever calls. */
  readonly from: SimProcess;
  /** A process broke a rule of its own. */
  readonly fail: (error: unknown) => void;
  /** Told of each stream that breaks. */
  readonly broke?: (why: Breakage) => void;
}

/** Answers under way before the called one waits. */
const WINDOW = 8;

/** Asks `to` once. @param run what happens there */
export function ask<T>(
  ports: CallPorts,
  to: string,
  run: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = new Call(ports, to, signal, (error) => reject(error));
    call.stream.send(0, () => {
      inTurn(() => run(call.served)).then(
        (value) => call.answerLast(() => resolve(value)),
        (error: unknown) => call.fails(error),
      );
    });
  });
}

/** Follows what `to` gives. */
export async function* follow<T>(
  ports: CallPorts,
  to: string,
  run: (signal: AbortSignal) => AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  const items: T[] = [];
  let wake = (): void => undefined;
  let room = (): void => undefined;
  let underWay = 0;
  let over: { readonly error?: unknown } | undefined;
  const end = (error?: unknown): void => {
    over ??= error === undefined ? {} : { error };
    wake();
  };
  const call = new Call(ports, to, signal, end);
  const serve = async (): Promise<void> => {
    for await (const item of run(call.served)) {
      underWay++;
      call.stream.send(1, () => {
        items.push(item);
        wake();
      });
      while (underWay >= WINDOW && !call.served.aborted) await new Promise<void>((go) => (room = go));
      if (call.served.aborted) return;
    }
  };
  call.served.addEventListener("abort", () => room(), { once: true });
  call.stream.send(0, () => {
    serve().then(
      () => call.answerLast(() => end()),
      (error: unknown) => call.fails(error),
    );
  });
  try {
    for (let taken = 0; ;) {
      const item = items.shift();
      if (item !== undefined) {
        taken++;
        if (taken % (WINDOW / 2) === 0) {
          call.stream.send(0, () => {
            underWay -= WINDOW / 2;
            room();
          });
        }
        yield item;
      } else if (over !== undefined) {
        if (over.error !== undefined) throw over.error as Error;
        return;
      } else await new Promise<void>((go) => (wake = go));
    }
  } finally {
    call.cancel(new WireError("UNAVAILABLE", "nobody follows any more"));
  }
}

/** Appends at `to`. @param run the append there, of content that comes over the network */
export function sendAppend<T>(
  ports: CallPorts,
  to: string,
  content: AppendContent,
  run: (content: AppendContent, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isSent = false;
    const call = new Call(ports, to, signal, (error) => reject(told(error, isSent, to)));
    const begin = (received: AppendContent): void => {
      inTurn(() => run(received, call.served)).then(
        (value) => call.answerLast(() => resolve(value)),
        (error: unknown) => call.fails(error),
      );
    };
    if (content.kind === "bytes") {
      const bytes = content.bytes.map((part) => part.slice());
      isSent = true;
      call.stream.send(0, () => begin({ ...content, bytes }));
      return;
    }
    const inbox = new Inbox(call.served);
    call.stream.send(0, () => begin({ kind: "chunks", chunks: inbox }));
    const pump = async (): Promise<void> => {
      for await (const chunk of content.chunks) {
        const copy = chunk.slice();
        call.stream.send(0, () => inbox.push(copy));
      }
      isSent = true;
      call.stream.send(0, () => inbox.end());
    };
    pump().catch((error: unknown) => {
      call.cancel(error);
      reject(error);
    });
  });
}

/** What is thrown rejects. */
async function inTurn<T>(run: () => Promise<T>): Promise<T> {
  return run();
}

/** An append whose answer did not come has an unknown outcome, unless nobody can have seen the whole of it. */
function told(error: unknown, isSent: boolean, to: string): Error {
  if (!(error instanceof WireError) || error.facts["why"] === undefined) return error as Error;
  const isUnseen = error.facts["why"] === "refused" || !isSent;
  return isUnseen ? error : new WireError("OUTCOME_UNKNOWN", `append at ${to}: ${error.message}`);
}

/** A stream with a caller who wants one outcome, and a signal for whoever serves it. */
export class Call {
  readonly stream: Stream;
  readonly #ports: CallPorts;
  readonly #served = new AbortController();
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  readonly #failed: (error: unknown) => void;
  #isOver = false;

  /** @param failed told what ends the call at the caller's side without its outcome */
  constructor(ports: CallPorts, to: string, signal: AbortSignal, failed: (error: unknown) => void) {
    this.#ports = ports;
    this.#signal = signal;
    this.#failed = failed;
    this.stream = ports.network.open(ports.from, to);
    this.#onAbort = () => {
      this.cancel(signal.reason);
      failed(signal.reason);
    };
    this.stream.onBroken(0, (why) => {
      ports.broke?.(why);
      this.#end(() => failed(brokenError(why, to)));
    });
    this.stream.onBroken(1, () => this.#served.abort(new WireError("UNAVAILABLE", "the caller is gone")));
    if (signal.aborted) queueMicrotask(this.#onAbort);
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Of whoever serves the call. */
  get served(): AbortSignal {
    return this.#served.signal;
  }

  /** From the called side: the outcome, which nothing follows. */
  answerLast(run: () => void): void {
    this.stream.send(1, () => this.#end(run));
    this.stream.close(1);
  }

  fails(error: unknown): void {
    if (error instanceof InvariantError) this.#ports.fail(error);
    this.answerLast(() => this.#failed(error));
  }

  /** From the caller's side. */
  cancel(reason: unknown): void {
    this.#end(() => {
      this.stream.send(0, () => {
        this.#served.abort(reason);
        this.stream.close(1);
      });
      this.stream.close(0);
    });
  }

  #end(run: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    run();
    this.stream.close(0);
  }
}

/** Content as it comes. */
class Inbox implements AsyncIterable<Uint8Array> {
  readonly #signal: AbortSignal;
  readonly #chunks: Uint8Array[] = [];
  #isWhole = false;
  #wake = (): void => undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#wake();
  }

  end(): void {
    this.#isWhole = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#signal.aborted) throw this.#signal.reason;
      else if (this.#isWhole) return;
      else await new Promise<void>((go) => (this.#wake = go));
    }
  }
}
