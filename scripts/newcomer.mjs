// `npm run newcomer`: what somebody finds who has only Node and npm. A clone of the last commit into an empty
// folder, an empty npm cache, and then every command block of README.md word for word, each of which must exit
// with 0. `npm start` runs beside the others until the end, and must then stop within its 30 s, with 0.
// MILLRACE_QUICK=1 keeps the inner `npm test` to the unit tests. Children's output goes to stderr.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { adoptGroup, killGroup, runChild } from "./children.mjs";
import { ROOT } from "./install.mjs";
import { commandBlocks } from "./readme.mjs";

const MINUTE_MS = 60_000;
const READY_MS = 6 * MINUTE_MS; // installation and build on two busy cores
const BLOCK_MS = 8 * MINUTE_MS;
const STOP_MS = 30_000;
/** Where README's addresses point; a platform that already listens there would answer in our place. */
const PORTS = [8080, 8088, 7000, 8082];

/** @param {string} text */
const say = (text) => process.stderr.write(`newcomer: ${text}\n`);

const folder = mkdtempSync(join(tmpdir(), "millrace-newcomer-"));
const clone = join(folder, "millrace");
try {
  await main();
  say("all of README's commands succeeded");
} catch (error) {
  say(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function main() {
  for (const port of PORTS) {
    if (!(await isFree(port))) throw new Error(`port ${port} is taken; stop what listens there`);
  }
  const status = await runChild("git", ["status", "--porcelain"], { timeoutMs: MINUTE_MS, capture: true });
  if (status.stdout !== "") say("what is not committed takes no part");
  await command("git", ["clone", "--quiet", ROOT, clone], folder);
  const blocks = commandBlocks(readFileSync(join(clone, "README.md"), "utf8"));
  const start = blocks.find(({ code }) => code === "npm start");
  if (start === undefined) throw new Error("README has no block with `npm start` alone");

  const platform = startPlatform();
  try {
    await platform.ready();
    for (const { line, code } of blocks) {
      if (code === start.code) continue;
      say(`README line ${line}: ${code.split("\n", 1)[0]}${code.includes("\n") ? " …" : ""}`);
      await command("bash", ["-euo", "pipefail", "-c", code], clone);
    }
    await platform.stop();
  } finally {
    platform.kill();
  }
}

/** The environment of somebody who has never installed anything: an empty cache, nothing of the outer npm. */
function environment() {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_|INIT_CWD$|MILLRACE_|NODE_TEST)/.test(name),
  );
  return { ...Object.fromEntries(kept), npm_config_cache: join(folder, "npm-cache"), MILLRACE_QUICK: "1" };
}

/**
 * @param {string} name
 * @param {string[]} args
 * @param {string} cwd
 */
async function command(name, args, cwd) {
  const result = await runChild(name, args, { cwd, env: environment(), timeoutMs: BLOCK_MS, capture: true });
  process.stderr.write(result.output.replaceAll(/^/gm, "    "));
  if (result.timedOut) throw new Error(`${[name, ...args].join(" ")}: not done after ${BLOCK_MS / 1000} s`);
  if (result.code !== 0) throw new Error(`${[name, ...args].join(" ")}: exited with ${result.code}`);
}

function startPlatform() {
  say("npm start");
  const beginMs = performance.now();
  const child = spawn("npm", ["start"], {
    cwd: clone,
    env: environment(),
    stdio: ["ignore", 2, 2],
    detached: true,
  });
  const endpoints = join(clone, "millrace-data", "endpoints.json");
  let spawnError = "";
  child.once("error", (error) => (spawnError = error.message));
  const exited = () => spawnError !== "" || child.exitCode !== null || child.signalCode !== null;
  const kill = () => {
    if (child.pid !== undefined && !exited()) killGroup(child.pid, "SIGKILL");
  };
  if (child.pid !== undefined) adoptGroup(child.pid);
  return {
    async ready() {
      while (!existsSync(endpoints)) {
        if (exited())
          throw new Error(`npm start ended with ${spawnError || (child.exitCode ?? child.signalCode)}`);
        if (performance.now() - beginMs > READY_MS)
          throw new Error(`npm start: not ready after ${READY_MS / 1000} s`);
        await sleep(200);
      }
      say(`ready after ${((performance.now() - beginMs) / 1000).toFixed(1)} s, installation included`);
    },
    async stop() {
      process.kill(JSON.parse(readFileSync(endpoints, "utf8")).pid, "SIGTERM");
      for (let waitedMs = 0; !exited(); waitedMs += 200) {
        if (waitedMs > STOP_MS) throw new Error(`SIGTERM: still running after ${STOP_MS / 1000} s`);
        await sleep(200);
      }
      if (child.exitCode !== 0)
        throw new Error(`after SIGTERM npm start ended with ${child.exitCode ?? child.signalCode}`);
    },
    kill,
  };
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
