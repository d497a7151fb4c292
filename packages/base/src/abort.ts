// Linked abort scopes that remove their listener: AbortSignal.any on a long-lived parent leaks.

/** A child of `parent` that can be aborted alone. Call `dispose` when its work is over. */
export interface AbortScope {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  dispose(): void;
}

export function abortScope(parent: AbortSignal): AbortScope {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(parent.reason);
  if (parent.aborted) onAbort();
  else parent.addEventListener("abort", onAbort, { once: true });
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    dispose: () => parent.removeEventListener("abort", onAbort),
  };
}

/**
 * A signal that never aborts: for work that must finish. Listeners would wait for ever and are not kept: everybody who
 * waits shares it, so they would pile up, each new one searching through all the others.
 */
export const never: AbortSignal = withoutListeners(new AbortController().signal);

function withoutListeners(signal: AbortSignal): AbortSignal {
  return Object.assign(signal, { addEventListener: () => undefined });
}
