// Tables in the look of the journal tools: Unicode box drawing, centred headers, left-aligned cells.
import { cellOf, widthOf } from "./text-width.ts";

/** Runs of lower case (with a capital before it), capitals, digits, and of anything else. */
const WORDS = /\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\p{Nd}+|[^\p{Lu}\p{Ll}\p{Nd}]+/gu;

/** A name as the journal tools put it above a column: `content-type` is `CONTENT - TYPE`. */
export function columnTitle(name: string): string {
  const words = (name.match(WORDS) ?? []).filter((word) => word !== "_" && word.trim() !== "");
  return words.join(" ").replaceAll("_", " ").toUpperCase();
}

export function renderBoxTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const table = rows.map((cells) => header.map((_, i) => cellOf(cells[i] ?? "")));
  const widths = header.map((name, i) =>
    table.reduce((width, cells) => Math.max(width, widthOf(cells[i]!)), widthOf(name)),
  );
  const rule = (left: string, middle: string, right: string): string =>
    `${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}\n`;
  const line = (cells: readonly string[], pad: (cell: string, width: number) => string): string =>
    `│${widths.map((width, i) => ` ${pad(cells[i]!, width)} `).join("│")}│\n`;
  let out = rule("┌", "┬", "┐") + line(header, centre);
  if (table.length > 0) out += rule("├", "┼", "┤");
  for (const cells of table) out += line(cells, (cell, width) => cell + " ".repeat(width - widthOf(cell)));
  return out + rule("└", "┴", "┘");
}

function centre(text: string, width: number): string {
  const left = Math.floor((width - widthOf(text)) / 2);
  return " ".repeat(left) + text + " ".repeat(width - widthOf(text) - left);
}
