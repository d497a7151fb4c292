// Which member of a group works on what: rendezvous hashing. A key belongs to the member whose score with it is the
// greatest, so the answer is a function of the members alone, whoever asks, and a member that comes or goes moves only
// the keys that it gets or had.
//
// Processes of different versions must agree: the scores are a format, with golden vectors.
import { keyOf } from "./key.ts";

export class HashRing {
  /** Sorted, without repetition. */
  readonly ids: readonly string[];
  readonly #hashes: readonly number[];

  constructor(ids: Iterable<string>) {
    this.ids = [...new Set(ids)].sort();
    this.#hashes = this.ids.map(hashOf);
  }

  /** The id to which `key` belongs; undefined when there are no members. */
  owner(key: string): string | undefined {
    const hash = hashOf(key);
    let best = -1;
    let owner: string | undefined;
    for (let i = 0; i < this.ids.length; i++) {
      const score = mixed(this.#hashes[i]! ^ Math.imul(hash, 0x9e3779b1));
      if (score <= best) continue; // equal scores: the first id in order
      best = score;
      owner = this.ids[i];
    }
    return owner;
  }
}

/** FNV-1a of the UTF-8 bytes. */
function hashOf(plain: string): number {
  const bytes = keyOf(plain);
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes.charCodeAt(i), 0x01000193);
  return hash;
}

/** The finaliser of MurmurHash3, each bit of the input changes half of the output's. @returns in [0, 2^32) */
function mixed(input: number): number {
  let hash = input ^ (input >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
