// A SQL answer as a table: which member of a row belongs to which column, which columns hold numbers, cells as text.

export interface ResultColumn {
  readonly name: string;
  /** The engine's type, `BIGINT`. */
  readonly type: string;
}

export interface SqlAnswer {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly rowCount: number;
  readonly elapsedMs: number;
}

export interface TableColumn extends ResultColumn {
  /** Member of a row. */
  readonly key: string;
  readonly isNumber: boolean;
}

const NUMBER_TYPE =
  /^(?:U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|REAL|DECIMAL(?:\(.*\))?|BIGNUM|VARINT)$/i;

/** Equal names come as `name`, `name_1`, …: an object cannot hold both. */
export function tableColumns(columns: readonly ResultColumn[]): readonly TableColumn[] {
  const seen = new Map<string, number>();
  return columns.map(({ name, type }) => {
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    const key = before === 0 ? name : `${name}_${before}`;
    return { name, type, key, isNumber: NUMBER_TYPE.test(type) };
  });
}

/** A cell's text; null when the value is SQL's NULL, which is not the text "NULL". */
export function cellText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return JSON.stringify(value);
}

/** RFC 4180 with a header line. NULL is empty, the empty string is `""`, so that they stay apart. */
export function csvOf(answer: SqlAnswer): string {
  const columns = tableColumns(answer.columns);
  const lines = [columns.map((column) => csvField(column.name)).join(",")];
  for (const row of answer.rows) {
    lines.push(columns.map((column) => csvCell(cellText(row[column.key]))).join(","));
  }
  return `${lines.join("\r\n")}\r\n`;
}

function csvCell(text: string | null): string {
  if (text === null) return "";
  return text === "" ? '""' : csvField(text);
}

function csvField(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Checks that an answer is one. @throws {TypeError} naming what is missing */
export function parseAnswer(body: unknown): SqlAnswer {
  if (typeof body !== "object" || body === null) throw new TypeError("the answer is not an object");
  const { columns, rows, rowCount, elapsedMs } = body as Record<string, unknown>;
  if (!Array.isArray(columns) || !Array.isArray(rows))
    throw new TypeError("the answer has no columns or rows");
  return {
    columns: columns as SqlAnswer["columns"],
    rows: rows as SqlAnswer["rows"],
    rowCount: typeof rowCount === "number" ? rowCount : rows.length,
    elapsedMs: typeof elapsedMs === "number" ? elapsedMs : 0,
  };
}
