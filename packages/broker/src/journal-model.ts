// What a journal must hold, as its writers and readers know it: the outside judge of simulations.
//
//  Appends whose outcome nobody knows (a crash came between commit and answer) may be there or not, whole; which of
//  them are shows when the journal is read, and from then on must not change.
import { assert, text } from "@millrace/base";

interface Span {
  readonly begin: number;
  readonly bytes: Uint8Array;
}

export class JournalModel {
  readonly name: string;
  readonly #acknowledged = new Map<number, Span>();
  readonly #unknown = new Set<Uint8Array>();
  /** What readers were given, from offset 0 on. */
  #seen: Uint8Array = new Uint8Array(0);
  #isRead = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** End of what was acknowledged. */
  get end(): number {
    let end = 0;
    for (const { begin, bytes } of this.#acknowledged.values()) end = Math.max(end, begin + bytes.length);
    return end;
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size;
  }

  acknowledge(begin: number, bytes: Uint8Array): void {
    assert(!this.#acknowledged.has(begin), "no offset is acknowledged twice", { journal: this.name, begin });
    if (bytes.length > 0) this.#acknowledged.set(begin, { begin, bytes });
  }

  /** The append's answer never came. */
  lose(bytes: Uint8Array): void {
    this.#unknown.add(bytes);
  }

  /** A reader was given `bytes` at `offset`: they are what everybody else was given there. */
  read(offset: number, bytes: Uint8Array): void {
    const shared = Math.min(this.#seen.length, offset + bytes.length) - offset;
    assert(shared >= 0, "readers see a prefix without holes", {
      journal: this.name,
      offset,
      seen: this.#seen.length,
    });
    for (let i = 0; i < shared; i++) {
      if (this.#seen[offset + i] !== bytes[i]) this.#fail("an offset has two contents", offset + i);
    }
    if (offset + bytes.length <= this.#seen.length) return;
    const longer = new Uint8Array(Math.max(offset + bytes.length, 2 * this.#seen.length));
    longer.set(this.#seen.subarray(0, this.#seenEnd));
    longer.set(bytes, offset);
    this.#seenEnd = offset + bytes.length;
    this.#seen = longer.subarray(0, this.#seenEnd);
  }

  #seenEnd = 0;

  /** The whole journal as it is now: exactly the acknowledged appends, and whole lost ones between them. */
  checkWhole(content: Uint8Array): void {
    assert(content.length >= this.#seen.length, "what was read once stays", {
      journal: this.name,
      length: content.length,
      seen: this.#seen.length,
    });
    this.read(0, content);
    let offset = 0;
    let known = 0;
    while (offset < content.length) {
      const span = this.#acknowledged.get(offset);
      const bytes = span?.bytes ?? this.#lostAt(content, offset);
      if (bytes === undefined) this.#fail("bytes that nobody appended", offset);
      if (!startsWith(content, offset, bytes)) this.#fail("acknowledged bytes differ", offset);
      if (span !== undefined) known++;
      else this.#found(offset, bytes);
      offset += bytes.length;
    }
    if (known < this.#acknowledged.size - this.#isRead)
      this.#fail("acknowledged appends are missing", content.length);
    this.#isRead = 0;
    assert(offset >= this.end, "every acknowledged byte is there", {
      journal: this.name,
      offset,
      end: this.end,
    });
  }

  #lostAt(content: Uint8Array, offset: number): Uint8Array | undefined {
    for (const bytes of this.#unknown) if (startsWith(content, offset, bytes)) return bytes;
    return undefined;
  }

  #found(offset: number, bytes: Uint8Array): void {
    this.#unknown.delete(bytes);
    this.#acknowledged.set(offset, { begin: offset, bytes });
    this.#isRead++;
  }

  #fail(claim: string, offset: number): never {
    const near = text(this.#seen.subarray(offset, offset + 40));
    assert(false, claim, { journal: this.name, offset, near });
  }
}

function startsWith(content: Uint8Array, offset: number, bytes: Uint8Array): boolean {
  if (bytes.length === 0 || offset + bytes.length > content.length) return false;
  for (let i = 0; i < bytes.length; i++) if (content[offset + i] !== bytes[i]) return false;
  return true;
}
