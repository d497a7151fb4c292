// The line of a query that an error speaks of, with a caret below the place.

export interface ErrorPlace {
  /** Both from 1 on. */
  readonly line: number;
  readonly column: number;
  /** The line, cut around the place when it is long. */
  readonly text: string;
  /** As wide as what stands before the place in `text`, blanks and tabs only. */
  readonly indent: string;
}

/** Characters shown before and after the place. */
const BEFORE_MAX = 60;
const AFTER_MAX = 60;
const CUT = "\u2026";

/**
 * @param position 1-based, in characters of `query`; one past the end means "at the end"
 * @returns undefined when the position lies outside the query
 */
export function errorPlace(query: string, position: number | undefined): ErrorPlace | undefined {
  if (position === undefined || !Number.isSafeInteger(position)) return undefined;
  if (position < 1 || position > query.length + 1) return undefined;
  const at = position - 1;
  const begin = query.lastIndexOf("\n", at - 1) + 1;
  const next = query.indexOf("\n", at);
  const whole = query.slice(begin, next < 0 ? query.length : next).replace(/\r$/, "");
  const column = at - begin;
  const from = column > BEFORE_MAX + 1 ? column - BEFORE_MAX : 0;
  const to = whole.length > column + AFTER_MAX + 1 ? column + AFTER_MAX : whole.length;
  const shown = whole.slice(from, to);
  const head = from > 0 ? CUT : "";
  return {
    line: query.slice(0, begin).split("\n").length,
    column: column + 1,
    text: head + shown + (to < whole.length ? CUT : ""),
    indent: (head + shown.slice(0, column - from)).replace(/[^\t]/g, " "),
  };
}
