// Tokens, and what is wrong with what should have been one.
import { JsonnetError, type Source } from "./error.ts";

export type TokenKind = "identifier" | "keyword" | "number" | "string" | "operator" | "symbol" | "end";

export interface Token {
  readonly kind: TokenKind;
  /** As it is written; for strings the value. */
  readonly text: string;
  readonly begin: number;
  readonly end: number;
  /** A `|||` string. */
  readonly block?: boolean;
}

/** Throws a static error about text[begin, end). */
export function lexError(source: Source, begin: number, end: number, reason: string): never {
  throw new JsonnetError("static", reason, { source, begin, end });
}
