// Makes log segments ready ahead of need, on the bulk lane: zeros are written and synced, the header is written and
// synced, and only then the file gets its number for a name (D2). Recycled segments skip the zeros.
import { assert, type Logger, type Random } from "@millrace/base";
import { DiskError, type Disk, type DiskOp } from "./disk.ts";
import { PREPARING_NAME, segmentName, spareName } from "./log-files.ts";
import type { LogOptions } from "./log-options.ts";
import {
  encodeSegmentHeader,
  SALT_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  type SegmentOrigin,
} from "./segment-codec.ts";
import { sharedBytes } from "./shared-bytes.ts";

/** Written in pieces, so that a direct append on the same lane waits for one of them at most. */
const ZEROS_BYTES = 1024 * 1024;

export interface ReadySegment {
  readonly path: string;
  readonly bytes: number;
  readonly header: SegmentHeader;
}

interface Spare {
  readonly path: string;
  readonly bytes: number;
}

export class SegmentPool {
  readonly #disk: Disk;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #options: LogOptions;
  readonly #spares: Spare[] = [];
  /** One piece of work at a time: there is one "preparing" file. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(ports: { disk: Disk; random: Random; logger: Logger }, options: LogOptions) {
    this.#disk = ports.disk;
    this.#random = ports.random;
    this.#logger = ports.logger;
    this.#options = options;
  }

  /**
   * Makes segment `number` ready; uses a spare when there is one.
   * @param origin its size is that of a spare when there is one
   * @throws {DiskError}
   */
  prepare(number: number, origin: SegmentOrigin): Promise<ReadySegment> {
    return this.#inTurn(() => this.#prepare(number, origin));
  }

  /** Takes a segment that nobody needs any more: it waits as a spare, or is removed. @throws {DiskError} */
  recycle(segment: {
    readonly path: string;
    readonly bytes: number;
    readonly header: SegmentHeader;
  }): Promise<void> {
    return this.#inTurn(async () => {
      const keep =
        segment.bytes === this.#options.segmentBytes && this.#spares.length < this.#options.sparesMax;
      if (!keep) return this.#disk.run("bulk", [{ kind: "remove", path: segment.path }]);
      const path = `${this.#options.dir}/${spareName(segment.header.number)}`;
      await this.#disk.run("bulk", [{ kind: "rename", from: segment.path, to: path }]);
      this.#spares.push({ path, bytes: segment.bytes });
    });
  }

  /** Spares that a scan found. */
  async adopt(spares: readonly Spare[]): Promise<void> {
    for (const spare of spares) {
      if (spare.bytes === this.#options.segmentBytes && this.#spares.length < this.#options.sparesMax) {
        this.#spares.push(spare);
      } else {
        await this.#disk.run("bulk", [{ kind: "remove", path: spare.path }]);
      }
    }
  }

  /** Waits for work under way. */
  async close(): Promise<void> {
    await this.#last;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #prepare(number: number, origin: SegmentOrigin): Promise<ReadySegment> {
    const { dir } = this.#options;
    const preparing = `${dir}/${PREPARING_NAME}`;
    const path = `${dir}/${segmentName(number)}`;
    const spare = this.#spares.pop();
    const bytes = spare?.bytes ?? origin.bytes;
    const salt = this.#random.fill(new Uint8Array(SALT_BYTES));
    const { bytes: head, header } = encodeSegmentHeader(number, { ...origin, bytes }, salt);
    const finish: DiskOp[] = [
      { kind: "write", path: preparing, position: 0, bytes: head },
      { kind: "sync", path: preparing },
      { kind: "rename", from: preparing, to: path },
      { kind: "sync-dir", path: dir },
    ];
    if (spare !== undefined) {
      // Durable under the new name before the header changes: a power cut must not give the old name a torn header.
      const rename: DiskOp = { kind: "rename", from: spare.path, to: preparing };
      await this.#disk.run("bulk", [rename, { kind: "sync-dir", path: dir }, ...finish]);
      return { path, bytes, header };
    }
    try {
      await this.#writeZeros(preparing, bytes);
      await this.#disk.run("bulk", finish);
    } catch (error) {
      if (error instanceof DiskError && error.kind === "full") await this.#giveBack(preparing);
      throw error;
    }
    return { path, bytes, header };
  }

  async #writeZeros(path: string, bytes: number): Promise<void> {
    assert(bytes > SEGMENT_HEADER_BYTES, "a segment holds more than its header", { bytes });
    const zeros = sharedBytes(Math.min(ZEROS_BYTES, bytes));
    // A preparation that was interrupted may have left bytes; the file must be exactly as long as is asked.
    await this.#disk.run("bulk", [{ kind: "remove", path }]);
    for (let at = 0; at < bytes; at += zeros.length) {
      const piece = zeros.subarray(0, Math.min(zeros.length, bytes - at));
      await this.#disk.run("bulk", [{ kind: "write", path, position: at, bytes: piece }]);
    }
  }

  /** What could not be finished must not hold the space that others need. */
  async #giveBack(path: string): Promise<void> {
    try {
      await this.#disk.run("bulk", [{ kind: "remove", path }]);
    } catch (error) {
      this.#logger.warn("log-give-back-failed", { path, error });
    }
  }
}
