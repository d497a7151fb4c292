// Brings node_modules in line with package-lock.json. Plain JavaScript on Node's own modules only: it runs
// before anything is installed. What a child prints goes to stderr, because the last line of stdout belongs
// to the command that was asked for (`npm start -- --exit`).
//
// Staleness is judged by content, not by time: npm writes its two lock files in no fixed order, and a fresh
// clone gives every file the same age.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

const NODE_FLOOR = [20, 19];

/** @returns {string | undefined} a complaint when this Node is below the floor of package.json's `engines` */
export function nodeComplaint(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [floorMajor = 0, floorMinor = 0] = NODE_FLOOR;
  if (major > floorMajor || (major === floorMajor && minor >= floorMinor)) return undefined;
  return `Millrace needs Node.js >= ${NODE_FLOOR.join(".")}, this is ${version}`;
}

/**
 * Why node_modules does not satisfy the lock file; undefined when it does.
 * @param {string} root folder of package-lock.json
 * @returns {string | undefined}
 */
export function installComplaint(root = ROOT) {
  const installedFile = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installedFile)) return "nothing is installed";
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes("node_modules/")) continue; // the root itself and the workspaces' own folders
    const have = installed[path];
    if (have === undefined) {
      if (entry.optional === true || entry.peer === true) continue; // another platform's binary
      return `${path} is missing`;
    }
    if (have.version !== entry.version)
      return `${path} is ${have.version}, the lock file says ${entry.version}`;
  }
  return undefined;
}

/**
 * Runs npm with its output on stderr. The npm that started us is used, so that a `PATH` with another one
 * changes nothing.
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {number} exit code
 */
export function runNpm(args, { cwd = ROOT, env = process.env } = {}) {
  const npm = process.env["npm_execpath"];
  const viaNode = npm !== undefined && /npm-cli\.[cm]?js$/.test(npm);
  const [command, prefix] = viaNode ? [process.execPath, [npm]] : ["npm", []];
  const child = spawnSync(command, [...prefix, ...args], { cwd, env, stdio: ["ignore", 2, 2] });
  if (child.error !== undefined) throw child.error;
  return child.status ?? 1;
}

/** Runs `npm ci` when it is needed; exits the process with a plain message when that fails. */
export function installIfStale() {
  const old = nodeComplaint();
  if (old !== undefined) fail(old);
  const complaint = installComplaint();
  if (complaint === undefined) return;
  process.stderr.write(`millrace: installing (${complaint})\n`);
  if (runNpm(["ci", "--no-audit", "--no-fund"]) !== 0) fail("npm ci failed; its messages are above");
}

/**
 * @param {string} message
 * @returns {never}
 */
export function fail(message) {
  process.stderr.write(`millrace: ${message}\n`);
  process.exit(1);
}
