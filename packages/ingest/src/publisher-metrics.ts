// Metrics of what the doors publish, counted by frame: never by record.
import { SECONDS_BUCKETS, type Code, type Metrics } from "@millrace/base";

const APPENDED = { code: "OK" };

export interface PublisherMetrics {
  onWritten(records: number, bytes: number, elapsedMs: number): void;
  onFailed(records: number, code: Code): void;
  /** What became of a frame is known. @param sinceAcceptedMs of its first record */
  onSettled(records: number, sinceAcceptedMs: number, code: Code | "OK"): void;
}

/** Of publishers of partitions, and of dead letters. */
export function publisherMetrics(metrics: Metrics): {
  readonly partitions: PublisherMetrics;
  readonly letters: PublisherMetrics;
} {
  const records = metrics.counter(
    "millrace_ingest_records_total",
    "Records that were acknowledged by their journal",
  );
  const bytes = metrics.counter("millrace_ingest_row_bytes_total", "Bytes of the rows of these records");
  const frames = metrics.counter("millrace_ingest_frames_total", "Frames that were appended");
  const failed = metrics.counter(
    "millrace_ingest_records_failed_total",
    "Records whose append failed, by code",
  );
  const seconds = metrics.histogram(
    "millrace_ingest_append_seconds",
    "From the sealing of a frame to its acknowledgement",
    SECONDS_BUCKETS,
  );
  const recordSeconds = metrics.histogram(
    "millrace_ingest_record_seconds",
    "From the acceptance of a frame's first record until it is known what became of its records, by code",
    SECONDS_BUCKETS,
  );
  const onSettled: PublisherMetrics["onSettled"] = (count, ms, code) =>
    recordSeconds.observe(Math.max(0, ms) / 1000, code === "OK" ? APPENDED : { code }, count);
  const letters = metrics.counter(
    "millrace_ingest_dead_letters_total",
    "Records that their sink could not map, acknowledged by its dead-letter journal",
  );
  const onFailed = (count: number, code: Code): void => failed.add(count, { code });
  const partitions: PublisherMetrics = {
    onWritten: (count, size, elapsedMs) => {
      records.add(count);
      bytes.add(size);
      frames.add();
      seconds.observe(elapsedMs / 1000);
    },
    onFailed,
    onSettled,
  };
  return { partitions, letters: { onWritten: (count) => letters.add(count), onFailed, onSettled } };
}
