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
import { assert, Gate, utf8, waitUntil, WireError } from "@millrace/base";
import type { LabelSet } from "@millrace/protocol";
import type { DiskOp } from "@millrace/wal";
import { DurableAppend } from "./spool-append.ts";
import { SpoolEntry, type DirectBytes, type EntryOwner } from "./spool-entry.ts";
import { SpoolFragment } from "./spool-fragment.ts";
import type { SpoolHost } from "./spool-host.ts";
import type { JournalImage } from "./spool-image.ts";
import { fragmentFile, spoolDir } from "./spool-paths.ts";
import { SpoolTail, type TailBlock, type TailOwner } from "./spool-tail.ts";
import type { CommitOutcome, JournalLife, LocalFragment, Spool, SpoolAppend } from "./spools.ts";

/** A started write of a block's bytes to the spool file. */
export interface IssuedWrite {
  readonly block: TailBlock;
  readonly begin: number;
  readonly end: number;
}

export class DurableSpool implements Spool, EntryOwner, TailOwner {
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
  readonly tail: SpoolTail;

  #life: JournalLife;
  #registers: LabelSet;
  #fragment: SpoolFragment;
  /** Closed, not released, ascending. */
  readonly #closed: SpoolFragment[] = [];
  /** Released, but the log does not have it yet. */
  readonly releasing = new Set<SpoolFragment>();
  /** What recovery knows of the open fragment's SHA-1, until the bytes were read. */
  #checked: { sum: string; end: number };

  #head: SpoolEntry | undefined;
  #last: SpoolEntry | undefined;
  /** The direct append whose bytes are being synced (P3). */
  #holding: SpoolEntry | undefined;
  #refusing: WireError | undefined;
  #pendingBegin: number;
  #pendingEnd: number;
  #pendingRegisters: LabelSet;
  #pendingFirstMs: number;
  #append: DurableAppend | undefined;
  #removed = false;

  readonly #gate = new Gate();
  readonly #listeners = new Set<() => void>();

  constructor(host: SpoolHost, id: number, image: JournalImage) {
    this.#host = host;
    this.id = id;
    const { journal, createRevision, epoch, begin, end, firstAppendMs, registers } = image;
    this.dir = spoolDir(journal, createRevision);
    this.#life = { journal, createRevision, epoch };
    this.defineBytes = 32 + utf8(journal).length;
    this.tail = new SpoolTail(host.memory, this);
    const source = (from: number, to: number): Uint8Array[] => this.tail.parts(from, to);
    for (const closed of image.fragments) this.#closed.push(SpoolFragment.recovered(closed, true, source));
    this.#fragment = SpoolFragment.recovered({ begin, end, firstAppendMs, sum: "" }, false, source);
    this.#checked = { sum: image.sum, end: image.sumEnd };
    this.#registers = this.#pendingRegisters = registers;
    this.#pendingBegin = begin;
    this.#pendingEnd = end;
    this.#pendingFirstMs = firstAppendMs;
  }

  get life(): JournalLife {
    return this.#life;
  }

  get begin(): number {
    return this.#pendingBegin;
  }

  get end(): number {
    return this.#fragment.end;
  }

  get pendingEnd(): number {
    return this.#pendingEnd;
  }

  get registers(): LabelSet {
    return this.#registers;
  }

  get pendingRegisters(): LabelSet {
    return this.#pendingRegisters;
  }

  get firstAppendMs(): number | undefined {
    return this.#pendingEnd === this.#pendingBegin ? undefined : this.#pendingFirstMs;
  }

  get hasPending(): boolean {
    return this.#head !== undefined;
  }

