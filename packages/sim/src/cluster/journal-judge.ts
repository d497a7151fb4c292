// What a journal of a cluster must hold: the outside judge. It knows what clients asked for, what they were told, and
// what anybody was ever shown at an offset.
//
//  Each append's bytes begin with its number and length, so that whoever finds them anywhere knows whose they are.
//  An append whose answer was "nobody knows" may be there, late even, or not: whole, and once.
import { assert, text, utf8, type Random } from "@millrace/base";

export interface Append {
  readonly number: number;
  readonly bytes: Uint8Array;
  /** Everything below it was acknowledged before this began: it may not stand there. */
  readonly floor: number;
  /** Moment of its beginning among all that happened. */
  readonly begunAt: number;
  /** Of its answer. */
  endedAt: number;
  outcome: "under way" | "acknowledged" | "unknown" | "refused" | "given up";
  /** Where it stands, once somebody knows. */
  begin: number | undefined;
  /** What it checked of the register, and what it set it to. */
  readonly register: RegisterUse | undefined;
}

export interface RegisterUse {
  readonly expected: string;
  readonly next: string | undefined;
  /** It was refused because the register was another. */
  mismatched: boolean;
}

const HEADER_BYTES_MAX = 24;

export class JournalJudge {
  readonly name: string;
  readonly appends: Append[] = [];
  /** End of what was acknowledged. */
  acknowledgedEnd = 0;
  /** Content at each offset, and whether anybody knows it. */
  #content = new Uint8Array(1 << 16);
  #isKnown = new Uint8Array(1 << 16);
  #knownEnd = 0;
  readonly #begins = new Map<number, Append>();
  #moment = 0;

  constructor(name: string) {
    this.name = name;
  }

  get acknowledgedCount(): number {
    return this.appends.reduce((count, { outcome }) => count + (outcome === "acknowledged" ? 1 : 0), 0);
  }

  get knownEnd(): number {
    return this.#knownEnd;
  }

  /** An append of about `size` bytes is about to be sent. */
  begin(size: number, random: Random, register?: Omit<RegisterUse, "mismatched">): Append {
    const number = this.appends.length;
    const filler = String.fromCharCode(97 + random.below(26)).repeat(Math.max(1, size));
    const length = filler.length + 1;
    const append: Append = {
      number,
      bytes: utf8(`${number}:${length};${filler}\n`),
      floor: this.acknowledgedEnd,
      begunAt: this.#moment++,
      endedAt: Number.POSITIVE_INFINITY,
      outcome: "under way",
      begin: undefined,
      register: register === undefined ? undefined : { ...register, mismatched: false },
    };
    this.appends.push(append);
    return append;
  }

  /** The client was told that it stands at `begin`. */
  acknowledge(append: Append, begin: number): void {
    const { number } = append;
    append.outcome = "acknowledged";
    append.endedAt = this.#moment++;
    const facts = { journal: this.name, append: number, begin, floor: append.floor };
    assert(
      begin >= append.floor,
      "what is acknowledged stands behind what was acknowledged before it",
      facts,
    );
    this.#place(append, begin);
    this.acknowledgedEnd = Math.max(this.acknowledgedEnd, begin + append.bytes.length);
    this.saw("its writer", begin, append.bytes);
  }

  /** Nobody knows what became of it. */
  lose(append: Append): void {
    append.outcome = "unknown";
  }

  /** An operator has given up what stands from `end` on: other bytes may stand there, and it is never seen again. */
  giveUp(end: number): void {
    for (const [begin, append] of this.#begins) {
      if (begin + append.bytes.length <= end) continue;
      assert(begin >= end, "an append is given up whole", { journal: this.name, begin, end });
      append.outcome = "given up";
      this.#begins.delete(begin);
    }
    for (const append of this.appends) if (append.outcome === "unknown") append.outcome = "given up";
    this.#isKnown.fill(0, end);
    this.#knownEnd = Math.min(this.#knownEnd, end);
    this.acknowledgedEnd = Math.min(this.acknowledgedEnd, end);
  }

  /** Certainly nothing of it was written. */
  refuse(append: Append, mismatched = false): void {
    append.outcome = "refused";
    append.endedAt = this.#moment++;
    if (append.register !== undefined) append.register.mismatched = mismatched;
  }

