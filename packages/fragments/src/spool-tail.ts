// Recent bytes in memory. An append's bytes are copied once into its journal's newest block, where they stand
// contiguously: the log copies them from there, the disk's thread writes them into the spool file from there, and
// readers of the tail need no disk.
//
//   T1  A block holds bytes of one fragment, in order, without gaps; blocks of a spool ascend.
//   T2  A block goes only when all of it is acknowledged, in the spool file, and part of the fragment's sum.
//   T3  The oldest blocks of all journals go first, when all together exceed the bound.
import { assert } from "@millrace/base";
import { copyInto, sharedBytes } from "@millrace/wal";

export class TailBlock {
  readonly tail: SpoolTail;
  /** Begin of the fragment. */
  readonly fragment: number;
  /** Offset in the journal of the first byte. */
  readonly begin: number;
  readonly buffer: Uint8Array;
  /** Offset after the last byte that was staged. */
  end: number;
  /** Up to where writes to the spool file were started, and have ended. */
  issued: number;
  written: number;

  constructor(tail: SpoolTail, fragment: number, begin: number, buffer: Uint8Array) {
    this.tail = tail;
    this.fragment = fragment;
    this.begin = begin;
    this.buffer = buffer;
    this.end = this.issued = this.written = begin;
  }

  get room(): number {
    return this.buffer.length - (this.end - this.begin);
  }

  /** The bytes of [begin, end), a view. */
  slice(begin: number, end: number): Uint8Array {
    return this.buffer.subarray(begin - this.begin, end - this.begin);
  }
}

/** Who owns a tail: says what may be forgotten. */
export interface TailOwner {
  /** Adds the block's acknowledged bytes to the fragment's sum, and says whether nothing needs the block (T2). */
  mayDrop(block: TailBlock): boolean;
}

export interface TailSizes {
  readonly tailBytesMax: number;
  readonly tailBlockBytesMin: number;
  readonly tailBlockBytesMax: number;
}

/** The memory of all journals together. */
export class TailMemory {
  readonly sizes: TailSizes;
  /** Oldest first. */
  readonly #blocks = new Set<TailBlock>();
  #bytes = 0;
  /** Buffers for reuse, by size: fresh shared memory costs page faults. */
  readonly #free = new Map<number, Uint8Array[]>();
  #freeBytes = 0;

  constructor(sizes: TailSizes) {
    this.sizes = sizes;
  }

  /** Bytes of buffers in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is more than there should be. */
  get isShort(): boolean {
    return this.#bytes > this.sizes.tailBytesMax;
  }

  take(bytes: number): Uint8Array {
    const buffer = this.#free.get(bytes)?.pop();
    if (buffer === undefined) return sharedBytes(bytes);
    this.#freeBytes -= bytes;
    return buffer;
  }

  add(block: TailBlock): void {
    this.#blocks.add(block);
    this.#bytes += block.buffer.length;
  }

  /** Drops the oldest blocks that nothing needs, down to the bound (T3). Pinned ones move to the back of the line. */
  evict(): void {
    let tries = this.#blocks.size;
    for (const block of this.#blocks) {
      if (!this.isShort || tries-- === 0) return;
      if (block.tail.owner.mayDrop(block)) {
        block.tail.drop(block);
      } else {
        this.#blocks.delete(block);
        this.#blocks.add(block);
      }
    }
  }

  /** A block was dropped: takes its buffer back. */
  remove(block: TailBlock): void {
    this.#blocks.delete(block);
    this.#bytes -= block.buffer.length;
    this.reuse(block.buffer);
  }

  /** Keeps a buffer that was taken for the next one who wants its size. */
  reuse(buffer: Uint8Array): void {
    const bytes = buffer.length;
    // Reuse is for the largest ones; small ones are cheap to make.
    if (bytes < this.sizes.tailBlockBytesMax || this.#freeBytes + bytes > this.sizes.tailBytesMax / 8) return;
    this.#freeBytes += bytes;
    const free = this.#free.get(bytes);
    if (free === undefined) this.#free.set(bytes, [buffer]);
    else free.push(buffer);
  }
}

/** The blocks of one spool. */
export class SpoolTail {
  readonly owner: TailOwner;
  readonly #memory: TailMemory;
  readonly blocks: TailBlock[] = [];
  #nextBytes: number;

  constructor(memory: TailMemory, owner: TailOwner) {
    this.#memory = memory;
    this.owner = owner;
    this.#nextBytes = memory.sizes.tailBlockBytesMin;
  }

