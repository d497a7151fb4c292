// A fragment on this disk: its range, its running sums, and what the checkpoint still has to sync of it.
import { assert } from "@millrace/base";
import type { CheckedSpan } from "./log-replay.ts";
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
  /** Its bytes have to be read before its sum is known: recovery found it, or what was summed was cut. */
  #unread = false;
  /** Sums with the direct append at the end, until that is acknowledged. */
  #next: FragmentSums | undefined;
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

  /** Up to where blocks of the file are known: behind `hashed` with a direct append that is not acknowledged. */
  get checkable(): number {
    return this.begin + (this.#next ?? this.#sums).bytes;
  }

  /** The block of the file that holds `offset`. @param offset begin <= offset < checkable */
  blockAt(offset: number): SummedBlock {
    return (this.#next ?? this.#sums).blockAt(offset - this.begin);
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

  /** What is known of the sum of the open fragment without reading it, up to `end`, which is acknowledged. */
  knownSum(end: number): CheckedSpan | undefined {
    if (this.#unread || this.isEmpty) return undefined;
    this.hashTo(end);
    if (this.hashed === this.begin) return undefined;
    return { begin: this.begin, end: this.hashed, sum: this.#sums.hex() };
  }

  /** Brings the running sums up to `end`, which is acknowledged. */
  hashTo(end: number): void {
    if (this.#sum !== "" || this.#unread || end <= this.hashed) return;
    this.takeNext(end);
    // A direct append's bytes are not in memory: its sums are taken as a whole.
    if (this.#next !== undefined) return;
    const from = this.hashed;
    if (end <= from) return;
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

  /** `sums` are those of all of it, of which the end is not acknowledged yet. */
  adoptLater(sums: FragmentSums): void {
    assert(this.begin + sums.bytes === this.end, "the sums are of the whole fragment", { bytes: sums.bytes });
    this.#next = sums;
  }

  /** Takes those sums over once what they are of is acknowledged. */
  takeNext(acknowledged: number): void {
    if (this.#next === undefined || acknowledged < this.begin + this.#next.bytes) return;
    this.#sums = this.#next;
    this.#next = undefined;
  }

  /** @param acknowledged end of what may be summed */
  close(acknowledged: number): void {
    this.closed = true;
    this.settle(acknowledged);
  }

  /** Keeps the sum of a closed fragment once all of it is acknowledged. @returns whether it is new */
  settle(acknowledged: number): boolean {
    if (!this.closed || this.#sum !== "" || this.#unread || this.end > acknowledged) return false;
    this.#sum = this.sum();
    return true;
  }

  /** Forgets what stands at and behind `end`; it is open again. */
  cut(end: number): void {
    assert(this.begin <= end && end <= this.end, "a cut is within the fragment", { begin: this.begin, end });
    // What was summed is gone with it, or what is left is not all in memory.
    if (this.hashed > end || this.#sum !== "" || this.#next !== undefined) {
      this.#sums = new FragmentSums();
      this.#unread = end > this.begin;
    }
    this.#sum = "";
    this.#next = undefined;
    this.closed = false;
    this.end = end;
    if (this.isEmpty) this.firstAppendMs = 0;
  }

  /** The fragment as far as it is acknowledged. Its sum is "" when its bytes would have to be read for it. */
  upTo(end: number): LocalFragment {
    const { begin, firstAppendMs } = this;
    const sum = (): string => {
      const known = this.#sum === "" && this.hashed <= end ? this.knownSum(end) : undefined;
      return known?.end === end ? known.sum : "";
    };
    return { begin, end, firstAppendMs, closed: false, sum };
  }

  image(): FragmentImage {
    const { begin, end, firstAppendMs } = this;
    return { begin, end, sum: this.#sum, firstAppendMs };
  }
}
