// The bytes that a disk has of a journal, whether they are acknowledged or not: what brokers that keep lists of holders
// ask each other for (durability.md D10).
import { createHash } from "node:crypto";
import { WireError } from "@millrace/base";
import type { Spool } from "@millrace/fragments";
import type { LabelSet } from "@millrace/protocol";
import type { HeldBytes } from "./holders-activation.ts";
import type { Range } from "./holders-list.ts";
import { FETCH_CHUNK_BYTES } from "./limits.ts";
import { intersect } from "./sealed-bytes.ts";

/** What a spool at rest has. Its bytes lie without a gap from `base` on. */
export function heldBytes(spool: Spool): HeldBytes {
  const { end: confirmed, syncedEnd: end } = spool;
  const last = spool.held().at(-1);
  return { base: last?.end === end ? last.begin : end, confirmed, end };
}

/**
 * What a spool at rest can be read from: its bytes up to where it knows the registers behind them. What was copied of a
 * bring that did not end is left out (C1 of copy-held.ts). `registers`: undefined where that leaves less than is known
 * to be acknowledged, or nothing: then all bytes are told of, and somebody else has to say them.
 */
export function toldBytes(spool: Spool): { held: HeldBytes; registers: LabelSet | undefined } {
  const all = heldBytes(spool);
  const known = spool.marks.knownUpTo(all.end);
  const last = spool.held().findLast(({ begin }) => begin <= (known ?? 0));
  // A roll that left a gap may be what is not known: nothing stands in it.
  const end = known === undefined || known === all.end ? known : last && Math.min(known, last.end);
  if (end === undefined || end < all.confirmed) return { held: all, registers: undefined };
  const base = last !== undefined && end <= last.end ? last.begin : end;
  return { held: { ...all, base, end }, registers: spool.marks.at(end) };
}

/** What a spool has that is known to be acknowledged, ascending and apart. */
export function sureBytes(spool: Spool): readonly Range[] {
  return intersect(spool.held(), [{ begin: 0, end: spool.end }]);
}

/** Whether the byte at `offset` is on this disk and not shown: nobody has judged it, or it is being acknowledged. */
export function hidesByte(spool: Spool, offset: number): boolean {
  if (offset < spool.end || offset >= spool.syncedEnd) return false;
  return holds(spool, { begin: offset, end: offset + 1 });
}

/** Whether all of a range is on this disk. */
function holds(spool: Spool, { begin, end }: Range): boolean {
  return begin >= end || spool.held().some((held) => held.begin <= begin && end <= held.end);
}

/** @throws {WireError} NOT_FOUND unless the spool has all of the range; as `Spool.readHeld` */
export async function* readHeldBytes(
  spool: Spool,
  range: Range,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { begin, end } = range;
  const { journal } = spool.life;
  if (!holds(spool, range)) {
    throw new WireError("NOT_FOUND", `[${begin}, ${end}) of ${journal} is not all on this disk`, {
      facts: { journal, begin, end },
    });
  }
  for (let at = begin; at < end;) {
    signal.throwIfAborted();
    const bytes = await spool.readHeld(at, Math.min(FETCH_CHUNK_BYTES, end - at), signal);
    yield bytes;
    at += bytes.length;
  }
}

/** SHA-256 of the same bytes, hex. @throws {WireError} as {@link readHeldBytes} */
export async function digestOfHeld(spool: Spool, range: Range, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of readHeldBytes(spool, range, signal)) hash.update(bytes);
  return hash.digest("hex");
}

/** Up to where two have the same of a range, by comparisons of less and less of it. */
export async function equalUntil(
  { begin, end }: Range,
  isSame: (range: Range) => Promise<boolean>,
): Promise<number> {
  let [equal, other] = [begin, end + 1];
  // The first comparison is of all.
  for (let middle = end; equal < end && other - equal > 1; middle = equal + Math.ceil((other - equal) / 2)) {
    if (await isSame({ begin: equal, end: middle })) equal = middle;
    else other = middle;
  }
  return equal;
}
