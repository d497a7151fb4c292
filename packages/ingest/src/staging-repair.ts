// Stages a slice again, from the journal: its staged objects are gone or rotten. The journal keeps the bytes until the
// slice is imported, and the slice keeps the reader's state at its begin, so the same rows come out.
import { WireError, type Clock, type Logger } from "@millrace/base";
import { readJournal, type JournalTransport } from "@millrace/client";
import type { ObjectStore } from "@millrace/stores";
import { FrameDecoder } from "./frame-decoder.ts";
import { FrameFilter } from "./frame-filter.ts";
import { checkGivenUp } from "./given-up-hole.ts";
import { KEY_WINDOW } from "./key-window.ts";
import { keysAt } from "./reader-keys.ts";
import { Segment } from "./reader-segment.ts";
import { putStaged } from "./staging-put.ts";
import type { SliceUploaded } from "./storage-entities.ts";

export interface RepairPorts {
  readonly transport: JournalTransport;
  readonly stagingStore: ObjectStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * @returns the slice with new objects
 * @throws {WireError} of the journal and the store; CORRUPT when the journal gives other rows than were staged
 */
export async function stageAgain(
  ports: RepairPorts,
  journal: string,
  slice: SliceUploaded,
  signal: AbortSignal,
): Promise<SliceUploaded> {
  const { begin, end } = slice;
  if (begin === end) return slice;
  const segment = new Segment(begin);
  let decoder = new FrameDecoder(begin);
  const filter = new FrameFilter(slice.filter);
  const keys = await keysAt(ports, journal, { ...slice, offset: begin }, KEY_WINDOW, signal);
  for await (const event of readJournal(
    ports,
    { journal, offset: begin, endOffset: end, block: true },
    signal,
  )) {
    if (event.kind === "jump") {
      await checkGivenUp(ports, journal, { ...event, told: "are gone" }, signal);
      segment.passTo(Math.min(event.to, end));
      decoder = new FrameDecoder(event.to);
      continue;
    }
    for (const frame of decoder.push(event.bytes)) {
      const kept = keys.kept(frame);
      if (filter.accept(frame)) for (const rows of kept) segment.add(rows);
      segment.skip(frame);
    }
  }
  if (segment.end !== end || segment.records !== slice.statistics.recordsCount) {
    const facts = { journal, begin, end, read: segment.end, rows: segment.records };
    throw new WireError("CORRUPT", "the journal gives other rows than were staged", { facts });
  }
  const objects = await putStaged(ports.stagingStore, { journal, begin, end }, [segment], signal);
  return { ...slice, objects };
}
