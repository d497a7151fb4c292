// The help of every command as one text, 80 columns wide: what is committed as help.golden.txt.
import { CommanderError, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import { commandsOf, makeProgram, pathOf } from "./system-main.ts";

const WIDTH = 80;

/** Help of `millrace` and of each of its commands, under a line with the command. */
export async function helpOfEverything(): Promise<string> {
  const all: string[] = [];
  for (const path of commandsOf(makeProgram(NOBODY)).map(argumentsOf)) {
    const shown = ["millrace", ...path, "--help"].join(" ");
    all.push(`$ ${shown}\n${await helpOf(path)}`);
  }
  return all.join("\n");
}

async function helpOf(path: readonly string[]): Promise<string> {
  let help = "";
  const program = makeProgram({ ...NOBODY, out: (text) => void (help += text) });
  for (const command of commandsOf(program)) command.configureOutput({ getOutHelpWidth: () => WIDTH });
  try {
    await program.parseAsync([...path, "--help"], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError) || error.exitCode !== 0) throw error;
  }
  return help;
}

function argumentsOf(command: Command): readonly string[] {
  return pathOf(command).split(" ").slice(1);
}

const NOBODY: CliIo = {
  out: () => undefined,
  outBytes: () => Promise.resolve(),
  err: () => undefined,
  stdin: [] as unknown as AsyncIterable<Uint8Array>,
  isTerminal: false,
  signal: new AbortController().signal,
  exitCode: () => undefined,
};
