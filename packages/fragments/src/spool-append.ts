// One append being written. Small ones are staged in memory and travel with the log; from `directBytesMin` on the
// bytes go straight to the spool file on the bulk lane (D3).
import { assert, WireError } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import { crc32c, type DiskOp } from "@millrace/wal";
import type { DurableSpool } from "./durable-spool.ts";
import type { SpoolHost } from "./spool-host.ts";
import type { CommitOutcome, SpoolAppend } from "./spools.ts";
import { EMPTY_SHA1, RunningSha1 } from "./system-sha1.ts";

/** Sums of a direct append, as far as it is written. */
interface Direct {
  crc: number;
  /** Of the append's own bytes. */
  readonly own: RunningSha1;
  /** Of the fragment with the append. */
  readonly fragment: RunningSha1;
}

export class DurableAppend implements SpoolAppend {
  readonly #spool: DurableSpool;
  readonly #host: SpoolHost;
  readonly #fragment: number;
  readonly begin: number;
  #bytes = 0;
  #direct: Direct | undefined;
  #state: "open" | "writing" | "ended" = "open";
  /** An append before it failed, so its place is gone: it can only be refused. */
  lost: WireError | undefined;

  constructor(spool: DurableSpool, host: SpoolHost, fragment: number, begin: number) {
    this.#spool = spool;
    this.#host = host;
    this.#fragment = fragment;
    this.begin = begin;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether it would commit to the fragment that begins at `fragment`, from `begin` on. */
  standsAt(fragment: number, begin: number): boolean {
    return this.#fragment === fragment && this.begin === begin;
  }

  sum(): string {
    if (this.#direct !== undefined) return this.#direct.own.hex();
    if (this.#bytes === 0) return EMPTY_SHA1;
    assert(this.#state !== "ended", "the sum is asked for before the append ends", { begin: this.begin });
    if (this.lost !== undefined) throw this.lost;
    const sha1 = new RunningSha1();
    for (const part of this.#spool.tail.parts(this.begin, this.begin + this.#bytes)) sha1.update(part);
    return sha1.hex();
  }

  write(chunk: Uint8Array, signal: AbortSignal): Promise<void> | void {
    assert(this.#state === "open", "an open append is written by one caller", { state: this.#state });
    const refusal = this.lost ?? this.#host.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    if (chunk.length === 0) return;
    if (this.#direct !== undefined || this.#bytes + chunk.length >= this.#host.directBytesMin) {
      return this.#writeDirect(chunk, signal);
    }
    this.#spool.tail.stage(this.#fragment, this.begin + this.#bytes, chunk);
    this.#bytes += chunk.length;
  }

  commit(registers: LabelSet | undefined, onOutcome: (outcome: CommitOutcome) => void): void {
    assert(this.#state === "open", "an append ends once, and not while it is written", {
      state: this.#state,
    });
    this.#state = "ended";
    const direct = this.#direct && { crc: this.#direct.crc, sha1: this.#direct.fragment };
    this.#spool.commitAppend(this, direct, registers, onOutcome);
  }

  rollback(): void {
    assert(this.#state !== "ended", "an append ends once", { begin: this.begin });
    this.#state = "ended";
    this.#spool.rollbackAppend(this);
  }

  async #writeDirect(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#state = "writing";
    try {
      this.#direct ??= await this.#startDirect(signal);
      const writing = this.#writeAt(this.#bytes, [chunk]);
      sumUp(this.#direct, chunk); // while the disk's thread writes
      await writing;
      this.#bytes += chunk.length;
      signal.throwIfAborted();
    } catch (error) {
      // The sums are past what the file has: only a rollback, or a refusal, can follow.
      this.lost ??= WireError.from(error);
      throw error;
    } finally {
      if (this.#state === "writing") this.#state = "open";
    }
  }

  /** Moves what was staged into the file. Nothing else of this spool is under way then. */
  async #startDirect(signal: AbortSignal): Promise<Direct> {
    await this.#spool.quiet(signal);
    if (this.lost !== undefined) throw this.lost;
    const direct: Direct = { crc: 0, own: new RunningSha1(), fragment: this.#spool.forkSha1() };
    const staged = this.#spool.tail.parts(this.begin, this.begin + this.#bytes);
    for (const part of staged) sumUp(direct, part);
    await this.#writeAt(0, staged);
    this.#spool.tail.truncate(this.begin);
    return direct;
  }

  async #writeAt(at: number, parts: readonly Uint8Array[]): Promise<void> {
    const path = this.#spool.pathOf({ begin: this.#fragment });
    let position = this.begin - this.#fragment + at;
    const ops: DiskOp[] = [];
    for (const bytes of parts) {
      ops.push({ kind: "write", path, position, bytes });
      position += bytes.length;
      this.#host.spend(bytes.length);
    }
    try {
      await this.#host.disk.run("bulk", ops);
    } catch (error) {
      throw this.#host.diskFailure(error);
    }
  }
}

function sumUp(direct: Direct, bytes: Uint8Array): void {
  direct.crc = crc32c(bytes, direct.crc);
  direct.own.update(bytes);
  direct.fragment.update(bytes);
}
