// Replays log records over the images of a checkpoint: a pure state machine without bytes. It says where every journal
// ends, which spans the log has and which ones must already stand in the spools.
//
//   R1  A record is applied when its sequence is at or above the checkpoint's position; definitions always are.
//   R2  Bytes of a journal follow each other without gap or overlap, except across a roll.
//   R3  The same records over the same images give the same state: recovery may be interrupted and begun again.
import { hex, WireError } from "@millrace/base";
import { EMPTY_LABELS } from "@millrace/protocol";
import type { CheckpointContent } from "./checkpoint-codec.ts";
import { decodeLogRecord, type LogRecord } from "./log-record-codec.ts";
import type { FragmentImage, JournalImage, StoreMark } from "./spool-image.ts";
import { spoolDir } from "./spool-paths.ts";
import { RegisterMarks } from "./spool-registers.ts";

export interface RecordPlace {
  readonly sequence: number;
  readonly path: string;
  readonly offset: number;
}

/** Bytes that stand synced in a spool and whose sum the log has (D3). */
export interface DirectSpan {
  readonly fragment: number;
  readonly begin: number;
  readonly end: number;
  readonly crc: number;
  readonly place: RecordPlace;
}

/** SHA-1 of [begin, end), which a checkpoint has of the fragment that was open then; "" for none. */
export interface CheckedSpan {
  readonly begin: number;
  readonly end: number;
  readonly sum: string;
}

/** Bytes that the log has, all of one fragment. */
export interface LoggedSpan {
  readonly fragment: number;
  readonly begin: number;
  end: number;
}

/** One life of a journal while the log is replayed. */
export interface ReplayedJournal {
  readonly dir: string;
  readonly journal: string;
  readonly createRevision: number;
  epoch: number;
  begin: number;
  end: number;
  firstAppendMs: number;
  readonly registers: RegisterMarks;
  readonly fragments: FragmentImage[];
  checked: CheckedSpan;
  /** What was forgotten of it, and when: records before it count up to there. */
  readonly cuts: { readonly sequence: number; readonly begin: number }[];
  readonly logged: LoggedSpan[];
  readonly direct: DirectSpan[];
  /** Begins of fragments released since the checkpoint: their files may still be there. */
  readonly released: Set<number>;
}

interface Life {
  readonly dir: string;
  readonly journal: string;
  readonly createRevision: number;
  readonly epoch: number;
}

export class LogReplay {
  /** By directory: one for each life. */
  readonly journals = new Map<string, ReplayedJournal>();
  /** Directories of lives that were removed since the checkpoint, and whether their files are kept in quarantine. */
  readonly removed = new Map<string, { quarantine: boolean; sequence: number }>();
  mark: StoreMark | undefined;
  /** Newest wall time that a record has, or a fragment of the checkpoint; undefined: there is none. */
  newestMs: number | undefined;
  readonly #from: number;
  readonly #lives = new Map<number, Life>();

  constructor({ mark, journals }: CheckpointContent, from: number) {
    this.#from = from;
    this.mark = mark;
    for (const image of journals) {
      const journal = fromImage(image);
      this.journals.set(journal.dir, journal);
      this.#seen(image.firstAppendMs);
      for (const { firstAppendMs } of image.fragments) this.#seen(firstAppendMs);
    }
  }

