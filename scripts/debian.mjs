// Debian packages that some tests drive. Root gets them installed; anybody else is told what to install, and
// the tests that need them then skip with that reason.

import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Command that must be on the PATH or in the folder MILLRACE_PEERS, and the package that has it. */
const NEEDED = [
  { command: "chromium", package: "chromium", use: "browser tests" },
  { command: "wrk", package: "wrk", use: "load for tests and benchmarks" },
  // 3.4; the 3.6 that CI builds comes first.
  { command: "etcd", package: "etcd-server", use: "the coordination contract against etcd" },
  // Its programs lie beside the PATH, by version.
  { command: "initdb", package: "postgresql", use: "the target PostgreSQL", under: "/usr/lib/postgresql" },
];

const APT_TIMEOUT_MS = 10 * 60_000;

/** @param {string} command */
export function onPath(command) {
  const folders = [process.env["MILLRACE_PEERS"] ?? "", ...(process.env["PATH"] ?? "").split(delimiter)];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {{ command: string, under?: string }} needed `under`: folder of folders by version, with `bin` */
function isThere({ command, under }) {
  if (onPath(command)) return true;
  if (under === undefined || !existsSync(under)) return false;
  return readdirSync(under).some((version) => existsSync(join(under, version, "bin", command)));
}

/** @returns {string[]} one line for each package that is still missing afterwards */
export function installDebianPackages() {
  const missing = NEEDED.filter((needed) => !isThere(needed));
  if (missing.length === 0) return [];
  const names = missing.map((one) => one.package);
  const asRoot = process.getuid?.() === 0 && onPath("apt-get");
  if (asRoot) {
    process.stderr.write(`millrace: installing Debian packages ${names.join(", ")}\n`);
    // Runlevel 1: servers are installed, not started.
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
    const install = ["install", "--yes", "--no-install-recommends", "-qq", ...names];
    const apt = (/** @type {string[]} */ args) =>
      spawnSync("apt-get", args, { env, stdio: ["ignore", 2, 2], timeout: APT_TIMEOUT_MS }).status === 0;
    // A fresh image has no package lists.
    if (!apt(install) && apt(["update", "-qq"])) apt(install);
  }
  return missing
    .filter((needed) => !isThere(needed))
    .map((one) => `${one.command} is missing (${one.use}); as root: apt-get install ${one.package}`);
}
