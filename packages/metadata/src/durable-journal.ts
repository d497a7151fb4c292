// The embedded store's journal on a disk:
//
//   <dir>/log/…                 the write-ahead log; one record is one batch
//   <dir>/checkpoint.0, .1      two generations: log position, and extent of the snapshot of that generation
//   <dir>/snapshot-<16 hex>     the chunks of a generation
//
// Log and snapshot of the older generation stay until the next checkpoint, so that a rotten checkpoint file costs
// nothing.
import { hex16, never, WireError } from "@millrace/base";
import {
  DiskError,
  LOG_DEFAULTS,
  readCheckpoint,
  RECORD_HEADER_BYTES,
  scanLog,
  WriteAheadLog,
  writeCheckpoint,
  type Checkpoint,
  type Disk,
  type LogOptions,
  type LogPorts,
} from "@millrace/wal";
import { ByteReader, ByteWriter } from "./binary.ts";
import type { JournalVisitor, RecoverJournal, StoreJournal } from "./journal.ts";
import { readSnapshotFile, writeSnapshotFile, type SnapshotExtent } from "./snapshot-file.ts";

const CHECKPOINT = "checkpoint";
const PAYLOAD_VERSION = 1;
const SNAPSHOT_NAME = /^snapshot-([0-9a-f]{16})$/;

/** Small segments: the store compacts itself, and zeros for a segment are written at every first start. */
export const COORDINATION_LOG: Omit<LogOptions, "dir"> = {
  ...LOG_DEFAULTS,
  name: "coordination",
  segmentBytes: 8 * 1024 * 1024,
  firstSegmentBytes: 512 * 1024,
  groupBytesMax: 2 * 1024 * 1024,
  sparesMax: 1,
};

export interface DurableJournalOptions extends LogPorts {
  /** Directory of the store on its disk. */
  readonly dir: string;
  /** Called once, when the log cannot go on: the process must end (D5). */
  readonly onFatal: (error: WireError) => void;
  readonly log?: Partial<Omit<LogOptions, "dir">>;
}

/** How to recover the journal in `options.dir`. @throws {WireError} CORRUPT, naming file and offset; DISK_FULL */
export function durableJournal(options: DurableJournalOptions): RecoverJournal {
  return async (visitor) => {
    try {
      return await recover(options, visitor);
    } catch (thrown) {
      if (!(thrown instanceof DiskError) || thrown.kind !== "full") throw thrown;
      throw new WireError("DISK_FULL", `no space to begin: ${thrown.message}`, { cause: thrown });
    }
  };
}

async function recover(options: DurableJournalOptions, visitor: JournalVisitor): Promise<StoreJournal> {
  const { disk, dir } = options;
  const log: LogOptions = { ...COORDINATION_LOG, ...options.log, dir: `${dir}/log` };
  await disk.run("bulk", [{ kind: "make-dir", path: dir }]);
  const checkpoint = await readCheckpoint(disk, dir, CHECKPOINT);
  if (checkpoint !== undefined) await readSnapshot(disk, dir, checkpoint, visitor);
  const from = checkpoint?.position ?? 1;
  let tailBytes = 0;
  const visit = (record: Uint8Array, { sequence }: { readonly sequence: number }): void => {
    if (sequence < from) return;
    tailBytes += record.length;
    visitor.onBatch(record);
  };
  const scan = await scanLog(disk, log.dir, from, visit, never);
  let fail: (error: WireError) => void = options.onFatal;
  const wal = await WriteAheadLog.open(options, log, { onFatal: (error) => fail(error) }, scan);
  const journal = new DurableJournal(options, log, wal, checkpoint, tailBytes);
  fail = (error) => journal.onFatal(error);
  return journal;
}

class DurableJournal implements StoreJournal {
  readonly batchBytesMax: number;
  readonly #options: DurableJournalOptions;
  readonly #wal: WriteAheadLog;
  /** Of the newest checkpoint. */
  #generation: number;
  #position: number;
  /** Generation last tried: one that failed may stand on the disk, so its number is spent. */
  #tried: number;
  #tailBytes: number;
  #hasFailed = false;

  constructor(
    options: DurableJournalOptions,
    log: LogOptions,
    wal: WriteAheadLog,
    checkpoint: Checkpoint | undefined,
    tailBytes: number,
  ) {
    this.batchBytesMax = log.groupBytesMax - RECORD_HEADER_BYTES;
    this.#options = options;
    this.#wal = wal;
    this.#generation = checkpoint?.generation ?? 0;
    this.#tried = this.#generation;
    this.#position = checkpoint?.position ?? 1;
    this.#tailBytes = tailBytes;
  }

