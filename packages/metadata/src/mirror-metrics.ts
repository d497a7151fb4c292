// How large what a process mirrors of the coordination store is.
import type { Metrics } from "@millrace/base";

export interface MirrorSize {
  readonly keys: number;
  /** Of keys and encoded values; what is made of them in memory takes some times that. */
  readonly bytes: number;
}

/** @param mirror a word for what is mirrored, of a closed set @returns ends it */
export function addMirrorMetrics(metrics: Metrics, mirror: string, size: () => MirrorSize): () => void {
  const keys = metrics.gauge("millrace_mirror_keys", "Keys of the coordination store that are mirrored.");
  const bytes = metrics.gauge("millrace_mirror_bytes", "Bytes of mirrored keys and of their encoded values.");
  return metrics.beforeRender(() => {
    const now = size();
    keys.set(now.keys, { mirror });
    bytes.set(now.bytes, { mirror });
  });
}
