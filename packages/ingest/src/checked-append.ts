// Appends frames to the journals of sinks, and compares where each one stands with what is known of its journal's end.
// A journal that went back (bytes were given up, a data directory is older) gives offsets again which readers and
// tables have passed: what stands there would count as done, and be nowhere.
//
// C1 What is given an offset below the known end is of unknown outcome. Before the frame is tried again, unchanged, its
//    place forgets what it knows and is looked at anew: it then says what stands against it.
import { WireError } from "@millrace/base";
import type { SinkLife } from "./definitions.ts";
import type { FramePort, OnAppended, PartitionPort } from "./publisher.ts";

export interface CheckedAppendPorts {
  readonly frames: FramePort;
  readonly partitions: Pick<PartitionPort, "knownEnd">;
  readonly onAppended?: OnAppended | undefined;
}

export interface AppendPlace {
  readonly key: SinkLife;
  readonly n: number;
  readonly journal: string;
}

/** C1 */
export class WentBack extends WireError {}

/** @throws {WentBack} OUTCOME_UNKNOWN @throws {WireError} as {@link FramePort} */
export async function appendChecked(
  ports: CheckedAppendPorts,
  { key, n, journal }: AppendPlace,
  content: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<void> {
  const knownEnd = ports.partitions.knownEnd?.(key, n, journal) ?? 0;
  const { begin, end } = await ports.frames.appendFrame(journal, content, signal);
  if (begin < knownEnd) {
    const text = `journal ${journal} gave an append offset ${begin}, but it had ended at ${knownEnd} before`;
    throw new WentBack("OUTCOME_UNKNOWN", text, { facts: { journal, begin, knownEnd } });
  }
  ports.onAppended?.({ ...key, n }, journal, end);
}
