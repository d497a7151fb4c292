// What is known of a fragment's bytes while they are on this disk: the running SHA-1 that will name it, and a CRC-32C
// of each block, against which reads are checked. Only memory has the block sums.
//
//   K1  A block is known up to where the sums have come: the last one may be a part.
import { crc32c } from "@millrace/wal";
import { RunningSha1 } from "./system-sha1.ts";

/**
 * A read checks whole blocks, so a small block makes small reads cheap and a large one keeps the sums few: with 64 KiB
 * they take 64 KiB for each GiB of local bytes (twice that while an array grows), and the block that a small read has
 * to take whole costs about what a second trip to the I/O pool would. Reads of 256 and 512 KiB are made of such blocks.
 */
export const SUM_BLOCK_BYTES = 64 * 1024;

/** Positions in a fragment's file, and the CRC-32C of the bytes between them. */
export interface SummedBlock {
  readonly begin: number;
  readonly end: number;
  readonly crc: number;
}

export class FragmentSums {
  readonly #sha1: RunningSha1;
  /** Of whole blocks; none is kept for a fragment that is smaller than one. */
  #whole: Uint32Array;
  #part: number;
  #bytes: number;

  constructor(from?: FragmentSums) {
    this.#sha1 = from === undefined ? new RunningSha1() : from.#sha1.copy();
    this.#whole = from === undefined ? NONE : from.#whole.slice();
    this.#part = from === undefined ? 0 : from.#part;
    this.#bytes = from === undefined ? 0 : from.#bytes;
  }

  /** Bytes that were summed. */
  get bytes(): number {
    return this.#bytes;
  }

  update(bytes: Uint8Array): void {
    this.#sha1.update(bytes);
    for (let at = 0; at < bytes.length;) {
      const room = SUM_BLOCK_BYTES - (this.#bytes % SUM_BLOCK_BYTES);
      const piece = at === 0 && bytes.length <= room ? bytes : bytes.subarray(at, at + room);
      this.#part = crc32c(piece, this.#part);
      this.#bytes += piece.length;
      at += piece.length;
      if (piece.length === room) this.#endBlock();
    }
  }

  /** SHA-1 of all that was summed, 40 hex digits. */
  hex(): string {
    return this.#sha1.hex();
  }

  /** A copy that goes on by itself. */
  fork(): FragmentSums {
    return new FragmentSums(this);
  }

  /** The block that holds `position`. @param position 0 <= position < bytes */
  blockAt(position: number): SummedBlock {
    const index = Math.floor(position / SUM_BLOCK_BYTES);
    const begin = index * SUM_BLOCK_BYTES;
    const isWhole = begin + SUM_BLOCK_BYTES <= this.#bytes;
    const end = isWhole ? begin + SUM_BLOCK_BYTES : this.#bytes; // K1
    return { begin, end, crc: isWhole ? this.#whole[index]! : this.#part };
  }

  #endBlock(): void {
    const index = this.#bytes / SUM_BLOCK_BYTES - 1;
    if (index === this.#whole.length) {
      const longer = new Uint32Array(Math.max(4, 2 * index));
      longer.set(this.#whole);
      this.#whole = longer;
    }
    this.#whole[index] = this.#part;
    this.#part = 0;
  }
}

const NONE = new Uint32Array(0);
