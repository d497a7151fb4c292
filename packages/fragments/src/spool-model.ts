// What an onlooker knows of a journal: appends acknowledged, those whose outcome is open, what readers have seen. The
// simulation compares spools with it; nothing of the implementation is used here.
import { createHash } from "node:crypto";
import { never } from "@millrace/base";
import { equalLabelSets, type LabelSet } from "@millrace/protocol";
import type { Spool } from "./spools.ts";

/** Thrown when a promise of durability.md is broken. */
export class Violation extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Violation";
  }
}

export interface ModelAppend {
  readonly kind: "append";
  /** Its bytes follow from it. */
  readonly id: number;
  readonly begin: number;
  readonly end: number;
  readonly registers: LabelSet | undefined;
}

export interface ModelRoll {
  readonly kind: "roll";
  readonly begin: number;
  readonly registers: LabelSet | undefined;
}

export interface ModelCut {
  readonly kind: "cut";
  readonly begin: number;
  readonly registers: LabelSet;
}

type ModelOp = ModelAppend | ModelRoll | ModelCut;

/** The bytes of append `id`: different for each, also at equal places. */
export function contentOf(id: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteOf(id, i);
  return bytes;
}

function byteOf(id: number, at: number): number {
  return (Math.imul(id, 0x9e3779b1) + Math.imul(at + 1, 0x85ebca6b + id * 2)) >>> 24;
}

export class JournalModel {
  readonly journal: string;
  readonly createRevision: number;
  end = 0;
  registers: LabelSet;
  /** Acknowledged, ascending. */
  readonly appends: ModelAppend[] = [];
  /** Handed over, without an outcome so far, in order. */
  pending: ModelOp[] = [];
  #forgotten: ModelRoll[] = [];
  readonly #unknown = new Set<ModelOp>();
  /** Ranges that were released: they may be gone. */
  released: { begin: number; end: number }[] = [];
  /** The largest end that was ever seen: it must never shrink (D9). */
  seenEnd = 0;

  constructor(journal: string, createRevision: number, registers: LabelSet) {
    this.journal = journal;
    this.createRevision = createRevision;
    this.registers = registers;
  }

  acknowledge(op: ModelAppend | ModelCut): void {
    const at = this.pending.indexOf(op);
    if (at < 0) throw new Violation(`${this.journal}: ${nameOf(op)} has two outcomes`);
    for (const before of this.pending.slice(0, at)) {
      if (before.kind !== "roll")
        throw new Violation(`${this.journal}: ${nameOf(op)} answered before ${nameOf(before)}`);
    }
    for (const op of this.pending.splice(0, at + 1)) this.#apply(op);
    this.#forgotten = [];
  }

  /** Nobody knows; the next restart tells. */
  leaveOpen(op: ModelAppend | ModelCut): void {
    this.#unknown.add(op);
  }

  refuse(op: ModelAppend | ModelCut): void {
    const at = this.pending.indexOf(op);
    if (at < 0) throw new Violation(`${this.journal}: ${nameOf(op)} has two outcomes`);
    this.pending.splice(at, 1);
  }

  /** Nothing is pending any more: rolls took place, or were forgotten with what was refused. */
  settleRolls(spool: Spool): void {
    for (const roll of this.pending.splice(0) as ModelRoll[]) {
      if (spool.syncedEnd >= roll.begin) this.#apply(roll);
      else this.#forgotten.push(roll);
    }
    this.check(spool);
  }

  /** After a restart: the spool must stand after some number of the pending ops, and then it stays there. */
  recover(spool: Spool, { logFailed }: { logFailed: boolean }): void {
    // What the log failed under either took place, or did not and the journal went on without it.
    const known = this.pending.filter((op) => !this.#unknown.has(op)).filter(wasNotForgotten);
    // Nobody is told of a roll; when the log failed under one, it may have taken place.
    const forgotten = logFailed ? this.#forgotten.map((roll) => [roll]) : [];
    for (const ops of [this.pending, known, ...forgotten]) {
      for (let count = 0; count <= ops.length; count++) {
        const { end, registers } = this.#after(ops.slice(0, count));
        if (spool.end !== end || !equalLabelSets(spool.registers, registers)) continue;
        for (const op of ops.slice(0, count)) this.#apply(op);
        this.pending = [];
        this.#unknown.clear();
        this.#forgotten = [];
        this.check(spool);
        return;
      }
    }
    throw new Violation(
      `${this.journal}: recovered to ${spool.end} with ${JSON.stringify(spool.registers)}, acknowledged ${this.end} ` +
        `with ${JSON.stringify(this.registers)}, pending ${JSON.stringify(this.pending)}`,
    );
  }

  check(spool: Spool): void {
    if (spool.end < this.seenEnd)
      throw new Violation(`${this.journal}: end ${spool.end} after ${this.seenEnd} was seen`);
    if (spool.syncedEnd < this.end)
      throw new Violation(`${this.journal}: end ${spool.syncedEnd} below what is synced: ${this.end}`);
    this.seenEnd = spool.end;
  }

  /** Compares bytes that were read at `offset`. */
  compare(offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const append = this.#appendAt(offset + at);
      if (append === undefined)
        throw new Violation(`${this.journal}: byte ${offset + at} was never appended`);
      const end = Math.min(bytes.length, append.end - offset);
      for (; at < end; at++) {
        if (bytes[at] === byteOf(append.id, offset + at - append.begin)) continue;
        throw new Violation(`${this.journal}: byte ${offset + at} is not that of append ${append.id}`);
      }
    }
  }

