// What a command may touch of its process: streams and the way out. Results go to stdout, everything else to stderr.

export interface CliIo {
  /** Results. */
  out(text: string): void;
  outBytes(bytes: Uint8Array): void;
  /** Progress, logs, errors. */
  err(text: string): void;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Whether stderr is a terminal: then a progress line may be rewritten in place. */
  readonly isTerminal: boolean;
  /** Aborts at SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Sets the status that the process ends with. */
  exitCode(code: number): void;
}

/** Bad usage: shown without a stack, exit status 2. */
export class UsageError extends Error {}
