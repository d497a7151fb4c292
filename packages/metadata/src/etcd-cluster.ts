// Requests to etcd: which member is asked, with which token, for how long, and what is repeated.
//
// C1 A request that may be done twice is repeated, at the next member, until its time is over.
// C2 One that may not is repeated only while it is certain that it has not happened; else it is OUTCOME_UNKNOWN.
// C3 Every request ends: by an answer, its signal, or its time (and that of asking for a token).
// C4 All answers come from one cluster. Another id is CORRUPT: the data behind the endpoint have been replaced.
// C5 Every call asks for a member that has a leader (`hasleader`), so that one that is cut off says so at once.
import { WireError, type Clock } from "@millrace/base";
import type { StoreHeader } from "./coordination.ts";
import type { Method } from "./etcd-api/method.ts";
import { callOnce, type Outcome, type RpcOptions } from "./etcd-channel.ts";
import { EtcdEndpoints, type Endpoint } from "./etcd-endpoints.ts";
import { alarmOf, failureOf, type EtcdAlarm, type Failure } from "./etcd-errors.ts";
import { etcdMetrics, type EtcdMetrics } from "./etcd-metrics.ts";
import type { EtcdPorts, EtcdSettings } from "./etcd-options.ts";
import { EtcdTokens } from "./etcd-tokens.ts";

/** One try at one member. `rpc.timeoutMs` is how long it may take. */
export type Attempt<Response> = (
  endpoint: Endpoint,
  rpc: RpcOptions & { readonly timeoutMs: number },
  signal: AbortSignal,
) => Promise<Outcome<Response>>;

export interface RequestKind<Response> {
  /** For metrics. */
  readonly operation: string;
  /** Whether it may be done twice (C1, C2). */
  readonly isRepeatable: boolean;
  /** What a refusal means after an attempt that may have happened; undefined: what it says. */
  readonly afterDoubt?: (refusal: WireError) => Response | undefined;
  /** Alarms under which it would have been refused: an answer shows that they are over. Default: none. */
  readonly refusedUnder?: readonly EtcdAlarm[];
}

export type Metadata = ReadonlyMap<string, string>;

const REQUIRE_LEADER: Metadata = new Map([["hasleader", "true"]]);
const BACKOFF_MS = { first: 20, max: 500 } as const;
/** Tokens that may be refused in a row: users and roles can change while a request is on its way. */
const TOKENS_MAX = 3;

export class EtcdCluster {
  readonly endpoints: EtcdEndpoints;
  readonly metrics: EtcdMetrics;
  readonly #settings: EtcdSettings;
  readonly #clock: Clock;
  readonly #tokens: EtcdTokens;
  #clusterId: bigint | undefined;
  #seenRevision = 0;
  #isClosed = false;
  #failingSinceMs: number | undefined;
  #alarm: { readonly kind: EtcdAlarm; readonly text: string } | undefined;
  /** The same object while the token is the same: channels keep its encoding. */
  #metadata: Metadata = REQUIRE_LEADER;

  /** @throws {WireError} INVALID_ARGUMENT */
  constructor(settings: EtcdSettings, { clock, logger, metrics, connect }: EtcdPorts) {
    this.#settings = settings;
    this.#clock = clock;
    this.metrics = etcdMetrics(metrics);
    this.endpoints = new EtcdEndpoints(settings.endpoints, connect, logger);
    this.#tokens = new EtcdTokens(settings, this.endpoints, { logger, timeoutMs: settings.attemptTimeoutMs });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Ends what is under way, and what is begun later. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.endpoints.close(AbortSignal.abort(closed()));
  }

  /** The greatest revision that any answer has shown. */
  get seenRevision(): number {
    return this.#seenRevision;
  }

  /** How long nobody has answered what was asked; 0: the last one did. */
  get silentMs(): number {
    return this.#failingSinceMs === undefined ? 0 : this.#clock.monotonicMs() - this.#failingSinceMs;
  }

  /** What etcd refuses requests with until an operator has disarmed it; undefined: nothing, as far as is known. */
  get alarm(): string | undefined {
    return this.#alarm?.text;
  }

  /** A member did not answer. */
  failed(endpoint: Endpoint): void {
    this.#failingSinceMs ??= this.#clock.monotonicMs();
    this.endpoints.failed(endpoint);
  }

  /** Takes note of an answer's header. @throws {WireError} CORRUPT (C4) */
  note(header: StoreHeader): void {
    this.#failingSinceMs = undefined;
    this.#clusterId ??= header.clusterId;
    if (header.clusterId !== this.#clusterId) {
      const text = `the cluster id of etcd has become ${header.clusterId}, it was ${this.#clusterId}`;
      throw new WireError("CORRUPT", text);
    }
    this.#seenRevision = Math.max(this.#seenRevision, header.revision);
  }

