// Keyboard shortcuts as a pure machine: `?` help, `/` query, and `g` followed by a section's letter.
//
// K1 A key that belongs to a field, or carries a modifier, is never a shortcut.
// K2 A pending `g` is forgotten after a while, and by any other key.

export const SECTIONS = ["overview", "sources", "journal", "sql"] as const;
export type Section = (typeof SECTIONS)[number];

export const SECTION_KEYS: Readonly<Record<string, Section>> = {
  o: "overview",
  s: "sources",
  j: "journal",
  q: "sql",
};

export type Action = { readonly kind: "go"; readonly section: Section } | { readonly kind: "query" | "help" };

export interface KeyPress {
  readonly key: string;
  /** Ctrl, Meta or Alt is held. */
  readonly modified: boolean;
  /** Focus is in something one types into. */
  readonly inField: boolean;
  readonly atMs: number;
}

/** When `g` was pressed, or undefined. */
export type Pending = number | undefined;

const PENDING_MS = 1500;

export function pressKey(pending: Pending, press: KeyPress): readonly [Pending, Action | undefined] {
  if (press.modified || press.inField) return [undefined, undefined]; // K1
  if (pending !== undefined && press.atMs - pending <= PENDING_MS) {
    const section = SECTION_KEYS[press.key];
    return [undefined, section === undefined ? undefined : { kind: "go", section }]; // K2
  }
  switch (press.key) {
    case "g":
      return [press.atMs, undefined];
    case "/":
      return [undefined, { kind: "query" }];
    case "?":
      return [undefined, { kind: "help" }];
    default:
      return [undefined, undefined];
  }
}
