// What templates were given of the record at hand. A value is made when the first template asks for it, is the same
// for all columns and sinks, and is forgotten with the record: a template's loop must not parse the body again and
// again.
//
// V1 Values are shared: nobody changes them.
// V2 Nothing of a record outlives it: forget() is called when the next one comes, and when there is none.
import { latin1, text } from "@millrace/base";
import { KIND, type JsonScanner, type Kind } from "./body-json.ts";

/** What JSON.parse gives. */
export type BodyValue = null | boolean | number | string | readonly unknown[] | object;

/** Strings of so many bytes are made anew: that takes no longer than to look for them. */
const SHORT_BYTES = 40;
/** Digits of an integer that is read without a string. */
const DIGITS_MAX = 15;

export class RecordValues {
  /** By slot; undefined where nothing was made. */
  readonly #slots: (BodyValue | undefined)[] = [];
  readonly #made: number[] = [];
  #whole: BodyValue | undefined;
  #text: string | undefined;

  forget(): void {
    this.#whole = undefined;
    this.#text = undefined;
    for (let i = 0; i < this.#made.length; i++) this.#slots[this.#made[i]!] = undefined;
    this.#made.length = 0;
  }

  /** What the scanner found at `slot`, which is not missing. A number beyond all doubles is infinite. */
  at(scanner: JsonScanner, slot: number): BodyValue {
    const bytes = scanner.bytes;
    const begin = scanner.begins[slot]!;
    const end = scanner.ends[slot]!;
    switch (scanner.kinds[slot] as Kind) {
      case KIND.plainString:
        if (end - begin <= SHORT_BYTES) return shortText(bytes, begin + 1, end - 1);
        break;
      case KIND.number:
        if (end - begin <= DIGITS_MAX) return shortNumber(bytes, begin, end);
        break;
      case KIND.true:
        return true;
      case KIND.false:
        return false;
      case KIND.null:
        return null;
      default:
    }
    while (this.#slots.length <= slot) this.#slots.push(undefined);
    const known = this.#slots[slot];
    if (known !== undefined) return known;
    const value = JSON.parse(text(bytes.subarray(begin, end))) as BodyValue;
    this.#slots[slot] = value;
    this.#made.push(slot);
    return value;
  }

  /** The value that was scanned. */
  whole(scanner: JsonScanner): BodyValue {
    this.#whole ??= JSON.parse(
      text(scanner.bytes.subarray(scanner.valueBegin, scanner.valueEnd)),
    ) as BodyValue;
    return this.#whole;
  }

  /** bytes[begin, end), which are UTF-8. */
  text(bytes: Uint8Array, begin: number, end: number): string {
    this.#text ??= text(bytes.subarray(begin, end));
    return this.#text;
  }
}

function shortText(bytes: Uint8Array, begin: number, end: number): string {
  for (let i = begin; i < end; i++) if (bytes[i]! >= 0x80) return text(bytes.subarray(begin, end));
  return latin1(bytes, begin, end);
}

function shortNumber(bytes: Uint8Array, begin: number, end: number): number {
  let value = 0;
  for (let i = begin; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return Number(latin1(bytes, begin, end));
    value = value * 10 + digit;
  }
  return value;
}
