// Child processes with a time limit, each in a process group of its own, so that a phase which hangs is ended
// with everything it started, and so is everything when the runner itself is told to stop.

import { spawn } from "node:child_process";

import { ROOT } from "./install.mjs";

/** Bytes of a child's output kept for whoever asked to capture it. */
const CAPTURE_CHARS_MAX = 4 * 1024 * 1024;

/** @type {Set<number>} */
const groups = new Set();

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.once(signal, () => {
    for (const group of groups) killGroup(group, "SIGKILL");
    process.exit(130);
  });
}

/**
 * @typedef {object} ChildOptions
 * @property {number} timeoutMs after this the whole group is killed
 * @property {string} [cwd]
 * @property {NodeJS.ProcessEnv} [env]
 * @property {boolean} [capture] keep the output instead of passing it to our stdout and stderr
 */

/**
 * Runs a command to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {ChildOptions} options
 * @returns {Promise<{ code: number, timedOut: boolean, stdout: string, output: string }>} `code` is 1 for a
 *   child that died of a signal; `output` is both streams, in the order they came
 */
export function runChild(command, args, { timeoutMs, cwd = ROOT, env = process.env, capture = false }) {
  return new Promise((resolve) => {
    const stdio = /** @type {const} */ ([
      "ignore",
      capture ? "pipe" : "inherit",
      capture ? "pipe" : "inherit",
    ]);
    const child = spawn(command, args, { cwd, env, stdio: [...stdio], detached: true });
    const group = child.pid;
    if (group !== undefined) groups.add(group);
    let stdout = "";
    let output = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (group !== undefined) killGroup(group, "SIGKILL");
    }, timeoutMs);
    child.stdout?.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
      stdout = (stdout + chunk).slice(-CAPTURE_CHARS_MAX);
      output = (output + chunk).slice(-CAPTURE_CHARS_MAX);
    });
    child.stderr?.setEncoding("utf8").on("data", (/** @type {string} */ chunk) => {
      output = (output + chunk).slice(-CAPTURE_CHARS_MAX);
    });
    const finish = (/** @type {number} */ code) => {
      clearTimeout(timer);
      if (group !== undefined) groups.delete(group);
      resolve({ code, timedOut, stdout, output });
    };
    child.once("error", (error) => {
      output += `${command}: ${error.message}\n`;
      finish(1);
    });
    child.once("exit", () => {
      if (group !== undefined) killGroup(group, "SIGKILL"); // what the child left behind
    });
    child.once("close", (code) => finish(code ?? 1));
  });
}

/**
 * Ends a group that was started elsewhere together with us.
 * @param {number} group
 */
export function adoptGroup(group) {
  groups.add(group);
}

/**
 * @param {number} group
 * @param {NodeJS.Signals} signal
 */
export function killGroup(group, signal) {
  try {
    process.kill(-group, signal);
  } catch {
    // The group is gone already.
  }
}
