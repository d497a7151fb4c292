// `npm run tidy`: the rules of the house that neither the compiler nor the linter knows. Prints
// `file:line: rule: what to do instead` for each finding and exits with 1 when there is one.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { checkErrorCodes } from "./tidy-error-rules.ts";
import { checkFile } from "./tidy-file-rules.ts";
import { checkMetrics } from "./tidy-metric-rules.ts";
import { checkPackages } from "./tidy-package-rules.ts";
import { type Finding, repoOf } from "./tidy-repo.ts";

const TEXT = /\.(?:ts|mjs|js|svelte|json|md|html)$|^\.ci\/run$/;
const FOREIGN = /(?:^|\/)(?:dist|node_modules|results)\/|^package-lock\.json$/;

/** @param texts files by path from the root of the repository */
export function tidy(texts: ReadonlyMap<string, string>): Finding[] {
  const repo = repoOf(texts);
  const findings = [...repo.sources.values()].flatMap((file) => checkFile(repo, file));
  findings.push(...checkPackages(repo), ...checkErrorCodes(repo), ...checkMetrics(repo));
  return findings.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

/** What git tracks, and what it would track once added. */
function readTexts(root: string): Map<string, string> {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
  const paths = execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\0");
  const texts = new Map<string, string>();
  for (const path of paths) {
    if (!TEXT.test(path) || FOREIGN.test(path) || !existsSync(join(root, path))) continue;
    texts.set(path, readFileSync(join(root, path), "utf8"));
  }
  return texts;
}

function main(): number {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const texts = readTexts(root);
  const findings = tidy(texts);
  for (const { file, line, rule, message } of findings) {
    process.stdout.write(`${file}:${line}: ${rule}: ${message}\n`);
  }
  process.stdout.write(`tidy: ${texts.size} files, ${findings.length} findings\n`);
  return findings.length === 0 ? 0 : 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = main();
}
