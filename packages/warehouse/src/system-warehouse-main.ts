// Entry of the warehouse's own process (D7): it ends when its parent's channel does, so it never outlives the platform.
// Signals to the process group are the parent's business: it tells us to stop when loads are over.
import { readdirSync, statfsSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { constants, getPriority, setPriority } from "node:os";
import { dirname, join } from "node:path";
import {
  hostPolicy,
  jsonLogger,
  MetricsRegistry,
  never,
  systemClock,
  systemRandom,
  TokenBook,
  unreachable,
  WireError,
  type Logger,
  takeTurns,
} from "@millrace/base";
import { DuckDBTarget } from "./duckdb-target.ts";
import { openEngine, type Engine } from "./engine.ts";
import { QUERIES_MAX, QUERIES_WAITING_MAX } from "./limits.ts";
import type {
  FromWarehouse,
  ToWarehouse,
  WarehouseAnswer,
  WarehouseCall,
  WarehouseOptions,
} from "./process-messages.ts";
import { QueryRunner } from "./query-runner.ts";
import { sqlRequestListener } from "./sql-http.ts";

/** Attempts to open the database while a previous process, whose parent was killed, is still closing it. */
const OPEN_ATTEMPTS = 100;
const OPEN_PAUSE_MS = 50;
/** For telling those who asked that the engine is lost. */
const LAST_ANSWERS_MS = 100;
/** For the head of a request and for all of it: the times of the http-source. Connections have a bound too. */
const HEAD_MS = 10_000;
const REQUEST_MS = 30_000;
const CHECK_MS = 1000;
const CONNECTIONS_MAX = 1000;

async function openWhenFree(options: WarehouseOptions, logger: Logger): Promise<Engine> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openEngine(options);
    } catch (error) {
      const isLocked = error instanceof Error && /lock/i.test(error.message);
      if (!isLocked || attempt === OPEN_ATTEMPTS) throw error;
      if (attempt === 1) logger.info("warehouse-waits-for-lock", { file: options.file });
      await systemClock.sleep(OPEN_PAUSE_MS, never);
    }
  }
}

async function perform(target: DuckDBTarget, call: WarehouseCall): Promise<WarehouseAnswer> {
  switch (call.kind) {
    case "check":
      return { kind: "checked", problem: await target.check(call.tableId, call.columns, never, call.fit) };
    case "drop":
      await target.drop(call.tableId, call.journals, never);
      return { kind: "dropped" };
    case "prepare":
      await target.prepare(call.tableId, call.columns, never, call.fit);
      return { kind: "prepared" };
    case "load":
      return { kind: "load-outcome", outcome: await target.load(call.request, never) };
    case "loaded-ends":
      return { kind: "loaded-ends", ends: [...(await target.loadedEnds(call.tableId, never))] };
    default:
      return unreachable(call);
  }
}

function send(message: FromWarehouse): void {
  process.send?.(message);
}

