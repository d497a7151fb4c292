// The chunked transfer coding (RFC 9112, 7.1), byte by byte where it is syntax and by copy where it is data. Nothing
// of it is lenient: a chunk whose bounds two parsers see differently is how requests are smuggled.
import { HEX_VALUE, TOKEN, VALUE } from "./http1-grammar.ts";

type State =
  | "size"
  | "extension"
  | "sizeLineFeed"
  | "data"
  | "dataReturn"
  | "dataLineFeed"
  | "trailer"
  | "trailerName"
  | "trailerValue"
  | "trailerLineFeed"
  | "lastLineFeed"
  | "whole";

const CR = 0x0d;
const LF = 0x0a;
/** What frames a message cannot come after it. */
const FRAMING = new Set(["content-length", "transfer-encoding"]);
const SIZE_DIGITS_MAX = 8;
const BYTES_FIRST = 16 * 1024;

export class ChunkedBody {
  /** Bytes of the body, of which the first `length` count. */
  bytes: Uint8Array;
  length = 0;
  readonly limit: number;
  /** What is wrong; "tooLarge": the body is beyond the limit. */
  problem: string | undefined;
  readonly #syntaxBytesMax: number;
  readonly #keep: boolean;
  #state: State = "size";
  #digits = 0;
  #size = 0;
  /** In an extension: a token must come next; it is a value. */
  #wantsToken = false;
  #inValue = false;
  /** Name of the trailer that is being read, in lower case. */
  #trailer = "";
  /** Bytes of extensions and trailers so far. */
  #syntaxBytes = 0;

  /**
   * @param limit bytes of the body @param syntaxBytesMax of extensions and trailers @param keep false: only read over
   * it
   */
  constructor(limit: number, syntaxBytesMax: number, keep: boolean) {
    this.limit = limit;
    this.#syntaxBytesMax = syntaxBytesMax;
    this.#keep = keep;
    this.bytes = new Uint8Array(keep ? Math.min(limit, BYTES_FIRST) : 0);
  }

  get isWhole(): boolean {
    return this.#state === "whole";
  }

  get heldBytes(): number {
    return this.bytes.length;
  }

  /** Takes bytes from `at` on. @returns the position behind what belongs to the body */
  push(chunk: Uint8Array, at: number): number {
    let next = at;
    while (next < chunk.length && this.#state !== "whole" && this.problem === undefined) {
      if (this.#state === "data") next = this.#data(chunk, next);
      else this.#syntax(chunk[next++]!);
    }
    return next;
  }

  #data(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#size);
    const total = this.length + end - at;
    if (this.#keep) {
      if (total > this.bytes.length) {
        const grown = new Uint8Array(Math.min(this.limit, Math.max(total, 2 * this.bytes.length)));
        grown.set(this.bytes.subarray(0, this.length));
        this.bytes = grown;
      }
      this.bytes.set(chunk.subarray(at, end), this.length);
    }
    this.length = total;
    this.#size -= end - at;
    if (this.#size === 0) this.#state = "dataReturn";
    return end;
  }

  #syntax(byte: number): void {
    switch (this.#state) {
      case "size":
        return this.#sizeByte(byte);
      case "extension":
        return this.#extensionByte(byte);
      case "sizeLineFeed":
        return this.#expect(byte, LF, this.#size === 0 ? "trailer" : "data");
      case "dataReturn":
        return this.#expect(byte, CR, "dataLineFeed");
      case "dataLineFeed":
        this.#digits = 0;
        return this.#expect(byte, LF, "size");
      case "trailer":
        if (byte === CR) this.#state = "lastLineFeed";
        else this.#trailerName(byte, true);
        return;
      case "trailerName":
        if (byte === 0x3a && !FRAMING.has(this.#trailer)) this.#state = "trailerValue";
        else this.#trailerName(byte, false);
        return;
      case "trailerValue":
        if (byte === CR) this.#state = "trailerLineFeed";
        else if (byte >= 0x7f || VALUE[byte] !== 1) this.problem = "invalid trailer";
        return this.#countSyntax();
      case "trailerLineFeed":
        return this.#expect(byte, LF, "trailer");
      case "lastLineFeed":
        return this.#expect(byte, LF, "whole");
      case "data":
      case "whole":
        return;
    }
  }

  #sizeByte(byte: number): void {
    const digit = HEX_VALUE[byte]!;
    if (digit > 0) {
      this.#size = this.#digits === 0 ? digit - 1 : this.#size * 16 + digit - 1;
      if (++this.#digits > SIZE_DIGITS_MAX) this.problem = "invalid chunk size";
      return;
    }
    if (this.#digits === 0 || (byte !== CR && byte !== 0x3b)) {
      this.problem = "invalid chunk size";
      return;
    }
    if (this.length + this.#size > this.limit) this.problem = "tooLarge";
    this.#state = byte === CR ? "sizeLineFeed" : "extension";
    this.#wantsToken = true;
    this.#inValue = false;
  }

  /** `name` or `name=value`, both tokens; more of them after semicolons. */
  #extensionByte(byte: number): void {
    const separator = byte === 0x3b || byte === 0x3d || byte === CR;
    if (separator ? this.#wantsToken : TOKEN[byte] !== 1) this.problem = "invalid chunk extension";
    if (byte === 0x3d && this.#inValue) this.problem = "invalid chunk extension";
    if (separator) this.#inValue = byte === 0x3d;
    this.#wantsToken = separator;
    if (byte === CR) this.#state = "sizeLineFeed";
    this.#countSyntax();
  }

  #trailerName(byte: number, isFirst: boolean): void {
    this.#state = "trailerName";
    const letter = String.fromCharCode(byte).toLowerCase();
    this.#trailer = isFirst ? letter : this.#trailer + letter;
    if (TOKEN[byte] !== 1) this.problem = "invalid trailer";
    this.#countSyntax();
  }

  #countSyntax(): void {
    if (++this.#syntaxBytes > this.#syntaxBytesMax)
      this.problem = "chunk extensions and trailers are too long";
  }

  #expect(byte: number, expected: number, next: State): void {
    if (byte === expected) this.#state = next;
    else this.problem = "invalid chunk";
  }
}
