// One append being written. Small ones are staged in memory and travel with the log; from `directBytesMin` on the
// bytes go straight to the spool file on the bulk lane (D3).
import { assert, WireError } from "@millrace/base";
import type { RegistersChange } from "./spool-registers.ts";
import type { DurableSpool } from "./durable-spool.ts";
import { DirectWriter } from "./spool-direct.ts";
import type { SpoolHost } from "./spool-host.ts";
import type { CommitOutcome, SpoolAppend } from "./spools.ts";
import { EMPTY_SHA1, RunningSha1, sha1Hex } from "./system-sha1.ts";

export class DurableAppend implements SpoolAppend {
  readonly #spool: DurableSpool;
  readonly #host: SpoolHost;
  readonly #fragment: number;
  readonly begin: number;
  readonly #isSummed: boolean;
  #bytes = 0;
  #direct: DirectWriter | undefined;
  #state: "open" | "writing" | "ended" = "open";
  /** Why it can only be refused: an append before it failed and its place is gone, or a write of its own failed. */
  lost: WireError | undefined;

  constructor(
    spool: DurableSpool,
    host: SpoolHost,
    place: { readonly fragment: number; readonly begin: number },
    isSummed: boolean,
  ) {
    this.#spool = spool;
    this.#host = host;
    this.#fragment = place.fragment;
    this.begin = place.begin;
    this.#isSummed = isSummed;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether it would commit to the fragment that begins at `fragment`, from `begin` on. */
  standsAt(fragment: number, begin: number): boolean {
    return this.#fragment === fragment && this.begin === begin;
  }

  sum(): string {
    assert(this.#isSummed, "it was said that the sum will be asked for", { begin: this.begin });
    if (this.#direct !== undefined) return this.#direct.own!.hex();
    if (this.#bytes === 0) return EMPTY_SHA1;
    assert(this.#state !== "ended", "the sum is asked for before the append ends", { begin: this.begin });
    if (this.lost !== undefined) throw this.lost;
    const parts = this.#spool.tail.parts(this.begin, this.begin + this.#bytes);
    if (parts.length === 1) return sha1Hex(parts[0]!);
    const sha1 = new RunningSha1();
    for (const part of parts) sha1.update(part);
    return sha1.hex();
  }

  write(chunk: Uint8Array, signal: AbortSignal): Promise<void> | void {
    assert(this.#state === "open", "an open append is written by one caller", { state: this.#state });
    const refusal = this.lost ?? this.#direct?.failure ?? this.#host.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.#direct !== undefined) {
      this.#direct.add(chunk);
      this.#bytes += chunk.length;
      return this.#direct.hasRoom ? undefined : this.#waiting(this.#direct.room(signal));
    }
    if (this.#bytes + chunk.length >= this.#host.directBytesMin) {
      return this.#waiting(this.#goDirect(chunk, signal));
    }
    if (chunk.length > 0) this.#spool.tail.stage(this.#fragment, this.begin + this.#bytes, chunk);
    this.#bytes += chunk.length;
  }

  commit(registers: RegistersChange, onOutcome: (outcome: CommitOutcome) => void): boolean {
    assert(this.#state === "open", "an append ends once, and not while it is written", {
      state: this.#state,
    });
    this.#state = "ended";
    if (this.lost !== undefined) this.#direct?.abandon();
    return this.#spool.commitAppend(this, this.#direct, registers, onOutcome);
  }

  rollback(): void {
    assert(this.#state !== "ended", "an append ends once", { begin: this.begin });
    this.#state = "ended";
    this.#direct?.abandon();
    this.#spool.rollbackAppend(this);
  }

  async #waiting(work: Promise<void>): Promise<void> {
    this.#state = "writing";
    try {
      await work;
    } catch (error) {
      this.lost ??= WireError.from(error);
      throw error;
    } finally {
      if (this.#state === "writing") this.#state = "open";
    }
  }

  /** Moves what was staged to the file's writer. Nothing else of this spool is under way then. */
  async #goDirect(chunk: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#spool.quiet(signal);
    if (this.#state === "ended") return;
    if (this.lost !== undefined) throw this.lost;
    const own = this.#isSummed ? new RunningSha1() : undefined;
    const sums = { own, whole: this.#spool.forkSums() };
    const place = { fragment: this.#fragment, begin: this.begin };
    const direct = new DirectWriter(this.#spool, this.#host, place, sums);
    this.#direct = direct;
    for (const part of this.#spool.tail.parts(this.begin, this.begin + this.#bytes)) direct.add(part);
    this.#spool.tail.truncate(this.begin);
    direct.add(chunk);
    this.#bytes += chunk.length;
    await direct.room(signal);
  }
}
