// Compares with another implementation of the language, whose command takes a file and prints JSON:
//   node packages/jsonnet/dist/compare-main.js [--command jsonnet] [--programs 500] [--seed 1] [--files DIR]
// Random programs, or the *.jsonnet files of a directory (a test suite of the language, for example). Values must be
// equal, and both must refuse the same programs; the words of errors are not compared.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";

import { compile, JsonnetError, type Imported } from "./index.ts";
import { randomProgram } from "./random-programs.ts";

const LIMITS = { steps: 20_000_000, stack: 500, bytes: 1024 ** 3 };

/** A value, or that there is none. */
type Outcome = { readonly value: unknown } | { readonly error: string };

const { values: options } = parseArgs({
  options: {
    command: { type: "string", default: "jsonnet" },
    programs: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
    files: { type: "string" },
  },
});
const print = (line: string): void => void process.stdout.write(`${line}\n`);

function oursOf(path: string): Outcome {
  const imports = (name: string, from: string): Imported | undefined => {
    const file = join(dirname(from), name);
    try {
      return { file, content: readFileSync(file) };
    } catch {
      return undefined;
    }
  };
  try {
    const program = compile(readFileSync(path, "utf8"), { file: path, imports, limits: LIMITS });
    return { value: JSON.parse(program.evaluateText(undefined)) };
  } catch (error) {
    if (error instanceof JsonnetError) return { error: error.message };
    throw error;
  }
}

function theirsOf(path: string): Outcome {
  const run = spawnSync(options.command, [path], { encoding: "utf8", maxBuffer: 1024 ** 3 });
  return run.status === 0 ? { value: JSON.parse(run.stdout) } : { error: run.stderr.split("\n")[0]! };
}

function difference(path: string): string | undefined {
  const ours = oursOf(path);
  const theirs = theirsOf(path);
  if ("error" in ours && "error" in theirs) return undefined;
  if ("value" in ours && "value" in theirs && isDeepStrictEqual(ours.value, theirs.value)) return undefined;
  return `${JSON.stringify(ours)}\n  there: ${JSON.stringify(theirs)}`.slice(0, 2000);
}

/** Compares each; returns how many differ. */
function compareAll(paths: Iterable<string>): number {
  let count = 0;
  let different = 0;
  for (const path of paths) {
    count++;
    const found = difference(path);
    if (found === undefined) continue;
    different++;
    print(
      `${path}:\n${options.files === undefined ? `${readFileSync(path, "utf8")}\n` : ""}  here: ${found}`,
    );
  }
  print(`${count} programs, ${different} different`);
  return different;
}

function* randomFiles(directory: string): Generator<string> {
  const first = Number(options.seed);
  for (let seed = first; seed < first + Number(options.programs); seed++) {
    const path = join(directory, `${seed}.jsonnet`);
    writeFileSync(path, randomProgram(seed));
    yield path;
  }
}

function filesOf(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".jsonnet"));
  return names.sort().map((name) => join(directory, name));
}

if (spawnSync(options.command, ["--version"]).error !== undefined) {
  print(`skipped: there is no command ${options.command} to compare with`);
} else if (options.files !== undefined) {
  process.exitCode = compareAll(filesOf(options.files)) === 0 ? 0 : 1;
} else {
  const directory = mkdtempSync(join(tmpdir(), "millrace-jsonnet-"));
  try {
    process.exitCode = compareAll(randomFiles(directory)) === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
