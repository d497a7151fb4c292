// Spools in memory with the contract of the real ones: acknowledgements in order, after the turn in which they were
// asked for, or when the test says so. For tests of the broker and of what stands on it.
import { createHash } from "node:crypto";
import { assert, concatBytes, Gate, waitUntil, WireError } from "@millrace/base";
import {
  changed,
  RegisterMarks,
  type CommitOutcome,
  type FoundLife,
  type JournalLife,
  type LocalFragment,
  type RegistersChange,
  type Released,
  type Spool,
  type SpoolAppend,
  type Spools,
  type StoreMark,
} from "@millrace/fragments";
import { EMPTY_LABELS, type LabelSet } from "@millrace/protocol";

interface Pending {
  readonly begin: number;
  readonly end: number;
  readonly acknowledge: () => void;
}

export class FakeSpools implements Spools {
  queuedBytes = 0;
  /** Wall time of first appends. */
  nowMs = (): number => 0;
  /** Set to refuse appends as a full disk does. */
  isFull = false;
  /** From this offset on bytes have rotted. */
  rottenFrom = Number.POSITIVE_INFINITY;
  /** Whether large content waits, as with the real ones, until nothing before it is under way or hidden. */
  isPatient = false;
  /** While set, commits wait until `flush`. */
  isHeld = false;
  mark: StoreMark | undefined;
  newestMs: number | undefined;
  readonly spools = new Map<string, FakeSpool>();
  readonly #found = new Map<string, FakeSpool>();
  readonly removed: JournalLife[] = [];
  readonly #pending: Pending[] = [];
  #scheduled = false;

  claim(life: JournalLife, atLeast: number): Promise<Spool> {
    const known = this.spools.get(life.journal);
    if (known !== undefined && known.life.createRevision === life.createRevision)
      return Promise.resolve(known);
    const found = this.#found.get(life.journal);
    this.#found.delete(life.journal);
    const isSame = found?.life.createRevision === life.createRevision;
    const spool = isSame ? found : new FakeSpool(this, life, atLeast);
    this.spools.set(life.journal, spool);
    return Promise.resolve(spool);
  }

  unclaimed(): readonly FoundLife[] {
    return [...this.#found.values()].map((spool) => ({
      ...spool.life,
      base: spool.held()[0]?.begin ?? spool.syncedEnd,
      end: spool.syncedEnd,
    }));
  }

  discard(life: JournalLife): void {
    assert(this.#found.delete(life.journal), "what is discarded was found", { journal: life.journal });
  }

  /** What the next process finds: everything that is synced, all of it shown. */
  restarted(): FakeSpools {
    const next = new FakeSpools();
    next.mark = this.mark;
    for (const [journal, spool] of this.spools) next.#found.set(journal, spool.recovered(next));
    return next;
  }

  releaseAside(): Promise<Released> {
    return Promise.resolve({ files: 0, bytes: 0 });
  }

  setMark(mark: StoreMark): Promise<void> {
    this.mark = mark;
    return Promise.resolve();
  }

  room(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return this.isFull ? Promise.reject(diskFull()) : Promise.resolve();
  }

  unhealthy(): string | undefined {
    return this.isFull ? "the disk is full" : undefined;
  }

  close(): Promise<void> {
    this.flush();
    return Promise.resolve();
  }

  enqueue(pending: Pending): void {
    this.#pending.push(pending);
    if (this.isHeld || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (!this.isHeld) this.flush();
    });
  }

  /** Acknowledges what was committed. */
  flush(): void {
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift())
      next.acknowledge();
  }
}

export class FakeSpool implements Spool {
  readonly life: JournalLife;
  begin: number;
  syncedEnd: number;
  pendingEnd: number;
  pendingRegisters: LabelSet = EMPTY_LABELS;
  readonly directBytesMin = 256 * 1024;
  firstAppendMs: number | undefined;
  readonly #owner: FakeSpools;
  readonly #listeners = new Set<() => void>();
  #fragments: FakeFragment[];
  marks: RegisterMarks;
  #isOpen = false;
  #isRemoved = false;
  readonly #calm = new Gate();
  /** Appends and rolls that were handed over. */
  #uncommitted = 0;
  #confirmed = Number.POSITIVE_INFINITY;

  constructor(owner: FakeSpools, life: JournalLife, begin: number) {
    this.#owner = owner;
    this.life = life;
    this.begin = this.syncedEnd = this.pendingEnd = begin;
    this.#fragments = [new FakeFragment(begin)];
    this.marks = new RegisterMarks([{ from: begin, registers: EMPTY_LABELS, isKnown: true }]);
  }

