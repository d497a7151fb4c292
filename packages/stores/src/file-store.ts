// Objects as files: `file:///prefix/` is a directory under a configured root. Invariants:
// F1 a name appears at once and whole: bytes go to `.partial-<name>…` in the same directory, are synced, then renamed.
// F2 when put or sync resolves, the file and every directory entry on the way to it are synced. Before that it may show
//    and be gone after power loss: its writer died after the rename, or could not sync the directory.
// F3 nothing outside the root is read or written, through names or symbolic links.
// F4 the base directory is never made by a put: a volume that is not mounted must not look like an empty store.
import { open, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Slots, WireError, type Clock, type Random } from "@millrace/base";
import { FileDirectories, isDirectory, makeDurableDirectory, syncDirectory } from "./file-directories.ts";
import { fileError, fileErrorCode } from "./file-errors.ts";
import { isInside, PARTIAL_PREFIX, realPathOf, walkFiles } from "./file-listing.ts";
import type { ObjectEntry, ObjectStore, PutOptions } from "./object-store.ts";
import { checkedKey, checkedListPrefix, parseStoreUrl, rewriteKey, storeArguments } from "./store-url.ts";
import type { KeyRewrite } from "./store-url.ts";

const FILE_MODE = 0o640;
/** One read: large enough that the number of calls does not matter, small enough for many readers at once. */
const READ_BYTES = 256 * 1024;
/** Listings under way at once: each holds a descriptor for every level, and a broker that starts lists all journals. */
const WALK_COUNT_MAX = 64;
/** Of an object's name in the name of its partial file: names are limited to 255 bytes. */
const PARTIAL_NAME_CHARS = 60;
/** Age from which a partial file belongs to a writer that is gone. */
export const PARTIAL_AGE_MS_MAX = 24 * 60 * 60 * 1000;

export interface FileStorePorts {
  /** Directory that holds all file stores of this process. */
  readonly root: string;
  readonly clock: Clock;
  readonly random: Random;
}

export class FileStore implements ObjectStore {
  readonly url: string;
  readonly listLagMsMax = 0;
  /** The store's directory: root and prefix. */
  readonly base: string;
  readonly #root: string;
  readonly #prefix: string;
  readonly #rewrite: KeyRewrite;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #directories: FileDirectories;
  readonly #walks = new Slots(WALK_COUNT_MAX);

