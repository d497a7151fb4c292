// What a part of the page reads again and again while it is open.
import { messageOf } from "./manage-model.svelte.ts";

export interface Polled {
  /** Milliseconds from one reading to the next. */
  readonly everyMs: number;
  readonly read: (signal: AbortSignal) => Promise<void>;
  /** Why the newest reading failed; "" when it did not. */
  readonly onOutcome: (failure: string) => void;
}

/** Reads at once and then every so often. @returns ends it, for an effect */
export function polled({ everyMs, read, onOutcome }: Polled): () => void {
  const abort = new AbortController();
  const once = async (): Promise<void> => {
    try {
      await read(abort.signal);
      onOutcome("");
    } catch (thrown) {
      if (!abort.signal.aborted) onOutcome(messageOf(thrown));
    }
  };
  void once();
  const timer = setInterval(() => void once(), everyMs);
  return () => {
    clearInterval(timer);
    abort.abort();
  };
}
