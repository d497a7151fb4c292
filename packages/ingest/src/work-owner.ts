// Which part of the pipeline's work is this process's. Processes that run the same component share it: a partition is
// read by one of them (by its journal's name), a sink is rotated, imported and cleaned up by one (by its path). That
// saves work and keeps them from conflicting; every transaction holds only if what it was decided on is still so, so
// two owners at a time, or none for a moment, do no harm.
import { wholeShare, type GroupShare } from "@millrace/metadata";

export type WorkOwner = Pick<GroupShare, "owns" | "observe">;

/** Of a process that is alone. */
export const ownsAll: WorkOwner = wholeShare("");
