// Bars of a chart of files: records of each, and how many of them are in the target yet.
import type { FileStatistics } from "./stream-definitions.ts";

export interface FileBar {
  readonly fileId: string;
  readonly state: FileStatistics["state"];
  readonly openedAt: string;
  readonly records: number;
  readonly isFailing: boolean;
  /** Of the chart, 0 to 1: from the left, and of the tallest bar. */
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

/** The newest `max` files in the order in which they were opened, side by side. */
export function fileBars(files: readonly FileStatistics[], max: number): readonly FileBar[] {
  const newest = [...files].sort((a, b) => Date.parse(a.openedAt) - Date.parse(b.openedAt)).slice(-max);
  const tallest = Math.max(1, ...newest.map(recordsOf));
  const width = 1 / Math.max(newest.length, 12);
  return newest.map((file, i) => ({
    fileId: file.fileId,
    state: file.state,
    openedAt: file.openedAt,
    records: recordsOf(file),
    isFailing: file.retryReason !== undefined,
    left: i * width,
    width,
    height: recordsOf(file) / tallest,
  }));
}

function recordsOf({ statistics }: FileStatistics): number {
  return statistics.total?.recordsCount ?? 0;
}
