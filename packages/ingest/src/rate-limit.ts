// How many records and bytes a source takes in a second: token buckets, of which each process that has a door fills its
// share. Nobody is asked about a record: shares follow the number of live processes.
//
// B1 A request is taken while there is something left. What it holds is counted when it is known, and may take the
//    bucket below nothing: a batch larger than what is left is taken whole, and paid for by those who come after it. So
//    over any time no more is taken than the rate allows, one second's worth and one batch for each request under way.
//    What they pay for is an hour's worth at most: one body of millions of records must not close a source for months.
// B2 A bucket holds what comes in one second at most, and is full at first.
import type { Clock } from "@millrace/base";
import { sourcePath, type SourceKey } from "./definitions.ts";
import type { SourceLimits } from "./definition-settings.ts";
import type { DoorError } from "./http-source-answers.ts";

export interface BucketState {
  /** May be below 0 (B1). */
  readonly level: number;
  readonly atMs: number;
}

/** What a bucket may be below nothing, in what comes in so many seconds (B1). */
const DEBT_SECONDS_MAX = 3600;

/** A level is summed up of fractions: whoever waits as long as was said must not miss one by the last digit. */
const ROUNDING = 1e-6;

/** The bucket at `nowMs`, when it fills by `rate` a second. */
export function filled({ level, atMs }: BucketState, rate: number, nowMs: number): BucketState {
  const gained = (Math.max(0, nowMs - atMs) / 1000) * rate;
  return { level: Math.min(rate, level + gained), atMs: Math.max(atMs, nowMs) }; // B2
}

/** Milliseconds until a bucket, filled now, takes a request; 0: it does. */
export function waitMs({ level }: BucketState, rate: number): number {
  const needed = Math.min(1, rate) - ROUNDING;
  return level >= needed ? 0 : Math.ceil(((needed - level) / rate) * 1000);
}

interface Bucket {
  /** Of the platform, in a second. */
  readonly rate: number;
  state: BucketState;
}

type Unit = "records" | "bytes";
const UNITS: readonly Unit[] = ["records", "bytes"];

/** The limits of one source in this process. */
export class SourceLimiter {
  readonly #clock: Clock;
  readonly #share: () => number;
  readonly #buckets = new Map<Unit, Bucket>();

  /** @param share of the platform's limits that is this process's, in (0, 1] @param before whose levels go on */
  constructor(clock: Clock, share: () => number, limits: SourceLimits, before: SourceLimiter | undefined) {
    this.#clock = clock;
    this.#share = share;
    for (const unit of UNITS) {
      const rate = unit === "records" ? limits.recordsPerSecond : limits.bytesPerSecond;
      if (rate === 0) continue;
      const full = { level: rate * share(), atMs: clock.monotonicMs() };
      this.#buckets.set(unit, { rate, state: before?.stateOf(unit) ?? full });
    }
  }

  stateOf(unit: Unit): BucketState | undefined {
    return this.#buckets.get(unit)?.state;
  }

  /** Why no request is taken now; undefined: one is (B1). */
  refusal(): DoorError | undefined {
    let worst: { readonly unit: Unit; readonly rate: number; readonly ms: number } | undefined;
    for (const [unit, bucket] of this.#filled()) {
      const ms = waitMs(bucket.state, bucket.rate * this.#share());
      if (ms > (worst?.ms ?? 0)) worst = { unit, rate: bucket.rate, ms };
    }
    if (worst === undefined) return undefined;
    const { unit, rate, ms } = worst;
    const message = `The source takes at most ${rate} ${unit} in a second ("source.limit.${unit}").`;
    return { status: 429, name: "rateLimited", message, retryAfter: Math.ceil(ms / 1000) };
  }

  /** What a request held. */
  count(unit: Unit, amount: number): void {
    const bucket = this.#buckets.get(unit);
    if (bucket === undefined) return;
    const { level, atMs } = bucket.state;
    const lowest = -DEBT_SECONDS_MAX * bucket.rate * this.#share();
    bucket.state = { level: Math.max(lowest, level - amount), atMs };
  }

  /** Header lines for an answer (draft-ietf-httpapi-ratelimit-headers), of this process's share. */
  headerLines(): string {
    const policies: string[] = [];
    const states: string[] = [];
    for (const [unit, { rate: whole, state }] of this.#filled()) {
      const rate = whole * this.#share();
      const left = Math.max(0, Math.floor(state.level));
      const seconds = left > 0 ? (rate - state.level) / rate : waitMs(state, rate) / 1000;
      policies.push(`"${unit}";q=${Math.max(1, Math.floor(rate))};w=1;qu="${QUOTA_UNITS[unit]}"`);
      states.push(`"${unit}";r=${left};t=${Math.ceil(seconds)}`);
    }
    return `RateLimit-Policy: ${policies.join(", ")}\r\nRateLimit: ${states.join(", ")}\r\n`;
  }

  #filled(): Map<Unit, Bucket> {
    const nowMs = this.#clock.monotonicMs();
    const share = this.#share();
    for (const bucket of this.#buckets.values())
      bucket.state = filled(bucket.state, bucket.rate * share, nowMs);
    return this.#buckets;
  }
}

/** Bytes have a unit in the draft. */
const QUOTA_UNITS: Readonly<Record<Unit, string>> = { records: "records", bytes: "content-bytes" };

/** Sources whose levels are kept; one that is forgotten begins with full buckets. */
const LIMITERS_MAX = 10_000;

/** The limiters of all sources: they outlive what is compiled of a source. */
export class SourceLimiters {
  readonly #clock: Clock;
  readonly #share: () => number;
  /** By path, the longest compiled first. */
  readonly #limiters = new Map<string, SourceLimiter>();

  constructor(clock: Clock, share: () => number) {
    this.#clock = clock;
    this.#share = share;
  }

  /** @returns undefined for a source without limits */
  of(source: SourceKey, limits: SourceLimits): SourceLimiter | undefined {
    const path = sourcePath(source);
    const before = this.#limiters.get(path);
    this.#limiters.delete(path);
    if (limits.recordsPerSecond === 0 && limits.bytesPerSecond === 0) return undefined;
    const limiter = new SourceLimiter(this.#clock, this.#share, limits, before);
    this.#limiters.set(path, limiter);
    for (const oldest of this.#limiters.keys()) {
      if (this.#limiters.size <= LIMITERS_MAX) break;
      this.#limiters.delete(oldest);
    }
    return limiter;
  }
}
