// Streams of a command in a test: what it wrote, and the status that it set.
import { runCommand } from "./system-main.ts";

export interface CommandOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command in this process, with `input` as its stdin. */
export async function runRecorded(
  args: readonly string[],
  input: string | Uint8Array = "",
): Promise<CommandOutcome> {
  const outcome = { code: 0, out: "", err: "" };
  const stdin = async function* (): AsyncGenerator<Uint8Array> {
    if (input.length > 0) yield Buffer.from(input);
  };
  await runCommand(args, {
    out: (text) => void (outcome.out += text),
    outBytes: (bytes) => {
      outcome.out += Buffer.from(bytes).toString();
      return Promise.resolve();
    },
    err: (text) => void (outcome.err += text),
    stdin: stdin(),
    isTerminal: false,
    signal: new AbortController().signal,
    exitCode: (code) => void (outcome.code = code),
  });
  return outcome;
}
