// Bytes on their way to a socket: gathered in chunks, taken once a turn, and counted until the socket has taken them.

/** Large enough that a turn's replies are one write, small enough that a quiet connection holds little. */
const CHUNK_BYTES = 64 * 1024;
/** Chunks kept for the next use, all connections of a server or channel together: 4 MiB. */
const KEPT_CHUNKS_MAX = 64;

export class ChunkPool {
  readonly #kept: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#kept.pop() ?? new Uint8Array(CHUNK_BYTES);
  }

  give(chunk: Uint8Array): void {
    if (this.#kept.length < KEPT_CHUNKS_MAX) this.#kept.push(chunk);
  }
}

export class Outbox {
  readonly #pool: ChunkPool;
  readonly #onFirst: () => void;
  /** Full chunks, then the one that is written to; the views of what is in them are made when they are taken. */
  #full: Uint8Array[] = [];
  #chunk: Uint8Array | undefined;
  #used = 0;
  #pendingBytes = 0;
  #takes = 0;

  /** @param onFirst called when something waits to be taken and nothing did before */
  constructor(pool: ChunkPool, onFirst: () => void) {
    this.#pool = pool;
    this.#onFirst = onFirst;
  }

  /** Bytes that the socket has not taken yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get isEmpty(): boolean {
    return this.#chunk === undefined;
  }

  /** How often something was taken: while it stays, what `reserve` gave may still be changed. */
  get takes(): number {
    return this.#takes;
  }

  /** The chunk in which the reserved bytes stand. */
  get chunk(): Uint8Array {
    return this.#chunk!;
  }

  /** Makes room for `length` (at most 64 KiB) bytes in one piece. @returns where in `chunk` they stand */
  reserve(length: number): number {
    let chunk = this.#chunk;
    if (chunk === undefined) {
      chunk = this.#chunk = this.#pool.take();
      this.#used = 0;
      this.#onFirst();
    } else if (this.#used + length > chunk.length) this.#next();
    const at = this.#used;
    this.#used += length;
    this.#pendingBytes += length;
    return at;
  }

  /** Copies `bytes[begin, end)`, across chunks if need be. */
  copy(bytes: Uint8Array, begin: number, end: number): void {
    let at = begin;
    while (at < end) {
      if (this.#chunk === undefined || this.#used === CHUNK_BYTES) this.reserve(0);
      if (this.#used === CHUNK_BYTES) this.#next();
      const length = Math.min(end - at, CHUNK_BYTES - this.#used);
      const whole = at === 0 && length === bytes.length;
      this.#chunk!.set(whole ? bytes : bytes.subarray(at, at + length), this.#used);
      this.#used += length;
      this.#pendingBytes += length;
      at += length;
    }
  }

  /** What waits, in order: give each back by `release` when the socket has taken it. */
  take(): Uint8Array[] {
    if (this.#chunk === undefined) return [];
    const views = this.#full;
    views.push(this.#used === CHUNK_BYTES ? this.#chunk : this.#chunk.subarray(0, this.#used));
    this.#full = [];
    this.#chunk = undefined;
    this.#used = 0;
    this.#takes++;
    return views;
  }

  release(views: readonly Uint8Array[]): void {
    for (const view of views) {
      this.#pendingBytes -= view.length;
      this.#pool.give(view.length === CHUNK_BYTES ? view : new Uint8Array(view.buffer));
    }
  }

  #next(): void {
    this.#full.push(this.#used === CHUNK_BYTES ? this.#chunk! : this.#chunk!.subarray(0, this.#used));
    this.#chunk = this.#pool.take();
    this.#used = 0;
  }
}
