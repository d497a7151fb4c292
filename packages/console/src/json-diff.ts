// Two JSON values as lines, and which lines left and which came: what changed from one version to another.
//
// Lines are compared by their longest common subsequence (Wagner and Fischer's table). Definitions have some hundreds
// of lines; beyond LINES_MAX what lies between equal ends is shown as replaced.

export interface DiffLine {
  readonly kind: "same" | "removed" | "added";
  readonly text: string;
}

/** Lines of either side between equal ends, for which a table is made. */
const LINES_MAX = 1500;

export function diffJson(before: unknown, after: unknown): readonly DiffLine[] {
  return diffLines(linesOf(before), linesOf(after));
}

export function diffLines(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  let begin = 0;
  while (begin < before.length && begin < after.length && before[begin] === after[begin]) begin++;
  let end = 0;
  const rest = Math.min(before.length, after.length) - begin;
  while (end < rest && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return [
    ...before.slice(0, begin).map((text) => line("same", text)),
    ...middle(before.slice(begin, before.length - end), after.slice(begin, after.length - end)),
    ...before.slice(before.length - end).map((text) => line("same", text)),
  ];
}

/** The changed lines and `around` lines beside them; a gap is undefined. */
export function withContext(lines: readonly DiffLine[], around: number): readonly (DiffLine | undefined)[] {
  const isNear = lines.map((_, i) =>
    lines.slice(Math.max(0, i - around), i + around + 1).some(({ kind }) => kind !== "same"),
  );
  const shown: (DiffLine | undefined)[] = [];
  for (const [i, one] of lines.entries()) {
    if (isNear[i] === true) shown.push(one);
    else if (i === 0 || isNear[i - 1] === true) shown.push(undefined);
  }
  return shown;
}

function middle(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  if (before.length > LINES_MAX || after.length > LINES_MAX) {
    return [...before.map((text) => line("removed", text)), ...after.map((text) => line("added", text))];
  }
  const lengths = commonLengths(before, after);
  const width = after.length + 1;
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const down = lengths[(i + 1) * width + j] ?? 0;
    const right = lengths[i * width + j + 1] ?? 0;
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push(line("same", before[i++]!));
      j++;
    } else if (j === after.length || (i < before.length && down >= right)) {
      lines.push(line("removed", before[i++]!));
    } else {
      lines.push(line("added", after[j++]!));
    }
  }
  return lines;
}

/** Length of the longest common subsequence of what follows (i, j), row by row. */
function commonLengths(before: readonly string[], after: readonly string[]): Uint16Array {
  const width = after.length + 1;
  const lengths = new Uint16Array((before.length + 2) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        before[i] === after[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
    }
  }
  return lengths;
}

function linesOf(value: unknown): readonly string[] {
  return value === undefined ? [] : JSON.stringify(value, undefined, 2).split("\n");
}

function line(kind: DiffLine["kind"], text: string): DiffLine {
  return { kind, text };
}