  adoptLife(life: JournalLife): void {
    if (life.epoch === this.#life.epoch) return;
    this.#life = life;
    this.definedScope = 0;
  }

  openAppend(): SpoolAppend {
    assert(this.#append === undefined, "one append of a spool is open at a time", { journal: this.#life.journal });
    assert(!this.#removed, "a removed journal takes no appends", { journal: this.#life.journal });
    this.#append = new DurableAppend(this, this.#host, this.#pendingBegin, this.#pendingEnd);
    return this.#append;
  }

  roll(begin: number, registers?: LabelSet): void {
    assert(this.#append === undefined, "no append is open when the spool rolls", { journal: this.#life.journal });
    assert(begin >= this.#pendingEnd, "a roll does not go back", { begin, pendingEnd: this.#pendingEnd });
    if (begin === this.#pendingEnd && begin === this.#pendingBegin && registers === undefined) return;
    this.#pendingBegin = this.#pendingEnd = begin;
    this.#pendingRegisters = registers ?? this.#pendingRegisters;
    const timeMs = this.#host.nowMs();
    this.#enqueue(
      new SpoolEntry(this, { kind: "roll", begin, end: begin, registers, direct: undefined, timeMs, onOutcome: undefined }),
    );
  }

  /** Rolls and waits until it is durable. @throws {WireError} DISK_FULL, OVERLOADED */
  rollTo(begin: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.roll(begin);
      const append = this.openAppend(); // an empty one: it is told when its turn comes
      append.commit(undefined, (outcome) => {
        if (this.#fragment.end >= begin) resolve();
        else reject(outcome.kind === "acknowledged" ? new WireError("UNAVAILABLE", "the roll was forgotten") : outcome.error);
      });
    });
  }

  fragments(): readonly LocalFragment[] {
    return this.#fragment.isEmpty ? [...this.#closed] : [...this.#closed, this.#fragment];
  }

  async read(offset: number, maxBytes: number): Promise<Uint8Array> {
    assert(maxBytes >= 1, "a read asks for at least one byte", { maxBytes });
    const fragment = this.#fragmentAt(offset);
    if (fragment === undefined) {
      throw new WireError("NOT_FOUND", `offset ${offset} of ${this.#life.journal} is not in a local fragment`);
    }
    const limit = Math.min(offset + maxBytes, fragment.end);
    const block = this.tail.blocks[this.tail.indexOf(offset)];
    if (block !== undefined && block.begin <= offset) return copyOf(this.tail.parts(offset, this.#runEnd(offset, limit)));
    const end = block === undefined ? limit : Math.min(limit, block.begin);
    const path = `${this.dir}/${fragmentFile(fragment.begin)}`;
    const bytes = await this.#host.disk.read(path, offset - fragment.begin, end - offset);
    if (bytes.length === 0) {
      throw new WireError("CORRUPT", `${path}: ends at ${offset - fragment.begin}, its fragment at ${fragment.end}`);
    }
    return bytes;
  }

  release(range: { begin: number; end: number }): void {
    const at = this.#closed.findIndex(({ begin, end }) => begin === range.begin && end === range.end);
    assert(at >= 0, "a closed fragment is released once", { ...range, journal: this.#life.journal });
    const fragment = this.#closed[at]!;
    this.#closed.splice(at, 1);
    for (const block of this.tail.blocks.filter((one) => one.fragment === fragment.begin)) this.tail.drop(block);
    this.releasing.add(fragment);
    this.#host.release(this, fragment);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  remove(): void {
    assert(this.#append === undefined && this.#head === undefined, "a journal is removed when nothing is pending");
    if (this.#removed) return;
    this.forget();
    this.#host.remove(this, { quarantine: false });
  }

  /** Drops everything from memory; the spool is used no more. */
  forget(): void {
    this.#removed = true;
    for (const block of [...this.tail.blocks]) this.tail.drop(block);
    this.#closed.length = 0;
  }

  // For the append that is open.

  /** The append ended, with `direct` when its bytes already stand in the file. */
  commitAppend(
    append: DurableAppend,
    direct: DirectBytes | undefined,
    registers: LabelSet | undefined,
    onOutcome: (outcome: CommitOutcome) => void,
  ): void {
    assert(this.#append === append, "an append ends once", { begin: append.begin });
    this.#append = undefined;
    const { begin } = append;
    const end = begin + append.bytes;
    const timeMs = this.#host.nowMs();
    const entry = new SpoolEntry(this, { kind: "commit", begin, end, registers, direct, timeMs, onOutcome });
    if (append.lost === undefined) {
      if (end > begin && this.#pendingEnd === this.#pendingBegin) this.#pendingFirstMs = timeMs;
      this.#pendingEnd = end;
      this.#pendingRegisters = registers ?? this.#pendingRegisters;
      const refusal = this.#host.refusal();
      if (refusal !== undefined) this.#refusing ??= refusal;
    } else {
      entry.fail(append.lost);
    }
    this.#enqueue(entry);
  }

  rollbackAppend(append: DurableAppend): void {
    assert(this.#append === append, "an append ends once", { begin: append.begin });
    this.#append = undefined;
    this.tail.truncate(append.begin);
  }

  /** Resolves when nothing is pending and the file has all that is acknowledged. @throws {WireError} DISK_FULL */
  async quiet(signal: AbortSignal): Promise<void> {
    const calm = (): boolean => this.#head === undefined && this.tail.blocks.every((block) => block.written >= Math.min(block.end, this.end));
    await waitUntil(this.#gate, () => calm() || this.#host.refusal() !== undefined, signal);
    const refusal = this.#host.refusal();
    if (refusal !== undefined) throw refusal;
  }

  /** SHA-1 of the open fragment, to go on from. */
  forkSha1(): ReturnType<SpoolFragment["forkSha1"]> {
    return this.#fragment.forkSha1();
  }

  // For the host.

  /** Starts writing acknowledged bytes to the spool file: adds the ops, and what to note when they have ended. */
  collectWrites(ops: DiskOp[], writes: IssuedWrite[]): void {
    const { blocks } = this.tail;
    let first = blocks.length;
    while (first > 0 && blocks[first - 1]!.issued < Math.min(blocks[first - 1]!.end, this.end)) first--;
    for (const block of blocks.slice(first)) {
      const end = Math.min(block.end, this.end);
      const begin = block.issued;
      if (begin >= end) continue;
      const fragment = this.#fragmentAt(begin);
      assert(fragment !== undefined, "acknowledged bytes have a fragment", { begin });
      fragment.dirty = true;
      if (fragment.fresh) this.dirDirty = true;
      const path = `${this.dir}/${fragmentFile(block.fragment)}`;
      ops.push({ kind: "write", path, position: begin - block.fragment, bytes: block.slice(begin, end) });
      writes.push({ block, begin, end });
      block.issued = end;
    }
  }

  mayDrop(block: TailBlock): boolean {
    if (block.written < block.end || block.end > this.end) return false;
    if (this.#append !== undefined && this.#append.begin < block.end) return false;
    this.#fragmentAt(block.begin)?.hashTo(block.end);
    return true;
  }

  /** Tells those who wait or listen that something changed. */
  notify(): void {
    this.#gate.open();
    for (const listener of this.#listeners) listener();
  }

  /** Wakes waiters without a change that listeners care for. */
  wake(): void {
    this.#gate.open();
  }

  /** The fragments whose files have bytes that no sync covered. */
  dirtyFragments(): SpoolFragment[] {
    return [...this.#closed, ...this.releasing, this.#fragment].filter(({ dirty }) => dirty);
  }

  /** Everything that recovery wrote or found must be synced before the log that has it is recycled. */
  markRecovered({ written, touched }: { written: ReadonlySet<number>; touched: boolean }): void {
    for (const fragment of [...this.#closed, this.#fragment]) {
      if (written.has(fragment.begin)) fragment.dirty = fragment.fresh = true;
    }
    this.dirDirty = touched;
  }

  /** Acknowledged state, for a checkpoint. */
  image(): JournalImage {
    const fragment = this.#fragment;
    const closed = [...this.#closed, ...this.releasing].sort((a, b) => a.begin - b.begin);
    const sum = fragment.isSummed && !fragment.isEmpty ? fragment.sum() : "";
    return {
      ...this.#life,
      begin: fragment.begin,
      end: fragment.end,
      sum: sum === "" ? this.#checked.sum : sum,
      sumEnd: sum === "" ? this.#checked.end : fragment.end,
      firstAppendMs: fragment.firstAppendMs,
      registers: this.#registers,
      fragments: closed.map((one) => one.image()),
    };
  }

  /** Fragments whose SHA-1 recovery did not learn; for the open one also what it must be at some end. */
  unsummed(): { fragment: SpoolFragment; checked: { sum: string; end: number } | undefined }[] {
    const closed = this.#closed.filter(({ isSummed }) => !isSummed).map((fragment) => ({ fragment, checked: undefined }));
    if (this.#fragment.isSummed) return closed;
    return [...closed, { fragment: this.#fragment, checked: this.#checked.sum === "" ? undefined : this.#checked }];
  }

  onEntryLogged(entry: SpoolEntry, failure: WireError | undefined): void {
    if (failure === undefined) entry.state = "logged";
    else this.#fail(entry, failure);
    this.#settle();
  }

  #enqueue(entry: SpoolEntry): void {
    if (this.#last === undefined) this.#head = entry;
    else this.#last.next = entry;
    this.#last = entry;
    if (this.#refusing !== undefined && entry.state === "waiting") entry.fail(this.#refusing);
    if (entry.state === "failed") return this.#settleSoon();
    if (this.#holding === undefined) this.#log(entry);
  }

  #log(entry: SpoolEntry): void {
    entry.state = "logging";
    if (entry.direct !== undefined) {
      this.#holding = entry;
      this.#host.syncDirect(this, this.#fragment, (failure) => this.#onDirectSynced(entry, failure));
      return;
    }
    if (entry.kind === "commit" && entry.end === entry.begin && entry.registers === undefined) {
      entry.state = "logged"; // nothing to make durable, only its turn to wait for
      return this.#settleSoon();
    }
    const failure = this.#host.log(this, entry);
    if (failure === undefined) return;
    this.#fail(entry, failure);
    this.#settleSoon();
  }

  #onDirectSynced(entry: SpoolEntry, failure: WireError | undefined): void {
    const refusal = failure ?? this.#host.log(this, entry);
    this.#holding = undefined;
    if (refusal !== undefined) this.#fail(entry, refusal);
    for (let next = entry.next; next !== undefined && this.#holding === undefined; next = next.next) {
      if (next.state === "waiting") this.#log(next);
    }
    if (refusal !== undefined) this.#settle();
  }

  /** P4: what was not logged yet fails with it; what was logged is told by the log. */
  #fail(entry: SpoolEntry, failure: WireError): void {
    entry.fail(failure);
    this.#refusing ??= failure;
    for (let next = entry.next; next !== undefined; next = next.next) {
      if (next.state === "waiting") next.fail(failure);
    }
  }

  #settleSoon(): void {
    queueMicrotask(() => this.#settle());
  }

  /** Answers entries from the head on, as far as their fate is known. */
  #settle(): void {
    for (;;) {
      const entry = this.#head;
      if (entry === undefined || entry.state === "waiting" || entry.state === "logging") return;
      this.#head = entry.next;
      if (this.#head === undefined) this.#last = undefined;
      if (entry.state === "logged") this.#apply(entry);
      if (this.#head === undefined && this.#refusing !== undefined) this.#reset(this.#refusing);
      entry.onOutcome?.(entry.outcome());
    }
  }

  #apply(entry: SpoolEntry): void {
    const fragment = this.#fragment;
    if (entry.registers !== undefined) this.#registers = entry.registers;
    if (entry.kind === "roll") {
      this.#closeFragment(entry.begin);
    } else if (entry.end > entry.begin) {
      assert(entry.begin === fragment.end, "commits follow each other", { begin: entry.begin, end: fragment.end });
      if (fragment.isEmpty) fragment.firstAppendMs = entry.timeMs;
      fragment.end = entry.end;
      if (entry.direct !== undefined) fragment.adopt(entry.direct.sha1, entry.end);
      else this.#hashFullBlocks(fragment);
    }
    this.#host.touched(this);
  }

  /** Sums blocks as they fill, so that no sum ever has much to catch up with. */
  #hashFullBlocks(fragment: SpoolFragment): void {
    const block = this.tail.blocks[this.tail.indexOf(fragment.hashed)];
    if (block !== undefined && block.room === 0 && block.end <= fragment.end) fragment.hashTo(block.end);
  }

  #closeFragment(begin: number): void {
    const fragment = this.#fragment;
    if (!fragment.isEmpty) {
      fragment.close();
      this.#closed.push(fragment);
      this.#host.logSum(this, fragment);
    }
    this.#fragment = new SpoolFragment(begin, (from, to) => this.tail.parts(from, to));
    this.#checked = { sum: "", end: begin };
  }

  #reset(failure: WireError): void {
    this.#refusing = undefined;
    this.#pendingBegin = this.#fragment.begin;
    this.#pendingEnd = this.#fragment.end;
    this.#pendingRegisters = this.#registers;
    this.#pendingFirstMs = this.#fragment.firstAppendMs;
    if (this.#append !== undefined && this.#append.begin !== this.#pendingEnd) this.#append.lost = failure;
    // A lost append's bytes go too; one that begins at the end keeps what it staged.
    if (this.#append === undefined || this.#append.lost !== undefined) this.tail.truncate(this.#pendingEnd);
    this.#host.touched(this);
  }

  #fragmentAt(offset: number): SpoolFragment | undefined {
    if (offset >= this.#fragment.begin) return offset < this.#fragment.end ? this.#fragment : undefined;
    let low = 0;
    let high = this.#closed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#closed[middle]!.end <= offset) low = middle + 1;
      else high = middle;
    }
    const found = this.#closed[low];
    return found !== undefined && found.begin <= offset ? found : undefined;
  }

  /** End of the bytes from `offset` on that memory has without a gap, at most `limit`. */
  #runEnd(offset: number, limit: number): number {
    let end = offset;
    for (let i = this.tail.indexOf(offset); end < limit; i++) {
      const block = this.tail.blocks[i];
      if (block === undefined || block.begin > end) break;
      end = Math.min(block.end, limit);
    }
    return end;
  }
}

/** A copy: the memory is used again, and some platform calls refuse shared memory. */
function copyOf(parts: readonly Uint8Array[]): Uint8Array {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  const copy = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const part of parts) {
    copy.set(part, at);
    at += part.length;
  }
  return copy;
}
