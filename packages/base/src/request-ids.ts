// The X-Request-Id of answers: 15 letters, of which nine are random for the process and six count. Made for each
// answer, so it must cost nothing.
import type { Random } from "./ports.ts";

const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";
const RANDOM_LETTERS = 9;

/** `00` to `zz`. */
const LOW_DIGITS = Array.from({ length: 36 * 36 }, (_, n) => n.toString(36).padStart(2, "0"));

export class RequestIds {
  readonly #process: string;
  #high = 0;
  #low = 0;
  #prefix: string;

  constructor(random: Random) {
    let letters = "";
    for (let i = 0; i < RANDOM_LETTERS; i++) letters += LETTERS[random.below(LETTERS.length)];
    this.#process = letters;
    this.#prefix = `${letters}0000`;
  }

  /** Repeats after 36^6. */
  next(): string {
    if (this.#low === LOW_DIGITS.length) {
      this.#low = 0;
      this.#high = (this.#high + 1) % 36 ** 4;
      this.#prefix = this.#process + this.#high.toString(36).padStart(4, "0");
    }
    return this.#prefix + LOW_DIGITS[this.#low++]!;
  }
}