  /** @throws {WireError} CORRUPT, naming file and offset, when the record cannot follow what came before */
  apply(bytes: Uint8Array, place: RecordPlace): void {
    const record = this.#decode(bytes, place);
    this.#seen(record.timeMs);
    if (record.kind === "define") {
      const { id, journal, createRevision, epoch } = record;
      this.#lives.set(id, { dir: spoolDir(journal, createRevision), journal, createRevision, epoch });
      return;
    }
    if (place.sequence < this.#from) return; // R1
    if (record.kind === "mark") {
      this.mark = record.mark;
      return;
    }
    const life = this.#lives.get(record.id);
    if (life === undefined) throw corrupt(place, `journal ${record.id} is not defined in this segment`);
    if (record.kind === "removed") {
      this.journals.delete(life.dir);
      this.removed.set(life.dir, { quarantine: record.quarantine, sequence: place.sequence });
      return;
    }
    this.#apply(this.#journal(life), record, place);
  }

  /** The journal's fragment into which a data record's bytes belong, if its life is still there (second reading). */
  fragmentOf(
    bytes: Uint8Array,
    place: RecordPlace,
  ): { journal: ReplayedJournal; fragment: number; data: DataRecord } | undefined {
    const record = this.#decode(bytes, place);
    if (record.kind === "define") {
      this.apply(bytes, place);
      return undefined;
    }
    if (record.kind !== "data" || place.sequence < this.#from) return undefined;
    const dir = this.#lives.get(record.id)?.dir ?? "";
    // A life that was set aside may have begun anew at the same place.
    if (place.sequence <= (this.removed.get(dir)?.sequence ?? 0)) return undefined;
    const journal = this.journals.get(dir);
    const data = journal && uncut(journal, record, place.sequence);
    const span = data && journal.logged.find(({ begin, end }) => begin <= data.begin && data.begin < end);
    if (journal === undefined || data === undefined || span === undefined) return undefined;
    return { journal, fragment: span.fragment, data };
  }

  /** @param timeMs 0: nobody knows */
  #seen(timeMs: number): void {
    if (timeMs > (this.newestMs ?? 0)) this.newestMs = timeMs;
  }

  #decode(bytes: Uint8Array, place: RecordPlace): LogRecord {
    try {
      return decodeLogRecord(bytes);
    } catch (error) {
      throw corrupt(place, WireError.from(error).message);
    }
  }

  #journal(life: Life): ReplayedJournal {
    let journal = this.journals.get(life.dir);
    if (journal === undefined) {
      const nothing = {
        begin: 0,
        end: 0,
        sum: "",
        sumEnd: 0,
        firstAppendMs: 0,
        marks: [{ from: 0, registers: EMPTY_LABELS, isKnown: true }],
        fragments: [],
      };
      journal = fromImage({ ...life, ...nothing });
      this.journals.set(life.dir, journal);
    }
    journal.epoch = Math.max(journal.epoch, life.epoch);
    return journal;
  }

  #apply(
    journal: ReplayedJournal,
    record: Exclude<LogRecord, { kind: "define" | "removed" | "mark" }>,
    place: RecordPlace,
  ): void {
    switch (record.kind) {
      case "data":
        this.#extend(journal, record, record.bytes.length, place);
        return addLogged(journal, record.begin);
      case "direct": {
        const { begin, length, crc } = record;
        this.#extend(journal, record, length, place);
        journal.direct.push({ fragment: journal.begin, begin, end: begin + length, crc, place });
        return;
      }
      case "roll":
        if (record.begin < journal.end)
          throw corrupt(place, `roll to ${record.begin} below the end ${journal.end}`);
        closeFragment(journal);
        journal.begin = journal.end = record.begin;
        return;
      case "cut":
        if (record.begin > journal.end)
          throw corrupt(place, `cut at ${record.begin} beyond the end ${journal.end}`);
        return cutJournal(journal, record.begin, place.sequence);
      case "registers":
        return journal.registers.set(journal.end, record.registers);
      case "unsure":
        return journal.registers.doubt(record.begin);
      case "released": {
        const at = journal.fragments.findIndex(
          ({ begin, end }) => begin === record.begin && end === record.end,
        );
        if (at < 0) return;
        journal.fragments.splice(at, 1);
        journal.released.add(record.begin);
        dropSpans(journal, record.begin);
        return;
      }
      case "sum": {
        const at = journal.fragments.findIndex(
          ({ begin, end }) => begin === record.begin && end === record.end,
        );
        if (at >= 0) journal.fragments[at] = { ...journal.fragments[at]!, sum: hex(record.sha1) };
        return;
      }
      case "adopted": {
        const { begin, end, timeMs, sha1 } = record;
        const isFree = journal.fragments.every((other) => other.end <= begin || end <= other.begin);
        if (begin >= end || end > journal.begin || !isFree)
          throw corrupt(place, `[${begin}, ${end}) of ${journal.journal} was adopted over what is there`);
        const at = journal.fragments.filter((other) => other.end <= begin).length;
        journal.fragments.splice(at, 0, { begin, end, sum: hex(sha1), firstAppendMs: timeMs });
      }
    }
  }

  #extend(
    journal: ReplayedJournal,
    record: { begin: number; timeMs: number },
    length: number,
    place: RecordPlace,
  ): void {
    if (record.begin !== journal.end) {
      throw corrupt(
        place,
        `bytes at ${record.begin} of ${journal.journal} do not follow its end ${journal.end}`,
      ); // R2
    }
    if (journal.end === journal.begin) journal.firstAppendMs = record.timeMs;
    journal.end += length;
  }
}

