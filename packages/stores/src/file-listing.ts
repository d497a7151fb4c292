// Walks a directory tree lazily: memory is bounded by the depth and one batch of entries. Files that vanish while it
// walks are left out. Symbolic links are followed only to places inside `root`, and never in a circle.
import { opendir, realpath, stat } from "node:fs/promises";
import type { Dirent, Stats } from "node:fs";
import { join } from "node:path";
import { fileErrorCode } from "./file-errors.ts";

/** Begin of the names of files that are still being written. */
export const PARTIAL_PREFIX = ".partial-";
/** How many files are asked for their length at once. */
const BATCH_COUNT = 32;

export interface FoundFile {
  /** '/'-separated, below the directory where the walk began. */
  readonly path: string;
  readonly stats: Stats;
}

export interface WalkOptions {
  /** Real path that links must not leave. */
  readonly root: string;
  /** Whether to enter a directory or report a file, by its path below the start. */
  readonly accept: (path: string, kind: "file" | "dir") => boolean;
  /** Report only files that are still being written, or only the others. */
  readonly partials: boolean;
}

/** Files below `dir`; none when it is missing. */
export async function* walkFiles(
  dir: string,
  options: WalkOptions,
  signal: AbortSignal,
): AsyncGenerator<FoundFile> {
  yield* walk(dir, "", [], options, signal);
}

async function* walk(
  dir: string,
  below: string,
  above: readonly string[],
  options: WalkOptions,
  signal: AbortSignal,
): AsyncGenerator<FoundFile> {
  const directories: string[] = [];
  let batch: string[] = [];
  for await (const entry of entriesOf(dir)) {
    signal.throwIfAborted();
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    const kind = await kindOf(join(dir, entry.name), entry, options.root);
    if (kind === undefined || !options.accept(path, kind)) continue;
    if (kind === "dir") directories.push(entry.name);
    else if (entry.name.startsWith(PARTIAL_PREFIX) === options.partials) batch.push(path);
    if (batch.length < BATCH_COUNT) continue;
    yield* withStats(dir, batch);
    batch = [];
  }
  yield* withStats(dir, batch);
  for (const name of directories.sort()) {
    const inner = join(dir, name);
    const real = await realPathOf(inner);
    if (real === undefined || above.includes(real)) continue;
    const path = below === "" ? name : `${below}/${name}`;
    yield* walk(inner, path, [...above, real], options, signal);
  }
}

async function* entriesOf(dir: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(dir, { bufferSize: 256 });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function kindOf(path: string, entry: Dirent, root: string): Promise<"file" | "dir" | undefined> {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "dir";
  if (!entry.isSymbolicLink()) return undefined;
  const real = await realPathOf(path);
  if (real === undefined || !isInside(real, root)) return undefined;
  const stats = await statOf(real);
  return stats?.isFile() === true ? "file" : stats?.isDirectory() === true ? "dir" : undefined;
}

async function* withStats(dir: string, paths: readonly string[]): AsyncGenerator<FoundFile> {
  const all = await Promise.all(
    paths.map((path) => statOf(join(dir, path.slice(path.lastIndexOf("/") + 1)))),
  );
  for (const [i, stats] of all.entries()) {
    if (stats !== undefined) yield { path: paths[i]!, stats };
  }
}

/** Whether the real path `path` is `root` or below it. */
export function isInside(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`);
}

export async function realPathOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const code = fileErrorCode(error);
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP";
}
