// Queries that were run, walked with up and down like a shell's: the text being written is kept as the newest entry.
// Immutable: every step gives a new history.

export interface SqlHistory {
  /** The oldest first, no two neighbours equal. */
  readonly entries: readonly string[];
  /** Entry that is shown; entries.length is the draft. */
  readonly at: number;
  readonly draft: string;
}

export const HISTORY_ENTRIES_MAX = 100;
/** Longer queries are not worth a browser's storage. */
const ENTRY_CHARS_MAX = 20_000;

export function openHistory(entries: readonly string[]): SqlHistory {
  const kept = entries.slice(-HISTORY_ENTRIES_MAX);
  return { entries: kept, at: kept.length, draft: "" };
}

/** Adds a query that was run; walking starts again behind it. */
export function remember(history: SqlHistory, query: string): SqlHistory {
  const text = query.trim();
  if (text === "" || text.length > ENTRY_CHARS_MAX) return openHistory(history.entries);
  return openHistory([...history.entries.filter((entry) => entry !== text), text]);
}

/**
 * @param current text that is shown now
 * @returns the older entry's text, or undefined at the oldest
 */
export function older(history: SqlHistory, current: string): readonly [SqlHistory, string] | undefined {
  const draft = history.at === history.entries.length ? current : history.draft;
  let at = history.at - 1;
  // What was just run is shown already.
  if (history.entries[at] === current.trim() && current.trim() !== "") at -= 1;
  const text = history.entries[at];
  return text === undefined ? undefined : [{ ...history, at, draft }, text];
}

/** @returns the newer entry's text, the draft behind the newest, or undefined at the draft */
export function newer(history: SqlHistory): readonly [SqlHistory, string] | undefined {
  if (history.at >= history.entries.length) return undefined;
  const at = history.at + 1;
  return [{ ...history, at }, history.entries[at] ?? history.draft];
}

/** Reads what `saveText` wrote; anything else is an empty history. */
export function restoreHistory(saved: string | null): SqlHistory {
  try {
    const parsed: unknown = JSON.parse(saved ?? "[]");
    if (Array.isArray(parsed)) return openHistory(parsed.filter((one) => typeof one === "string"));
  } catch {
    // Somebody else's text under our key.
  }
  return openHistory([]);
}

export function saveText(history: SqlHistory): string {
  return JSON.stringify(history.entries);
}

/** Whether an arrow key at `caret` would leave the text, and so walks the history instead. */
export function leavesText(text: string, caret: { begin: number; end: number }, key: "up" | "down"): boolean {
  if (caret.begin !== caret.end) return false;
  return key === "up" ? !text.slice(0, caret.begin).includes("\n") : !text.slice(caret.end).includes("\n");
}
