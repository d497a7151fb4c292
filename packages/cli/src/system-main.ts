// The edge of the `millrace` process: arguments in, exit status out.
import { readFileSync } from "node:fs";
import { InvariantError, WireError } from "@millrace/base";
import { Command, CommanderError } from "commander";
import { UsageError, type CliIo } from "./cli-io.ts";
import { addBrokersCommand } from "./command-brokers.ts";
import { addDoctorCommand } from "./command-doctor.ts";
import { addPlanCommands } from "./command-plan.ts";
import { addPrintConfigCommand } from "./command-print-config.ts";
import { addJournalsCommand } from "./command-journals.ts";
import { addProduceCommand } from "./command-produce.ts";
import { addSettingsCommand } from "./command-settings.ts";
import { addSinksCommand } from "./command-sinks.ts";
import { addSourcesCommand } from "./command-sources.ts";
import { addSqlCommand } from "./command-sql.ts";
import { addDeadLettersCommand } from "./command-dead-letters.ts";
import { addTasksCommand } from "./command-tasks.ts";
import { addTokensCommand } from "./command-tokens.ts";
import { addServeCommand, addUpCommand } from "./command-up.ts";
import { optionsBehind } from "./options-behind.ts";
import { processIo } from "./system-io.ts";

/** Runs one command and sets the exit status. Never rejects. */
export async function runMillrace(args: readonly string[]): Promise<void> {
  await runCommand(args, processIo());
}

/** The same over any streams. */
export async function runCommand(args: readonly string[], io: CliIo): Promise<void> {
  try {
    await makeProgram(io).parseAsync([...optionsBehind(args)], { from: "user" });
  } catch (error) {
    // An input that a signal has cut fails in its own words.
    const isCut = io.signal.aborted && !(error instanceof WireError);
    io.exitCode(report(isCut ? io.signal.reason : error, io));
  }
}

/** The command tree; also what the test of the help texts walks. */
export function makeProgram(io: CliIo): Command {
  const program = new Command("millrace")
    .description("A streaming platform: journals, ingest, tables, in one process or many")
    .version(version(), "--version", "print the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show help for a command")
    // Long names of settings leave a narrow column, which is still better than lines that the terminal breaks.
    .configureHelp({ minWidthToWrap: 30 })
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })
    .exitOverride();
  addUpCommand(program, io);
  addServeCommand(program, io);
  addPrintConfigCommand(program, io);
  addDoctorCommand(program, io);
  addJournalsCommand(program, io);
  addBrokersCommand(program, io);
  addSourcesCommand(program, io);
  addSinksCommand(program, io);
  addSettingsCommand(program, io);
  addPlanCommands(program, io);
  addDeadLettersCommand(program, io);
  addTasksCommand(program, io);
  addTokensCommand(program, io);
  addProduceCommand(program, io);
  addSqlCommand(program, io);
  for (const command of commandsOf(program)) sayWhereHelpIs(command);
  return program;
}

/** `program` and everything below it, in the order in which help lists them. */
export function commandsOf(program: Command): readonly Command[] {
  return [program, ...program.commands.flatMap((command) => commandsOf(command))];
}

/** `millrace journals list`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/** Bad usage is one line, like every other error. */
function sayWhereHelpIs(command: Command): void {
  command.configureOutput({
    outputError: (text, write) => {
      const line = text
        .replace(/^error: /, "")
        .trim()
        .replace(/\.$/, "");
      write(`millrace: ${oneLine(line)}; see ${pathOf(command)} --help\n`);
    },
  });
}

function version(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

function report(error: unknown, io: CliIo): 0 | 1 | 2 {
  // Commander has said what it had to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError || error instanceof WireError || isSystemError(error)) {
    io.err(`millrace: ${oneLine(isSystemError(error) ? systemText(error) : error.message)}\n`);
    const isUsage =
      error instanceof UsageError || (error instanceof WireError && error.code === "INVALID_ARGUMENT");
    return isUsage ? 2 : 1;
  }
  // A bug: whoever reports it needs to say where.
  const stack = error instanceof Error && !(error instanceof InvariantError) ? error.stack : undefined;
  io.err(`millrace: ${stack ?? String(error)}\n`);
  return 1;
}

/** A file that is not there, an address that is in use: the message says it all. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

/** `cannot open x: no such file or directory`. */
function systemText({ message, path, syscall }: NodeJS.ErrnoException): string {
  const reason = /^[A-Z]+: ([^,]+),/.exec(message)?.[1];
  return reason === undefined || path === undefined ? message : `cannot ${syscall} ${path}: ${reason}`;
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, " ");
}
