// Bytes of encoded results, counted value by value before they get large: a result over its limit is refused while it
// is still within it, and what all results hold together is bounded too.
import { utf8, WireError } from "@millrace/base";

/** Characters that are encoded at a time: no string gets longer than this and one value. */
const PART_CHARS = 64 * 1024;

/** What all results of a process hold, until they are sent. */
export class HeldBytes {
  readonly #max: number;
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** @throws {WireError} OVERLOADED when others hold too much */
  take(bytes: number): void {
    if (this.#held + bytes > this.#max) {
      const others = `results that are being made or sent hold ${this.#held} of ${this.#max} bytes`;
      throw new WireError("OVERLOADED", `${others}: ask again when they are done`);
    }
    this.#held += bytes;
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }
}

/** The bytes of one result. */
export class ResultBytes {
  readonly #limit: number;
  readonly #held: HeldBytes;
  readonly #parts: Uint8Array[] = [];
  #pending = "";
  #length = 0;

  constructor(limit: number, held: HeldBytes) {
    this.#limit = limit;
    this.#held = held;
  }

  /** @throws {WireError} TOO_LARGE, OVERLOADED */
  text(text: string): void {
    // A character is a byte or more.
    if (this.#length + this.#pending.length + text.length > this.#limit) throw this.tooLarge();
    this.#pending += text;
    if (this.#pending.length >= PART_CHARS) this.#encode();
  }

  /** @throws {WireError} TOO_LARGE, OVERLOADED */
  add(part: Uint8Array): void {
    this.check(part.length);
    this.#held.take(part.length);
    this.#length += part.length;
    this.#parts.push(part);
  }

  /** @throws {WireError} TOO_LARGE when there is no room for `bytes` more */
  check(bytes: number): void {
    if (this.#length + bytes > this.#limit) throw this.tooLarge();
  }

  tooLarge(): WireError {
    return new WireError("TOO_LARGE", `the result has more than ${this.#limit} bytes`);
  }

  /** All of it. */
  end(): readonly Uint8Array[] {
    this.#encode();
    return this.#parts;
  }

  /** Once it is sent, or given up. */
  release(): void {
    this.#held.release(this.#length);
    this.#length = 0;
    this.#parts.length = 0;
  }

  #encode(): void {
    const text = this.#pending;
    this.#pending = "";
    if (text !== "") this.add(utf8(text));
  }
}
