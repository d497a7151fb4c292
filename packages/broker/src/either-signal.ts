// A signal that aborts with whichever of two does first.
import { abortScope, type AbortScope } from "@millrace/base";

/** Call `dispose` when the work is over: both signals may live long. */
export function eitherSignal(one: AbortSignal, other: AbortSignal): AbortScope {
  const scope = abortScope(one);
  const onOther = (): void => scope.abort(other.reason);
  if (other.aborted) onOther();
  else other.addEventListener("abort", onOther, { once: true });
  return {
    signal: scope.signal,
    abort: (reason) => scope.abort(reason),
    dispose: () => {
      other.removeEventListener("abort", onOther);
      scope.dispose();
    },
  };
}
