// Waiting for a change, but not longer than some time.
import { abortScope, type Clock, type Gate } from "@millrace/base";

/** Resolves at the next opening of `gate`, or after `ms`. Rejects with `signal.reason` when it aborts. */
export async function changeWithin(gate: Gate, ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const scope = abortScope(signal);
  const cancel = clock.after(Math.max(0, ms), () => scope.abort(new Error("time is up")));
  try {
    await gate.next(scope.signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!scope.signal.aborted) throw error;
  } finally {
    cancel();
    scope.dispose();
  }
}
