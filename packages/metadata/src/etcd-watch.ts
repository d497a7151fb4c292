// A watch of etcd: one stream after another, each going on behind what the last one gave.
//
// S1 One stream for each watch, over the one connection: a slow watcher holds up itself alone, and progress, which etcd
//    tells for all watches of a stream together, is that of this watch.
// S2 A stream that breaks, or a member without a leader, is replaced; only what is the same everywhere ends the watch.
// S3 A watch without a revision begins behind what a linearizable read shows when the watch is called for.
import type { Clock, Logger } from "@millrace/base";
import type { WatchBatch, WatchRequest } from "./coordination.ts";
import { MAINTENANCE } from "./etcd-api/cluster.ts";
import { callOnce } from "./etcd-channel.ts";
import { closed, type EtcdCluster } from "./etcd-cluster.ts";
import type { Endpoint } from "./etcd-endpoints.ts";
import { failureOf, type Failure } from "./etcd-errors.ts";
import { tellsProgress } from "./etcd-watch-events.ts";
import { EtcdWatchStream } from "./etcd-watch-stream.ts";

export interface EtcdWatchPorts {
  readonly cluster: EtcdCluster;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly attemptTimeoutMs: number;
  readonly progressMs: number;
}

const BACKOFF_MS = { first: 20, max: 2000 } as const;
/** How soon a watch asks again when this process has seen a revision that the watch has not. */
const BEHIND_MS = 100;
/** Tokens that may be refused in a row. */
const TOKENS_MAX = 3;
/** Failures in a row, of which one is said aloud. */
const TELL_EVERY = 30;

/** @throws {WireError} COMPACTED, FORBIDDEN, …: what the cluster says, whoever is asked; UNAVAILABLE when closed */
export async function* watchEtcd(
  request: WatchRequest,
  from: Promise<number>,
  ports: EtcdWatchPorts,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch, void, undefined> {
  const state = { next: 0, failures: 0, tokens: 0 };
  try {
    state.next = await from;
    while (!signal.aborted) {
      const endpoint = ports.cluster.endpoints.current;
      const failure = yield* oneStream(request, endpoint, state, ports, signal);
      await afterFailure(failure, endpoint, state, ports, signal);
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}

interface WatchState {
  next: number;
  /** Streams in a row that gave nothing. */
  failures: number;
  tokens: number;
}

/** Yields until the stream ends. @throws {WireError} COMPACTED, CORRUPT @throws `signal.reason` */
async function* oneStream(
  request: WatchRequest,
  endpoint: Endpoint,
  state: WatchState,
  ports: EtcdWatchPorts,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch, Failure, undefined> {
  const { cluster } = ports;
  const prepared = await cluster.metadata(signal);
  if ("failure" in prepared) return prepared.failure;
  const version =
    request.progress === true ? await versionOf(endpoint, prepared.metadata, ports, signal) : "";
  if (typeof version !== "string") return version;
  const stream = new EtcdWatchStream(endpoint, prepared.metadata, { ...request, fromRevision: state.next });
  const stopAsking = tellsProgress(version) ? askProgress(stream, ports) : () => {};
  try {
    for (;;) {
      const step = await stream.take(signal);
      if (step.kind === "compacted") throw step.error;
      if (step.kind === "end" || step.kind === "canceled") {
        const failure = failureOf(step.end);
        if (failure.kind === "token") cluster.renewToken(prepared.metadata);
        return failure;
      }
      if (step.kind === "created") {
        cluster.note(step.header);
        continue;
      }
      const { batch } = step;
      cluster.note(batch.header);
      state.next = batch.header.revision + 1;
      state.failures = 0;
      state.tokens = 0;
      if (batch.events.length > 0 || request.progress === true) yield batch;
    }
  } finally {
    stopAsking();
    stream.close();
  }
}

/** What follows from the end of a stream: another member, another token, or the end of the watch. */
async function afterFailure(
  failure: Failure,
  endpoint: Endpoint,
  state: WatchState,
  { cluster, clock, logger }: EtcdWatchPorts,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (cluster.isClosed) throw closed();
  if (failure.kind === "refused") throw failure.error;
  if (failure.kind === "token") {
    if (++state.tokens >= TOKENS_MAX) throw failure.error;
    return;
  }
  cluster.failed(endpoint);
  cluster.metrics.watchRestarts.add(1);
  const rounds = Math.floor(state.failures / cluster.endpoints.count);
  const waitMs = state.failures === 0 ? 0 : Math.min(BACKOFF_MS.first * 2 ** rounds, BACKOFF_MS.max);
  state.failures++;
  const { next } = state;
  const facts = { endpoint: endpoint.address, error: failure.error.message, next, waitMs };
  // While etcd is away every watch of the process would say so every two seconds.
  if (state.failures % TELL_EVERY === 1) logger.warn("etcd-watch-broken", facts);
  else logger.debug("etcd-watch-broken", facts);
  if (waitMs > 0) await clock.sleep(waitMs, signal);
}

/** Asks at each interval, and sooner while this process knows that etcd is further. @returns a function that ends it */
function askProgress(stream: EtcdWatchStream, { cluster, clock, progressMs }: EtcdWatchPorts): () => void {
  let stop = (): void => {};
  let sinceMs = 0;
  const stepMs = Math.min(BEHIND_MS, progressMs);
  const arm = (): void => {
    stop = clock.after(stepMs, () => {
      sinceMs += stepMs;
      if (sinceMs >= progressMs || cluster.seenRevision >= stream.next) {
        sinceMs = 0;
        stream.askProgress();
      }
      arm();
    });
  };
  arm();
  return () => stop();
}

/** The version of a member, asked for once; "" when it does not say. */
async function versionOf(
  endpoint: Endpoint,
  metadata: ReadonlyMap<string, string>,
  { attemptTimeoutMs }: EtcdWatchPorts,
  signal: AbortSignal,
): Promise<string | Failure> {
  if (endpoint.version !== undefined) return endpoint.version;
  const rpc = { metadata, timeoutMs: attemptTimeoutMs };
  const outcome = await callOnce(endpoint.channel, MAINTENANCE.status, {}, rpc, signal);
  if (outcome.kind === "aborted") throw signal.reason;
  if (outcome.kind === "answer") endpoint.version = outcome.response.version;
  else {
    const failure = failureOf(outcome.end);
    if (failure.kind === "member") return failure;
    endpoint.version = "";
  }
  return endpoint.version;
}
