// Bytes that other brokers have, and this disk lacks below what it holds (durability.md D14): they come as a stream and
// become a closed fragment.
//
//   A1  They are written to a file of another name, synced, and renamed; then the log gets their range and sum, and
//       only by that they count. What a crash leaves of a copy before that is removed, or set aside.
//   A2  None of them is kept in memory.
//   A3  Nothing is adopted over what is here, or just leaves; nothing beyond what is shown.
import { WireError } from "@millrace/base";
import type { DiskOp } from "@millrace/wal";
import type { DurableSpool } from "./durable-spool.ts";
import type { SpoolHost } from "./spool-host.ts";
import { SpoolFragment } from "./spool-fragment.ts";
import { FragmentSums } from "./spool-sums.ts";

export interface AdoptedRange {
  readonly begin: number;
  /** What is adopted may end sooner. */
  readonly end: number;
}

/** As `Spool.adopt`. */
export async function adoptInto(
  spool: DurableSpool,
  host: SpoolHost,
  range: AdoptedRange,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  mayAdopt(spool, host, range);
  if (spool.isAdopting) throw refused(spool, "another copy is under way");
  spool.isAdopting = true;
  const { begin } = range;
  const copy = spool.copyPathOf(range);
  let leftover: string | undefined = copy;
  try {
    const sums = await write(spool, host, { range, copy, content }, signal);
    const end = begin + sums.bytes;
    if (end === begin) throw new WireError("UNAVAILABLE", `the source sent nothing from ${begin} on`);
    const path = spool.pathOf(range);
    await host.disk.run("bulk", [
      { kind: "sync", path: copy },
      { kind: "rename", from: copy, to: path },
      { kind: "sync-dir", path: spool.dir },
    ]);
    leftover = path;
    signal.throwIfAborted();
    mayAdopt(spool, host, range);
    await host.logAdopted(spool, adopted(spool, { begin, end, sums, nowMs: host.nowMs() }));
    leftover = undefined;
    return end;
  } catch (error) {
    const failure = host.diskFailure(error);
    // The log may have it.
    if (leftover !== undefined && failure.code !== "OUTCOME_UNKNOWN")
      await host.disk.run("bulk", [{ kind: "remove", path: leftover }]).catch(() => undefined);
    signal.throwIfAborted();
    throw failure;
  } finally {
    spool.isAdopting = false;
  }
}

async function write(
  spool: DurableSpool,
  host: SpoolHost,
  parts: {
    readonly range: AdoptedRange;
    readonly copy: string;
    readonly content: AsyncIterable<Uint8Array>;
  },
  signal: AbortSignal,
): Promise<FragmentSums> {
  const { range, copy: path, content } = parts;
  const bytesMax = range.end - range.begin;
  const sums = new FragmentSums();
  let unsyncedBytes = 0;
  await host.disk.run("bulk", [{ kind: "remove", path }]);
  for await (const bytes of content) {
    signal.throwIfAborted();
    mayAdopt(spool, host, range);
    if (sums.bytes + bytes.length > bytesMax)
      throw new WireError(
        "UNAVAILABLE",
        `the source sent more than ${bytesMax} bytes from ${range.begin} on`,
      );
    const ops: DiskOp[] = [{ kind: "write", path, position: sums.bytes, bytes }];
    unsyncedBytes += bytes.length;
    // The bulk lane's syncs never stand behind a whole fragment.
    if (unsyncedBytes >= host.syncBehindBytes) {
      ops.push({ kind: "sync", path });
      unsyncedBytes = 0;
    }
    host.spend(bytes.length);
    await host.disk.run("bulk", ops);
    sums.update(bytes);
  }
  return sums;
}

/** A closed fragment of which the file has everything, synced. */
function adopted(
  { fragmentsHere }: DurableSpool,
  parts: {
    readonly begin: number;
    readonly end: number;
    readonly sums: FragmentSums;
    readonly nowMs: number;
  },
): SpoolFragment {
  const { begin, end, sums, nowMs } = parts;
  // Its bytes are not younger than what follows them.
  const firstAppendMs = fragmentsHere.list().find((one) => one.begin >= end)?.firstAppendMs ?? nowMs;
  const fragment = SpoolFragment.recovered({ begin, end, firstAppendMs, sum: sums.hex() }, true, () => []);
  fragment.adopt(sums);
  return fragment;
}

/** A3. @throws {WireError} */
function mayAdopt(spool: DurableSpool, host: SpoolHost, { begin, end }: AdoptedRange): void {
  const refusal = host.refusal();
  if (refusal !== undefined) throw refusal;
  const { journal } = spool.life;
  if (spool.isRemoved) throw new WireError("NOT_FOUND", `journal ${journal} was deleted`);
  const { open } = spool.fragmentsHere;
  if (begin >= end || end > spool.end || end > open.begin)
    throw refused(spool, `[${begin}, ${end}) is not all below ${Math.min(spool.end, open.begin)}`);
  for (const other of spool.fragmentsHere.present())
    if (other.begin < end && begin < other.end)
      throw refused(spool, `[${other.begin}, ${other.end}) is here already`);
}

function refused({ life: { journal } }: DurableSpool, why: string): WireError {
  return new WireError("CONFLICT", `journal ${journal}: ${why}`, { facts: { journal } });
}
