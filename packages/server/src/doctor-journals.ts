// Reads everything that a journal has, on this disk and in its stores, each fragment once: its sum is checked, and the
// bytes of a partition go on to whoever counts its rows.
import { createHash } from "node:crypto";
import { WireError } from "@millrace/base";
import {
  listRemoteFragments,
  readRemoteFragment,
  type JournalLife,
  type RemotePorts,
  type Spool,
  type Spools,
} from "@millrace/fragments";
import { contentPath, resumeOffset, type JournalSpec } from "@millrace/protocol";
import { coverageOf, type CoverSpan } from "./doctor-coverage.ts";
import type { CheckNotes } from "./doctor-report.ts";
import type { PartitionRows } from "./doctor-rows.ts";

export interface DoctorJournal {
  readonly name: string;
  readonly spec: JournalSpec | undefined;
  /** What the local log knows of it. */
  readonly life: JournalLife | undefined;
  readonly stores: readonly string[];
  /** Nobody removes on purpose what lies from here on; undefined when that is not known. */
  readonly keptFrom: number | undefined;
}

/** @param isStored it is in a store, not in the spool here */
export type OnContent = (journal: string, offset: number, bytes: Uint8Array, isStored: boolean) => void;

export interface JournalPorts extends RemotePorts {
  readonly spools: Spools | undefined;
  /** No other broker has the journals: then nothing is in their stores that was not here. */
  readonly isAlone: boolean;
  readonly isJournal: (name: string) => boolean;
  /** Told of every object of a store that belongs to a journal. */
  readonly onObject: (store: string, path: string) => void;
  readonly onContent: OnContent | undefined;
}

export interface JournalChecks {
  readonly local: CheckNotes;
  readonly remote: CheckNotes;
  readonly coverage: CheckNotes;
}

/** A fragment wherever it is. */
interface Piece extends CoverSpan {
  /** For a person. */
  readonly place: string;
  readonly notes: CheckNotes;
  read(offset: number): AsyncIterable<Uint8Array>;
}

const READ_BYTES = 1024 * 1024;

/** @returns the journal's head, as far as anybody knows */
export async function examineJournal(
  journal: DoctorJournal,
  ports: JournalPorts,
  checks: JournalChecks,
  rows: PartitionRows | undefined,
  signal: AbortSignal,
): Promise<number> {
  const spool = await claim(journal, ports, checks.local);
  const local = spool === undefined ? [] : localPieces(journal.name, spool, checks.local, signal);
  const remote = await remotePieces(journal, ports, checks.remote, signal);
  const pieces = [...local, ...remote].sort((a, b) => a.begin - b.begin || a.end - b.end);
  const storeEnd = remote.reduce((end, piece) => Math.max(end, piece.end), 0);
  const head = Math.max(
    spool?.end ?? 0,
    storeEnd,
    journal.spec === undefined ? 0 : (resumeOffset(journal.spec) ?? 0),
  );
  rows?.start(pieces[0]?.begin ?? head);
  for (const piece of pieces) {
    const onBytes = (offset: number, bytes: Uint8Array): void =>
      ports.onContent?.(journal.name, offset, bytes, piece.notes === checks.remote);
    await readPiece(piece, rows, onBytes, signal);
  }
  if (rows !== undefined && rows.next < head) rows.lose(head);
  rows?.end();
  if (ports.isAlone && spool !== undefined && storeEnd > spool.end) {
    const { name } = journal;
    checks.coverage.bad(
      `${name}: its store has bytes up to ${storeEnd}, but the local log ends at ${spool.end}`,
    );
  }
  await checkCoverage(journal, { pieces, head, isAlone: ports.isAlone }, checks.coverage, signal);
  return head;
}

/** Recovery reads here what it has no sum of yet. */
async function claim(
  { name, spec, life }: DoctorJournal,
  { spools }: JournalPorts,
  notes: CheckNotes,
): Promise<Spool | undefined> {
  if (spools === undefined || life === undefined) return undefined;
  try {
    return await spools.claim(life, spec === undefined ? 0 : (resumeOffset(spec) ?? 0));
  } catch (thrown) {
    notes.bad(`${name}: ${WireError.from(thrown).message}`);
    return undefined;
  }
}

function localPieces(name: string, spool: Spool, notes: CheckNotes, signal: AbortSignal): Piece[] {
  return spool.fragments().map((fragment) => {
    const { begin, end } = fragment;
    const read = async function* (offset: number): AsyncGenerator<Uint8Array> {
      for (let at = offset; at < end;) {
        const bytes = await spool.read(at, Math.min(READ_BYTES, end - at), signal);
        yield bytes;
        at += bytes.length;
      }
    };
    return {
      begin,
      end,
      sum: fragment.sum(),
      place: `${name}, local fragment [${begin}, ${end})`,
      notes,
      read,
    };
  });
}

