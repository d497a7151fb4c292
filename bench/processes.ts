// Processes under measurement: started here, measured from /proc with all their descendants, ended by their id.
import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything written to stderr so far. */
  stderr(): string;
}

export function start(command: string, args: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-100_000)));
  child.stdout.resume();
  if (child.pid === undefined) throw new Error(`${command} did not start`);
  return { child, pid: child.pid, stderr: () => stderr };
}

/** Ends a process that this benchmark started and waits until it is gone. @returns whether it had to be killed */
export async function end(
  { child }: Started,
  signal: NodeJS.Signals = "SIGTERM",
  graceMs = 35_000,
): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return false;
  let isKilled = false;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const timer = setTimeout(() => {
    isKilled = true;
    child.kill("SIGKILL");
  }, graceMs);
  child.kill(signal);
  await gone;
  clearTimeout(timer);
  return isKilled;
}

/** Runs a command to its end. @returns stdout */
export async function run(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${err.slice(-500)}`);
  return out;
}

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

function stat(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name is in parentheses and may hold anything.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const ticks = [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0);
    return {
      pid,
      parent: Number(fields[1]),
      cpuSeconds: ticks / TICKS_PER_SECOND,
      residentBytes: Number(fields[21]) * 4096,
    };
  } catch {
    return undefined;
  }
}

function tree(root: number): readonly ProcessStat[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => stat(Number(name)))
    .filter((each) => each !== undefined);
  const found = new Set([root]);
  for (let grew = true; grew;) {
    grew = false;
    for (const { pid, parent } of all) {
      if (found.has(parent) && !found.has(pid)) {
        found.add(pid);
        grew = true;
      }
    }
  }
  return all.filter(({ pid }) => found.has(pid));
}

/** CPU seconds that a process, its descendants and their ended children have used. */
export function cpuSeconds(root: number): number {
  return tree(root).reduce((sum, each) => sum + each.cpuSeconds, 0);
}

/** Proportional set size, so that pages that processes share count once. */
export function memoryBytes(root: number): number {
  return tree(root).reduce((sum, { pid, residentBytes }) => {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      return sum + Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1024;
    } catch {
      return sum + residentBytes;
    }
  }, 0);
}

export function residentBytes(root: number): number {
  return tree(root).reduce((sum, each) => sum + each.residentBytes, 0);
}
