// The warehouse as the platform's process sees it: a forked process that is started again when it dies, and a Target
// whose loads wait while it is away, and fail as OUTCOME_UNKNOWN when it goes meanwhile (the loaded end tells what
// happened, D23).
//
// W1 It is started again whatever it died of, and whatever kept the last start from succeeding (no file descriptor, no
//    memory, no room on the disk), with a pause that grows.
// W2 It is asked every few seconds whether it is there. One that stays silent is named by unhealthy(), and one that
//    stays so for long (stopped, swapped out) is killed: what was asked of it is then asked of its successor.
// W3 It never outlives this process: it ends with the channel, and is killed when this process exits.
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  assert,
  Gate,
  unreachable,
  waitUntil,
  WireError,
  type Clock,
  type KnownToken,
  type Logger,
} from "@millrace/base";
import type { Column, LoadOutcome, LoadRequest, TableFit, Target } from "@millrace/ingest";
import { POOL_THREADS } from "./limits.ts";
import type {
  FromWarehouse,
  ToWarehouse,
  WarehouseAnswer,
  WarehouseCall,
  WarehouseOptions,
} from "./process-messages.ts";

const ENTRY = fileURLToPath(new URL("system-warehouse-main.js", import.meta.url));
/** Before a process that ended is started again; twice as long after each start that came to nothing. */
const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 10_000;
/** One that lived this long did not die of what the one before it died of. */
const LIVED_MS = 60_000;
/** W2: counted in questions, not by a clock: when this process itself was stopped, the other one was not silent. */
const PING_MS = 2000;
const SILENT_PINGS = 3;
const KILL_PINGS = 15;
/** Time for the engine to close its file on stop, and what is left of it once the time for stopping is over. */
const STOP_MS = 5000;
const HURRY_MS = 1000;

interface PendingCall {
  readonly resolve: (answer: WarehouseAnswer) => void;
  readonly reject: (error: WireError) => void;
}

export class Warehouse implements Target {
  readonly #options: WarehouseOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #calls = new Map<number, PendingCall>();
  /** Opens when a process is ready, and when none will be any more. */
  readonly #changed = new Gate();
  readonly #killIt = (): void => void this.#process?.kill("SIGKILL");
  /** The process, from its making to its end. */
  #process: ChildProcess | undefined;
  /** The process once it is ready. */
  #child: ChildProcess | undefined;
  #address: { host: string; port: number } | undefined;
  #nextId = 1;
  #stopping = false;
  #pauseMs = PAUSE_FIRST_MS;
  /** Why there is no process. */
  #ending = "";
  /** Questions since it last answered one. */
  #unanswered = 0;
  #cancelAsking = (): void => undefined;
  /** The project's, once they are known. */
  #tokens: readonly KnownToken[] | undefined;
  /** What it says keeps it from loading. */
  #problem: string | undefined;

  private constructor(options: WarehouseOptions, ports: { clock: Clock; logger: Logger }) {
    this.#options = options;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    process.once("exit", this.#killIt); // W3
  }

