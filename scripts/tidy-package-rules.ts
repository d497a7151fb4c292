// Tidy rules that look at packages as a whole: the import table, dependencies, doors, files nobody imports.

import { posix } from "node:path";

import { type Finding, isTest, type Manifest, manifestOf, type Repo, type SourceFile } from "./tidy-repo.ts";
import { IMPORT_TABLE } from "./tidy-table.ts";

const SCOPE = "@millrace/";
const EXACT = /^\d+\.\d+\.\d+(?:-[\w.-]+)?$/;
const DEPENDENCIES_DOC = "docs/dependencies.md";

export function checkPackages(repo: Repo): Finding[] {
  const findings: Finding[] = [];
  for (const path of repo.texts.keys()) {
    const name = /^packages\/([^/]+)\/package\.json$/.exec(path)?.[1];
    if (name === undefined) continue;
    findings.push(...checkManifest(repo, name), ...checkReferences(repo, name));
  }
  for (const file of repo.sources.values()) {
    findings.push(...checkImports(repo, file));
    if (!repo.reached.has(file.path)) {
      const message = "nobody imports this file; import it, make it an entry, or delete it";
      findings.push({ file: file.path, line: 1, rule: "no-orphans", message });
    }
  }
  return [...findings, ...checkPins(repo)];
}

function checkManifest(repo: Repo, name: string): Finding[] {
  const path = `packages/${name}/package.json`;
  const manifest = manifestOf(repo, path);
  const findings: Finding[] = [];
  const add = (rule: string, at: string, message: string): void =>
    void findings.push({ file: path, line: lineOf(repo, path, at), rule, message });
  const row = IMPORT_TABLE[name];
  if (row === undefined) {
    add(
      "import-table",
      "name",
      `package ${name} is not in the table; add it to scripts/tidy-table.ts and ARCHITECTURE.md`,
    );
    return findings;
  }
  if (manifest.name !== SCOPE + name) add("import-table", "name", `the name must be ${SCOPE}${name}`);
  const allowed = [...row.may, ...(row.types ?? [])];
  for (const dependency of Object.keys(allDependencies(manifest))) {
    if (!dependency.startsWith(SCOPE) || allowed.includes(dependency.slice(SCOPE.length))) continue;
    add("import-table", dependency, `${name} may not depend on ${dependency}; ${mayText(name)}`);
  }
  for (const door of Object.keys(manifest.exports ?? {})) {
    if (door === "./package.json") continue;
    if (door !== "." && door !== "./testkit")
      add("two-doors", door, `door ${door}: only "." and "./testkit" exist`);
    const source = `packages/${name}/src/${door === "." ? "index" : door.slice(2)}.ts`;
    if (!repo.texts.has(source))
      add("two-doors", door, `door ${door} leads nowhere: ${source} does not exist`);
  }
  if (
    repo.texts.has(`packages/${name}/src/testkit.ts`) &&
    !JSON.stringify(manifest.exports).includes("./testkit")
  ) {
    add("two-doors", "exports", `src/testkit.ts exists; export "./testkit"`);
  }
  return findings;
}

/** The compiler enforces the table only as far as the project references repeat it. */
function checkReferences(repo: Repo, name: string): Finding[] {
  const path = `packages/${name}/tsconfig.json`;
  const text = repo.texts.get(path);
  if (text === undefined) return [{ file: path, line: 1, rule: "references", message: "does not exist" }];
  const config = JSON.parse(text) as { references?: { path: string }[] };
  const references = new Set((config.references ?? []).map((one) => one.path.replace("../", "")));
  const dependencies = Object.keys(allDependencies(manifestOf(repo, `packages/${name}/package.json`)))
    .filter((one) => one.startsWith(SCOPE))
    .map((one) => one.slice(SCOPE.length));
  const findings: Finding[] = [];
  for (const one of dependencies) {
    if (references.has(one)) continue;
    findings.push({ file: path, line: 1, rule: "references", message: `add the reference ../${one}` });
  }
  for (const one of references) {
    if (dependencies.includes(one)) continue;
    const message = `reference ../${one} without a dependency in package.json; add it or remove the reference`;
    findings.push({ file: path, line: lineOf(repo, path, `../${one}`), rule: "references", message });
  }
  return findings;
}

