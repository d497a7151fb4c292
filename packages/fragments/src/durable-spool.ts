// One journal's local bytes: what is acknowledged, and in order what waits for the log.
//
//      openAppend        commit / roll          log synced
//   ------------> staged ------------> pending -----------> acknowledged -----> written to the spool file (unsynced)
//
//   P1  Entries are logged and answered in the order in which they were handed over.
//   P2  `end`, `registers` and the fragments show acknowledged bytes only (D9); `pending…` show what is hoped for.
//   P3  A direct append holds back the records of later entries until its own record is logged (D3).
//   P4  When an entry fails, all entries behind it fail too: their offsets presume it. Then the spool stands where it
//       stood before them; rolls among them are forgotten.
//   P5  Where others have to have the bytes too, what is synced here is hidden until it is confirmed: it is neither
//       shown, nor summed, nor dropped from memory. It may be cut; what was shown never is.
import { assert, Gate, never, utf8, waitUntil, WireError } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import type { DiskOp } from "@millrace/wal";
import type { CheckedSpan } from "./log-replay.ts";
import type { RecoveredJournal } from "./recovery.ts";
import { adoptInto, type AdoptedRange } from "./spool-adoption.ts";
import { DurableAppend } from "./spool-append.ts";
import { SpoolEntry, type DirectBytes } from "./spool-entry.ts";
import { SpoolFragment } from "./spool-fragment.ts";
import { SpoolFragments } from "./spool-fragments.ts";
import type { SpoolHost } from "./spool-host.ts";
import type { JournalImage } from "./spool-image.ts";
import { copyFile, fragmentFile, spoolDir } from "./spool-paths.ts";
import { PendingEntries } from "./spool-pending.ts";
import { ShownEnd } from "./spool-shown.ts";
import { changed, RegisterMarks, type RegistersChange } from "./spool-registers.ts";
import { SpoolTail, type TailBlock, type TailOwner } from "./spool-tail.ts";
import type { CommitOutcome, JournalLife, LocalFragment, Spool, SpoolAppend } from "./spools.ts";
import type { FragmentSums } from "./spool-sums.ts";

/** A started write of a block's bytes to the spool file. */
export interface IssuedWrite {
  readonly block: TailBlock;
  readonly fragment: SpoolFragment;
  readonly path: string;
  readonly begin: number;
  readonly end: number;
}

/** Where the spool will stand when everything that is pending succeeds. */
interface Hoped {
  begin: number;
  end: number;
  registers: LabelSet;
  firstAppendMs: number;
}

export class DurableSpool implements Spool, TailOwner {
  readonly #host: SpoolHost;
  readonly dir: string;
  /** Of this journal in log records of this process. */
  readonly id: number;
  /** Size of the record that defines `id`. */
  readonly defineBytes: number;
  /** Scope of the log in which `id` was defined last. */
  definedScope = 0;
  /** The directory has entries, or lacks some, that no sync has covered. */
  dirDirty = false;
  claimed = false;
  /** Another broker's bytes are on their way into a file. */
  isAdopting = false;
  /** Writes of direct appends under way. */
  strays = 0;
  /** Who waits until the file has everything. */
  awaited = 0;
  /** A write failed: any block may have bytes that were not issued, not only the last ones. */
  rewrite = false;
  readonly tail: SpoolTail;
  readonly marks: RegisterMarks;
  readonly fragmentsHere: SpoolFragments;

  #life: JournalLife;
  readonly #shown = new ShownEnd();
  /** What recovery knows of the SHA-1 of the fragment that was open at the checkpoint, until its bytes were read. */
  #checked: CheckedSpan;
  readonly #pending: PendingEntries;
  #hoped: Hoped;
  #append: DurableAppend | undefined;
  #removed = false;
  readonly #gate = new Gate();
  readonly #listeners = new Set<() => void>();