  /** Starts the process and resolves when it is ready. @throws {WireError} UNAVAILABLE when it ends before that */
  static async start(options: WarehouseOptions, ports: { clock: Clock; logger: Logger }): Promise<Warehouse> {
    const warehouse = new Warehouse(options, ports);
    try {
      await warehouse.#launch();
    } catch (error) {
      process.off("exit", warehouse.#killIt);
      throw error;
    }
    return warehouse;
  }

  /** Where POST /sql listens. */
  get address(): { host: string; port: number } {
    assert(this.#address !== undefined, "the warehouse has started");
    return this.#address;
  }

  /** Process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Lets callers in, of which the project's tokens have to be one when there are any. */
  admit(tokens: readonly KnownToken[]): void {
    this.#tokens = tokens;
    this.#send({ kind: "tokens", tokens });
  }

  /** What keeps records from becoming rows, if it is the warehouse. */
  unhealthy(): string | undefined {
    if (this.#stopping) return undefined;
    if (this.#child === undefined) return `the warehouse process is not running: ${this.#ending}`;
    if (this.#unanswered >= SILENT_PINGS) return "the warehouse process does not answer";
    return this.#problem;
  }

  async check(
    tableId: string,
    columns: readonly Column[],
    signal: AbortSignal,
    fit: TableFit = "same",
  ): Promise<string | undefined> {
    const answer = await this.#call({ kind: "check", tableId, columns, fit }, signal);
    assert(answer.kind === "checked", "check is answered by checked", { kind: answer.kind });
    return answer.problem;
  }

  async prepare(
    tableId: string,
    columns: readonly Column[],
    signal: AbortSignal,
    fit: TableFit = "same",
  ): Promise<void> {
    const answer = await this.#call({ kind: "prepare", tableId, columns, fit }, signal);
    assert(answer.kind === "prepared", "prepare is answered by prepared", { kind: answer.kind });
  }

  async drop(tableId: string, journals: readonly string[], signal: AbortSignal): Promise<void> {
    const answer = await this.#call({ kind: "drop", tableId, journals }, signal);
    assert(answer.kind === "dropped", "drop is answered by dropped", { kind: answer.kind });
  }

  async load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    await this.#waitForProcess(signal);
    const answer = await this.#call({ kind: "load", request }, signal);
    assert(answer.kind === "load-outcome", "load is answered by load-outcome", { kind: answer.kind });
    return answer.outcome;
  }

  async loadedEnds(tableId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    await this.#waitForProcess(signal);
    const answer = await this.#call({ kind: "loaded-ends", tableId }, signal);
    assert(answer.kind === "loaded-ends", "loaded-ends is answered by loaded-ends", { kind: answer.kind });
    return new Map(answer.ends);
  }

  /** Ends the process; calls under way fail. @param signal aborts when the time for stopping is over */
  async close(signal: AbortSignal): Promise<void> {
    this.#stopping = true;
    this.#changed.open();
    const child = this.#process;
    if (child !== undefined) {
      const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      if (this.#child === undefined || this.#unanswered >= SILENT_PINGS) child.kill("SIGKILL");
      else this.#send({ kind: "stop" });
      const cancel = this.#clock.after(STOP_MS, () => child.kill("SIGKILL"));
      const cancelHurry = this.#onceAborted(signal, () => child.kill("SIGKILL"));
      await gone;
      cancel();
      cancelHurry();
    }
    process.off("exit", this.#killIt);
  }

  /** Runs `act` a moment after `signal` has aborted, unless the returned function is called first. */
  #onceAborted(signal: AbortSignal, act: () => void): () => void {
    let cancel = (): void => undefined;
    const onAbort = (): void => {
      cancel = this.#clock.after(HURRY_MS, act);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    return () => {
      signal.removeEventListener("abort", onAbort);
      cancel();
    };
  }

  /** @throws {WireError} when no process comes of it; some failures are thrown, others come as events (W1) */
  #launch(): Promise<void> {
    const options =
      this.#address === undefined ? this.#options : { ...this.#options, listenPort: this.#address.port };
    return new Promise((resolve, reject) => {
      const child = fork(ENTRY, [], {
        serialization: "advanced",
        stdio: ["ignore", "ignore", "inherit", "ipc"],
        env: { ...process.env, UV_THREADPOOL_SIZE: String(POOL_THREADS) },
      });
      let failure: WireError | undefined;
      let wasReady = false;
      // Before anything is sent: a process that could not be made has no channel, and tells so by this event alone.
      child.on("error", (error) => {
        this.#logger.error("warehouse-process-error", { error });
        reject(new WireError("UNAVAILABLE", `the warehouse process: ${error.message}`, { cause: error }));
      });
      child.on("message", (message: FromWarehouse) => {
        if (message.kind === "not-started") failure = new WireError(message.code, message.message);
        this.#onMessage(child, message);
        if (message.kind !== "ready") return;
        wasReady = true;
        resolve();
      });
      child.once("exit", (code, signal) => {
        const ending = `the warehouse process ended (${signal ?? code})`;
        if (this.#process === child) this.#process = undefined;
        if (this.#child === child) this.#forget(ending);
        if (wasReady) return this.#relaunch(ending);
        reject(failure ?? new WireError("UNAVAILABLE", `${ending} before it was ready`));
      });
      if (child.pid !== undefined) this.#process = child;
      const start: ToWarehouse = { kind: "start", options };
      if (child.connected) child.send(start, (error) => error !== null && child.kill("SIGKILL"));
    });
  }

  #onMessage(child: ChildProcess, message: FromWarehouse): void {
    switch (message.kind) {
      case "ready": {
        this.#child = child;
        this.#address = { host: message.host, port: message.port };
        this.#unanswered = 0;
        this.#problem = undefined;
        this.#logger.info("warehouse-ready", { pid: child.pid, port: message.port });
        if (this.#tokens !== undefined) this.#send({ kind: "tokens", tokens: this.#tokens });
        this.#watch(child);
        this.#changed.open();
        return;
      }
      case "not-started":
        return;
      case "answer":
        return this.#settle(message.id, message.answer);
      case "pong":
        this.#unanswered = 0;
        this.#problem = message.problem;
        return;
      default:
        return unreachable(message);
    }
  }

  /** Nothing more is asked of the process: what was asked of it has an unknown outcome. */
  #forget(ending: string): void {
    this.#child = undefined;
    this.#ending = ending;
    this.#cancelAsking();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(new WireError("OUTCOME_UNKNOWN", ending));
  }

  /** Asks it whether it is there, as long as it lives (W2). */
  #watch(child: ChildProcess): void {
    const ask = (asked: number): void => {
      if (this.#child !== child || this.#stopping) return;
      if (asked * PING_MS >= LIVED_MS) this.#pauseMs = PAUSE_FIRST_MS;
      if (this.#unanswered === SILENT_PINGS) this.#logger.warn("warehouse-silent", { pid: child.pid });
      if (this.#unanswered >= KILL_PINGS) {
        this.#logger.error("warehouse-killed", { pid: child.pid, silentMs: this.#unanswered * PING_MS });
        child.kill("SIGKILL");
        // One that waits for its disk cannot even be killed at once: nobody waits for it.
        return this.#forget("the warehouse process does not answer");
      }
      // A channel that nobody reads fills up: it is asked once, until it answers.
      if (this.#unanswered === 0) this.#send({ kind: "ping" });
      this.#unanswered++;
      this.#cancelAsking = this.#clock.after(PING_MS, () => ask(asked + 1));
    };
    ask(0);
  }

  #relaunch(ending: string): void {
    this.#ending = ending;
    if (this.#stopping) return;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2);
    this.#logger.error("warehouse-process-died", { ending, pauseMs });
    this.#clock.after(pauseMs, () => {
      if (this.#stopping) return;
      this.#launch().catch((error: unknown) => {
        this.#logger.error("warehouse-restart-failed", { error });
        this.#relaunch(error instanceof Error ? error.message : String(error));
      });
    });
  }

  async #waitForProcess(signal: AbortSignal): Promise<void> {
    await waitUntil(this.#changed, () => this.#child !== undefined || this.#stopping, signal);
  }

  #call(call: WarehouseCall, signal: AbortSignal): Promise<WarehouseAnswer> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#child === undefined) {
      return Promise.reject(new WireError("UNAVAILABLE", "the warehouse process is not running"));
    }
    const id = this.#nextId++;
    return new Promise<WarehouseAnswer>((resolve, reject) => {
      const onAbort = (): void => {
        this.#calls.delete(id);
        reject(signal.reason as Error);
      };
      const settled = (run: () => void): void => {
        signal.removeEventListener("abort", onAbort);
        run();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#calls.set(id, {
        resolve: (answer) => settled(() => resolve(answer)),
        reject: (error) => settled(() => reject(error)),
      });
      this.#send({ kind: "call", id, call });
    });
  }

  #send(message: ToWarehouse): void {
    this.#child?.send(message, (error) => {
      if (error !== null) this.#logger.warn("warehouse-send-failed", { error });
    });
  }

  #settle(id: number, answer: WarehouseAnswer): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (call === undefined) return;
    switch (answer.kind) {
      case "failed":
        return call.reject(new WireError(answer.code, answer.message, { facts: answer.facts }));
      case "checked":
      case "prepared":
      case "dropped":
      case "load-outcome":
      case "loaded-ends":
        return call.resolve(answer);
      default:
        return unreachable(answer);
    }
  }
}