type DataRecord = Extract<LogRecord, { kind: "data" }>;

function fromImage(image: JournalImage): ReplayedJournal {
  const { journal, createRevision, epoch, begin, end, sum, sumEnd, firstAppendMs, marks } = image;
  return {
    dir: spoolDir(journal, createRevision),
    journal,
    createRevision,
    epoch,
    begin,
    end,
    firstAppendMs,
    registers: new RegisterMarks(marks),
    fragments: [...image.fragments],
    checked: { begin, end: sumEnd, sum },
    cuts: [],
    logged: [],
    direct: [],
    released: new Set(),
  };
}

function addLogged(journal: ReplayedJournal, begin: number): void {
  const last = journal.logged.at(-1);
  if (last !== undefined && last.end === begin && last.fragment === journal.begin) last.end = journal.end;
  else if (journal.end > begin) journal.logged.push({ fragment: journal.begin, begin, end: journal.end });
}

function closeFragment(journal: ReplayedJournal): void {
  const { begin, end, firstAppendMs } = journal;
  if (end > begin) journal.fragments.push({ begin, end, sum: "", firstAppendMs });
  journal.firstAppendMs = 0;
}

/** Forgets what stands at and behind `end` (SpoolFragments.cut does the same). */
function cutJournal(journal: ReplayedJournal, end: number, sequence: number): void {
  journal.cuts.push({ sequence, begin: end });
  journal.registers.cut(end);
  const all = [...journal.fragments];
  if (journal.end > journal.begin) {
    const { begin, firstAppendMs } = journal;
    all.push({ begin, end: journal.end, sum: "", firstAppendMs });
  }
  const kept = all.filter(({ begin }) => begin < end);
  const last = kept.at(-1);
  const wasOpen = last?.begin === journal.begin;
  const goesOn = last !== undefined && (last.end > end || (wasOpen && last.end === end));
  if (!goesOn || !wasOpen) journal.checked = { begin: goesOn ? last.begin : end, end: 0, sum: "" };
  else if (journal.checked.end > end) journal.checked = { begin: last.begin, end: last.begin, sum: "" };
  journal.begin = goesOn ? last.begin : end;
  journal.firstAppendMs = goesOn ? last.firstAppendMs : 0;
  journal.end = end;
  if (goesOn) kept.pop();
  journal.fragments.splice(0, Infinity, ...kept);
  cutSpans(journal.logged, end);
  for (let i = journal.direct.length - 1; i >= 0; i--)
    if (journal.direct[i]!.end > end) journal.direct.splice(i, 1);
}

function cutSpans(spans: LoggedSpan[], end: number): void {
  for (let last = spans.at(-1); last !== undefined && last.end > end; last = spans.at(-1)) {
    if (last.begin >= end) spans.pop();
    else last.end = end;
  }
}

/** What a record's bytes still stand for, given what was cut after it. */
function uncut(journal: ReplayedJournal, record: DataRecord, sequence: number): DataRecord | undefined {
  let end = record.begin + record.bytes.length;
  for (const cut of journal.cuts) if (cut.sequence > sequence) end = Math.min(end, cut.begin);
  if (end <= record.begin) return undefined;
  const bytes = record.bytes.subarray(0, end - record.begin);
  return bytes.length === record.bytes.length ? record : { ...record, bytes };
}

function dropSpans(journal: ReplayedJournal, fragment: number): void {
  for (const spans of [journal.logged, journal.direct]) {
    for (let i = spans.length - 1; i >= 0; i--) if (spans[i]!.fragment === fragment) spans.splice(i, 1);
  }
}

function corrupt({ path, offset }: RecordPlace, what: string): WireError {
  return new WireError("CORRUPT", `${path}, offset ${offset}: ${what}`, { facts: { path, offset } });
}