  get end(): number {
    return Math.min(this.syncedEnd, this.#confirmed);
  }

  get registers(): LabelSet {
    return this.marks.newest;
  }

  /** As a restart finds it. */
  recovered(owner: FakeSpools): FakeSpool {
    const { life, syncedEnd, registers } = this;
    const spool = new FakeSpool(owner, life, syncedEnd);
    spool.marks = new RegisterMarks(this.marks.all);
    spool.pendingRegisters = registers;
    const fragments = this.#fragments.filter(({ begin, end }) => end > begin);
    const last = this.#fragments.findLast(({ begin }) => begin <= syncedEnd)!;
    spool.#fragments = fragments.includes(last) ? fragments : [...fragments, new FakeFragment(syncedEnd)];
    spool.begin = spool.#fragments.at(-1)!.begin;
    return spool;
  }

  hide(from: number): void {
    this.#confirmed = from;
  }

  confirm(end: number): void {
    this.#confirmed = Math.max(this.#confirmed, end);
    this.marks.forget(this.end);
    this.#changed();
  }

  async cut(begin: number, given?: LabelSet): Promise<void> {
    assert(!this.#isOpen, "no append is open when bytes are cut", { begin });
    this.#owner.flush();
    assert(this.end <= begin && begin <= this.syncedEnd, "what was shown is not cut", { begin });
    await Promise.resolve();
    if (this.#owner.isFull) throw diskFull();
    const kept = this.#fragments.filter((one) => one.begin < begin);
    const within = kept.find((one) => one.end > begin);
    within?.cut(begin);
    const goesOn = within ?? (kept.at(-1) === this.#fragments.at(-1) ? kept.at(-1) : undefined);
    this.#fragments = goesOn === undefined ? [...kept, new FakeFragment(begin)] : kept;
    this.begin = this.#fragments.at(-1)!.begin;
    this.syncedEnd = this.pendingEnd = begin;
    const registers = given ?? this.marks.at(begin);
    this.marks.cut(begin);
    if (registers !== undefined) this.marks.set(begin, registers);
    this.pendingRegisters = this.registers;
    this.#changed();
  }

  openAppend(): SpoolAppend {
    assert(!this.#isOpen, "one append is open at a time");
    assert(!this.#isRemoved, "a removed journal takes no appends", { journal: this.life.journal });
    this.#isOpen = true;
    const begin = this.pendingEnd;
    const parts: Uint8Array[] = [];
    const append = {
      begin,
      bytes: 0,
      sum: () => sha1(concatBytes(parts)),
      write: (chunk: Uint8Array, signal: AbortSignal) => {
        if (this.#owner.isFull) return Promise.reject(diskFull());
        const isDirect = append.bytes >= this.directBytesMin || !this.#owner.isPatient;
        parts.push(chunk.slice());
        append.bytes += chunk.length;
        if (isDirect || append.bytes < this.directBytesMin) return undefined;
        return waitUntil(this.#calm, () => this.#uncommitted === 0 && this.end === this.syncedEnd, signal);
      },
      commit: (registers: RegistersChange, onOutcome: (outcome: CommitOutcome) => void) => {
        this.#isOpen = false;
        this.#commit(begin, parts, registers, onOutcome);
        return true;
      },
      rollback: () => {
        this.#isOpen = false;
      },
    };
    return append;
  }

  roll(begin: number, registers?: RegistersChange): void {
    assert(begin >= this.pendingEnd, "a roll does not go back", { begin, pendingEnd: this.pendingEnd });
    this.begin = this.pendingEnd = begin;
    this.pendingRegisters = changed(this.pendingRegisters, registers);
    this.firstAppendMs = undefined;
    const fragment = new FakeFragment(begin);
    const closing = this.#fragments.at(-1)!;
    this.#fragments.push(fragment);
    this.#owner.enqueue({
      begin,
      end: begin,
      acknowledge: () => {
        closing.closed = true;
        this.syncedEnd = begin;
        this.#mark(begin, begin, registers);
        this.#changed();
      },
    });
  }

  held(): readonly { readonly begin: number; readonly end: number }[] {
    const held: { begin: number; end: number }[] = [];
    for (const { begin, end } of this.#fragments) {
      const last = held.at(-1);
      if (begin === end) continue;
      if (last?.end === begin) last.end = end;
      else held.push({ begin, end });
    }
    return held;
  }

  fragments(): readonly LocalFragment[] {
    const shown = this.#fragments.filter(({ begin, end }) => end > begin && begin < this.end);
    return shown.map((fragment) => (fragment.end <= this.end ? fragment : fragment.upTo(this.end)));
  }

  read(offset: number, maxBytes: number): Promise<Uint8Array> {
    assert(offset < this.end, "what is hidden is not read", { offset });
    return this.readHeld(offset, Math.min(maxBytes, this.end - offset));
  }

  readHeld(offset: number, maxBytes: number): Promise<Uint8Array> {
    const fragment = this.#fragments.find(({ begin, end }) => begin <= offset && offset < end);
    assert(fragment !== undefined, "the offset is local", { offset });
    const at = offset - fragment.begin;
    const { rottenFrom } = this.#owner;
    if (offset >= rottenFrom) return Promise.reject(rotten(at));
    const bytesMax = Math.min(maxBytes, rottenFrom - offset);
    return Promise.resolve(fragment.bytes().subarray(at, at + bytesMax));
  }

  release(span: { begin: number; end: number }): void {
    this.#fragments = this.#fragments.filter(({ begin, end }) => begin !== span.begin || end !== span.end);
    this.#changed();
  }

  async adopt(
    { begin, end }: { readonly begin: number; readonly end: number },
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<number> {
    const parts: Uint8Array[] = [];
    let at = begin;
    for await (const bytes of content) {
      signal.throwIfAborted();
      if (this.#owner.isFull) throw diskFull();
      parts.push(bytes.slice());
      at += bytes.length;
      if (at > end) throw new WireError("UNAVAILABLE", "the source sent too much");
    }
    const isFree = this.#fragments.every((one) => one.end <= begin || at <= one.begin);
    if (at === begin || at > this.end || at > this.begin || !isFree)
      throw new WireError("CONFLICT", `[${begin}, ${at}) is not to be adopted`);
    const fragment = new FakeFragment(begin);
    fragment.add(parts);
    fragment.closed = true;
    this.#fragments = [...this.#fragments, fragment].sort((a, b) => a.begin - b.begin || a.end - b.end);
    this.#changed();
    return at;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  remove(): void {
    const isBusy = this.#isOpen || this.syncedEnd < this.pendingEnd || this.#uncommitted > 0;
    assert(!isBusy, "a journal goes when nothing is pending", { journal: this.life.journal });
    this.#isRemoved = true;
    this.#owner.removed.push(this.life);
    if (this.#owner.spools.get(this.life.journal) === this) this.#owner.spools.delete(this.life.journal);
  }

  #commit(
    begin: number,
    parts: readonly Uint8Array[],
    registers: RegistersChange,
    onOutcome: (outcome: CommitOutcome) => void,
  ): void {
    const end = parts.reduce((at, part) => at + part.length, begin);
    const fragment = this.#fragments.at(-1)!;
    this.firstAppendMs ??= this.#owner.nowMs();
    this.pendingEnd = end;
    this.pendingRegisters = changed(this.pendingRegisters, registers);
    this.#uncommitted++;
    this.#owner.enqueue({
      begin,
      end,
      acknowledge: () => {
        this.#uncommitted--;
        fragment.add(parts);
        this.syncedEnd = end;
        this.#mark(begin, end, registers);
        this.#changed();
        onOutcome({ kind: "acknowledged", begin, end });
      },
    });
  }

  #mark(begin: number, end: number, registers: RegistersChange): void {
    if (registers === "unknown") this.marks.doubt(end > begin ? begin + 1 : begin);
    else if (registers !== undefined) this.marks.set(end, registers);
    this.marks.forget(this.end);
  }

  #changed(): void {
    this.#calm.open();
    for (const listener of this.#listeners) listener();
  }
}

class FakeFragment implements LocalFragment {
  readonly begin: number;
  readonly firstAppendMs = 0;
  closed = false;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(begin: number) {
    this.begin = begin;
  }

  get end(): number {
    return this.begin + this.#bytes;
  }

  bytes(): Uint8Array {
    if (this.#parts.length > 1) this.#parts = [concatBytes(this.#parts)];
    return this.#parts[0] ?? new Uint8Array(0);
  }

  sum(): string {
    return sha1(this.bytes());
  }

  upTo(end: number): LocalFragment {
    const { begin, firstAppendMs } = this;
    return { begin, end, firstAppendMs, closed: false, sum: () => "" };
  }

  /** Forgets what stands at and behind `end`; it is open again. */
  cut(end: number): void {
    this.#parts = [this.bytes().slice(0, end - this.begin)];
    this.#bytes = end - this.begin;
    this.closed = false;
  }

  add(parts: readonly Uint8Array[]): void {
    for (const part of parts) {
      this.#parts.push(part);
      this.#bytes += part.length;
    }
  }
}

function sha1(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

function rotten(offset: number): WireError {
  const path = "spools/fake.raw";
  return new WireError("CORRUPT", `${path}, offset ${offset}: rotten`, { facts: { path, offset } });
}

function diskFull(): WireError {
  return new WireError("DISK_FULL", "the disk is full");
}
