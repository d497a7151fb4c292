// How long a journal stands still for clients whose appends it has begun to write, while whole appends wait behind
// them. Each client must sustain a rate (client-pace.ts), but many of them, one after the other, would keep a journal
// for ever.
//
//  T1  All of them together have PATIENCE_MS_MAX, and PATIENCE_SHARE of the time that passes. Only their silence
//      while a whole append waits is counted.
//  T2  Who sends enough needs none of it: each byte makes up for the time that it takes at PATIENT_RATES times the
//      least rate. What had been collected before its append was begun makes up for nothing.
//  T3  An append that is not whole begins only while there is PATIENCE_MS_MIN: it is not begun to be cut.
import { PATIENCE_MS_MAX, PATIENCE_MS_MIN, PATIENCE_SHARE, PATIENT_RATES } from "./limits.ts";

export class Patience {
  #leftMs = PATIENCE_MS_MAX;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  leftMs(nowMs: number): number {
    return Math.min(PATIENCE_MS_MAX, this.#leftMs + PATIENCE_SHARE * Math.max(0, nowMs - this.#atMs));
  }

  /** T3: milliseconds until an append that is not whole may begin; 0 = now */
  untilEnoughMs(nowMs: number): number {
    const missingMs = PATIENCE_MS_MIN - this.leftMs(nowMs);
    return missingMs <= 0 ? 0 : Math.ceil(missingMs / PATIENCE_SHARE);
  }

  /** T1: a whole append has waited so long for somebody's client. */
  spend(waitedMs: number, nowMs: number): void {
    this.#set(this.leftMs(nowMs) - waitedMs, nowMs);
  }

  /** T2 @param minRate bytes a second, > 0 */
  earn(bytes: number, minRate: number, nowMs: number): void {
    this.#set(this.leftMs(nowMs) + (bytes / (PATIENT_RATES * minRate)) * 1000, nowMs);
  }

  #set(leftMs: number, nowMs: number): void {
    this.#leftMs = Math.max(0, Math.min(PATIENCE_MS_MAX, leftMs));
    this.#atMs = nowMs;
  }
}
