// Streams, signals and the exit status of the real process.
import { setMaxListeners } from "node:events";
import { WireError } from "@millrace/base";
import type { CliIo } from "./cli-io.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export function processIo(): CliIo {
  const abort = new AbortController();
  // One listener for each request under way.
  setMaxListeners(0, abort.signal);
  let isListening = false;
  let isReading = false;
  // The reader of a pipe has seen enough: nobody is left to work for.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  }
  const onSignal = (name: NodeJS.Signals): void => {
    // Whoever asks twice does not want to wait.
    if (abort.signal.aborted) process.exit(1);
    abort.abort(new WireError("SHUTTING_DOWN", `stopped by ${name}`));
    // A read that waits for somebody to type ends now.
    if (isReading) process.stdin.destroy();
  };
  return {
    out: (text) => void process.stdout.write(text),
    outBytes: (bytes) =>
      new Promise((resolve) => {
        if (process.stdout.write(bytes)) resolve();
        else process.stdout.once("drain", () => resolve());
      }),
    err: (text) => void process.stderr.write(text),
    get stdin() {
      isReading = true;
      return process.stdin as AsyncIterable<Uint8Array>;
    },
    isTerminal: process.stderr.isTTY,
    get signal() {
      if (!isListening) for (const name of SIGNALS) process.on(name, onSignal);
      isListening = true;
      return abort.signal;
    },
    exitCode: (code) => {
      process.exitCode = code;
    },
  };
}
