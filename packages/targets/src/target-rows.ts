// Rows of a table as tests see them, whatever the target.

export interface TargetRow {
  readonly journal: string;
  readonly offset: number;
  /** By column name; null where the row has none. A moment as `2026-01-02 03:04:05.678`, with or without T and Z. */
  readonly values: Readonly<Record<string, string | null>>;
}

/** Rows as text that can be compared, in order of journal and offset. */
export function printed(rows: readonly TargetRow[]): readonly string[] {
  const ordered = [...rows].sort((a, b) => {
    return a.journal < b.journal ? -1 : a.journal > b.journal ? 1 : a.offset - b.offset;
  });
  return ordered.map(({ journal, offset, values }) => {
    const names = Object.keys(values).sort();
    const pairs = names.map((name) => [name, momentOf(values[name]!)]);
    return JSON.stringify([journal, offset, Object.fromEntries(pairs.filter(([, value]) => value !== null))]);
  });
}

/** Targets print moments in their own ways. */
function momentOf(value: string | null): string | null {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d\.\d{3})/.exec(value ?? "");
  return match === null ? value : `${match[1]} ${match[2]}`;
}
