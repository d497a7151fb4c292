// Reads of the real disk: on the platform's I/O pool, from files that are kept open for a while.
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { diskErrorOf } from "./system-disk-ops.ts";

const OPEN_FILES_MAX = 128;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  readers: number;
  /** No longer in the cache: closed when the last reader has finished. */
  dropped: boolean;
}

export class SystemDiskReader {
  readonly #root: string;
  /** In order of last use, oldest first. */
  readonly #files = new Map<string, OpenFile>();
  readonly #closing = new Set<Promise<void>>();

  constructor(root: string) {
    this.#root = root;
  }

  async read(path: string, position: number, bytes: number): Promise<Uint8Array> {
    const file = this.#take(path);
    file.readers++;
    try {
      const handle = await file.handle;
      const target = Buffer.allocUnsafeSlow(bytes);
      let done = 0;
      while (done < bytes) {
        const { bytesRead } = await handle.read(target, done, bytes - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return target.subarray(0, done);
    } catch (error) {
      this.forget(path);
      throw diskErrorOf(path, "read", error);
    } finally {
      file.readers--;
      if (file.dropped && file.readers === 0) this.#close(file);
    }
  }

  /** Forgets cached files at or below `path`: it was renamed or removed. */
  forget(path: string): void {
    for (const [cached, file] of this.#files) {
      if (cached === path || cached.startsWith(`${path}/`)) this.#drop(cached, file);
    }
  }

  async close(): Promise<void> {
    for (const [path, file] of this.#files) this.#drop(path, file);
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  #take(path: string): OpenFile {
    let file = this.#files.get(path);
    if (file === undefined) file = { handle: open(join(this.#root, path), "r"), readers: 0, dropped: false };
    else this.#files.delete(path);
    this.#files.set(path, file);
    if (this.#files.size > OPEN_FILES_MAX) {
      const [oldest, unused] = this.#files.entries().next().value!;
      this.#drop(oldest, unused);
    }
    return file;
  }

  #drop(path: string, file: OpenFile): void {
    this.#files.delete(path);
    file.dropped = true;
    if (file.readers === 0) this.#close(file);
  }

  #close(file: OpenFile): void {
    const closing: Promise<void> = file.handle
      .then((handle) => handle.close())
      // It could not be opened; its readers were told.
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
