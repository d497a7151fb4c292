// The repository as the tidy rules see it: texts by path, scanned once, with what reaches what.

import { posix } from "node:path";

import { importsOf, type Import, pathsNamed, type Scan, scan, scriptsOfComponent } from "./tidy-scan.ts";

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  /** What is wrong and what to do instead. */
  readonly message: string;
}

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly scan: Scan;
  readonly imports: readonly Import[];
  /** The package below `packages/`, or undefined for scripts, benches and examples. */
  readonly package: string | undefined;
}

export interface Manifest {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly exports?: unknown;
  readonly scripts?: Readonly<Record<string, string>>;
}

export interface Repo {
  /** Every file under version control or about to be, by path from the root, with `/`. */
  readonly texts: ReadonlyMap<string, string>;
  readonly sources: ReadonlyMap<string, SourceFile>;
  /** Source files that something shipped (or a testkit) reaches; the others are tests' own. */
  readonly shipped: ReadonlySet<string>;
  /** The same without what only a testkit reaches. */
  readonly production: ReadonlySet<string>;
  /** Source files that anything reaches. */
  readonly reached: ReadonlySet<string>;
}

const SOURCE = /\.(?:ts|mjs|js|svelte)$/;
const TEST = /\.(?:test|bench)\.ts$/;
const SHIPPED_ENTRY =
  /^packages\/[^/]+\/(?:src\/(?:[^/]+\/)*(?:index|main|testkit|[a-z0-9-]+-main)\.ts|bin\/)/;
const TOOL_ENTRY = /^bench\/main\.ts$|\/vite\.config\.ts$|\/svelte\.config\.js$|\.d\.ts$/;

export const isTest = (path: string): boolean => TEST.test(path);

export function repoOf(texts: ReadonlyMap<string, string>): Repo {
  const sources = new Map<string, SourceFile>();
  for (const [path, text] of texts) {
    if (!SOURCE.test(path)) continue;
    const scanned = scan(path.endsWith(".svelte") ? scriptsOfComponent(text) : text);
    sources.set(path, {
      path,
      text,
      scan: scanned,
      imports: importsOf(scanned),
      package: /^packages\/([^/]+)\//.exec(path)?.[1],
    });
  }
  const paths = [...sources.keys()];
  const named = namedByOtherFiles(texts);
  const entries = paths.filter((path) => SHIPPED_ENTRY.test(path) || named.has(path));
  const tests = paths.filter((path) => isTest(path) || TOOL_ENTRY.test(path));
  return {
    texts,
    sources,
    shipped: reach(sources, entries),
    production: reach(
      sources,
      entries.filter((path) => !path.endsWith("/testkit.ts")),
    ),
    reached: reach(sources, [...entries, ...tests]),
  };
}

export function manifestOf(repo: Repo, path: string): Manifest {
  return JSON.parse(repo.texts.get(path) ?? "{}") as Manifest;
}

/** Paths that npm scripts, the CI script and HTML pages name; of what is compiled, the source. */
function namedByOtherFiles(texts: ReadonlyMap<string, string>): Set<string> {
  const named = new Set<string>();
  for (const [path, text] of texts) {
    if (path === "package.json" || path === ".ci/run") {
      for (const [file] of text.matchAll(/[\w./-]+\.(?:mjs|ts|js)\b/g)) {
        named.add(file.replace(/\/dist\/(.+)\.js$/, "/src/$1.ts"));
      }
    } else if (path.endsWith(".html")) {
      for (const match of text.matchAll(/src="\.?\/?([\w./-]+\.(?:ts|js))"/g)) {
        named.add(posix.join(posix.dirname(path), match[1] ?? ""));
      }
    }
  }
  return named;
}

function reach(sources: ReadonlyMap<string, SourceFile>, entries: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const agenda = [...entries];
  for (let path = agenda.pop(); path !== undefined; path = agenda.pop()) {
    const source = sources.get(path);
    if (source === undefined || reached.has(path)) continue;
    reached.add(path);
    const relative = source.imports.map(({ specifier }) => specifier).filter((one) => one.startsWith("."));
    for (const specifier of [...relative, ...pathsNamed(source.scan)]) {
      const target = posix.join(posix.dirname(path), specifier);
      // A committed bin file names what the compiler will write.
      agenda.push(target, target.replace("/dist/", "/src/").replace(/\.js$/, ".ts"));
    }
  }
  return reached;
}
