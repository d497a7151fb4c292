// The commands that README.md promises: its fenced blocks marked `sh`, which the newcomer check runs word for
// word. Blocks with another mark (text, json, console) are shown, not run.

/**
 * @param {string} markdown
 * @returns {{ line: number, code: string }[]} `line` is that of the opening fence
 */
export function commandBlocks(markdown) {
  const blocks = [];
  /** @type {{ line: number, mark: string, lines: string[] } | undefined} */
  let open;
  for (const [index, line] of markdown.split("\n").entries()) {
    const fence = /^```\s*(\S*)\s*$/.exec(line);
    if (open === undefined) {
      if (fence !== null) open = { line: index + 1, mark: fence[1] ?? "", lines: [] };
    } else if (fence !== null && fence[1] === "") {
      if (open.mark === "sh") blocks.push({ line: open.line, code: open.lines.join("\n") });
      open = undefined;
    } else open.lines.push(line);
  }
  if (open !== undefined) throw new Error(`the fenced block of line ${open.line} is never closed`);
  return blocks;
}
