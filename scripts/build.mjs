// Builds what is stale: TypeScript through project references, the console through Vite. Also a command:
// `node scripts/build.mjs [--clean]`. Output of the compilers goes to stderr (see install.mjs).

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { fail, installIfStale, ROOT } from "./install.mjs";

const CONSOLE = join(ROOT, "packages", "console");
/** Where Vite puts the console's site; the server serves this folder. */
const CONSOLE_SITE = join(CONSOLE, "dist", "site");

/** Builds everything that is older than its sources; exits the process when a compiler refuses. */
export function buildIfStale() {
  pruneOrphans();
  run("tsc", [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-b"], ROOT);
  if (consoleIsStale()) {
    process.stderr.write("millrace: building the console\n");
    const vite = join(ROOT, "node_modules", "vite", "bin", "vite.js");
    run("vite build", [vite, "build", "--logLevel", "warn"], CONSOLE);
  }
}

/** Removes compiled files whose source is gone: a deleted test must not go on running. */
function pruneOrphans() {
  for (const name of packageNames()) {
    const dist = join(ROOT, "packages", name, "dist");
    if (!existsSync(dist)) continue;
    for (const file of filesUnder(dist)) {
      const stem = /^(.*)\.(?:js|js\.map|d\.ts)$/.exec(file)?.[1];
      if (stem === undefined || file.startsWith(join(dist, "site"))) continue;
      const source = join(ROOT, "packages", name, "src", `${stem.slice(dist.length + 1)}.ts`);
      if (!existsSync(source)) rmSync(file);
    }
  }
}

function consoleIsStale() {
  const source = join(CONSOLE, "src");
  if (!existsSync(join(source, "index.html"))) return false;
  const built = join(CONSOLE_SITE, "index.html");
  if (!existsSync(built)) return true;
  const builtMs = statSync(built).mtimeMs;
  const inputs = [...filesUnder(source), join(CONSOLE, "package.json"), join(CONSOLE, "vite.config.ts")];
  return inputs.some((file) => statSync(file).mtimeMs > builtMs);
}

function clean() {
  for (const name of packageNames()) {
    rmSync(join(ROOT, "packages", name, "dist"), { recursive: true, force: true });
  }
}

function packageNames() {
  return readdirSync(join(ROOT, "packages"));
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/**
 * @param {string} name
 * @param {string[]} args
 * @param {string} cwd
 */
function run(name, args, cwd) {
  const child = spawnSync(process.execPath, args, { cwd, stdio: ["ignore", 2, 2] });
  if (child.error !== undefined) throw child.error;
  if (child.status !== 0) fail(`${name} failed; its messages are above`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes("--clean")) clean();
  else {
    installIfStale();
    buildIfStale();
  }
}
