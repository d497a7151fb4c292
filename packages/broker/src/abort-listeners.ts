// Many waiters of one AbortSignal with one listener: adding a listener for each small append costs more than the
// append, and shared signals warn of leaks from the eleventh on.
import { never } from "@millrace/base";

/** Something that an abort ends. */
export interface Abortable {
  aborted(reason: Error): void;
}

const waiters = new WeakMap<AbortSignal, Set<Abortable>>();

/** Tells `waiter` when `signal` aborts, which it has not yet; until {@link forgetAbort}. */
export function onAbort(signal: AbortSignal, waiter: Abortable): void {
  if (signal === never) return;
  let known = waiters.get(signal);
  if (known === undefined) {
    const all = new Set<Abortable>();
    known = all;
    waiters.set(signal, all);
    const tell = (): void => {
      for (const each of [...all]) each.aborted(signal.reason as Error);
      all.clear();
    };
    signal.addEventListener("abort", tell, { once: true });
  }
  known.add(waiter);
}

export function forgetAbort(signal: AbortSignal, waiter: Abortable): void {
  if (signal === never) return;
  waiters.get(signal)?.delete(waiter);
}
