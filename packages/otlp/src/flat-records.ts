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

  /**
   * Adds the record that is the JSON text `json`.
   * @throws {WireError} TOO_LARGE
   */
  add(json: string): void {
    const { bytesMax } = this.#limits;
    this.expect(1);
    this.#count++;
    // A char takes at least one byte and, if it is not half of a pair, at most three.
    this.#checkBytes(this.#at + json.length + 1, bytesMax);
    this.#reserve(Math.min(3 * json.length, bytesMax - this.#at) + 1);
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

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(
      Math.min(Math.max(2 * this.#bytes.length, needed), this.#limits.bytesMax + 1),
    );
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }
}

function tooLarge(message: string): never {
  throw new WireError("TOO_LARGE", message);
}