  /** Copies `bytes`, which stand at `offset` of the fragment. */
  stage(fragment: number, offset: number, bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) {
      const block = this.#blockAt(fragment, offset + done, bytes.length - done);
      const piece = Math.min(block.room, bytes.length - done);
      const isWhole = done === 0 && piece === bytes.length;
      copyInto(block.buffer, block.end - block.begin, isWhole ? bytes : bytes.subarray(done, done + piece));
      block.end += piece;
      done += piece;
    }
  }

  /** Forgets what was staged at or beyond `offset`. */
  truncate(offset: number): void {
    for (let last = this.blocks.at(-1); last !== undefined && last.end > offset; last = this.blocks.at(-1)) {
      if (last.begin >= offset) {
        this.drop(last);
      } else {
        assert(last.issued <= offset, "what is written is not taken back", { issued: last.issued, offset });
        last.end = offset;
        return;
      }
    }
  }

  /** Forgets what stands at or beyond `offset`, in the file too; no write is under way. */
  cut(offset: number): void {
    for (let last = this.blocks.at(-1); last !== undefined && last.end > offset; last = this.blocks.at(-1)) {
      assert(last.issued === last.written, "nothing is being written when bytes are cut", { offset });
      if (last.begin >= offset) {
        this.drop(last);
        continue;
      }
      last.end = offset;
      last.issued = last.written = Math.min(last.written, offset);
    }
  }

  /** Views of [begin, end), which must be here as a whole. */
  parts(begin: number, end: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    for (let i = this.indexOf(begin), at = begin; at < end; i++) {
      const block = this.blocks[i];
      assert(block !== undefined && block.begin <= at && at < block.end, "staged bytes are in the tail", {
        at,
      });
      const to = Math.min(block.end, end);
      parts.push(block.slice(at, to));
      at = to;
    }
    return parts;
  }

  /** A copy of the bytes from `begin` on that are here without a gap, at least one and at most up to `limit`. */
  copy(begin: number, limit: number): Uint8Array {
    let end = begin;
    for (let i = this.indexOf(begin); end < limit; i++) {
      const block = this.blocks[i];
      if (block === undefined || block.begin > end) break;
      end = Math.min(block.end, limit);
    }
    // Not a view: the memory is used again, and some platform calls refuse shared memory.
    const copy = new Uint8Array(new ArrayBuffer(end - begin));
    let at = 0;
    for (const part of this.parts(begin, end)) {
      copyInto(copy, at, part);
      at += part.length;
    }
    return copy;
  }

  /** Copies of what is here of [begin, end), piece by piece. */
  copies(begin: number, end: number): { readonly begin: number; readonly bytes: Uint8Array }[] {
    const copies: { begin: number; bytes: Uint8Array }[] = [];
    for (let i = this.indexOf(begin); i < this.blocks.length && this.blocks[i]!.begin < end; i++) {
      const block = this.blocks[i]!;
      const from = Math.max(begin, block.begin);
      copies.push({ begin: from, bytes: this.copy(from, Math.min(block.end, end)) });
    }
    return copies;
  }

  /** Index of the block that holds `offset`, or of the first one beyond it. */
  indexOf(offset: number): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.blocks[middle]!.end <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  drop(block: TailBlock): void {
    const at = this.blocks.indexOf(block);
    assert(at >= 0, "a block is dropped once", { begin: block.begin });
    this.blocks.splice(at, 1);
    // A journal that stopped in the middle of a block is idle: it begins small again.
    if (at === this.blocks.length && block.room > 0) this.#nextBytes = this.#memory.sizes.tailBlockBytesMin;
    this.#memory.remove(block);
  }

  #blockAt(fragment: number, offset: number, wanted: number): TailBlock {
    const last = this.blocks.at(-1);
    if (last !== undefined && last.fragment === fragment && last.end === offset && last.room > 0) return last;
    const { tailBlockBytesMax } = this.#memory.sizes;
    while (this.#nextBytes < wanted && this.#nextBytes < tailBlockBytesMax) this.#nextBytes *= 2;
    const size = Math.min(this.#nextBytes, tailBlockBytesMax);
    const block = new TailBlock(this, fragment, offset, this.#memory.take(size));
    this.#nextBytes = Math.min(2 * size, tailBlockBytesMax);
    this.blocks.push(block);
    this.#memory.add(block);
    return block;
  }
}
