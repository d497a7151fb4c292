// Tables in the look of the journal tools: Unicode box drawing, centred headers, left-aligned cells.

export function renderBoxTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, i) => Math.max(length(name), ...rows.map((row) => length(row[i] ?? ""))));
  const rule = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}\n`;
  const line = (cells: readonly string[], pad: (cell: string, width: number) => string): string =>
    `│${widths.map((width, i) => ` ${pad(cells[i] ?? "", width)} `).join("│")}│\n`;
  let out = rule("┌", "┬", "┐") + line(header, centre) + rule("├", "┼", "┤");
  for (const row of rows) out += line(row, (cell, width) => cell + " ".repeat(width - length(cell)));
  return out + rule("└", "┴", "┘");
}

function centre(text: string, width: number): string {
  const left = Math.floor((width - length(text)) / 2);
  return " ".repeat(left) + text + " ".repeat(width - length(text) - left);
}

function length(text: string): number {
  return [...text].length;
}
