// Where the parser is, and its complaints about what it finds there.
import { JsonnetError, type Source } from "./error.ts";
import { lex } from "./lexer.ts";
import type { Token } from "./token.ts";

/** The tokens of a program, one by one. */
export class TokenCursor {
  readonly source: Source;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(source: Source) {
    this.source = source;
    this.#tokens = lex(source);
  }

  peek(): Token {
    return this.#tokens[this.#at]!;
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== "end") this.#at++;
    return token;
  }

  /** End of the last token that was taken. */
  get lastEnd(): number {
    return this.#at === 0 ? 0 : this.#tokens[this.#at - 1]!.end;
  }

  /** Takes the next token when it is `text`. */
  accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.#at++;
    return true;
  }

  is(text: string): boolean {
    const token = this.peek();
    return token.text === text && token.kind !== "string" && token.kind !== "end";
  }

  expect(text: string): Token {
    const token = this.peek();
    if (!this.accept(text)) this.fail(token, `Expected token "${text}" but got ${this.describe(token)}`);
    return token;
  }

  identifier(): Token {
    const token = this.next();
    if (token.kind !== "identifier") {
      this.fail(token, `Expected token IDENTIFIER but got ${this.describe(token)}`);
    }
    return token;
  }

  describe(token: Token): string {
    switch (token.kind) {
      case "end":
        return "end of file";
      case "identifier":
        return `(IDENTIFIER, "${token.text}")`;
      case "number":
        return `(NUMBER, "${token.text}")`;
      case "string":
        return `(STRING, ${JSON.stringify(token.text)})`;
      case "operator":
        return `(OPERATOR, "${token.text}")`;
      case "keyword":
      case "symbol":
        return `"${token.text}"`;
    }
  }

  fail(at: { readonly begin: number; readonly end: number }, reason: string): never {
    throw new JsonnetError("static", reason, { source: this.source, begin: at.begin, end: at.end });
  }

  /** The token after the next one. */
  after(): Token | undefined {
    return this.#tokens[this.#at + 1];
  }
}
