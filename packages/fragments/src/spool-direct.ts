// The bytes of a direct append on their way to the spool file (D3): gathered in shared buffers and written on the bulk
// lane, a few at a time, while their sums are computed here.
import { Gate, type WireError } from "@millrace/base";
import { copyInto, crc32c } from "@millrace/wal";
import type { DurableSpool } from "./durable-spool.ts";
import type { SpoolHost } from "./spool-host.ts";
import type { FragmentSums } from "./spool-sums.ts";
import type { RunningSha1 } from "./system-sha1.ts";

/** Buffers under way: one is written while others fill; more would only hold memory. */
const BUFFERS_MAX = 4;

export class DirectWriter {
  readonly #spool: DurableSpool;
  readonly #host: SpoolHost;
  /** Begin of the fragment, and so of its file. */
  readonly #fragment: number;
  /** Offset in the journal of the buffer's first byte. */
  #at: number;
  #buffer: Uint8Array | undefined;
  #used = 0;
  #underWay = 0;
  #failure: WireError | undefined;
  readonly #gate = new Gate();
  #crc = 0;
  readonly #own: RunningSha1 | undefined;
  readonly #whole: FragmentSums;

  /** @param own SHA-1 of nothing; undefined: nobody will ask for it @param whole of the fragment up to `begin` */
  constructor(
    spool: DurableSpool,
    host: SpoolHost,
    place: { fragment: number; begin: number },
    sums: { own: RunningSha1 | undefined; whole: FragmentSums },
  ) {
    this.#spool = spool;
    this.#host = host;
    this.#fragment = place.fragment;
    this.#at = place.begin;
    this.#own = sums.own;
    this.#whole = sums.whole;
  }

  get crc(): number {
    return this.#crc;
  }

  /** SHA-1 of the append's own bytes. */
  get own(): RunningSha1 | undefined {
    return this.#own;
  }

  /** Sums of the fragment with the append. */
  get whole(): FragmentSums {
    return this.#whole;
  }

  /** Why the append cannot go on. */
  get failure(): WireError | undefined {
    return this.#failure;
  }

  get hasRoom(): boolean {
    return this.#underWay < BUFFERS_MAX;
  }

  /** Copies `bytes`; whatever is full goes to the disk. */
  add(bytes: Uint8Array): void {
    const size = this.#host.memory.sizes.tailBlockBytesMax;
    for (let done = 0; done < bytes.length;) {
      this.#buffer ??= this.#host.memory.take(size);
      const piece = bytes.subarray(done, done + size - this.#used);
      copyInto(this.#buffer, this.#used, piece);
      this.#used += piece.length;
      done += piece.length;
      if (this.#used === size) this.#write();
    }
    this.#crc = crc32c(bytes, this.#crc);
    this.#own?.update(bytes);
    this.#whole.update(bytes);
  }

  /** Resolves when there is room for more. @throws {WireError} DISK_FULL, or whatever else went wrong */
  async room(signal: AbortSignal): Promise<void> {
    while (!this.hasRoom && this.#failure === undefined) await this.#gate.next(signal);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Writes what is left. @returns when all writes have ended @throws {WireError} */
  async finish(signal: AbortSignal): Promise<void> {
    if (this.#buffer !== undefined) this.#write();
    while (this.#underWay > 0) await this.#gate.next(signal);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Gives up what was not written yet. */
  abandon(): void {
    if (this.#buffer !== undefined) this.#host.memory.reuse(this.#buffer);
    this.#buffer = undefined;
  }

  #write(): void {
    const buffer = this.#buffer!;
    const bytes = buffer.subarray(0, this.#used);
    const position = this.#at - this.#fragment;
    this.#at += this.#used;
    this.#buffer = undefined;
    this.#used = 0;
    this.#underWay++;
    this.#spool.strays++;
    this.#host.spend(bytes.length);
    const path = this.#spool.pathOf({ begin: this.#fragment });
    this.#host.disk
      .run("bulk", [{ kind: "write", path, position, bytes }])
      .catch((error: unknown) => {
        this.#failure ??= this.#host.diskFailure(error);
      })
      .finally(() => {
        this.#host.memory.reuse(buffer);
        this.#underWay--;
        this.#spool.onStrayEnded();
        this.#gate.open();
      });
  }
}
