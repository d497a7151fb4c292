// What requests to sources take and bring, as metrics. For a request that is two looks at the clock and plain
// additions: its labels are made once.
import {
  SECONDS_BUCKETS,
  type Clock,
  type Counter,
  type Histogram,
  type Labels,
  type Metrics,
} from "@millrace/base";
import type { SourceType } from "./definitions.ts";

/** Of the requests to sources of one type. */
export class RequestMeter {
  readonly #clock: Clock;
  readonly #seconds: Histogram;
  readonly #bytes: Counter;
  readonly #answered: Labels;
  readonly #failed: Labels;

  constructor(type: SourceType, { clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics }) {
    this.#clock = clock;
    this.#seconds = metrics.histogram(
      "millrace_ingest_request_seconds",
      "From a whole request to a source until its answer, by type of source and whether it is an error",
      SECONDS_BUCKETS,
    );
    this.#bytes = metrics.counter(
      "millrace_ingest_received_bytes_total",
      "Bytes of the bodies of these requests, as they were received",
    );
    this.#answered = { type, has_error: "false" };
    this.#failed = { type, has_error: "true" };
  }

  /** Now, for `end`. */
  begin(): number {
    return this.#clock.monotonicMs();
  }

  /** @param begunMs what `begin` said when the request was whole */
  end(begunMs: number, bytes: number, hasError: boolean): void {
    const labels = hasError ? this.#failed : this.#answered;
    this.#seconds.observe((this.#clock.monotonicMs() - begunMs) / 1000, labels);
    this.#bytes.add(bytes, labels);
  }
}