  get tailBytes(): number {
    return this.#tailBytes;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  unhealthy(): string | undefined {
    return this.#wal.unhealthy();
  }

  onFatal(error: WireError): void {
    this.#hasFailed = true;
    this.#options.onFatal(error);
  }

  append(batch: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const taken = this.#wal.append([batch], {
        onLogged: (failure) => {
          if (failure !== undefined) {
            reject(failure);
            return;
          }
          this.#tailBytes += batch.length;
          resolve();
        },
      });
      if (!taken) reject(new WireError("SHUTTING_DOWN", this.#wal.unhealthy() ?? "the log's queue is full"));
    });
  }

  async checkpoint(chunks: Iterable<Uint8Array>): Promise<void> {
    const position = this.#wal.synced + 1;
    const coveredBytes = this.#tailBytes;
    const generation = ++this.#tried;
    const { disk, dir } = this.#options;
    const path = snapshotPath(dir, generation);
    let isSnapshotWritten = false;
    try {
      const extent = await writeSnapshotFile(disk, path, generation, chunks);
      await disk.run("bulk", [{ kind: "sync-dir", path: dir }]);
      isSnapshotWritten = true;
      const payload = encodeExtent(extent);
      const checkpoint = { generation, position, payloadVersion: PAYLOAD_VERSION, payload };
      await writeCheckpoint(disk, "bulk", dir, CHECKPOINT, checkpoint);
    } catch (thrown) {
      // Once a checkpoint file may name it, the snapshot stays.
      if (!isSnapshotWritten) await this.#remove(path);
      throw this.#checkpointFailure(thrown);
    }
    const older = { generation: this.#generation, position: this.#position };
    this.#generation = generation;
    this.#position = position;
    this.#tailBytes -= coveredBytes;
    this.#wal.recycle(older.position);
    await this.#removeSnapshotsBelow(older.generation);
  }

  close(): Promise<void> {
    return this.#wal.close();
  }

  /** A failed sync ends the process (D5); anything else leaves the older checkpoint in force. */
  #checkpointFailure(thrown: unknown): WireError {
    if (!(thrown instanceof DiskError)) return WireError.from(thrown);
    if (thrown.kind === "full") {
      return new WireError("DISK_FULL", `no space for a checkpoint: ${thrown.message}`, { cause: thrown });
    }
    const error = new WireError("INTERNAL", `the checkpoint failed: ${thrown.message}`, { cause: thrown });
    if (thrown.kind === "sync-failed" && !this.#hasFailed) this.onFatal(error);
    return error;
  }

  async #removeSnapshotsBelow(generation: number): Promise<void> {
    const { disk, dir } = this.#options;
    const names = (await disk.list(dir)).map(({ name }) => name);
    for (const name of names) {
      const found = SNAPSHOT_NAME.exec(name)?.[1];
      if (found !== undefined && Number.parseInt(found, 16) < generation)
        await this.#remove(`${dir}/${name}`);
    }
  }

  /** Gives space back; failing at that harms nobody. */
  async #remove(path: string): Promise<void> {
    try {
      await this.#options.disk.run("bulk", [{ kind: "remove", path }]);
    } catch (thrown) {
      if (!(thrown instanceof DiskError)) throw thrown;
      this.#options.logger.warn("coordination-snapshot-removal-failed", { error: thrown });
    }
  }
}

async function readSnapshot(
  disk: Disk,
  dir: string,
  found: Checkpoint,
  visitor: JournalVisitor,
): Promise<void> {
  const { generation, payload, payloadVersion } = found;
  if (payloadVersion !== PAYLOAD_VERSION) {
    throw new WireError("CORRUPT", `${dir}: checkpoint payload ${payloadVersion} is newer than this program`);
  }
  const extent = decodeExtent(payload);
  await readSnapshotFile(disk, snapshotPath(dir, generation), generation, extent, (chunk) =>
    visitor.onChunk(chunk),
  );
}

function snapshotPath(dir: string, generation: number): string {
  return `${dir}/snapshot-${hex16(generation)}`;
}

function encodeExtent(extent: SnapshotExtent): Uint8Array {
  const to = new ByteWriter(16);
  to.uint(extent.bytes);
  to.uint(extent.chunks);
  return to.finish();
}

function decodeExtent(payload: Uint8Array): SnapshotExtent {
  const from = new ByteReader("the coordination checkpoint's extent", payload);
  const extent = { bytes: from.uint(), chunks: from.uint() };
  if (!from.isAtEnd) throw from.corrupt("has bytes behind its end");
  return extent;
}
