// A fragment on this disk: its range, its running SHA-1, and what the checkpoint still has to sync of it.
import { assert } from "@millrace/base";
import type { FragmentImage } from "./spool-image.ts";
import type { LocalFragment } from "./spools.ts";
import { EMPTY_SHA1, RunningSha1 } from "./system-sha1.ts";

/** Gives the acknowledged bytes of [begin, end), which memory still has (T2 of spool-tail.ts). */
export type HashSource = (begin: number, end: number) => readonly Uint8Array[];

export class SpoolFragment implements LocalFragment {
  readonly begin: number;
  end: number;
  closed = false;
  firstAppendMs: number;
  /** Its file has bytes that no sync has covered. */
  dirty = false;
  /** Its file's directory entry was not synced yet. */
  fresh = true;
  /** SHA-1 of [begin, hashed). */
  #sha1 = new RunningSha1();
  #hashed: number;
  /** Of a closed fragment; "" until it is known. */
  #sum = "";
  /** Recovery found it and has not read its bytes. */
  #unread = false;
  readonly #source: HashSource;

  constructor(begin: number, source: HashSource) {
    this.begin = this.end = this.#hashed = begin;
    this.firstAppendMs = 0;
    this.#source = source;
  }

  /** One that recovery found. Its sum is unknown until `adopt`, unless the image has it. */
  static recovered(image: FragmentImage, closed: boolean, source: HashSource): SpoolFragment {
    const fragment = new SpoolFragment(image.begin, source);
    fragment.end = image.end;
    fragment.firstAppendMs = image.firstAppendMs;
    fragment.fresh = fragment.isEmpty;
    fragment.closed = closed;
    if (closed) fragment.#sum = image.sum;
    fragment.#unread = !fragment.isEmpty && fragment.#sum === "";
    return fragment;
  }

  get isEmpty(): boolean {
    return this.end === this.begin;
  }

  /** Up to where the running SHA-1 has come. */
  get hashed(): number {
    return this.#hashed;
  }

  /** Whether `sum` can be answered from memory. */
  get isSummed(): boolean {
    return !this.#unread;
  }

  sum(): string {
    if (this.#sum !== "") return this.#sum;
    if (this.isEmpty) return EMPTY_SHA1;
    this.hashTo(this.end);
    return this.#sha1.hex();
  }

  /** Brings the running SHA-1 up to `end`, which is acknowledged. */
  hashTo(end: number): void {
    if (this.#sum !== "" || end <= this.#hashed) return;
    assert(end <= this.end, "only acknowledged bytes are summed", { end, acknowledged: this.end });
    for (const part of this.#source(this.#hashed, end)) this.#sha1.update(part);
    this.#hashed = end;
  }

  /** A copy of the running SHA-1 at the end, for a direct append that goes on from there. */
  forkSha1(): RunningSha1 {
    this.hashTo(this.end);
    return this.#sha1.copy();
  }

  /** The SHA-1 of everything up to `end` is `sha1`. */
  adopt(sha1: RunningSha1, end: number): void {
    this.#sha1 = sha1;
    this.#hashed = end;
    this.#unread = false;
    if (this.closed) this.#sum = sha1.hex();
  }

  close(): void {
    this.#sum = this.sum();
    this.closed = true;
  }

  image(): FragmentImage {
    const { begin, end, firstAppendMs } = this;
    return { begin, end, sum: this.#sum, firstAppendMs };
  }
}
