// Ports for what a decision must not reach by itself: time, chance, logs. Real ones are in system-*.ts; the simulator
// has its own. They are passed in constructors; nothing here is a singleton.

export interface Clock {
  /** Unix time in milliseconds; may jump. For stamps, never for measuring. */
  wallMs(): number;
  /** Milliseconds since an arbitrary moment; never goes back; may have a fraction. */
  monotonicMs(): number;
  /** Resolves after `ms` >= 0 milliseconds, or rejects with `signal.reason` at once when it aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Calls `run` once after `ms`, unless the returned function is called first. `run` must not throw. */
  after(ms: number, run: () => void): () => void;
}

export interface Random {
  /** Uniform integer in [0, 2^32). */
  u32(): number;
  /** Uniform integer in [0, n), 1 <= n <= 2^32. */
  below(n: number): number;
  /** Fills and returns `bytes`; from a cryptographic source in production. */
  fill(bytes: Uint8Array): Uint8Array;
  /** An independent stream named `label`, so that a new draw in one place does not shift the others. */
  fork(label: string): Random;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, unknown>>;

/** `error`: someone must act. `warn`: degraded. `info`: lifecycle. `debug`: per request. `event` is a stable name. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

/** Drops everything. For tests. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLogger,
};
