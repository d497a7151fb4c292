// How long what happens to slices and files takes, by operation. An attempt that fails, or is cut off, is `failed`; one
// that finds things changed in between, and is decided again, is a `conflict`.
import { SECONDS_BUCKETS, type Clock, type Histogram, type Metrics } from "@millrace/base";

export type StorageOperation =
  | "slice-rotation"
  | "file-rotation"
  | "upload"
  | "import"
  /** Imported files, staged objects that nobody knows, fragments. */
  | "file-cleanup"
  | "staging-cleanup"
  | "fragment-cleanup";

type Outcome = "ok" | "conflict" | "failed";

export class OperationSeconds {
  readonly #seconds: Histogram;

  constructor(metrics: Metrics) {
    this.#seconds = metrics.histogram(
      "millrace_storage_operation_seconds",
      "Duration of attempts of operations on slices and files, by operation and outcome.",
      [...SECONDS_BUCKETS, 30, 60, 300, 900],
    );
  }

  note(operation: StorageOperation, outcome: Outcome, ms: number): void {
    this.#seconds.observe(Math.max(0, ms) / 1000, { operation, outcome });
  }

  /** Does `work` and notes it. @param work false: a conflict @throws what `work` throws */
  async of<T>(operation: StorageOperation, clock: Clock, work: () => Promise<T>): Promise<T> {
    const begunMs = clock.monotonicMs();
    let outcome: Outcome = "failed";
    try {
      const done = await work();
      outcome = done === false ? "conflict" : "ok";
      return done;
    } finally {
      this.note(operation, outcome, clock.monotonicMs() - begunMs);
    }
  }
}
