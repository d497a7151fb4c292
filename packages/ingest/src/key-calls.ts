// Attempts at one request to a key management service: each has a time limit, those which a repeat may mend are made
// again, a bounded number of times. The clients' own retries are off, so that this is the one policy.
import { abortScope, InvariantError, WireError, type Clock, type Random } from "@millrace/base";
import { textOfFailure, type KeyFailure, type KeyService } from "./key-service.ts";

/** With the waits between them, and each attempt at its limit, at most 40 s: then whoever starts it hears of it. */
const ATTEMPT_COUNT_MAX = 5;
const ATTEMPT_MS_MAX = 6000;
const RETRY_MS = { first: 200, factor: 3 } as const;

/** What a request has come to. */
export type KeyCall<T> =
  { readonly kind: "done"; readonly value: T } | { readonly kind: "failed"; readonly failure: KeyFailure };

export interface KeyCallPorts {
  readonly service: KeyService;
  readonly clock: Clock;
  readonly random: Random;
}

/** @throws `signal.reason` */
export async function callKeyService<T>(
  ports: KeyCallPorts,
  signal: AbortSignal,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<KeyCall<T>> {
  for (let attempt = 1; ; attempt++) {
    const call = await tried(ports, signal, request);
    if (call.kind === "done" || call.failure.kind !== "passing" || attempt === ATTEMPT_COUNT_MAX) return call;
    await ports.clock.sleep(waitMs(ports.random, attempt), signal);
  }
}

async function tried<T>(
  { service, clock }: KeyCallPorts,
  signal: AbortSignal,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<KeyCall<T>> {
  signal.throwIfAborted();
  const scope = abortScope(signal);
  const cancel = clock.after(ATTEMPT_MS_MAX, () => scope.abort(new Error("too slow")));
  try {
    return { kind: "done", value: await request(scope.signal) };
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof InvariantError) throw thrown;
    const failure = service.failureOf(thrown);
    if (!scope.signal.aborted) return { kind: "failed", failure };
    return {
      kind: "failed",
      failure: { ...failure, kind: "passing", reason: `no answer within ${ATTEMPT_MS_MAX} ms` },
    };
  } finally {
    cancel();
    scope.dispose();
  }
}

/** What `call` has come to, as an error about `what`. */
export function errorOfCall(what: string, failure: KeyFailure): WireError {
  const code =
    failure.kind === "passing" ? "UNAVAILABLE" : failure.kind === "changed" ? "CORRUPT" : "FORBIDDEN";
  return new WireError(code, `${what}: ${textOfFailure(failure)}`);
}

/** Between half of it and all, so that those who failed together do not come back together. */
function waitMs(random: Random, attempt: number): number {
  const ms = RETRY_MS.first * RETRY_MS.factor ** (attempt - 1);
  return ms / 2 + random.below(ms / 2);
}
