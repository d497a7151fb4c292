// An ordered map over binary string keys: a sorted list of sorted chunks. With chunks of some hundred keys an insertion
// moves at most one chunk's tail, a lookup is two binary searches, and a scan walks arrays. A B-tree of the same
// fan-out would be two levels deep for the 100k keys in view here, with more code; this is fast to about ten million.
import type { Key } from "./coordination.ts";

const CHUNK_KEYS_MAX = 512;

interface Chunk<V> {
  readonly keys: Key[];
  readonly values: V[];
}

export class OrderedMap<V> {
  #chunks: Chunk<V>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: Key): V | undefined {
    const chunk = this.#chunks[this.#chunkOf(key)];
    if (chunk === undefined) return undefined;
    const at = lowerBound(chunk.keys, key);
    return chunk.keys[at] === key ? chunk.values[at] : undefined;
  }

  /** Inserts or replaces. */
  set(key: Key, value: V): void {
    if (this.#chunks.length === 0) this.#chunks.push({ keys: [], values: [] });
    const chunkAt = this.#chunkOf(key);
    const chunk = this.#chunks[chunkAt]!;
    const at = lowerBound(chunk.keys, key);
    if (chunk.keys[at] === key) {
      chunk.values[at] = value;
      return;
    }
    chunk.keys.splice(at, 0, key);
    chunk.values.splice(at, 0, value);
    this.#size++;
    if (chunk.keys.length > CHUNK_KEYS_MAX) this.#split(chunkAt);
  }

  /** @returns whether the key was there */
  delete(key: Key): boolean {
    const chunkAt = this.#chunkOf(key);
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) return false;
    const at = lowerBound(chunk.keys, key);
    if (chunk.keys[at] !== key) return false;
    chunk.keys.splice(at, 1);
    chunk.values.splice(at, 1);
    this.#size--;
    this.#join(chunkAt);
    return true;
  }

  clear(): void {
    this.#chunks = [];
    this.#size = 0;
  }

  /**
   * Calls `visit` for each key in [begin, end) in order, until it returns false. `end` undefined: to the last key.
   * The map must not change meanwhile.
   */
  scan(begin: Key, end: Key | undefined, visit: (value: V, key: Key) => boolean): void {
    for (let chunkAt = this.#chunkOf(begin); chunkAt < this.#chunks.length; chunkAt++) {
      const { keys, values } = this.#chunks[chunkAt]!;
      let at = lowerBound(keys, begin);
      for (; at < keys.length; at++) {
        const key = keys[at]!;
        if (end !== undefined && key >= end) return;
        if (!visit(values[at]!, key)) return;
      }
    }
  }

  /** The last chunk whose first key is <= `key`, or the first one. */
  #chunkOf(key: Key): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]!.keys[0]! <= key) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : low - 1;
  }

  #split(chunkAt: number): void {
    const chunk = this.#chunks[chunkAt]!;
    // Keys often come in ascending order: then the left half would stay half empty for ever.
    const ascending = chunkAt === this.#chunks.length - 1;
    const from = ascending ? chunk.keys.length - (CHUNK_KEYS_MAX >> 3) : chunk.keys.length >> 1;
    this.#chunks.splice(chunkAt + 1, 0, { keys: chunk.keys.splice(from), values: chunk.values.splice(from) });
  }

  /** Drops an empty chunk, and joins a sparse one with its right neighbour. */
  #join(chunkAt: number): void {
    const chunk = this.#chunks[chunkAt]!;
    if (chunk.keys.length === 0) {
      this.#chunks.splice(chunkAt, 1);
      return;
    }
    const next = this.#chunks[chunkAt + 1];
    if (next === undefined || chunk.keys.length + next.keys.length > CHUNK_KEYS_MAX >> 1) return;
    chunk.keys.push(...next.keys);
    chunk.values.push(...next.values);
    this.#chunks.splice(chunkAt + 1, 1);
  }
}

/** Index of the first key >= `key`. */
function lowerBound(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
