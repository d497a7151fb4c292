// `gazette_write_head`, by journal, as Gazette's primaries have it after each append. Set when somebody asks for the
// metrics, so that appends do not pay for it; a journal that goes to another primary is told by that one alone.
import type { Metrics } from "@millrace/base";
import type { JournalReplica } from "./journal-replica.ts";

export interface WriteHeadPorts {
  readonly replicas: () => readonly JournalReplica[];
  readonly isPrimary: (journal: string) => boolean;
}

/** Until `signal` aborts. */
export async function tellWriteHeads(
  metrics: Metrics,
  { replicas, isPrimary }: WriteHeadPorts,
  signal: AbortSignal,
): Promise<void> {
  const writeHead = metrics.gauge(
    "gazette_write_head",
    "Offset at which the next append to a journal begins, by journal, at its primary",
  );
  const end = metrics.beforeRender(() => {
    writeHead.clear();
    for (const replica of replicas()) {
      const { journal } = replica;
      if (!replica.isOpen || !isPrimary(journal)) continue;
      const { spool, index } = replica.local;
      writeHead.set(Math.max(spool.end, index.summary().end), { journal });
    }
  });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  end();
  writeHead.clear();
}