function checkImports(repo: Repo, file: SourceFile): Finding[] {
  const findings: Finding[] = [];
  // Tests, testkits, and what only they use.
  const testCode = isTest(file.path) || !repo.production.has(file.path) || file.path.startsWith("bench/");
  const manifest =
    file.package === undefined ? {} : manifestOf(repo, `packages/${file.package}/package.json`);
  const root = manifestOf(repo, "package.json");
  const listed = {
    ...allDependencies(manifest),
    ...(file.package === undefined || testCode ? allDependencies(root) : {}),
  };
  for (const { specifier, line, typeOnly } of file.imports) {
    const add = (rule: string, message: string): void =>
      void findings.push({ file: file.path, line, rule, message });
    if (specifier.startsWith(".")) {
      const target = posix.join(posix.dirname(file.path), specifier);
      const targetPackage = /^packages\/([^/]+)\//.exec(target)?.[1];
      if (targetPackage !== file.package) {
        add(
          "deep-import",
          `${specifier} leaves the package; import ${SCOPE}${targetPackage ?? "…"} by its name`,
        );
      }
      if (!testCode && file.package !== "sim" && target.endsWith("/src/testkit.ts")) {
        add("testkit-import", `${specifier}: only tests may use the testkit`);
      }
    } else if (specifier.startsWith(SCOPE)) {
      for (const [rule, message] of checkOwnImport(file, { specifier, typeOnly, testCode }))
        add(rule, message);
    } else if (!specifier.startsWith("node:")) {
      const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
      if (!(name in listed)) {
        const where = file.package === undefined ? "package.json" : `packages/${file.package}/package.json`;
        add("unlisted", `${name} is not a dependency; pin it in ${where} or do without`);
      }
    }
  }
  return findings;
}

function checkOwnImport(
  file: SourceFile,
  { specifier, typeOnly, testCode }: { specifier: string; typeOnly: boolean; testCode: boolean },
): [rule: string, message: string][] {
  const [target = "", ...door] = specifier.slice(SCOPE.length).split("/");
  const problems: [string, string][] = [];
  if (door.length > 1 || (door.length === 1 && door[0] !== "testkit")) {
    problems.push(["deep-import", `${specifier}: import ${SCOPE}${target} or ${SCOPE}${target}/testkit`]);
  }
  if (door[0] === "testkit" && !testCode && file.package !== "sim") {
    problems.push(["testkit-import", `${specifier}: only tests, testkits and sim may use a testkit`]);
  }
  const row = file.package === undefined ? undefined : IMPORT_TABLE[file.package];
  if (row === undefined || target === file.package || row.may.includes(target)) return problems;
  if (row.types?.includes(target) !== true) {
    problems.push([
      "import-table",
      `${file.package} may not import ${SCOPE}${target}; ${mayText(file.package ?? "")}`,
    ]);
  } else if (!typeOnly && !testCode) {
    problems.push([
      "import-table",
      `${file.package} may import only types of ${SCOPE}${target}: say "import type"`,
    ]);
  }
  return problems;
}

function checkPins(repo: Repo): Finding[] {
  const findings: Finding[] = [];
  const seen = new Map<string, { version: string; path: string }>();
  const reasons = repo.texts.get(DEPENDENCIES_DOC) ?? "";
  for (const path of repo.texts.keys()) {
    if (path !== "package.json" && !/^packages\/[^/]+\/package\.json$/.test(path)) continue;
    for (const [name, version] of Object.entries(allDependencies(manifestOf(repo, path)))) {
      const add = (rule: string, message: string): void =>
        void findings.push({ file: path, line: lineOf(repo, path, name), rule, message });
      if (!EXACT.test(version)) add("pins", `${name} ${version}: pin one exact version`);
      const other = seen.get(name);
      if (other === undefined) seen.set(name, { version, path });
      else if (other.version !== version)
        add("pins", `${name} ${version}, but ${other.version} in ${other.path}`);
      if (!name.startsWith(SCOPE) && !reasons.includes(`\`${name}\``)) {
        add("dependency-reason", `${name}: say in ${DEPENDENCIES_DOC} what it is for`);
      }
    }
  }
  return findings;
}

function allDependencies({ dependencies, devDependencies }: Manifest): Record<string, string> {
  return { ...dependencies, ...devDependencies };
}

function mayText(name: string): string {
  const row = IMPORT_TABLE[name];
  const may = [...(row?.may ?? []), ...(row?.types ?? []).map((one) => `${one} (types)`)];
  return may.length === 0 ? "it may import no package" : `it may import ${may.join(", ")}`;
}

function lineOf(repo: Repo, path: string, needle: string): number {
  const lines = (repo.texts.get(path) ?? "").split("\n");
  return (
    Math.max(
      0,
      lines.findIndex((line) => line.includes(`"${needle}"`)),
    ) + 1
  );
}
