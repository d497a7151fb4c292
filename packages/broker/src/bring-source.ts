// The broker to whose bytes a member is brought (durability.md D10), as that member compares its own with them, and
// copies them.
import { WireError } from "@millrace/base";
import type { Spool } from "@millrace/fragments";
import { digestOfHeld, equalUntil } from "./held-bytes.ts";
import type { Range } from "./holders-list.ts";
import type { FetchRequest, HolderCalls } from "./peer-network.ts";

export class BringSource {
  readonly #spool: Spool;
  readonly #calls: HolderCalls;

  /** @param spool the member's, at rest */
  constructor(spool: Spool, calls: HolderCalls) {
    this.#spool = spool;
    this.#calls = calls;
  }

  /** @throws {WireError} of the source: it does not reach as far */
  async checkReach(end: number, signal: AbortSignal): Promise<void> {
    // Of nothing, at its end: who does not reach as far refuses.
    await this.#calls.digest(this.#requestFor({ begin: end, end }), signal);
  }

  /** Up to where both have the same of a range. @throws {WireError} of the source: it does not have all of it */
  sameUntil(range: Range, signal: AbortSignal): Promise<number> {
    return equalUntil(range, (part) => this.#isSame(part, signal));
  }

  /** Up to where the member has what the source has, as far as that can be told: at most `head`, or its own end. */
  async sameTailUntil(head: number, signal: AbortSignal): Promise<number> {
    const last = this.#spool.held().at(-1);
    const end = Math.min(head, this.#spool.syncedEnd);
    if (last === undefined || last.begin >= end) return end;
    return equalUntil({ begin: last.begin, end }, (range) => this.isSameTail(range, signal));
  }

  /** What the source has let go of to the store is not compared. */
  isSameTail(range: Range, signal: AbortSignal): Promise<boolean> {
    return this.#isSame(range, signal).catch((error: unknown) => {
      if (WireError.from(error).code === "NOT_FOUND") return true;
      throw error;
    });
  }

  fetch(range: Range, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#calls.fetch(this.#requestFor(range), signal);
  }

  async #isSame(range: Range, signal: AbortSignal): Promise<boolean> {
    const [own, theirs] = await Promise.all([
      digestOfHeld(this.#spool, range, signal),
      this.#calls.digest(this.#requestFor(range), signal),
    ]);
    return own === theirs;
  }

  #requestFor({ begin, end }: Range): FetchRequest {
    const { journal, createRevision } = this.#spool.life;
    return { journal, createRevision, begin, end };
  }
}
