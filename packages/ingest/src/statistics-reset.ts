// Clearing statistics (specification 1.12): what had been accepted by then is taken off what is read later. Records
// pass the levels in their order, so those of before are the ones that have come furthest.
import { NO_STATISTICS, type Level, type SinkReset, type Statistics } from "./storage-entities.ts";

type Sums = Readonly<Partial<Record<Level, Statistics>>>;

const FURTHEST_FIRST: readonly Level[] = ["target", "staging", "local"];

/** Sums by level without what was accepted before `reset`; never below nothing. */
export function withoutReset(sums: Sums, reset: SinkReset | undefined): Sums {
  if (reset === undefined) return sums;
  const rest: Partial<Record<Level, Statistics>> = {};
  let before = reset.statistics;
  for (const level of FURTHEST_FIRST) {
    const sum = sums[level];
    if (sum === undefined) continue;
    rest[level] = minus(sum, before, reset.at);
    before = minus(before, sum, reset.at);
  }
  return rest;
}

/** @param at the rest is younger than this */
function minus(a: Statistics, b: Statistics, at: string): Statistics {
  if (b.recordsCount === 0) return a;
  if (a.recordsCount <= b.recordsCount) return NO_STATISTICS;
  const { firstRecordAt = at, lastRecordAt = at } = a;
  return {
    firstRecordAt: firstRecordAt > at ? firstRecordAt : at,
    lastRecordAt: lastRecordAt > at ? lastRecordAt : at,
    recordsCount: a.recordsCount - b.recordsCount,
    uncompressedSize: Math.max(0, a.uncompressedSize - b.uncompressedSize),
    compressedSize: Math.max(0, a.compressedSize - b.compressedSize),
  };
}