  /** @throws {WireError} INVALID_ARGUMENT: not a `file` URL, unknown arguments, a prefix that leaves the root */
  constructor(url: string, ports: FileStorePorts) {
    const parsed = parseStoreUrl(url);
    if (parsed.scheme !== "file")
      throw new WireError("INVALID_ARGUMENT", `invalid scheme (${parsed.scheme})`);
    const args = storeArguments(parsed, ["Find", "Replace"]);
    if (parsed.prefix !== "/") checkedKey(parsed.prefix.slice(1, -1));
    this.url = url;
    this.#root = resolve(ports.root);
    this.#prefix = parsed.prefix;
    this.#rewrite = { find: args.Find ?? "", replace: args.Replace ?? "" };
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.base = join(this.#root, parsed.prefix.slice(1));
    if (this.base.endsWith("/")) this.base = this.base.slice(0, -1);
    this.#directories = new FileDirectories(this.base);
  }

  /** Makes the store's directory, durably. For those who own the root; brokers leave it to an operator (F4). */
  async ensureBase(): Promise<void> {
    await this.#guard("ensureBase", this.#prefix, () => makeDurableDirectory(this.base, this.#root));
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectEntry> {
    const wanted = checkedListPrefix(rewriteKey(checkedListPrefix(prefix), this.#rewrite));
    const within = wanted.slice(0, wanted.lastIndexOf("/") + 1);
    const name = wanted.slice(within.length);
    const root = await this.#checkBase();
    const start = join(this.base, within);
    const real = await realPathOf(start);
    if (real === undefined || !isInside(real, root)) return;
    const accept = (path: string): boolean => path.startsWith(name);
    await this.#walks.take(signal);
    try {
      for await (const file of walkFiles(start, { root, accept, partials: false }, signal)) {
        yield entryOf(prefix + file.path.slice(name.length), file.stats);
      }
    } catch (error) {
      throw fileError(error, "list", prefix);
    } finally {
      this.#walks.release();
    }
  }

  async *get(
    path: string,
    range: { begin?: number; end?: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { begin = 0, end = Number.MAX_SAFE_INTEGER } = range;
    if (begin < 0 || begin > end) {
      throw new WireError("INVALID_ARGUMENT", `invalid range (${begin}, ${end}): expected 0 <= begin <= end`);
    }
    const file = await this.#existing("get", path);
    if (file === undefined) throw notFound(path);
    const handle = await this.#guard("get", path, () => open(file, "r"));
    try {
      yield* readRange(handle, path, begin, end, signal);
    } catch (error) {
      throw fileError(error, "get", path);
    } finally {
      await handle.close();
    }
  }

  async head(path: string, signal: AbortSignal): Promise<ObjectEntry | undefined> {
    signal.throwIfAborted();
    const file = await this.#existing("head", path);
    if (file === undefined) return undefined;
    const stats = await this.#guard("head", path, () => stat(file));
    return stats.isFile() ? entryOf(path, stats) : undefined;
  }

  async put(
    path: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const file = this.#fileOf(path);
    await this.#guard("put", path, async () => {
      signal.throwIfAborted();
      const root = await this.#checkBase();
      await this.#directories.ensure(dirname(file)).catch((error: unknown) => {
        throw fileErrorCode(error) === "EEXIST" || fileErrorCode(error) === "ENOTDIR"
          ? taken(path, error)
          : error;
      });
      await this.#checkInside(dirname(file), root, path);
      const partial = join(dirname(file), this.#partialName(basename(file)));
      const handle = await open(partial, "wx", FILE_MODE);
      try {
        try {
          await writeAll(handle, body, options.bytes, signal);
          await handle.sync();
        } finally {
          await handle.close();
        }
        signal.throwIfAborted();
        await rename(partial, file).catch((error: unknown) => {
          throw fileErrorCode(error) === "EISDIR" ? taken(path, error) : error;
        });
      } catch (error) {
        await rm(partial, { force: true });
        throw error;
      }
      await syncDirectory(dirname(file));
    });
  }

  async sync(path: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if ((await this.#existing("sync", path)) === undefined) throw notFound(path);
    const file = this.#fileOf(path);
    await this.#guard("sync", path, async () => {
      const handle = await open(file, "r");
      try {
        if (!(await handle.stat()).isFile()) throw notFound(path);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await this.#directories.sync(dirname(file));
      await syncDirectory(dirname(file));
    });
  }

  /** A removal is not synced: an object that comes back after a power cut is removed again by whoever removed it. */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const file = this.#fileOf(path);
    await this.#guard("remove", path, async () => {
      const root = await this.#checkBase();
      const dir = await realPathOf(dirname(file));
      if (dir === undefined || !(await isDirectory(dir))) return;
      if (!isInside(dir, root)) throw leaves(path);
      if (!(await isDirectory(file))) await rm(file, { force: true });
    });
  }

  signGet(path: string, _ttlMs: number): Promise<string> {
    return Promise.resolve(`file://${this.#prefix}${this.#keyOf(path)}`);
  }

  /**
   * Removes partial files that were last written more than `ageMs` ago.
   * @returns how many there were
   */
  async removePartials(ageMs: number, signal: AbortSignal): Promise<number> {
    const root = await this.#checkBase();
    const before = this.#clock.wallMs() - ageMs;
    let count = 0;
    for await (const file of walkFiles(this.base, { root, accept: () => true, partials: true }, signal)) {
      if (file.stats.mtimeMs >= before) continue;
      await rm(join(this.base, file.path), { force: true });
      count++;
    }
    return count;
  }

