// The sender's own book of raw appends to one journal, and the check of what the journal holds.
//
// J1 An acknowledged append stands at the offsets that its answer named.
// J2 One of unknown outcome stands there whole or not at all, and once at most.
// J3 Nothing else is there: the journal is one append after the other, from offset 0 to the head.
import { createHash } from "node:crypto";

interface Append {
  readonly bytes: number;
  /** Where the answer said it stands. */
  begin: number | undefined;
}

/** An append as its answer said. */
export interface Standing {
  readonly number: number;
  readonly begin: number;
  readonly end: number;
  readonly content: () => Buffer;
}

/** `@<number, 10 digits> <length, 10 digits>\n` stands before the content. */
const HEADER_BYTES = 23;
const VIOLATIONS_LISTED_MAX = 10;

export class JournalLedger {
  readonly journal: string;
  readonly #seed: string;
  readonly #appends: Append[] = [];
  #acknowledged = 0;
  #acknowledgedEnd = 0;

  constructor(seed: string, journal: string) {
    this.journal = journal;
    this.#seed = seed;
  }

  /** The next append, booked as sent. @param bytes of it, at least 23 */
  next(bytes: number): { readonly number: number; readonly content: Buffer } {
    const number = this.#appends.push({ bytes, begin: undefined }) - 1;
    return { number, content: this.#content(number) };
  }

  /** @returns what is wrong with the answer */
  acknowledge(number: number, begin: number, end: number): string | undefined {
    const append = this.#appends[number]!;
    append.begin = begin;
    this.#acknowledged++;
    const problem =
      end - begin !== append.bytes
        ? `[${begin}, ${end}) is not ${append.bytes} bytes`
        : begin < this.#acknowledgedEnd
          ? `begins at ${begin}, before the acknowledged end ${this.#acknowledgedEnd}`
          : undefined;
    this.#acknowledgedEnd = Math.max(this.#acknowledgedEnd, end);
    return problem === undefined ? undefined : `${this.journal}, append ${number}: ${problem}`;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get acknowledgedEnd(): number {
    return this.#acknowledgedEnd;
  }

  get sent(): number {
    return this.#appends.length;
  }

  /** What is wrong with the journal's whole content, read from offset 0. */
  violations(content: Buffer): readonly string[] {
    const found: string[] = [];
    const seenAt = new Map<number, number>();
    let at = 0;
    while (at < content.length) {
      const header = /^@(\d{10}) (\d{10})\n$/.exec(content.toString("latin1", at, at + HEADER_BYTES));
      const number = Number(header?.[1]);
      const append = this.#appends[number];
      if (header === null || append === undefined)
        return [...found, `${this.journal}: no append begins at ${at}`];
      if (seenAt.has(number))
        found.push(`${this.journal}, append ${number}: at ${seenAt.get(number)} and at ${at}`);
      seenAt.set(number, at);
      if (!content.subarray(at, at + append.bytes).equals(this.#content(number)))
        return [
          ...found,
          `${this.journal}, append ${number} at ${at}: has other bytes than were sent, or not all`,
        ];
      at += append.bytes;
    }
    for (const [number, { begin }] of this.#appends.entries()) {
      if (found.length >= VIOLATIONS_LISTED_MAX) return [...found, "…"];
      if (begin === undefined || seenAt.get(number) === begin) continue;
      const where = seenAt.has(number) ? `stands at ${seenAt.get(number)}` : "is not there";
      found.push(`${this.journal}, append ${number}: acknowledged at ${begin}, ${where}`);
    }
    return found;
  }

  /** Acknowledged appends, in the order of their offsets. */
  get standing(): readonly Standing[] {
    const standing = this.#appends.flatMap(({ begin, bytes }, number) =>
      begin === undefined
        ? []
        : [{ number, begin, end: begin + bytes, content: () => this.#content(number) }],
    );
    return standing.sort((a, b) => a.begin - b.begin);
  }

  /** Bytes that only this append has, so that one cannot be taken for another. */
  #content(number: number): Buffer {
    const { bytes } = this.#appends[number]!;
    const header = `@${String(number).padStart(10, "0")} ${String(bytes).padStart(10, "0")}\n`;
    const pattern = createHash("sha512").update(`${this.#seed}/${this.journal}/${number}`).digest();
    const content = Buffer.alloc(bytes, pattern);
    content.write(header, 0, "latin1");
    return content;
  }
}