  /** What was acknowledged there, in pieces; undefined unless all of the range was. */
  contentOf({ begin, end }: { begin: number; end: number }): Uint8Array[] | undefined {
    const parts: Uint8Array[] = [];
    for (let at = begin; at < end;) {
      const append = this.appends.findLast((one) => one.begin <= at && at < one.end);
      if (append === undefined) return undefined;
      const to = Math.min(append.end, end);
      parts.push(
        contentOf(append.id, append.end - append.begin).subarray(at - append.begin, to - append.begin),
      );
      at = to;
    }
    return parts;
  }

  /** Reads and compares all local bytes and their sums; what is acknowledged must be there, or have been released. */
  async compareAll(spool: Spool): Promise<void> {
    const here: { begin: number; end: number }[] = [];
    for (const { begin, end, sum } of spool.fragments().map((one) => ({ ...range(one), sum: one.sum() }))) {
      const sha1 = createHash("sha1");
      for (let at = begin; at < end;) {
        const bytes = await spool.read(at, 1500, never);
        this.compare(at, bytes);
        sha1.update(bytes);
        at += bytes.length;
      }
      if (sha1.digest("hex") !== sum)
        throw new Violation(`${this.journal}: sum of [${begin}, ${end}) is wrong`);
      here.push({ begin, end });
    }
    const covered = (append: ModelAppend): boolean =>
      [...here, ...this.released].some(({ begin, end }) => begin <= append.begin && append.end <= end);
    const lost = this.appends.find((append) => append.end > append.begin && !covered(append));
    if (lost !== undefined)
      throw new Violation(`${this.journal}: append ${lost.id} at ${lost.begin} is lost`);
  }

  #appendAt(offset: number): ModelAppend | undefined {
    const holds = (op: ModelOp): boolean => op.kind === "append" && op.begin <= offset && offset < op.end;
    return (this.appends.findLast(holds) ?? this.pending.find(holds)) as ModelAppend | undefined;
  }

  #after(ops: readonly ModelOp[]): { end: number; registers: LabelSet } {
    let { end, registers } = this;
    for (const op of ops) {
      end = op.kind === "append" ? op.end : op.begin;
      registers = op.registers ?? registers;
    }
    return { end, registers };
  }

  #apply(op: ModelOp): void {
    if (op.kind === "cut") {
      const kept = this.appends.filter(({ begin, end }) => begin < op.begin || end === begin);
      const clipped = kept.map((append) => ({
        ...append,
        end: Math.min(append.end, Math.max(op.begin, append.begin)),
      }));
      this.appends.splice(0, Infinity, ...clipped);
    }
    if (op.kind === "append") {
      if (op.begin !== this.end)
        throw new Violation(`${this.journal}: append at ${op.begin}, end ${this.end}`);
      this.appends.push(op);
    }
    this.end = op.kind === "append" ? op.end : op.begin;
    this.registers = op.registers ?? this.registers;
  }
}

function range({ begin, end }: { begin: number; end: number }): { begin: number; end: number } {
  return { begin, end };
}

function nameOf(op: ModelOp): string {
  return op.kind === "append" ? `append ${op.id}` : `${op.kind} at ${op.begin}`;
}

/** A roll is forgotten with what was refused; then later ops begin below it. */
function wasNotForgotten(op: ModelOp, at: number, ops: readonly ModelOp[]): boolean {
  return op.kind !== "roll" || ops.slice(at).every(({ begin }) => begin >= op.begin);
}
