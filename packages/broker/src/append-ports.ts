// What an append needs of its broker, and who began it.
import type { Clock } from "@millrace/base";
import type { Spools } from "@millrace/fragments";
import type { AppendPreamble, AppendResponse, Suspend } from "@millrace/protocol";
import type { AppendProxyPorts } from "./append-proxy.ts";
import type { BrokerMetrics, CallMeter } from "./broker-metrics.ts";
import type { Resolution } from "./resolver.ts";

export interface AppendPorts {
  readonly spools: Spools;
  readonly clock: Clock;
  readonly metrics: BrokerMetrics;
  readonly meter: CallMeter;
  /** Ways to other brokers; undefined when there are none. */
  readonly proxy: AppendProxyPorts | undefined;
  /** At once when nothing needs waiting for. */
  resolve(request: AppendPreamble, minRevision: number, lifetime: Lifetime): Resolution | Promise<Resolution>;
  /** Resolves when the journal is not as it was resolved any more. @throws {WireError} SHUTTING_DOWN */
  changed(resolution: Resolution, signal: AbortSignal): Promise<void>;
  /** @returns revision at which the outcome can be read */
  updateAssignments(resolution: Resolution, signal: AbortSignal): Promise<number>;
  updateSuspend(resolution: Resolution, suspend: Suspend, signal: AbortSignal): Promise<number>;
}

/** How long an append may go on. Its signal may be made when it is first asked for. */
export interface Lifetime {
  readonly signal: AbortSignal;
}

/** Who waits for the answer of an append. Exactly one of the two is called, once. */
export interface AppendCaller {
  answered(response: AppendResponse): void;
  failed(error: Error): void;
}

/** An append that a door began. */
export interface RunningAppend {
  /** Nobody waits for it any more. */
  aborted(reason: Error): void;
}