  constructor(host: SpoolHost, id: number, image: JournalImage) {
    this.#host = host;
    this.id = id;
    const { journal, createRevision, epoch, begin, end, firstAppendMs, marks } = image;
    this.dir = spoolDir(journal, createRevision);
    this.#life = { journal, createRevision, epoch };
    this.defineBytes = 32 + utf8(journal).length;
    this.tail = new SpoolTail(host.memory, this);
    this.fragmentsHere = new SpoolFragments(
      image.fragments.map((closed) => SpoolFragment.recovered(closed, true, this.#hashSource)),
      SpoolFragment.recovered({ begin, end, firstAppendMs, sum: "" }, false, this.#hashSource),
    );
    this.#checked = { begin, sum: image.sum, end: image.sumEnd };
    this.marks = new RegisterMarks(marks);
    this.#hoped = { begin, end, registers: this.marks.newest, firstAppendMs };
    this.#pending = new PendingEntries({
      log: (entry) => this.#host.log(this, entry),
      syncDirect: (direct, done) => this.#host.syncDirect(this, this.fragmentsHere.open, direct, done),
      apply: (entry) => this.#apply(entry),
      failed: (outcome) => this.#host.metrics.failed.add(1, { outcome }),
      reset: (failure) => this.#reset(failure),
    });
  }

  get life(): JournalLife {
    return this.#life;
  }

  get begin(): number {
    return this.#hoped.begin;
  }

  get end(): number {
    return this.#shown.of(this.syncedEnd);
  }

  get syncedEnd(): number {
    return this.fragmentsHere.open.end;
  }

  get pendingEnd(): number {
    return this.#hoped.end;
  }

  get registers(): LabelSet {
    return this.marks.newest;
  }

  get pendingRegisters(): LabelSet {
    return this.#hoped.registers;
  }

  get directBytesMin(): number {
    return this.#host.directBytesMin;
  }

  get firstAppendMs(): number | undefined {
    return this.#hoped.end === this.#hoped.begin ? undefined : this.#hoped.firstAppendMs;
  }

  get isRemoved(): boolean {
    return this.#removed;
  }

  get hasPending(): boolean {
    return !this.#pending.isEmpty;
  }

  adoptLife(life: JournalLife): void {
    if (life.epoch === this.#life.epoch) return;
    this.#life = life;
    this.definedScope = 0;
  }

  openAppend(isSummed = true): SpoolAppend {
    const { journal } = this.#life;
    assert(this.#append === undefined, "one append of a spool is open at a time", { journal });
    assert(!this.#removed, "a removed journal takes no appends", { journal });
    const { begin, end } = this.#hoped;
    this.#append = new DurableAppend(this, this.#host, { fragment: begin, begin: end }, isSummed);
    return this.#append;
  }

  roll(begin: number, registers?: RegistersChange): void {
    const hoped = this.#hoped;
    assert(this.#append === undefined, "no append is open when the spool rolls", { begin });
    assert(begin >= hoped.end, "a roll does not go back", { begin, pendingEnd: hoped.end });
    if (begin === hoped.begin && registers === undefined) return;
    this.#hoped = { begin, end: begin, registers: changed(hoped.registers, registers), firstAppendMs: 0 };
    const more = { timeMs: this.#host.nowMs(), direct: undefined, onOutcome: undefined };
    const fields = { kind: "roll", begin, end: begin, registers, ...more } as const;
    this.#pending.add(new SpoolEntry(this.#pending, fields), undefined);
  }

  fragments(): readonly LocalFragment[] {
    const { end } = this;
    if (end === this.syncedEnd) return this.fragmentsHere.list();
    const shown = this.fragmentsHere.list().filter(({ begin }) => begin < end);
    return shown.map((fragment) => (fragment.end <= end ? fragment : fragment.upTo(end)));
  }

  hide(from: number): void {
    this.#shown.hide(from, this.syncedEnd);
    this.#host.touched(this);
  }

  confirm(end: number): void {
    if (!this.#shown.confirm(end)) return;
    this.marks.forget(this.end);
    const { open, closed } = this.fragmentsHere;
    open.takeNext(this.end);
    this.#hashFullBlocks(open);
    for (const fragment of closed) if (fragment.settle(this.end)) this.#host.logSum(this, fragment);
    this.#host.touched(this);
  }

  async cut(begin: number, registers?: LabelSet): Promise<void> {
    const { journal } = this.#life;
    await this.#calm(() => this.#pending.isEmpty && this.isWritten && this.strays === 0, never);
    assert(this.#append === undefined, "no append is open when bytes are cut", { journal });
    assert(this.end <= begin && begin <= this.syncedEnd, "what was shown is not cut", { journal, begin });
    const within = this.fragmentsHere.list().find((one) => one.begin < begin && begin < one.end);
    const gone = this.fragmentsHere.list().filter((one) => one.begin >= begin);
    const shortened = within && { path: this.pathOf(within), from: begin - within.begin };
    // What was synced may be wanted once more; nobody serves it.
    if (shortened !== undefined) await this.#host.copyAside(shortened);
    await new Promise<void>((resolve, reject) => {
      const onOutcome = (outcome: CommitOutcome): void => {
        if (outcome.kind === "acknowledged") resolve();
        else reject(outcome.error);
      };
      const more = { timeMs: this.#host.nowMs(), direct: undefined, onOutcome };
      const known = registers ?? this.marks.at(begin);
      const fields = { kind: "cut", begin, end: begin, registers: known, ...more } as const;
      this.#pending.add(new SpoolEntry(this.#pending, fields), this.#host.refusal());
    });
    await this.#host.tidyCut(
      this,
      shortened,
      gone.map((fragment) => this.pathOf(fragment)),
    );
  }

  adopt(range: AdoptedRange, content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    return adoptInto(this, this.#host, range, content, signal);
  }

  read(offset: number, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#read(offset, maxBytes, this.end, signal);
  }

  readHeld(offset: number, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#read(offset, maxBytes, this.syncedEnd, signal);
  }

  held(): readonly { readonly begin: number; readonly end: number }[] {
    return this.fragmentsHere.held();
  }

  async #read(offset: number, maxBytes: number, before: number, signal: AbortSignal): Promise<Uint8Array> {
    assert(maxBytes >= 1, "a read asks for at least one byte", { maxBytes });
    const fragment = offset < before ? this.fragmentsHere.at(offset) : undefined;
    if (fragment === undefined) {
      const text = `offset ${offset} of ${this.#life.journal} is not in a local fragment`;
      throw new WireError("NOT_FOUND", text);
    }
    const limit = Math.min(offset + maxBytes, fragment.end, before);
    const block = this.tail.blocks[this.tail.indexOf(offset)];
    if (block !== undefined && block.begin <= offset) return this.tail.copy(offset, limit);
    const end = block === undefined ? limit : Math.min(limit, block.begin);
    return this.#host.readFile(this, fragment, { begin: offset, end }, signal);
  }

  /** Whether the fragment's file is this spool's to read: not released, nor removed with the journal. */
  holds(fragment: SpoolFragment): boolean {
    return !this.#removed && this.fragmentsHere.at(fragment.begin) === fragment;
  }

  release(range: { begin: number; end: number }): void {
    const fragment = this.fragmentsHere.release(range);
    for (const block of this.tail.blocks.filter((one) => one.fragment === fragment.begin))
      this.tail.drop(block);
    this.#host.release(this, fragment);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  remove(): void {
    if (this.#removed) return;
    this.forget();
    this.#host.remove(this);
  }

  /** The spool is used no more. */
  forget(): void {
    const { journal } = this.#life;
    assert(this.#append === undefined && !this.hasPending, "nothing is pending when it goes", { journal });
    this.#removed = true;
    for (const block of [...this.tail.blocks]) this.tail.drop(block);
    this.fragmentsHere.closed.length = 0;
  }

  // For the append that is open.

  /** The append ended; `direct` when its bytes already stand in the file. @returns whether it was taken */
  commitAppend(
    append: DurableAppend,
    direct: DirectBytes | undefined,
    registers: RegistersChange,
    onOutcome: (outcome: CommitOutcome) => void,
  ): boolean {
    assert(this.#append === append, "an append ends once", { begin: append.begin });
    this.#append = undefined;
    const { begin } = append;
    const end = begin + append.bytes;
    const timeMs = this.#host.nowMs();
    const fields = { kind: "commit", begin, end, registers, direct, timeMs, onOutcome } as const;
    const entry = new SpoolEntry(this.#pending, fields);
    if (append.lost !== undefined) {
      entry.fail(append.lost); // alone: what is pending does not presume it
      this.tail.truncate(begin);
      return this.#pending.add(entry, undefined);
    }
    const hoped = this.#hoped;
    if (end > begin && hoped.end === hoped.begin) hoped.firstAppendMs = timeMs;
    hoped.end = end;
    hoped.registers = changed(hoped.registers, registers);
    return this.#pending.add(entry, this.#host.refusal());
  }

  rollbackAppend(append: DurableAppend): void {
    assert(this.#append === append, "an append ends once", { begin: append.begin });
    this.#append = undefined;
    this.tail.truncate(append.begin);
  }

  /**
   * Resolves when nothing is pending, nothing is hidden, and the file has all that is acknowledged.
   * @throws {WireError} DISK_FULL
   */
  quiet(signal: AbortSignal): Promise<void> {
    return this.#calm(
      () => this.#pending.isEmpty && this.isWritten && this.strays === 0 && this.end === this.syncedEnd,
      signal,
    );
  }

  async #calm(calm: () => boolean, signal: AbortSignal): Promise<void> {
    this.awaited++;
    this.#host.touched(this);
    try {
      await waitUntil(this.#gate, () => calm() || this.#host.refusal() !== undefined, signal);
    } finally {
      this.awaited--;
    }
    const refusal = this.#host.refusal();
    if (refusal !== undefined) throw refusal;
  }

  onStrayEnded(): void {
    this.strays--;
    if (this.strays === 0) this.#host.touched(this);
  }

  /** Sums of the open fragment, to go on from. */
  forkSums(): FragmentSums {
    return this.fragmentsHere.open.forkSums();
  }

  // For the host.

  pathOf({ begin }: { readonly begin: number }): string {
    return `${this.dir}/${fragmentFile(begin)}`;
  }

  copyPathOf({ begin }: { readonly begin: number }): string {
    return `${this.dir}/${copyFile(begin)}`;
  }

  /** Starts writing acknowledged bytes to the spool file: adds the ops, and what to note when they have ended. */
  collectWrites(ops: DiskOp[], writes: IssuedWrite[]): void {
    // A write of a direct append that was rolled back may still be under way, to the very same place of the file.
    if (this.strays > 0) return;
    const { blocks } = this.tail;
    let first = this.rewrite ? 0 : blocks.length;
    while (first > 0 && blocks[first - 1]!.issued < blocks[first - 1]!.end) first--;
    this.rewrite = false;
    for (let i = first; i < blocks.length; i++) {
      const block = blocks[i]!;
      const begin = block.issued;
      const end = Math.min(block.end, this.syncedEnd);
      if (begin >= end) continue;
      const fragment = this.fragmentsHere.at(begin);
      assert(fragment !== undefined, "acknowledged bytes have a fragment", { begin });
      fragment.dirty = true;
      if (fragment.fresh) this.dirDirty = true;
      const path = this.pathOf(fragment);
      ops.push({ kind: "write", path, position: begin - block.fragment, bytes: block.slice(begin, end) });
      writes.push({ block, fragment, path, begin, end });
      block.issued = end;
    }
  }

  mayDrop(block: TailBlock): boolean {
    if (block.written < block.end || block.end > this.end) return false;
    if (this.#append !== undefined && this.#append.begin < block.end) return false;
    this.fragmentsHere.at(block.begin)?.hashTo(block.end);
    return true;
  }

  /** Whether writes of all acknowledged bytes were started. */
  get isIssued(): boolean {
    return this.tail.blocks.every(({ end, issued }) => issued >= Math.min(end, this.syncedEnd));
  }

  /** Whether the files have all acknowledged bytes, though perhaps not synced. */
  get isWritten(): boolean {
    return this.tail.blocks.every(({ end, written }) => written >= Math.min(end, this.syncedEnd));
  }

  /** Tells those who wait that something changed, and those who listen when `fragments` did. */
  notify(): void {
    this.#gate.open();
    if (this.fragmentsHere.isNews(this.end)) for (const listener of this.#listeners) listener();
  }

  /** Wakes those who wait, for a change that listeners do not care for. */
  wake(): void {
    this.#gate.open();
  }

  /** What recovery wrote must be synced before the log that has it is recycled. */
  markRecovered({ written, touched, checked }: RecoveredJournal): void {
    this.#checked = checked;
    for (const fragment of this.fragmentsHere.list()) {
      if (written.has(fragment.begin)) fragment.dirty = fragment.fresh = true;
    }
    this.dirDirty = touched;
  }

  /** Acknowledged state, for a checkpoint. */
  image(): JournalImage {
    const { open } = this.fragmentsHere;
    // What is hidden is not summed (P5); a restart reads it.
    const checked = open.knownSum(Math.min(open.end, this.end)) ?? this.#checkedOf(open);
    return {
      ...this.#life,
      begin: open.begin,
      end: open.end,
      sum: checked?.sum ?? "",
      sumEnd: checked?.end ?? open.begin,
      firstAppendMs: open.firstAppendMs,
      marks: this.marks.all,
      fragments: this.fragmentsHere.kept().map((fragment) => fragment.image()),
    };
  }

  /** Fragments whose SHA-1 recovery did not learn, with what it must be at some end where the checkpoint has that. */
  unsummed(): { fragment: SpoolFragment; checked: CheckedSpan | undefined }[] {
    const { closed, open } = this.fragmentsHere;
    const unknown = [...closed, open].filter(({ isSummed }) => !isSummed);
    return unknown.map((fragment) => ({ fragment, checked: this.#checkedOf(fragment) }));
  }

  #checkedOf({ begin }: SpoolFragment): CheckedSpan | undefined {
    return this.#checked.begin === begin && this.#checked.sum !== "" ? this.#checked : undefined;
  }

  #apply(entry: SpoolEntry): void {
    const { open } = this.fragmentsHere;
    this.marks.apply(entry, this.end);
    if (entry.kind === "roll") {
      const closed = this.fragmentsHere.roll(new SpoolFragment(entry.begin, this.#hashSource), this.end);
      if (closed !== undefined) this.#host.metrics.completed.add();
      if (closed !== undefined && closed.end <= this.end) this.#host.logSum(this, closed);
      this.#checked = { begin: entry.begin, sum: "", end: entry.begin };
    } else if (entry.kind === "cut") {
      this.#shown.cut(entry.begin);
      this.tail.cut(entry.begin);
      this.fragmentsHere.cut(entry.begin, new SpoolFragment(entry.begin, this.#hashSource));
      const { begin, end, firstAppendMs } = this.fragmentsHere.open;
      this.#checked = { begin, sum: "", end: begin };
      this.#hoped = { begin, end, registers: this.registers, firstAppendMs };
    } else if (entry.end > entry.begin) {
      assert(entry.begin === open.end, "commits follow each other", { begin: entry.begin, end: open.end });
      if (open.isEmpty) open.firstAppendMs = entry.timeMs;
      open.end = entry.end;
      if (entry.direct === undefined) this.#hashFullBlocks(open);
      else if (this.#shown.hidesDirect(entry)) open.adoptLater(entry.direct.whole);
      else open.adopt(entry.direct.whole);
    }
    this.#host.touched(this);
  }

  /** Sums blocks as they fill, so that no sum ever has much to catch up with. */
  #hashFullBlocks(fragment: SpoolFragment): void {
    const block = this.tail.blocks[this.tail.indexOf(fragment.hashed)];
    const summable = Math.min(fragment.end, this.end);
    if (block !== undefined && block.room === 0 && block.end <= summable) fragment.hashTo(block.end);
  }

  readonly #hashSource = (begin: number, end: number): Uint8Array[] => this.tail.parts(begin, end);

  #reset(failure: WireError): void {
    const { begin, end, firstAppendMs } = this.fragmentsHere.open;
    this.#hoped = { begin, end, registers: this.registers, firstAppendMs };
    const append = this.#append;
    if (append !== undefined && !append.standsAt(begin, end)) append.lost ??= failure;
    // An append that stands where the next one would keeps what it staged.
    if (append === undefined || append.lost !== undefined) this.tail.truncate(end);
    this.#host.touched(this);
  }
}
