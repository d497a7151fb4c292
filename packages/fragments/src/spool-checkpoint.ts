// Checkpoints (D1, D6): sync the spool files that the log covers, write down where every journal stands, then free the
// log. All of it on the bulk lane and in small pieces, so that the commit path never waits for it.
import type { Logger } from "@millrace/base";
import { DiskError, writeCheckpoint, type Disk, type DiskOp, type WriteAheadLog } from "@millrace/wal";
import { CHECKPOINT_VERSION, encodeCheckpoint } from "./checkpoint-codec.ts";
import type { DurableSpool } from "./durable-spool.ts";
import type { SpoolFragment } from "./spool-fragment.ts";
import type { StoreMark } from "./spool-image.ts";
import { SPOOLS_DIR } from "./spool-paths.ts";
import type { SpoolWriter } from "./spool-writer.ts";

export const CHECKPOINT_NAME = "checkpoint";

interface DirtyFile {
  readonly path: string;
  readonly fragment: SpoolFragment;
}

export class SpoolCheckpoint {
  readonly #disk: Disk;
  readonly #logger: Logger;
  readonly #syncBatchFiles: number;
  readonly #dir: string;
  readonly #writer: SpoolWriter;
  readonly #log: WriteAheadLog;
  readonly #spools: () => Iterable<DurableSpool>;
  readonly #isBroken: () => boolean;
  readonly #mark: () => StoreMark | undefined;
  #generation: number;
  /** Directories outside of a spool's own that have changed. */
  readonly dirtyDirs = new Set<string>();

  constructor(
    ports: { disk: Disk; logger: Logger },
    options: { syncBatchFiles: number; log: { dir: string } },
    parts: {
      writer: SpoolWriter;
      log: WriteAheadLog;
      spools: () => Iterable<DurableSpool>;
      generation: number;
      /** A sync failed somewhere: one that succeeds after it says nothing of the same file (D5). */
      isBroken: () => boolean;
      mark: () => StoreMark | undefined;
    },
  ) {
    this.#disk = ports.disk;
    this.#logger = ports.logger;
    this.#syncBatchFiles = options.syncBatchFiles;
    this.#dir = options.log.dir;
    this.#writer = parts.writer;
    this.#log = parts.log;
    this.#spools = parts.spools;
    this.#generation = parts.generation;
    this.#isBroken = parts.isBroken;
    this.#mark = parts.mark;
    this.dirtyDirs.add(SPOOLS_DIR);
  }

  /**
   * Makes one checkpoint. Call it right after the log told its listeners of a group, when memory shows exactly what is
   * synced.
   * @returns whether it was made; not so when acknowledged bytes could not be written to their files yet
   * @throws {DiskError}
   */
  async run(): Promise<boolean> {
    // What is acknowledged must be on its way to the files before they are synced. A stray write may forbid that yet.
    this.#writer.write(this.#spools());
    for (const spool of this.#spools()) if (!spool.isIssued) return false;
    const position = this.#log.synced + 1;
    const mark = this.#mark();
    const images = [];
    const files: DirtyFile[] = [];
    const dirs: { path: string; spool: DurableSpool | undefined; fragments: SpoolFragment[] }[] = [];
    for (const spool of this.#spools()) {
      images.push(spool.image());
      const dirty = spool.fragmentsHere.dirty();
      for (const fragment of dirty) files.push({ path: spool.pathOf(fragment), fragment });
      if (spool.dirDirty)
        dirs.push({ path: spool.dir, spool, fragments: dirty.filter(({ fresh }) => fresh) });
      spool.dirDirty = false;
    }
    for (const path of this.dirtyDirs) dirs.push({ path, spool: undefined, fragments: [] });
    this.dirtyDirs.clear();
    for (const { fragment } of files) {
      fragment.dirty = false;
      fragment.unsyncedBytes = 0;
    }
    const restore = (): void => {
      for (const { fragment } of files) fragment.dirty = true;
      for (const { path, spool } of dirs) {
        if (spool === undefined) this.dirtyDirs.add(path);
        else spool.dirDirty = true;
      }
    };
    try {
      if (!(await this.#writer.settled())) {
        restore();
        return false;
      }
      await this.#sync(files.map(({ path }) => ({ kind: "sync", path })));
      await this.#sync(dirs.map(({ path }) => ({ kind: "sync-dir", path })));
      for (const { fragments } of dirs) for (const fragment of fragments) fragment.fresh = false;
      if (this.#isBroken()) {
        restore();
        return false;
      }
      const payload = encodeCheckpoint({ mark, journals: images });
      const generation = this.#generation + 1;
      const checkpoint = { generation, position, payloadVersion: CHECKPOINT_VERSION, payload };
      await writeCheckpoint(this.#disk, "bulk", this.#dir, CHECKPOINT_NAME, checkpoint);
      this.#generation = generation;
    } catch (error) {
      restore();
      throw error;
    }
    this.#log.recycle(position);
    this.#logger.debug("spool-checkpoint", { position, journals: images.length, files: files.length });
    return true;
  }

  /** Syncs in small batches. What is missing was released or removed meanwhile. */
  async #sync(ops: readonly DiskOp[]): Promise<void> {
    for (let at = 0; at < ops.length; at += this.#syncBatchFiles) {
      const batch = ops.slice(at, at + this.#syncBatchFiles);
      try {
        await this.#disk.run("bulk", batch);
      } catch (error) {
        if (!isMissing(error)) throw error;
        for (const op of batch) await this.#disk.run("bulk", [op]).catch(ignoreMissing);
      }
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof DiskError && error.kind === "missing";
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