async function remotePieces(
  { name, stores }: DoctorJournal,
  ports: JournalPorts,
  notes: CheckNotes,
  signal: AbortSignal,
): Promise<Piece[]> {
  try {
    const entries = await listRemoteFragments(ports, { name, stores, isJournal: ports.isJournal }, signal);
    return entries.map(({ fragment }) => {
      const { begin, end, sum, backingStore } = fragment;
      const path = contentPath(fragment);
      ports.onObject(backingStore, path);
      const read = (offset: number): AsyncIterable<Uint8Array> =>
        readRemoteFragment(ports, fragment, offset, signal);
      return { begin, end, sum, place: `${path} in ${backingStore}`, notes, read };
    });
  } catch (thrown) {
    signal.throwIfAborted();
    notes.bad(`${name}: its stores cannot be listed: ${WireError.from(thrown).message}`);
    return [];
  }
}

async function readPiece(
  piece: Piece,
  rows: PartitionRows | undefined,
  onBytes: (offset: number, bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  const { notes, begin, end, sum, place } = piece;
  if (rows !== undefined && begin > rows.next) rows.lose(begin);
  if (rows !== undefined && begin === rows.next) rows.resume();
  const problemsBefore = rows?.problems.length ?? 0;
  const hash = createHash("sha1");
  let at = begin;
  let damage: string | undefined;
  try {
    for await (const bytes of piece.read(begin)) {
      signal.throwIfAborted();
      hash.update(bytes);
      onBytes(at, bytes);
      if (rows !== undefined && at + bytes.length > rows.next)
        rows.push(bytes.subarray(Math.max(0, rows.next - at)));
      at += bytes.length;
    }
    const found = hash.digest("hex");
    if (at !== end) damage = `it has ${at - begin} bytes, expected ${end - begin}`;
    else if (found !== sum) damage = `its bytes have SHA-1 ${found}, expected ${sum}`;
  } catch (thrown) {
    signal.throwIfAborted();
    damage = WireError.from(thrown).message;
  }
  notes.add("fragments");
  notes.add("bytes", end - begin);
  if (damage === undefined) return;
  notes.bad(damage.includes(place) ? damage : `${place}: ${damage}`);
  // Broken frames are what the damage looks like from here: one problem is enough.
  rows?.problems.splice(problemsBefore);
}

async function checkCoverage(
  { name, keptFrom }: DoctorJournal,
  {
    pieces,
    head,
    isAlone,
  }: { readonly pieces: readonly Piece[]; readonly head: number; readonly isAlone: boolean },
  notes: CheckNotes,
  signal: AbortSignal,
): Promise<void> {
  notes.add("journals");
  const { first, gaps, conflicts, overlaps } = coverageOf(pieces, head);
  notes.add("bytes", head - first);
  if (keptFrom !== undefined && keptFrom < first)
    notes.bad(
      `${name}: offsets [${keptFrom}, ${first}) are in no fragment, and nobody removes them on purpose`,
    );
  for (const { begin, end } of gaps) {
    const gap = `${name}: offsets [${begin}, ${end}) are in no fragment`;
    // One that was away goes on where the others are, which have what is in no store yet.
    if (isAlone) notes.bad(gap);
    else notes.warn(`${gap} here: other brokers must have them`);
  }
  for (const [a, b] of conflicts) {
    notes.bad(`${name}: offsets [${a.begin}, ${a.end}) have two contents: ${a.place} and ${b.place}`);
  }
  for (const { pair, begin, end } of overlaps) {
    const [a, b] = pair;
    const sums = [await sumOf(a, begin, end, signal), await sumOf(b, begin, end, signal)];
    if (!sums.includes(undefined) && sums[0] !== sums[1])
      notes.bad(`${name}: offsets [${begin}, ${end}) have two contents: ${a.place} and ${b.place}`);
  }
}

/** SHA-1 of a part of a fragment; undefined when it cannot be read. */
async function sumOf(
  piece: Piece,
  begin: number,
  end: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const hash = createHash("sha1");
  let left = end - begin;
  try {
    for await (const bytes of piece.read(begin)) {
      hash.update(bytes.subarray(0, left));
      left -= Math.min(left, bytes.length);
      if (left === 0) break;
    }
  } catch {
    // It was found damaged when it was read whole.
    signal.throwIfAborted();
    return undefined;
  }
  return hash.digest("hex");
}
