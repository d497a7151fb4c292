// Records as they leave this package: JSON texts, a line each, in one piece of memory that is bounded before it grows.
import { WireError } from "@millrace/base";
import type { FlattenLimits } from "./limits.ts";

export type Signal = "logs" | "metrics" | "traces";

export interface FlatRecords {
  readonly signal: Signal;
  readonly count: number;
  /** The records, each with a line feed behind it: NDJSON. */
  readonly bytes: Uint8Array;
}

const FIRST_BYTES = 4096;
const LF = 0x0a;
const encoder = new TextEncoder();

export class FlatWriter {
  readonly #limits: FlattenLimits;
  #bytes = new Uint8Array(FIRST_BYTES);
  #at = 0;
  #count = 0;

  constructor(limits: FlattenLimits) {
    this.#limits = limits;
  }

  /** So many more are there. @throws {WireError} TOO_LARGE */
  expect(count: number): void {
    const { recordsMax } = this.#limits;
    const all = this.#count + count;
    if (all > recordsMax)
      tooLarge(`too many records in one request (${all} or more; expected <= ${recordsMax})`);
  }

  /** How many bytes more are reserved when the record that is the JSON text `json` is added next; most often none. */
  growth(json: string): number {
    return this.#capacityFor(json) - this.#bytes.length;
  }

  /**
   * Adds the record that is the JSON text `json`.
   * @throws {WireError} TOO_LARGE
   */
  add(json: string): void {
    const { bytesMax } = this.#limits;
    this.expect(1);
    this.#count++;
    // A char takes at least one byte.
    this.#checkBytes(this.#at + json.length + 1, bytesMax);
    this.#reserve(this.#capacityFor(json));
    const { read, written } = encoder.encodeInto(json, this.#bytes.subarray(this.#at));
    if (read < json.length) this.#checkBytes(bytesMax + 1, bytesMax);
    this.#at += written;
    this.#bytes[this.#at++] = LF;
    this.#checkBytes(this.#at, bytesMax);
  }

  finish(signal: Signal): FlatRecords {
    return { signal, count: this.#count, bytes: this.#bytes.subarray(0, this.#at) };
  }

  #checkBytes(bytes: number, max: number): void {
    if (bytes <= max) return;
    tooLarge(
      `flattened records are too large (${this.#count} of them take ${bytes} bytes or more; expected <= ${max})`,
    );
  }

  #capacityFor(json: string): number {
    const { bytesMax } = this.#limits;
    // A char that is not half of a pair takes at most three bytes.
    const needed = this.#at + Math.min(3 * json.length, bytesMax - this.#at) + 1;
    if (needed <= this.#bytes.length) return this.#bytes.length;
    return Math.min(Math.max(2 * this.#bytes.length, needed), bytesMax + 1);
  }

  #reserve(capacity: number): void {
    if (capacity <= this.#bytes.length) return;
    const grown = new Uint8Array(capacity);
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }
}

function tooLarge(message: string): never {
  throw new WireError("TOO_LARGE", message);
}
