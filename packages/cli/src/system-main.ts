// The edge of the `millrace` process: arguments in, exit status out.
import { readFileSync } from "node:fs";
import { InvariantError, WireError } from "@millrace/base";
import { Command, CommanderError } from "commander";
import { UsageError, type CliIo } from "./cli-io.ts";
import { addPrintConfigCommand } from "./command-print-config.ts";
import { addJournalsCommand } from "./command-journals.ts";
import { addProduceCommand } from "./command-produce.ts";
import { addSinksCommand, addSourcesCommand } from "./command-streams.ts";
import { addSqlCommand } from "./command-sql.ts";
import { addServeCommand, addUpCommand } from "./command-up.ts";

const FAILED = 1;
const BAD_USAGE = 2;

/** Runs one command and sets the exit status. Never rejects. */
export async function runMillrace(args: readonly string[]): Promise<void> {
  const io = processIo();
  try {
    await makeProgram(io).parseAsync([...args], { from: "user" });
  } catch (error) {
    io.exitCode(report(error, io));
  }
}

/** The command tree; also what the tests of help texts walk. */
export function makeProgram(io: CliIo): Command {
  const program = new Command("millrace")
    .description("A streaming platform: journals, ingest, tables, in one process or many")
    .version(version(), "--version")
    .showHelpAfterError("(see millrace --help)")
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })
    .exitOverride();
  addUpCommand(program, io);
  addServeCommand(program, io);
  addPrintConfigCommand(program, io);
  addJournalsCommand(program, io);
  addSourcesCommand(program, io);
  addSinksCommand(program, io);
  addProduceCommand(program, io);
  addSqlCommand(program, io);
  for (const command of program.commands) command.copyInheritedSettings(program);
  return program;
}

function version(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function report(error: unknown, io: CliIo): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_USAGE;
  if (error instanceof UsageError) {
    io.err(`millrace: ${error.message}\n`);
    return BAD_USAGE;
  }
  if (error instanceof WireError) {
    io.err(`millrace: ${error.message}\n`);
    return error.code === "INVALID_ARGUMENT" ? BAD_USAGE : FAILED;
  }
  const stack = error instanceof InvariantError || !(error instanceof Error) ? undefined : error.stack;
  io.err(`millrace: ${stack ?? String(error)}\n`);
  return FAILED;
}

function processIo(): CliIo {
  const abort = new AbortController();
  let isListening = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has seen enough.
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  return {
    out: (text) => void process.stdout.write(text),
    outBytes: (bytes) => void process.stdout.write(bytes),
    err: (text) => void process.stderr.write(text),
    stdin: process.stdin as AsyncIterable<Uint8Array>,
    isTerminal: process.stderr.isTTY,
    get signal() {
      // Commands that never ask keep the default: a signal ends them.
      if (!isListening) {
        isListening = true;
        for (const name of ["SIGINT", "SIGTERM"] as const) {
          process.on(name, () => abort.abort(new WireError("SHUTTING_DOWN", `stopped by ${name}`)));
        }
      }
      return abort.signal;
    },
    exitCode: (code) => {
      process.exitCode = code;
    },
  };
}
