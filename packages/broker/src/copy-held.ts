// Copies another broker's bytes to the end of a spool.
//
//  C1  They are committed in small pieces: such appends are written whatever is hidden, and what was copied before the
//      source or this process ends need not be copied again.
//      What registers stand behind them is known once all of it is here: until then that is said to be unknown.
//  C2  A source that says nothing for a while has failed; one that says more, or less, than it was asked for too.
import { abortScope, Gate, WireError, type Clock } from "@millrace/base";
import type { Spool } from "@millrace/fragments";
import type { Range } from "./holders-list.ts";
import { COPY_AHEAD_BYTES, COPY_COMMIT_BYTES, FETCH_STALL_MS } from "./limits.ts";

/**
 * Whoever calls has the spool, whose end is where the range begins. Resolves when all of it is synced.
 * @throws {WireError} UNAVAILABLE; of the source and the spool; what aborted `signal`
 */
export async function copyHeld(
  spool: Spool,
  fetch: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  range: Range,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const scope = abortScope(signal);
  const commits = new Commits(spool);
  const piece = Math.min(COPY_COMMIT_BYTES, spool.directBytesMin - 1);
  const guard = (): (() => void) =>
    clock.after(FETCH_STALL_MS, () =>
      scope.abort(new WireError("UNAVAILABLE", `the source sent nothing for ${FETCH_STALL_MS} ms`)),
    );
  let cancel = guard();
  let left = range.end - range.begin;
  try {
    for await (const chunk of fetch(scope.signal)) {
      cancel();
      scope.signal.throwIfAborted();
      left -= chunk.length;
      if (left < 0) throw new WireError("UNAVAILABLE", `the source sent ${-left} bytes too many`);
      for (let at = 0; at < chunk.length; at += piece) {
        await commits.add(chunk.subarray(at, at + piece), signal);
      }
      cancel = guard();
    }
    scope.signal.throwIfAborted();
    if (left > 0) throw new WireError("UNAVAILABLE", `the source sent ${left} bytes too few`); // C2
  } finally {
    cancel();
    scope.abort(new WireError("UNAVAILABLE", "the copy is over"));
    scope.dispose();
    await commits.settled();
  }
  if (commits.failure !== undefined) throw commits.failure;
}

/** Appends under way, bounded. */
class Commits {
  failure: WireError | undefined;
  readonly #spool: Spool;
  readonly #changed = new Gate();
  #pendingBytes = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  async add(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    while (this.#pendingBytes > COPY_AHEAD_BYTES) await this.#changed.next(signal);
    if (this.failure !== undefined) throw this.failure;
    const append = this.#spool.openAppend(false);
    try {
      const written = append.write(bytes, signal);
      if (written !== undefined) await written;
    } catch (error) {
      append.rollback();
      throw error;
    }
    this.#pendingBytes += bytes.length;
    append.commit("unknown", (outcome) => {
      this.#pendingBytes -= bytes.length;
      if (outcome.kind !== "acknowledged") this.failure ??= outcome.error;
      this.#changed.open();
    });
  }

  /** Resolves when every append has its outcome. */
  async settled(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#spool.openAppend(false).commit(undefined, () => resolve());
    });
  }
}
