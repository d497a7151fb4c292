// The tokens of Go's text/template: text between actions, and what stands within `{{` and `}}`. Comments and what trim
// markers take away are left out. The last token is "eof", or "error" with the text that Go has for it.

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "space"
  | "identifier"
  | "keyword"
  | "field"
  | "variable"
  | "dot"
  | "nil"
  | "bool"
  | "number"
  | "char"
  | "string"
  | "raw"
  | "declare"
  | "assign"
  | "pipe"
  | "left-paren"
  | "right-paren"
  | "other"
  | "eof"
  | "error";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Index of its first character. */
  readonly at: number;
  /** From 1. */
  readonly line: number;
}

const KEYWORDS: ReadonlySet<string> = new Set(
  "block break continue define else end if range template with".split(" "),
);

// What may follow a word: Go has no `$x+2`.
const WORD_END = /(?=[\s.,|:)(]|\}\}|$)/y;
const WORD = /[\p{L}\p{Nd}_]*/uy;
const NUMBER = new RegExp(
  "[+-]?(?:" +
    [
      String.raw`0[xX][\da-fA-F_]*(?:\.[\da-fA-F_]*)?(?:[pP][+-]?[\d_]*)?`,
      String.raw`0[oO][0-7_]*`,
      String.raw`0[bB][01_]*`,
      String.raw`[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?[\d_]*)?`,
    ].join("|") +
    ")i?",
  "y",
);
const QUOTED = /"(?:[^"\\\n]|\\[^\n])*"/y;
const CHARACTER = /'(?:[^'\\\n]|\\[^\n])*'/y;
const RAW = /`[^`]*`/y;
const SPACES = /[ \t\r\n]+/y;
const LEADING_SPACES = /^[ \t\r\n]*/;
const TRAILING_SPACES = /[ \t\r\n]*$/;
const RIGHT_DELIMITER = /(?:[ \t\r\n]-)?\}\}/y;

const SIGNS: Readonly<Record<string, TokenKind>> = {
  "=": "assign",
  "|": "pipe",
  "(": "left-paren",
  ")": "right-paren",
};

export function lexTemplate(text: string): readonly Token[] {
  return new Lexer(text).run();
}

class Lexer {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #lineAt = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): readonly Token[] {
    while (this.#lexText()) {
      while (this.#lexInside());
      if (this.#tokens.at(-1)?.kind === "error") break;
    }
    return this.#tokens;
  }

  /** Up to an action, past its delimiter. @returns whether there is one */
  #lexText(): boolean {
    const text = this.#text;
    for (;;) {
      const open = text.indexOf("{{", this.#at);
      if (open === -1) {
        if (this.#at < text.length) this.#emit("text", text.length);
        this.#emit("eof", text.length);
        return false;
      }
      const isTrimmed = /^-[ \t\r\n]/.test(text.slice(open + 2, open + 4));
      const raw = text.slice(this.#at, open);
      const kept = isTrimmed ? raw.replace(TRAILING_SPACES, "") : raw;
      if (kept !== "") this.#emit("text", this.#at + kept.length);
      const inside = open + 2 + (isTrimmed ? 2 : 0);
      if (!text.startsWith("/*", inside)) {
        this.#at = open;
        this.#emit("open", open + 2);
        this.#at = inside;
        this.#depth = 0;
        return true;
      }
      this.#at = inside;
      if (!this.#skipComment()) return false;
    }
  }

  #skipComment(): boolean {
    const end = this.#text.indexOf("*/", this.#at + 2);
    if (end === -1) return this.#fail("unclosed comment");
    const close = this.#match(RIGHT_DELIMITER, end + 2);
    if (close === "") return this.#fail("comment ends before closing delimiter");
    this.#closeAt(end + 2 + close.length, close.length > 2);
    return true;
  }

  /** One token. @returns whether the action goes on */
  #lexInside(): boolean {
    const close = this.#match(RIGHT_DELIMITER, this.#at);
    if (close !== "") {
      if (this.#depth > 0) return this.#fail("unclosed left paren");
      const isTrimmed = close.length > 2;
      this.#at += close.length - 2;
      this.#emit("close", this.#at + 2);
      this.#closeAt(this.#at, isTrimmed);
      return false;
    }
    const char = this.#text.slice(this.#at, this.#at + 1);
    if (char === "") return this.#fail("unclosed action");
    if (/[ \t\r\n]/.test(char)) return this.#lexSpace();
    if (char === "." && !/^\.\d/.test(this.#text.slice(this.#at, this.#at + 2))) return this.#word("field");
    if (char === "$") return this.#word("variable");
    if (/[+\-.\d]/.test(char)) return this.#lexNumber();
    const whole = String.fromCodePoint(this.#text.codePointAt(this.#at)!);
    if (/[\p{L}\p{Nd}_]/u.test(whole)) return this.#word("identifier");
    return this.#lexSign(whole);
  }

  /** A space before a trim marker belongs to the delimiter. */
  #lexSpace(): boolean {
    const spaces = this.#match(SPACES, this.#at).length;
    const isMarker = this.#text.startsWith("-}}", this.#at + spaces);
    const taken = isMarker ? spaces - 1 : spaces;
    return taken === 0 ? true : this.#emit("space", this.#at + taken);
  }

  #word(kind: "field" | "variable" | "identifier"): boolean {
    const from = kind === "identifier" ? this.#at : this.#at + 1;
    const end = from + this.#match(WORD, from).length;
    WORD_END.lastIndex = end;
    if (!WORD_END.test(this.#text)) return this.#fail(`bad character ${this.#unicodeAt(end)}`);
    if (kind === "variable") return this.#emit("variable", end);
    if (kind === "field") return this.#emit(end === from ? "dot" : "field", end);
    const word = this.#text.slice(from, end);
    if (KEYWORDS.has(word)) return this.#emit("keyword", end);
    if (word === "true" || word === "false") return this.#emit("bool", end);
    return this.#emit(word === "nil" ? "nil" : "identifier", end);
  }

  #lexNumber(): boolean {
    const end = this.#at + this.#match(NUMBER, this.#at).length;
    if (/[\p{L}\p{Nd}_]/u.test(this.#text.slice(end, end + 1)))
      return this.#fail(`bad number syntax: "${this.#text.slice(this.#at, end + 1)}"`);
    return this.#emit("number", end);
  }

  #lexSign(char: string): boolean {
    if (char === ":") {
      const isWhole = this.#text.startsWith(":=", this.#at);
      return isWhole ? this.#emit("declare", this.#at + 2) : this.#fail("expected :=");
    }
    if (char === '"') return this.#lexQuoted("string", QUOTED, "unterminated quoted string");
    if (char === "`") return this.#lexQuoted("raw", RAW, "unterminated raw quoted string");
    if (char === "'") return this.#lexQuoted("char", CHARACTER, "unterminated character constant");
    if (char === "(") this.#depth++;
    if (char === ")" && --this.#depth < 0) return this.#fail("unexpected right paren");
    const isKnown = /^[!-~]$/.test(char);
    if (!isKnown) return this.#fail(`unrecognized character in action: ${this.#unicodeAt(this.#at)}`);
    return this.#emit(SIGNS[char] ?? "other", this.#at + 1);
  }

  #lexQuoted(kind: TokenKind, whole: RegExp, otherwise: string): boolean {
    const { length } = this.#match(whole, this.#at);
    return length === 0 ? this.#fail(otherwise) : this.#emit(kind, this.#at + length);
  }

  #closeAt(end: number, isTrimmed: boolean): void {
    const spaces = isTrimmed ? LEADING_SPACES.exec(this.#text.slice(end))![0].length : 0;
    this.#at = end + spaces;
  }

  #match(pattern: RegExp, at: number): string {
    pattern.lastIndex = at;
    return pattern.exec(this.#text)?.[0] ?? "";
  }

  #emit(kind: TokenKind, end: number): true {
    this.#tokens.push({ kind, text: this.#text.slice(this.#at, end), at: this.#at, line: this.#lineOf() });
    this.#at = end;
    return true;
  }

  #fail(text: string): false {
    this.#tokens.push({ kind: "error", text, at: this.#at, line: this.#lineOf() });
    return false;
  }

  #lineOf(): number {
    for (; this.#lineAt < this.#at; this.#lineAt++) if (this.#text[this.#lineAt] === "\n") this.#line++;
    return this.#line;
  }

  /** As Go's %#U. */
  #unicodeAt(at: number): string {
    const code = this.#text.codePointAt(at) ?? 0xfffd;
    const hex = code.toString(16).toUpperCase().padStart(4, "0");
    const char = String.fromCodePoint(code);
    return /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char) ? `U+${hex} '${char}'` : `U+${hex}`;
  }
}
