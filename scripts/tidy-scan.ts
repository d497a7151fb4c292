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
  const scanner = new Scanner(source);
  while (scanner.step());
  return { code: scanner.out.join(""), literals: scanner.literals };
}

class Scanner {
  readonly out: string[] = [];
  readonly literals: Literal[] = [];
  readonly #source: string;
  #index = 0;
  /** For each open template, how many braces are open inside its current `${`. */
  readonly #templates: number[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  /** Takes the next token, as far as it matters here; false at the end. */
  step(): boolean {
    const source = this.#source;
    const char = source[this.#index];
    if (char === undefined) return false;
    if (source.startsWith("//", this.#index)) this.#blankTo(source.indexOf("\n", this.#index));
    else if (source.startsWith("/*", this.#index)) {
      const end = source.indexOf("*/", this.#index + 2);
      this.#blankTo(end === -1 ? -1 : end + 2);
    } else if (char === '"' || char === "'") this.#string(char);
    else if (char === "`") {
      this.#keep(1);
      this.#templateText();
    } else if (char === "/" && BEFORE_REGEX.test(this.out.slice(-40).join(""))) {
      this.#blankTo(endOfRegex(source, this.#index));
    } else if (char === "{" || char === "}") this.#brace(char);
    else this.#keep(1);
    return true;
  }

  #keep(count: number): void {
    this.out.push(this.#source.slice(this.#index, this.#index + count));
    this.#index += count;
  }

  /** @param end -1 for the end of the source */
  #blankTo(end: number): void {
    const stop = end === -1 ? this.#source.length : end;
    this.out.push(this.#source.slice(this.#index, stop).replaceAll(/[^\n]/g, " "));
    this.#index = stop;
  }

  #string(quote: string): void {
    const source = this.#source;
    const begin = this.#index;
    let end = begin + 1;
    while (end < source.length && source[end] !== quote && source[end] !== "\n")
      end += source[end] === "\\" ? 2 : 1;
    end = Math.min(end, source.length);
    this.literals.push({ value: source.slice(begin + 1, end), begin });
    this.#keep(1);
    this.#blankTo(end);
    this.#keep(1);
  }

  /** From inside a template up to its end, or to the code of a substitution. */
  #templateText(): void {
    const source = this.#source;
    for (let at = this.#index; at < source.length; at += source[at] === "\\" ? 2 : 1) {
      const ends = source[at] === "`";
      if (!ends && !source.startsWith("${", at)) continue;
      this.#blankTo(at);
      this.#keep(ends ? 1 : 2);
      if (!ends) this.#templates.push(0);
      return;
    }
    this.#blankTo(-1);
  }

  #brace(char: "{" | "}"): void {
    const open = this.#templates.at(-1);
    this.#keep(1);
    if (open === undefined) return;
    if (char === "}" && open === 0) {
      this.#templates.pop();
      this.#templateText();
    } else this.#templates[this.#templates.length - 1] = open + (char === "{" ? 1 : -1);
  }
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
