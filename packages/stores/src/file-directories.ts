// Directories of a file store, made durable once. An fsynced file is lost with power when the entry of any directory
// above it was never synced, whoever made that directory; so the first use of each in this process syncs its parents.
import { mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileErrorCode } from "./file-errors.ts";

/** Directories remembered as synced; beyond it the memory is emptied, which costs syncs and nothing else. */
const REMEMBERED_COUNT_MAX = 10_000;
const DIRECTORY_MODE = 0o750;

export class FileDirectories {
  readonly #base: string;
  readonly #durable = new Set<string>();

  /** @param base the directory at which syncing upwards stops; it exists and is durable itself */
  constructor(base: string) {
    this.#base = base;
  }

  /** Makes `dir`, which lies in the base, with its parents; their entries are durable when it resolves. */
  async ensure(dir: string): Promise<void> {
    const created = await makeDirectories(dir);
    if (created !== undefined) this.#durable.delete(dir);
    await this.sync(dir);
  }

  /** Makes the entries of `dir`, which exists, and of its parents durable. */
  async sync(dir: string): Promise<void> {
    if (this.#durable.has(dir)) return;
    for (let at = dir; at !== this.#base; at = dirname(at)) await syncDirectory(dirname(at));
    if (this.#durable.size >= REMEMBERED_COUNT_MAX) this.#durable.clear();
    this.#durable.add(dir);
  }
}

/**
 * Makes `base` and what is missing above it, durably. What is there up to `root`, in which it lies, is synced too: who
 * made it may have died before that.
 */
export async function makeDurableDirectory(base: string, root: string): Promise<void> {
  const created = await makeDirectories(base);
  const top = created !== undefined && created.length < root.length ? dirname(created) : root;
  for (let at = base; at !== top; at = dirname(at)) await syncDirectory(dirname(at));
}

/**
 * Makes `dir` and its parents. Node's own way never ends where a directory takes no others and says ENOENT, as below
 * /proc.
 * @returns the highest one that was missing
 */
async function makeDirectories(dir: string): Promise<string | undefined> {
  const missing: string[] = [];
  for (let at = dir; !(await isDirectory(at)); at = dirname(at)) {
    missing.push(at);
    if (at === dirname(at)) break;
  }
  for (const one of missing.toReversed()) {
    try {
      await mkdir(one, { mode: DIRECTORY_MODE });
    } catch (error) {
      // Somebody else may have made it; or it is a file, and then the next one finds out.
      if (fileErrorCode(error) !== "EEXIST" || (one === dir && !(await isDirectory(one)))) throw error;
    }
  }
  return missing.at(-1);
}

/** fsync of a directory: names created, renamed and removed in it become durable. */
export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw error;
  }
}