  /** A unary call (C1 to C3). */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    kind: RequestKind<Response>,
    signal: AbortSignal,
  ): Promise<Response> {
    return this.repeat(
      ({ channel }, rpc, aborts) => callOnce(channel, method, request, rpc, aborts),
      kind,
      signal,
    );
  }

  /** @throws {WireError} what etcd says; UNAVAILABLE, OUTCOME_UNKNOWN @throws `signal.reason` */
  async repeat<Response>(
    attempt: Attempt<Response>,
    kind: RequestKind<Response>,
    signal: AbortSignal,
  ): Promise<Response> {
    const startedMs = this.#clock.monotonicMs();
    try {
      const response = await this.#repeat(attempt, kind, signal);
      this.metrics.requests.add(1, { operation: kind.operation, outcome: "answered" });
      return response;
    } catch (error) {
      this.metrics.requests.add(1, { operation: kind.operation, outcome: outcomeOf(error, signal) });
      throw error;
    } finally {
      const seconds = (this.#clock.monotonicMs() - startedMs) / 1000;
      this.metrics.requestSeconds.observe(seconds, { operation: kind.operation });
    }
  }

  /** Metadata of a stream to the present member, or why there is no token. @throws `signal.reason` */
  async metadata(
    signal: AbortSignal,
  ): Promise<{ readonly metadata: Metadata } | { readonly failure: Failure }> {
    const outcome = await this.#tokens.token(signal);
    if (outcome.kind === "failed") return { failure: outcome.failure };
    const { token } = outcome;
    if (token !== (this.#metadata.get("token") ?? "")) {
      this.#metadata = new Map([...REQUIRE_LEADER, ["token", token]]);
    }
    return { metadata: this.#metadata };
  }

  /** A call with this metadata was told that its token is not valid. @returns whether there is another one to be had */
  renewToken(metadata: Metadata): boolean {
    if (this.#settings.user === "") return false;
    this.#tokens.forget(metadata.get("token") ?? "");
    return true;
  }

  async #repeat<Response>(
    attempt: Attempt<Response>,
    { isRepeatable, afterDoubt, refusedUnder = [] }: RequestKind<Response>,
    signal: AbortSignal,
  ): Promise<Response> {
    const deadlineMs = this.#clock.monotonicMs() + this.#settings.requestTimeoutMs;
    let inDoubt = false;
    let tokens = 0;
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted();
      if (this.#isClosed) throw closed();
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      const timeoutMs = Math.max(
        1,
        isRepeatable ? Math.min(leftMs, this.#settings.attemptTimeoutMs) : leftMs,
      );
      const endpoint = this.endpoints.current;
      const result = await this.#try(attempt, endpoint, timeoutMs, signal);
      if (result.kind === "answer") {
        this.#failingSinceMs = undefined;
        if (this.#alarm !== undefined && refusedUnder.includes(this.#alarm.kind)) this.#alarm = undefined;
        return result.response;
      }
      if (result.kind === "aborted") throw abortion(result.mayHaveHappened && !isRepeatable, signal);
      if (result.kind === "token" && result.isRenewable && ++tokens < TOKENS_MAX) continue;
      if (result.kind !== "member") {
        const alarm = alarmOf(result.error);
        if (alarm !== undefined) this.#alarm = { kind: alarm, text: result.error.message };
        const settled = inDoubt ? afterDoubt?.(result.error) : undefined;
        if (settled === undefined) throw result.error;
        return settled;
      }
      this.failed(endpoint);
      inDoubt ||= result.mayHaveHappened;
      if (inDoubt && !isRepeatable) throw unknownOutcome(result.error);
      await this.#pause(tries, deadlineMs, result.error, signal);
    }
  }

  async #try<Response>(
    attempt: Attempt<Response>,
    endpoint: Endpoint,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Exclude<Outcome<Response>, { kind: "end" }> | (Failure & { readonly isRenewable?: boolean })> {
    const prepared = await this.metadata(signal);
    if ("failure" in prepared) {
      const { failure } = prepared; // Only the token was asked for.
      return failure.kind === "member" ? { ...failure, mayHaveHappened: false } : failure;
    }
    const { metadata } = prepared;
    const outcome = await attempt(endpoint, { metadata, timeoutMs }, signal);
    if (outcome.kind !== "end") return outcome;
    const failure = failureOf(outcome.end);
    return failure.kind === "token" ? { ...failure, isRenewable: this.renewToken(metadata) } : failure;
  }

  /** Nothing while there are members that have not been asked in this round, then longer and longer. */
  async #pause(tries: number, deadlineMs: number, last: WireError, signal: AbortSignal): Promise<void> {
    const { count } = this.endpoints;
    const rounds = Math.floor((tries + 1) / count);
    const backoffMs =
      (tries + 1) % count === 0 ? Math.min(BACKOFF_MS.first * 2 ** rounds, BACKOFF_MS.max) : 0;
    const leftMs = deadlineMs - this.#clock.monotonicMs();
    if (leftMs <= backoffMs) {
      const text = `no answer from etcd within ${this.#settings.requestTimeoutMs} ms: ${last.message}`;
      throw new WireError("UNAVAILABLE", text, { cause: last });
    }
    if (backoffMs > 0) await this.#clock.sleep(backoffMs, signal);
  }
}

/** Why nothing is asked any more. */
export function closed(): WireError {
  return new WireError("UNAVAILABLE", "the store is closed");
}

function abortion(mayHaveHappened: boolean, signal: AbortSignal): unknown {
  if (!mayHaveHappened) return signal.reason;
  return new WireError("OUTCOME_UNKNOWN", "stopped waiting for etcd", { cause: signal.reason });
}

function unknownOutcome(cause: WireError): WireError {
  return new WireError("OUTCOME_UNKNOWN", `etcd may or may not have done it: ${cause.message}`, { cause });
}

function outcomeOf(error: unknown, signal: AbortSignal): string {
  if (!(error instanceof WireError)) return signal.aborted ? "aborted" : "failed";
  if (error.code === "OUTCOME_UNKNOWN") return "unknown";
  return error.code === "UNAVAILABLE" ? "unavailable" : "refused";
}