async function start(options: WarehouseOptions): Promise<(message: ToWarehouse) => void> {
  const logger = jsonLogger(options.logLevel, (line) => process.stderr.write(line), {
    component: "warehouse",
  });
  const engine = await openWhenFree(options, logger);
  const onLost = endOnce(logger);
  const target = new DuckDBTarget(
    engine,
    (path) => join(options.stagingDir, path),
    onLost,
    dirname(options.file),
  );
  const bounds = { concurrency: QUERIES_MAX, queue: QUERIES_WAITING_MAX };
  const runner = new QueryRunner(engine, { clock: systemClock, onLost }, bounds);
  const tokens = new TokenBook(options.token, options.innerToken);
  let areTokensKnown = false;
  const server = createServer(
    { headersTimeout: HEAD_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: CHECK_MS },
    sqlRequestListener({
      runner,
      problems: () => [spaceProblem(options), target.problem()].filter((each) => each !== undefined),
      hostPolicy: hostPolicy(options.listenHost, options.token !== ""),
      tokens: () => (areTokensKnown ? tokens : undefined),
      clock: systemClock,
      random: systemRandom,
      logger,
      metrics: new MetricsRegistry(),
    }),
  );
  takeTurns(server);
  server.maxConnections = CONNECTIONS_MAX;
  const address = await listen(server, options);
  send({ kind: "ready", host: address.address, port: address.port });
  return (message) => {
    switch (message.kind) {
      case "start":
        return;
      case "tokens":
        areTokensKnown = true;
        return tokens.replace(message.tokens);
      case "ping": {
        const problem = target.problem();
        return send({ kind: "pong", ...(problem === undefined ? {} : { problem }) });
      }
      case "stop":
        server.close();
        server.closeAllConnections();
        // Only without connections does the engine close its file, which saves the next start from replaying.
        runner.close();
        target
          .close()
          .then(() => engine.closeSync())
          .then(end, end);
        return;
      case "call":
        perform(target, message.call)
          .catch((thrown: unknown): WarehouseAnswer => {
            const { code, message: text, facts } = WireError.from(thrown);
            return { kind: "failed", code, message: text, facts };
          })
          .then((answer) => send({ kind: "answer", id: message.id, answer }))
          .catch((error: unknown) => {
            logger.error("warehouse-broke", { error });
            end();
          });
        return;
      default:
        unreachable(message);
    }
  };
}

/**
 * Ends this process now. process.exit() would wait for the threads that queries and loads run on, for as long as they
 * run: past the parent's end, with the database locked.
 */
function end(): void {
  process.kill(process.pid, "SIGKILL");
}

/** For an engine that can do nothing more: its parent starts another process, which opens the database anew. */
function endOnce(logger: Logger): (error: unknown) => void {
  let isEnding = false;
  return (error) => {
    if (isEnding) return;
    isEnding = true;
    logger.error("warehouse-engine-lost", { error });
    systemClock.after(LAST_ANSWERS_MS, end);
  };
}

/** The same disk as the log's: when records are refused for want of space, this is no place for rows either. */
function spaceProblem({ file, reserveBytes }: WarehouseOptions): string | undefined {
  const { bavail, bsize } = statfsSync(dirname(file));
  const freeBytes = bavail * bsize;
  return freeBytes < reserveBytes ? `free space ${freeBytes} below the reserve ${reserveBytes}` : undefined;
}

/** A query may need memory that the engine does not count: when the machine has none left, this process goes first. */
function offerToTheKernel(): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", "500");
  } catch {
    // Not Linux, or not permitted.
  }
}

/** How much nicer than the process that takes records. */
const NICE_STEP = 10;

/**
 * Loads and queries use what the process that takes records leaves (D7): theirs is seconds, its is milliseconds. On
 * Linux a priority is a thread's own, and is handed on to the threads that it makes: so all that are there get it,
 * before the engine makes its own.
 */
function stepBack(): void {
  try {
    const priority = Math.min(constants.priority.PRIORITY_LOW, getPriority() + NICE_STEP);
    for (const thread of threadsHere()) setPriority(thread, priority);
  } catch {
    // Not permitted.
  }
}

function threadsHere(): readonly number[] {
  try {
    return readdirSync("/proc/self/task").map(Number);
  } catch {
    return [process.pid]; // Not Linux.
  }
}

function main(): void {
  offerToTheKernel();
  stepBack();
  process.on("disconnect", end);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
  process.once("message", (first: ToWarehouse) => {
    if (first.kind !== "start") process.exit(1);
    start(first.options).then(
      (onMessage) => process.on("message", onMessage),
      (error: unknown) => {
        const { code, message } = WireError.from(error);
        const last: FromWarehouse = { kind: "not-started", code, message };
        process.send?.(last, () => process.exit(1));
      },
    );
  });
}

function listen(server: Server, options: WarehouseOptions): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "the address is in use" : error.message;
      const place = `${options.listenHost}:${options.listenPort}`;
      const advice = "choose another with --warehouse.listen HOST:PORT";
      reject(new WireError("CONFLICT", `cannot listen on ${place}: ${why}; ${advice}`));
    });
    server.listen(options.listenPort, options.listenHost, () => resolve(server.address() as AddressInfo));
  });
}

main();