  #keyOf(path: string): string {
    const key = checkedKey(rewriteKey(checkedKey(path), this.#rewrite));
    if (basename(key).startsWith(PARTIAL_PREFIX)) {
      throw new WireError(
        "INVALID_ARGUMENT",
        `invalid object path (${path}): its name begins with ${PARTIAL_PREFIX}`,
      );
    }
    return key;
  }

  #fileOf(path: string): string {
    return join(this.base, this.#keyOf(path));
  }

  #partialName(name: string): string {
    const salt =
      this.#random.u32().toString(16).padStart(8, "0") + this.#random.u32().toString(16).padStart(8, "0");
    return `${PARTIAL_PREFIX}${name.slice(0, PARTIAL_NAME_CHARS)}.${salt}`;
  }

  /** The real path of an object's file, or undefined when there is none. */
  async #existing(operation: string, path: string): Promise<string | undefined> {
    const file = this.#fileOf(path);
    return this.#guard(operation, path, async () => {
      const real = await realPathOf(file);
      const root = await this.#checkBase();
      if (real !== undefined && !isInside(real, root)) throw leaves(path);
      return real;
    });
  }

  async #checkInside(dir: string, root: string, path: string): Promise<void> {
    const real = await realPathOf(dir);
    if (real === undefined || !isInside(real, root)) throw leaves(path);
  }

  /** @returns the real path of the root. @throws {WireError} FORBIDDEN when the base is no directory (F4) */
  async #checkBase(): Promise<string> {
    const root = await realPathOf(this.#root);
    if (root === undefined || !(await isDirectory(this.base))) {
      const text = `invalid file store directory ${this.base}: it does not exist, or is no directory: make it`;
      throw new WireError("FORBIDDEN", text, {
        facts: { base: this.base },
      });
    }
    return root;
  }

  async #guard<T>(operation: string, path: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw fileError(error, operation, path);
    }
  }
}

async function writeAll(
  handle: FileHandle,
  body: AsyncIterable<Uint8Array>,
  expected: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    signal.throwIfAborted();
    bytes += chunk.length;
    if (expected !== undefined && bytes > expected) throw wrongLength(bytes, expected);
    for (let at = 0; at < chunk.length;)
      at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
  }
  if (expected !== undefined && bytes !== expected) throw wrongLength(bytes, expected);
}

async function* readRange(
  handle: FileHandle,
  path: string,
  begin: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stats = await handle.stat();
  if (!stats.isFile()) throw notFound(path);
  const stop = Math.min(end, stats.size);
  for (let at = begin; at < stop;) {
    signal.throwIfAborted();
    const { bytesRead, buffer } = await handle.read(
      new Uint8Array(Math.min(READ_BYTES, stop - at)),
      0,
      null,
      at,
    );
    if (bytesRead === 0) throw new WireError("UNAVAILABLE", `${path} became shorter while it was read`);
    at += bytesRead;
    yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
  }
}

function entryOf(path: string, stats: { mtimeMs: number; size: number }): ObjectEntry {
  return { path, modTimeMs: Math.floor(stats.mtimeMs), bytes: stats.size };
}

function notFound(path: string): WireError {
  return new WireError("NOT_FOUND", `object not found: ${path}`);
}

function leaves(path: string): WireError {
  return new WireError("INVALID_ARGUMENT", `invalid object path (${path}): leaves the store`);
}

function taken(path: string, cause: unknown): WireError {
  const message = `invalid object path (${path}): a directory and an object cannot share a name in a file store`;
  return new WireError("INVALID_ARGUMENT", message, { cause });
}

function wrongLength(bytes: number, expected: number): WireError {
  return new WireError("INVALID_ARGUMENT", `body of ${bytes} bytes or more; expected exactly ${expected}`);
}
