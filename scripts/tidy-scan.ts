// A scanner of TypeScript that knows just enough for the tidy rules: where code ends and strings, templates,
// regular expressions and comments begin. The compiler in use has no JavaScript API, and a parser of the whole
// language would be a dependency for a dozen patterns.
//
// S1  `code` has the length and the lines of the source; what is not code is blanked, so that a pattern found
//     in it is at the same line of the source.
// S2  The quotes of a string stay in `code`; its content is in `literals`.

export interface Literal {
  readonly value: string;
  /** Index of the opening quote. */
  readonly begin: number;
}

export interface Scan {
  readonly code: string;
  readonly literals: readonly Literal[];
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `import type` and `export type`: nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

/** A slash after one of these begins a regular expression, not a division. */
const BEFORE_REGEX =
  /(?:^|[([{,;:=!&|?+\-*%<>~^}]|\b(?:return|typeof|case|in|of|do|else|void|await|yield))\s*$/;

export function scan(source: string): Scan {
  const out: string[] = [];
  const literals: Literal[] = [];
  /** For each open template, how many braces are open inside its current `${`. */
  const templates: number[] = [];
  let index = 0;

  const blank = (end: number): void => {
    out.push(source.slice(index, end).replaceAll(/[^\n]/g, " "));
    index = end;
  };
  const keep = (count: number): void => {
    out.push(source.slice(index, index + count));
    index += count;
  };
  const endOfString = (quote: string): number => {
    let at = index + 1;
    while (at < source.length && source[at] !== quote && source[at] !== "\n")
      at += source[at] === "\\" ? 2 : 1;
    return Math.min(at, source.length);
  };
  const templateText = (): void => {
    let at = index;
    while (at < source.length) {
      if (source[at] === "\\") at += 2;
      else if (source[at] === "`") {
        blank(at);
        keep(1);
        return;
      } else if (source.startsWith("${", at)) {
        blank(at);
        keep(2);
        templates.push(0);
        return;
      } else at += 1;
    }
    blank(source.length);
  };

  while (index < source.length) {
    const char = source[index] ?? "";
    const next = source[index + 1];
    if (char === "/" && next === "/") {
      const end = source.indexOf("\n", index);
      blank(end === -1 ? source.length : end);
    } else if (char === "/" && next === "*") {
      const end = source.indexOf("*/", index + 2);
      blank(end === -1 ? source.length : end + 2);
    } else if (char === '"' || char === "'") {
      const begin = index;
      const end = endOfString(char);
      literals.push({ value: source.slice(begin + 1, end), begin });
      keep(1);
      blank(end);
      keep(1);
    } else if (char === "`") {
      keep(1);
      templateText();
    } else if (char === "/" && BEFORE_REGEX.test(out.join("").slice(-40))) {
      blank(endOfRegex(source, index));
    } else if (char === "{" || char === "}") {
      const open = templates.at(-1);
      if (open !== undefined && char === "}" && open === 0) {
        templates.pop();
        keep(1);
        templateText();
      } else {
        if (open !== undefined) templates[templates.length - 1] = open + (char === "{" ? 1 : -1);
        keep(1);
      }
    } else keep(1);
  }
  return { code: out.join(""), literals };
}

function endOfRegex(source: string, begin: number): number {
  let inClass = false;
  for (let at = begin + 1; at < source.length; at += 1) {
    const char = source[at];
    if (char === "\n") return at; // not a regular expression after all
    if (char === "\\") at += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at + 1;
  }
  return source.length;
}

/** Blanks all of a Svelte component but its scripts, keeping lines. */
export function scriptsOfComponent(source: string): string {
  let out = "";
  let last = 0;
  for (const match of source.matchAll(/(<script[^>]*>)([\s\S]*?)<\/script>/g)) {
    const begin = match.index + (match[1] ?? "").length;
    const end = begin + (match[2] ?? "").length;
    out += source.slice(last, begin).replaceAll(/[^\n]/g, " ") + source.slice(begin, end);
    last = end;
  }
  return out + source.slice(last).replaceAll(/[^\n]/g, " ");
}

export function lineAt(source: string, index: number): number {
  let line = 1;
  for (let at = source.indexOf("\n"); at !== -1 && at < index; at = source.indexOf("\n", at + 1)) line += 1;
  return line;
}

/** Static and dynamic imports, and re-exports, of a scanned file. */
export function importsOf({ code, literals }: Scan): Import[] {
  const imports: Import[] = [];
  for (const { value, begin } of literals) {
    const before = code.slice(Math.max(0, begin - 4000), begin);
    if (/\b(?:import|require)\s*\(\s*$/.test(before) || /(?:^|[;\n}])\s*import\s*$/.test(before)) {
      imports.push({ specifier: value, line: lineAt(code, begin), typeOnly: false });
    } else if (/\bfrom\s*$/.test(before)) {
      const clause = /\b(import|export)\b((?:(?!\b(?:import|export)\b)[^;"'])*)$/.exec(before);
      if (clause === null) continue;
      const typeOnly = /^\s*type\b(?!\s*(?:,|from))/.test(clause[2] ?? "");
      imports.push({ specifier: value, line: lineAt(code, begin), typeOnly });
    }
  }
  return imports;
}

/** Relative paths named in string literals: workers and child processes are started by them. */
export function pathsNamed({ literals }: Scan): string[] {
  return literals.map(({ value }) => value).filter((value) => /^\.{1,2}\/[\w./-]+\.\w+$/.test(value));
}
