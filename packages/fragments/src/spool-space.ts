// The low-space reserve (D5): appends are refused while the disk has less room than log and checkpoint need to finish.
// Between looks at the disk the bytes handed out are counted, so that a burst cannot eat the reserve unseen.
import { WireError, type Clock, type Logger } from "@millrace/base";
import type { Disk, DiskSpace } from "@millrace/wal";
import type { SpoolMetrics } from "./spool-metrics.ts";

export class SpoolSpace {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #reserveBytes: number;
  readonly #retryMs: number;
  readonly #onChange: () => void;
  readonly #metrics: Pick<SpoolMetrics, "freeBytes" | "diskBytes">;
  /** What may be handed out until the disk is asked again. */
  #left: number;
  #free: number;
  #low: boolean;
  #looking = false;
  #lookedMs: number;
  #closed = false;
  #cancel: (() => void) | undefined;

  /** @param space asked just now */
  constructor(
    ports: { disk: Disk; clock: Clock; logger: Logger },
    options: { reserveBytes: number; retryMs: number },
    metrics: Pick<SpoolMetrics, "freeBytes" | "diskBytes">,
    space: DiskSpace,
    onChange: () => void,
  ) {
    this.#disk = ports.disk;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#reserveBytes = options.reserveBytes;
    this.#retryMs = options.retryMs;
    this.#onChange = onChange;
    this.#metrics = metrics;
    const free = this.#noted(space);
    this.#free = free;
    this.#lookedMs = ports.clock.monotonicMs();
    this.#left = this.#allowance(free);
    this.#low = free < options.reserveBytes;
    if (this.#low) this.#lookLater();
  }

  /** Why nothing may be written now; undefined when there is room. */
  refusal(): WireError | undefined {
    if (!this.#low) return undefined;
    return new WireError(
      "DISK_FULL",
      `free space ${this.#free} below the reserve (${this.#reserveBytes} <= free)`,
      {
        facts: { freeBytes: this.#free, reserveBytes: this.#reserveBytes },
      },
    );
  }

  /** Counts bytes that will be written. */
  spend(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) this.look();
    else this.refresh();
  }

  /** Asks the disk when that was long ago: others write to it too. */
  refresh(): void {
    if (this.#clock.monotonicMs() - this.#lookedMs > this.#retryMs) this.look();
  }

  /** Asks the disk now: it refused a write, or something was freed. */
  look(): void {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    this.#lookedMs = this.#clock.monotonicMs();
    this.#disk
      .space()
      .then((space) => this.#onFree(this.#noted(space)))
      .catch((error: unknown) => {
        this.#logger.warn("spool-space-unknown", { error: String(error) });
        this.#lookLater();
      })
      .finally(() => {
        this.#looking = false;
      });
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  /** @returns bytes that are free */
  #noted({ freeBytes, totalBytes }: DiskSpace): number {
    this.#metrics.freeBytes.set(freeBytes);
    this.#metrics.diskBytes.set(totalBytes);
    return freeBytes;
  }

  #onFree(free: number): void {
    this.#free = free;
    this.#left = this.#allowance(free);
    const low = free < this.#reserveBytes;
    if (low) this.#lookLater();
    if (low === this.#low) return;
    this.#low = low;
    if (low) this.#logger.warn("spool-space-low", { freeBytes: free, reserveBytes: this.#reserveBytes });
    else this.#logger.info("spool-space-back", { freeBytes: free });
    this.#onChange();
  }

  /** A part of what is above the reserve: log and checkpoint take space that nobody counts here. */
  #allowance(free: number): number {
    return Math.max(0, free - this.#reserveBytes) / 4;
  }

  #lookLater(): void {
    if (this.#closed || this.#cancel !== undefined) return;
    this.#cancel = this.#clock.after(this.#retryMs, () => {
      this.#cancel = undefined;
      this.look();
    });
  }
}
