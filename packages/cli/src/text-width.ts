// Texts in the cells of tables.

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** What terminals show two columns wide: an approximation by script that needs no table of widths. */
const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u;
const ASCII = /^[\x20-\x7e]*$/;

/** Columns that `text` takes on a terminal. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** `text` in one line, without anything that a terminal would take for a command: cells hold what strangers sent. */
export function cellOf(text: string): string {
  return text.replaceAll(/[\t\n\r]+/g, " ").replaceAll(/\p{Cc}/gu, "\u{fffd}");
}
