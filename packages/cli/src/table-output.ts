// Tables for people: a header line, aligned columns, nothing else, so that they also go through grep and awk.
import { cellOf, widthOf } from "./text-width.ts";

export function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = [header, ...rows].map((cells) => header.map((_, i) => cellOf(cells[i] ?? "")));
  const widths = header.map((_, i) => table.reduce((width, cells) => Math.max(width, widthOf(cells[i]!)), 0));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell + " ".repeat(widths[i]! - widthOf(cell)))
      .join("  ")
      .trimEnd();
  return table.map((cells) => `${line(cells)}\n`).join("");
}
