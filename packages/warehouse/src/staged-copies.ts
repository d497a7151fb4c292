// Staged objects of a bucket as files of the warehouse's own disk, since the engine may read nothing else: a load's
// objects are fetched before it and removed behind it. What was fetched is compared with its CRC by the target, as any
// staged object is.
import { createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { WireError } from "@millrace/base";
import type { Column, LoadOutcome, LoadRequest, StagedObject, TableFit, Target } from "@millrace/ingest";
import type { ObjectStore } from "@millrace/stores";

/** Objects of a load that are fetched at the same time. */
const FETCHES_AT_ONCE = 4;

export class StagedCopies implements Target {
  readonly #target: Target;
  readonly #store: ObjectStore;
  readonly #directory: string;
  #loads = 0;

  /** @param directory that the target resolves staged objects' paths in, this object's alone */
  private constructor(target: Target, store: ObjectStore, directory: string) {
    this.#target = target;
    this.#store = store;
    this.#directory = directory;
  }

  /** Removes what an earlier life has left in `directory`. */
  static async open(target: Target, store: ObjectStore, directory: string): Promise<StagedCopies> {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o750 });
    return new StagedCopies(target, store, directory);
  }

  check(
    tableId: string,
    columns: readonly Column[],
    signal: AbortSignal,
    fit?: TableFit,
  ): Promise<string | undefined> {
    return this.#target.check(tableId, columns, signal, fit);
  }

  prepare(tableId: string, columns: readonly Column[], signal: AbortSignal, fit?: TableFit): Promise<void> {
    return this.#target.prepare(tableId, columns, signal, fit);
  }

  drop(tableId: string, journals: readonly string[], signal: AbortSignal): Promise<void> {
    return this.#target.drop(tableId, journals, signal);
  }

  loadedEnds(tableId: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    return this.#target.loadedEnds(tableId, signal);
  }

  /** A try of the same load may still be under way in the engine: each has a folder of its own. */
  async load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    const folder = String(++this.#loads);
    const below = (object: StagedObject): StagedObject => ({ ...object, path: `${folder}/${object.path}` });
    const partitions = request.partitions.map((partition) => ({
      ...partition,
      objects: partition.objects.map(below),
    }));
    try {
      await this.#fetch(folder, request, signal);
      return await this.#target.load({ ...request, partitions }, signal);
    } finally {
      await rm(join(this.#directory, folder), { recursive: true, force: true });
    }
  }

  async #fetch(folder: string, request: LoadRequest, signal: AbortSignal): Promise<void> {
    const paths = request.partitions.flatMap(({ objects }) => objects.map(({ path }) => path));
    let next = 0;
    const fetchAll = async (): Promise<void> => {
      while (next < paths.length) await this.#fetchOne(folder, paths[next++]!, signal);
    };
    const fetches = Array.from({ length: Math.min(FETCHES_AT_ONCE, paths.length) }, fetchAll);
    // All of them: the folder goes when one has failed.
    const failed = (await Promise.allSettled(fetches)).find(({ status }) => status === "rejected");
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  }

  /** @throws {WireError} as the store does: NOT_FOUND says that it is staged again */
  async #fetchOne(folder: string, path: string, signal: AbortSignal): Promise<void> {
    const file = join(this.#directory, folder, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o750 });
    try {
      await pipeline(
        Readable.from(this.#store.get(path, {}, signal)),
        createWriteStream(file, { mode: 0o640 }),
        {
          signal,
        },
      );
    } catch (thrown) {
      signal.throwIfAborted();
      if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
      const message = `no space for staged object ${path} in ${this.#directory}`;
      throw new WireError("DISK_FULL", message, { cause: thrown });
    }
  }
}
