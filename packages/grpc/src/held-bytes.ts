// What connections hold for their peers: answers that were not taken, messages that are not whole, and what handlers
// keep of those that are. Each connection is bounded by its own limits; those of a server by one budget besides, since
// a client may have many.
//
//  M1  A connection counts what it holds as it grows and shrinks. Once it is closed it holds and counts nothing.
//  M2  Beyond the bound whoever holds most is ended, once the turn of whoever grew is over, until the rest is within.
import { RpcError } from "./status.ts";

/** What one connection holds. */
export class HeldBytes {
  #bytes = 0;
  #isClosed = false;
  readonly #budget: HeldBudget | undefined;
  readonly #end: (error: RpcError) => void;

  /** @param end ends the connection: it holds more than any other while all hold too much */
  constructor(budget: HeldBudget | undefined, end: (error: RpcError) => void) {
    this.#budget = budget;
    this.#end = end;
    budget?.opened(this);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param bytes more, or, negative, less */
  add(bytes: number): void {
    if (this.#isClosed) return;
    this.#bytes += bytes;
    this.#budget?.add(bytes);
  }

  /** M1 */
  close(): void {
    if (this.#isClosed) return;
    this.#budget?.closed(this);
    this.#budget?.add(-this.#bytes);
    this.#isClosed = true;
    this.#bytes = 0;
  }

  /** M2 */
  relieve(error: RpcError): void {
    this.close();
    this.#end(error);
  }
}

/** Who is told what the connections hold together, and when one was ended for it. */
export interface HeldReport {
  /** About: changes of less than 64 KiB may go unsaid. */
  held(bytes: number): void;
  ended(): void;
}

const REPORTED_STEP_BYTES = 64 * 1024;

/** What the connections of a server hold together. */
export class HeldBudget {
  readonly #bytesMax: number;
  readonly #report: HeldReport | undefined;
  readonly #open = new Set<HeldBytes>();
  #bytes = 0;
  #reportedBytes = 0;
  #isDue = false;

  constructor(bytesMax: number, report?: HeldReport) {
    this.#bytesMax = bytesMax;
    this.#report = report;
  }

  get bytes(): number {
    return this.#bytes;
  }

  opened(held: HeldBytes): void {
    this.#open.add(held);
  }

  closed(held: HeldBytes): void {
    this.#open.delete(held);
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const changed = Math.abs(this.#bytes - this.#reportedBytes);
    if (changed >= REPORTED_STEP_BYTES || (this.#bytes === 0 && changed > 0)) {
      this.#reportedBytes = this.#bytes;
      this.#report?.held(this.#bytes);
    }
    if (this.#bytes <= this.#bytesMax || this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#relieve();
    });
  }

  /** M2 */
  #relieve(): void {
    while (this.#bytes > this.#bytesMax) {
      let most: HeldBytes | undefined;
      for (const each of this.#open) if (each.bytes > (most?.bytes ?? 0)) most = each;
      if (most === undefined) return;
      const all = `all connections ${this.#bytes} (at most ${this.#bytesMax})`;
      this.#report?.ended();
      most.relieve(new RpcError("RESOURCE_EXHAUSTED", `this connection holds ${most.bytes} bytes, ${all}`));
    }
  }
}