  /** `who` was shown `bytes` at `offset`. */
  saw(who: string, offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.#content.length) this.#grow(end);
    for (let i = 0; i < bytes.length; i++) {
      const at = offset + i;
      if (this.#isKnown[at] === 0) {
        this.#isKnown[at] = 1;
        this.#content[at] = bytes[i]!;
      } else if (this.#content[at] !== bytes[i]) this.#twoContents(who, at, bytes.subarray(i));
    }
    this.#knownEnd = Math.max(this.#knownEnd, end);
  }

  /** `who` was shown the whole journal, as it was at a moment at which `floor` bytes were acknowledged. */
  sawWhole(who: string, content: Uint8Array, floor: number): void {
    const facts = { journal: this.name, who, length: content.length, floor };
    assert(content.length >= floor, "acknowledged appends are in every later read", facts);
    this.saw(who, 0, content);
    for (let at = 0; at < content.length;) {
      const append = this.#find(content, at, who);
      this.#place(append, at);
      at += append.bytes.length;
    }
    for (const { outcome, begin, number } of this.appends) {
      if (outcome !== "acknowledged") continue;
      assert(begin! < content.length || begin! >= floor, "an acknowledged append is there", {
        ...facts,
        number,
      });
    }
  }

  /** Appends in the order in which they stand, of a journal that was seen whole. */
  standing(): readonly Append[] {
    return [...this.#begins.entries()].sort(([a], [b]) => a - b).map(([, append]) => append);
  }

  #find(content: Uint8Array, at: number, who: string): Append {
    const header = /^(\d+):(\d+);/.exec(text(content.subarray(at, at + HEADER_BYTES_MAX)));
    const append = header === null ? undefined : this.appends[Number(header[1])];
    const facts = { journal: this.name, who, at, near: text(content.subarray(at, at + 40)) };
    assert(append !== undefined, "bytes that nobody appended", facts);
    const { bytes, outcome } = append;
    assert(outcome !== "refused", "an append that was refused is there", facts);
    assert(outcome !== "given up", "an append that was given up is there again", facts);
    const isWhole = Buffer.compare(bytes, content.subarray(at, at + bytes.length)) === 0;
    assert(isWhole, "an append is there whole or not at all", facts);
    return append;
  }

  #place(append: Append, begin: number): void {
    const { number } = append;
    const before = append.begin;
    assert(before === undefined || before === begin, "an append stands once, where it was said to stand", {
      journal: this.name,
      append: number,
      begin,
      before,
    });
    const other = this.#begins.get(begin);
    assert(other === undefined || other === append, "no offset has two contents", {
      journal: this.name,
      offset: begin,
      append: number,
      other: other?.number,
    });
    append.begin = begin;
    this.#begins.set(begin, append);
  }

  #grow(end: number): void {
    const bytes = Math.max(end, 2 * this.#content.length);
    const [content, isKnown] = [new Uint8Array(bytes), new Uint8Array(bytes)];
    content.set(this.#content);
    isKnown.set(this.#isKnown);
    this.#content = content;
    this.#isKnown = isKnown;
  }

  #twoContents(who: string, offset: number, now: Uint8Array): never {
    assert(false, "no offset has two contents", {
      journal: this.name,
      who,
      offset,
      before: text(this.#content.subarray(offset, offset + 30)),
      now: text(now.subarray(0, 30)),
    });
  }
}

/**
 * The journal's register had one value at a time: each append that checked it stands where it had that value, and one
 * that was refused was refused at a moment when it had another.
 */
export function checkRegisters(judge: JournalJudge): void {
  const standing = judge.standing();
  let value = "";
  /** Value from a begin on, in order. */
  const history: { readonly from: number; readonly value: string }[] = [{ from: 0, value }];
  for (const { register, begin, number, bytes } of standing) {
    if (register === undefined) continue;
    const facts = { journal: judge.name, append: number, begin, expected: register.expected, value };
    // An empty set passes every check.
    assert(
      value === "" || register.expected === value,
      "an append stands only where its register was as it expected",
      facts,
    );
    if (register.next === undefined) continue;
    value = register.next;
    history.push({ from: begin! + bytes.length, value });
  }
  for (const refused of judge.appends) {
    const { register, floor, endedAt, number } = refused;
    if (register?.mismatched !== true) continue;
    const ceiling = standing.reduce(
      (least, { begunAt, begin }) => (begunAt > endedAt ? Math.min(least, begin!) : least),
      Number.POSITIVE_INFINITY,
    );
    const possible = history.filter(({ from }, i) => {
      const to = history[i + 1]?.from ?? Number.POSITIVE_INFINITY;
      return from <= ceiling && to > floor;
    });
    const isRight = possible.some((one) => one.value !== "" && one.value !== register.expected);
    const facts = { journal: judge.name, append: number, expected: register.expected };
    assert(isRight, "an append is refused only where its register was another", facts);
  }
}
