// What a command may touch of its process: streams and the way out. Results go to stdout, everything else to stderr.

export interface CliIo {
  /** Results. */
  out(text: string): void;
  /** Resolves when stdout can take more: whoever copies a stream waits for it. */
  outBytes(bytes: Uint8Array): Promise<void>;
  /** Progress, logs, errors. */
  err(text: string): void;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Whether stderr is a terminal: then a progress line may be rewritten in place. */
  readonly isTerminal: boolean;
  /** Aborts at SIGINT or SIGTERM; a command that never asks for it is ended by them. */
  readonly signal: AbortSignal;
  /** Sets the status that the process ends with: 0 done, 1 failed, 2 bad usage. */
  exitCode(code: 0 | 1 | 2): void;
}

/** Bad usage: one line, exit status 2. */
export class UsageError extends Error {}

/** @throws {UsageError} naming the option, the value and its bound */
export function wholeNumber(option: string, text: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max) {
    throw new UsageError(`${option} ${text}: expected a whole number in [1, ${max}]`);
  }
  return value;
}
