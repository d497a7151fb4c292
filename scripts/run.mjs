// `node scripts/run.mjs ENTRY [ARGS]`: installs and builds what is stale, then becomes ENTRY, in this very
// process: a signal or an exit code needs no launcher to pass it on.

import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";

import { buildIfStale } from "./build.mjs";
import { fail, installIfStale, ROOT } from "./install.mjs";

/**
 * @param {string} entry path of a JavaScript file, relative to the root of the repository
 * @param {string[]} args what the entry sees after its own name in `process.argv`
 */
export async function become(entry, args) {
  installIfStale();
  buildIfStale();
  const file = join(ROOT, entry);
  if (!existsSync(file)) fail(`${relative(process.cwd(), file)} does not exist`);
  process.argv = [process.execPath, file, ...args];
  await import(pathToFileURL(file).href);
}

const [, self, entry, ...args] = process.argv;
if (self !== undefined && import.meta.url === pathToFileURL(self).href) {
  if (entry === undefined) fail("usage: node scripts/run.mjs ENTRY [ARGS]");
  await become(entry, args);
}
