// A fragment on this disk: its range, its running sums, and what the checkpoint still has to sync of it.
import { assert } from "@millrace/base";
import type { FragmentImage } from "./spool-image.ts";
import type { LocalFragment } from "./spools.ts";
import { FragmentSums, type SummedBlock } from "./spool-sums.ts";
import { EMPTY_SHA1 } from "./system-sha1.ts";

/** Gives the acknowledged bytes of [begin, end), which memory still has (T2 of spool-tail.ts). */
export type HashSource = (begin: number, end: number) => readonly Uint8Array[];

export class SpoolFragment implements LocalFragment {
  readonly begin: number;
  end: number;
  closed = false;
  firstAppendMs: number;
  /** Its file has bytes that no sync has covered. */
  dirty = false;
  /** Bytes written to the file since its last sync was asked for. */
  unsyncedBytes = 0;
  /** Its file's directory entry was not synced yet. */
  fresh = true;
  /** Of [begin, hashed). */
  #sums = new FragmentSums();
  /** Of a closed fragment; "" until it is known. */
  #sum = "";
  /** Recovery found it and has not read its bytes. */
  #unread = false;
  readonly #source: HashSource;

  constructor(begin: number, source: HashSource) {
    this.begin = this.end = begin;
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

  /**
   * Up to where the running sums have come. Bytes that are in the file only lie below it, unless recovery found the
   * fragment closed and with a sum: then none were read yet.
   */
  get hashed(): number {
    return this.begin + this.#sums.bytes;
  }

  /** The block of the file that holds `offset`. @param offset begin <= offset < hashed */
  blockAt(offset: number): SummedBlock {
    return this.#sums.blockAt(offset - this.begin);
  }

  /** Whether `sum` can be answered from memory. */
  get isSummed(): boolean {
    return !this.#unread;
  }

  sum(): string {
    if (this.#sum !== "") return this.#sum;
    if (this.isEmpty) return EMPTY_SHA1;
    this.hashTo(this.end);
    return this.#sums.hex();
  }

  /** Brings the running sums up to `end`, which is acknowledged. */
  hashTo(end: number): void {
    const from = this.hashed;
    if (this.#sum !== "" || end <= from) return;
    assert(end <= this.end, "only acknowledged bytes are summed", { end, acknowledged: this.end });
    for (const part of this.#source(from, end)) this.#sums.update(part);
  }

  /** A copy of the running sums at the end, for a direct append that goes on from there. */
  forkSums(): FragmentSums {
    this.hashTo(this.end);
    return this.#sums.fork();
  }

  /** `sums` are those of all of it. */
  adopt(sums: FragmentSums): void {
    assert(this.begin + sums.bytes === this.end, "the sums are of the whole fragment", { bytes: sums.bytes });
    this.#sums = sums;
    this.#unread = false;
    if (this.closed) this.#sum = sums.hex();
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
