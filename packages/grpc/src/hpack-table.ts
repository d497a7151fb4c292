// The tables of HPACK: the static one (RFC 7541 appendix A) and the dynamic one that both sides of a connection keep in
// step. Entries are numbered from 1; 62 is the youngest dynamic one.

/** Names and values in turn. */
const STATIC_FIELDS: readonly string[] = (
  ":authority|;:method|GET;:method|POST;:path|/;:path|/index.html;:scheme|http;:scheme|https;:status|200;" +
  ":status|204;:status|206;:status|304;:status|400;:status|404;:status|500;accept-charset|;" +
  "accept-encoding|gzip, deflate;accept-language|;accept-ranges|;accept|;access-control-allow-origin|;age|;allow|;" +
  "authorization|;cache-control|;content-disposition|;content-encoding|;content-language|;content-length|;" +
  "content-location|;content-range|;content-type|;cookie|;date|;etag|;expect|;expires|;from|;host|;if-match|;" +
  "if-modified-since|;if-none-match|;if-range|;if-unmodified-since|;last-modified|;link|;location|;max-forwards|;" +
  "proxy-authenticate|;proxy-authorization|;range|;referer|;refresh|;retry-after|;server|;set-cookie|;" +
  "strict-transport-security|;transfer-encoding|;user-agent|;vary|;via|;www-authenticate|"
)
  .split(";")
  .flatMap((entry) => entry.split("|"));

export const STATIC_COUNT = STATIC_FIELDS.length / 2;

export function staticName(index: number): string {
  return STATIC_FIELDS[2 * index - 2]!;
}

export function staticValue(index: number): string {
  return STATIC_FIELDS[2 * index - 1]!;
}

/** Index of the static entry, by `name` alone (the first of them) and by name, NUL and value. */
export const STATIC_INDEX: ReadonlyMap<string, number> = indexStatic();

function indexStatic(): Map<string, number> {
  const indexes = new Map<string, number>();
  for (let index = 1; index <= STATIC_COUNT; index++) {
    const name = staticName(index);
    if (!indexes.has(name)) indexes.set(name, index);
    indexes.set(`${name}\0${staticValue(index)}`, index);
  }
  return indexes;
}

/** Bytes that an entry counts for: 32 more than its strings. */
export function fieldSize(name: string, value: string): number {
  return name.length + value.length + 32;
}

/** First in, first out, bounded by the sum of the sizes of its entries. */
export class DynamicTable {
  /** A ring: the entry with number `n` (counted from the first ever) stands at `n & mask`. */
  #names: string[] = Array.from({ length: 16 }, () => "");
  #values: string[] = Array.from({ length: 16 }, () => "");
  #mask = 15;
  #oldest = 0;
  #next = 0;
  #size = 0;
  #changes = 0;
  #sizeMax: number;
  readonly #onEvicted: ((name: string, value: string, number: number) => void) | undefined;

  constructor(sizeMax: number, onEvicted?: (name: string, value: string, number: number) => void) {
    this.#sizeMax = sizeMax;
    this.#onEvicted = onEvicted;
  }

  /** Entries that were ever inserted. */
  get inserted(): number {
    return this.#next;
  }

  /** Counts insertions and new sizes: while it stays, indexes mean the same. */
  get changes(): number {
    return this.#changes;
  }

  get count(): number {
    return this.#next - this.#oldest;
  }

  get size(): number {
    return this.#size;
  }

  get sizeMax(): number {
    return this.#sizeMax;
  }

  /** @param back 0 is the youngest; less than `count` */
  name(back: number): string {
    return this.#names[(this.#next - 1 - back) & this.#mask]!;
  }

  value(back: number): string {
    return this.#values[(this.#next - 1 - back) & this.#mask]!;
  }

  resize(sizeMax: number): void {
    this.#changes++;
    this.#sizeMax = sizeMax;
    this.#evict(sizeMax);
  }

  /** An entry that is too large leaves the table empty, as the RFC wants it. */
  insert(name: string, value: string): void {
    const size = fieldSize(name, value);
    this.#changes++;
    this.#evict(this.#sizeMax - size);
    if (size > this.#sizeMax) return;
    if (this.count > this.#mask) this.#grow();
    this.#names[this.#next & this.#mask] = name;
    this.#values[this.#next & this.#mask] = value;
    this.#next++;
    this.#size += size;
  }

  #evict(sizeWanted: number): void {
    while (this.#size > Math.max(0, sizeWanted)) {
      const slot = this.#oldest & this.#mask;
      const name = this.#names[slot]!;
      const value = this.#values[slot]!;
      this.#names[slot] = "";
      this.#values[slot] = "";
      this.#size -= fieldSize(name, value);
      this.#onEvicted?.(name, value, this.#oldest);
      this.#oldest++;
    }
  }

  #grow(): void {
    const length = 2 * (this.#mask + 1);
    const names = Array.from({ length }, () => "");
    const values = Array.from({ length }, () => "");
    for (let number = this.#oldest; number < this.#next; number++) {
      names[number & (length - 1)] = this.#names[number & this.#mask]!;
      values[number & (length - 1)] = this.#values[number & this.#mask]!;
    }
    this.#names = names;
    this.#values = values;
    this.#mask = length - 1;
  }
}
