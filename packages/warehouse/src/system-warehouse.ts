// The warehouse as the platform's process sees it: a forked process that is started again when it dies, and a Target
// whose calls fail as OUTCOME_UNKNOWN while it is away (the loaded end tells what happened, D23).
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { assert, unreachable, WireError, type Clock, type Logger } from "@millrace/base";
import type { Column, LoadOutcome, LoadRequest, Target } from "@millrace/ingest";
import type {
  FromWarehouse,
  ToWarehouse,
  WarehouseAnswer,
  WarehouseCall,
  WarehouseOptions,
} from "./process-messages.ts";

const ENTRY = fileURLToPath(new URL("system-warehouse-main.js", import.meta.url));
const RESTART_PAUSE_MS = 500;
/** Time for the engine to close its file on stop. */
const STOP_MS = 5000;

interface PendingCall {
  readonly resolve: (answer: WarehouseAnswer) => void;
  readonly reject: (error: WireError) => void;
}

export class Warehouse implements Target {
  readonly #options: WarehouseOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #calls = new Map<number, PendingCall>();
  #child: ChildProcess | undefined;
  #address: { host: string; port: number } | undefined;
  #nextId = 1;
  #stopping = false;

  private constructor(options: WarehouseOptions, ports: { clock: Clock; logger: Logger }) {
    this.#options = options;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  /** Starts the process and resolves when it is ready. @throws {WireError} UNAVAILABLE when it ends before that */
  static async start(options: WarehouseOptions, ports: { clock: Clock; logger: Logger }): Promise<Warehouse> {
    const warehouse = new Warehouse(options, ports);
    await warehouse.#launch();
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

  unhealthy(): string | undefined {
    return this.#child === undefined && !this.#stopping ? "the warehouse process is not running" : undefined;
  }

  async check(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<string | undefined> {
    const answer = await this.#call({ kind: "check", tableId, columns }, signal);
    assert(answer.kind === "checked", "check is answered by checked", { kind: answer.kind });
    return answer.problem;
  }

  async prepare(tableId: string, columns: readonly Column[], signal: AbortSignal): Promise<void> {
    const answer = await this.#call({ kind: "prepare", tableId, columns }, signal);
    assert(answer.kind === "prepared", "prepare is answered by prepared", { kind: answer.kind });
  }

  async load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    const answer = await this.#call({ kind: "load", request }, signal);
    assert(answer.kind === "load-outcome", "load is answered by load-outcome", { kind: answer.kind });
    return answer.outcome;
  }

  async loadedEnds(tableId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const answer = await this.#call({ kind: "loaded-ends", tableId }, signal);
    assert(answer.kind === "loaded-ends", "loaded-ends is answered by loaded-ends", { kind: answer.kind });
    return new Map(answer.ends);
  }

  /** Ends the process; calls under way fail. */
  async close(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    this.#send({ kind: "stop" });
    const cancel = this.#clock.after(STOP_MS, () => child.kill("SIGKILL"));
    await gone;
    cancel();
  }

  #launch(): Promise<void> {
    const options =
      this.#address === undefined ? this.#options : { ...this.#options, listenPort: this.#address.port };
    return new Promise((resolve, reject) => {
      const child = fork(ENTRY, [], {
        serialization: "advanced",
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      const start: ToWarehouse = { kind: "start", options };
      child.send(start);
      let failure: WireError | undefined;
      child.on("message", (message: FromWarehouse) => {
        switch (message.kind) {
          case "ready":
            this.#child = child;
            this.#address = { host: message.host, port: message.port };
            this.#logger.info("warehouse-ready", { pid: child.pid, port: message.port });
            return resolve();
          case "not-started":
            failure = new WireError(message.code, message.message);
            return;
          case "answer":
            return this.#settle(message.id, message.answer);
          default:
            return unreachable(message);
        }
      });
      child.once("error", (error) => this.#logger.error("warehouse-process-error", { error }));
      child.once("exit", (code, signal) => {
        const started = this.#child === child;
        this.#child = undefined;
        this.#failAll(`the warehouse process ended (${signal ?? code})`);
        const ending = `the warehouse process ended before it was ready (${signal ?? code})`;
        if (started) this.#relaunch();
        else reject(failure ?? new WireError("UNAVAILABLE", ending));
      });
    });
  }

  #relaunch(): void {
    if (this.#stopping) return;
    this.#logger.error("warehouse-process-died", { pauseMs: RESTART_PAUSE_MS });
    this.#clock.after(RESTART_PAUSE_MS, () => {
      if (this.#stopping) return;
      this.#launch().catch((error: unknown) => {
        this.#logger.error("warehouse-restart-failed", { error });
        this.#relaunch();
      });
    });
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
      case "load-outcome":
      case "loaded-ends":
        return call.resolve(answer);
      default:
        return unreachable(answer);
    }
  }

  #failAll(message: string): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(new WireError("OUTCOME_UNKNOWN", message));
  }
}
