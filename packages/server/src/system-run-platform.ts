// The life of a platform process: start, ready, signals, graceful stop, exit status.
import { setMaxListeners } from "node:events";
import { setFlagsFromString } from "node:v8";
import {
  abortScope,
  InvariantError,
  jsonLogger,
  never,
  systemClock,
  systemRandom,
  WireError,
  type Logger,
} from "@millrace/base";
import type { ComponentName } from "./components.ts";
import type { ResolvedConfig } from "./config.ts";
import { formattedLine } from "./log-format.ts";
import { checkListeners, isLoopback, openListeners } from "./listen-policy.ts";
import type { Screen } from "./screen.ts";
import type { Config } from "./settings.ts";
import { startPlatform, type Platform } from "./system-platform.ts";

export interface PlatformRun {
  readonly resolved: ResolvedConfig;
  readonly components: readonly ComponentName[];
  readonly screen: Screen;
  readonly exitCode: (code: 0 | 1) => void;
  /** Runs when everything is ready; "stop" ends the platform, else it runs until a signal comes. */
  readonly onReady: (platform: Platform, signal: AbortSignal) => Promise<"stop" | undefined>;
}

/** Time after which a stop that hangs is given up: everything accepted is on disk anyway. */
const STOP_GRACE_MS = 4000;

/**
 * How much the old generation and what it holds in buffers may grow from one full collection to the next, in percent.
 * What is held lives in pools, so that there is little to mark; with V8's own small steps the threads that mark took
 * the cores from the log for 20 ms, more than once a second under load: a third of the 99th percentile.
 */
const HEAP_GROWING_PERCENT = 300;

/**
 * Bytes of bytecode that a function runs before V8 looks whether to optimise it, a seventh of V8's own number. A path
 * of many functions, each called some hundred times a second, runs slowly for its first minute else. Set once all is
 * ready: what only a start runs is not worth it.
 */
const INTERRUPT_BUDGET = 10_000;

/** Runs the platform until it is told to stop. @throws whatever kept it from starting */
export async function runPlatform(run: PlatformRun): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const { config } = run.resolved;
  checkListeners(config);
  const format = config["log.format"];
  const logger = jsonLogger(config["log.level"], (line) => run.screen.log(formattedLine(line, format)));
  // As SECURITY.md promises: nobody is left open without a word.
  for (const open of openListeners(config)) logger.warn("listens-without-authentication", { ...open });
  const { stopping, hurrying } = abortOnSignals(logger);
  // Many parts wait on one signal; Node's warning from the eleventh on would be about nothing.
  setMaxListeners(0);
  dieOfBugs(logger);

  try {
    await startAndServe(run, logger, { stopping, hurrying });
    run.exitCode(0);
  } catch (error) {
    // Told to stop before it was ready: whatever kept a part from starting then is nobody's concern.
    if (!stopping.signal.aborted) throw error;
    logger.info("stopped-while-starting", { error });
    run.exitCode(0);
  } finally {
    // Nothing is left to do; what a library still holds open must not keep the process.
    setImmediate(() => process.exit());
  }
}

interface Stopping {
  readonly stopping: AbortController;
  /** Aborts when a broker that leaves is to wait no more. */
  readonly hurrying: AbortController;
}

/** A second signal ends the waiting of a broker that leaves. */
function abortOnSignals(logger: Logger): Stopping {
  const stopping = new AbortController();
  const hurrying = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    const which = stopping.signal.aborted ? hurrying : stopping;
    logger.info(which === stopping ? "stopping" : "stopping-at-once", { signal: name });
    which.abort(new WireError("SHUTTING_DOWN", `stopped by ${name}`));
  };
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, onSignal);
  return { stopping, hurrying };
}

async function startAndServe(
  run: PlatformRun,
  logger: Logger,
  { stopping, hurrying }: Stopping,
): Promise<void> {
  const { config } = run.resolved;
  const platform = await startPlatform(
    { config, components: run.components },
    { clock: systemClock, random: systemRandom, logger, onFatal: (error) => die(logger, error) },
    stopping.signal,
  );
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
  run.screen.tell(banner(platform, config));
  try {
    await serve(platform, run, stopping);
    await platform.leave(hurrying.signal);
  } finally {
    await stopInTime(platform, config["shutdown.timeout"], logger);
  }
}

async function serve(platform: Platform, run: PlatformRun, stopping: AbortController): Promise<void> {
  const scope = abortScope(stopping.signal);
  try {
    if ((await run.onReady(platform, scope.signal)) === "stop") return;
    await stopped(stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    scope.dispose();
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

async function stopInTime(platform: Platform, timeoutMs: number, logger: Logger): Promise<void> {
  const scope = abortScope(never);
  const tooLate = new WireError("SHUTTING_DOWN", `stopping took longer than ${timeoutMs} ms`);
  const cancelSoft = systemClock.after(timeoutMs, () => scope.abort(tooLate));
  const cancelHard = systemClock.after(timeoutMs + STOP_GRACE_MS, () => {
    logger.error("stop-gave-up", { timeoutMs });
    process.exit(0);
  });
  await platform.stop(scope.signal);
  cancelSoft();
  cancelHard();
}

function banner(platform: Platform, config: Config): string {
  const lines = Object.entries(platform.endpoints)
    .filter(([name]) => name !== "pid")
    .map(([name, url]) => `  ${name.padEnd(12)} ${url}`);
  const data = `  ${"data".padEnd(12)} ${platform.dataDirectory}`;
  return ["Millrace is ready.", ...lines, data, ...publicUrlHint(config), ""].join("\n");
}

/** Beyond loopback the address as bound (0.0.0.0) is of no use to whoever sends records from elsewhere. */
function publicUrlHint(config: Config): readonly string[] {
  if (isLoopback(config["http-source.listen"].host) || config["http-source.public-url"] !== "") return [];
  return [
    "The URLs of sources name this address: set --http-source.public-url to what other machines call this one.",
  ];
}

/** A broken invariant, or a failure that nobody handles, ends the process: a restart replays the log. */
function dieOfBugs(logger: Logger): void {
  process.on("uncaughtException", (error) => die(logger, error));
  process.on("unhandledRejection", (reason) => die(logger, reason));
}

function die(logger: Logger, error: unknown): never {
  const facts = error instanceof InvariantError || error instanceof WireError ? error.facts : {};
  logger.error("process-dies", { error, facts });
  process.exit(1);
}
