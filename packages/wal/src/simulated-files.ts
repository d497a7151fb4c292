// The medium of a simulated disk: a tree of directories and files, each with what processes see (live) and what a
// power cut leaves (durable). The difference is a list of changes that no sync has covered.
import type { Random } from "@millrace/base";

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly bytes: number };

/** Bytes that grow; what was never written is zero. */
class Image {
  #bytes = new Uint8Array(0);
  length = 0;
  /** Bits that turned and were not written over since, by position. */
  readonly #rot = new Map<number, number>();

  write(position: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#reserve(position + bytes.length);
    this.#bytes.set(bytes, position);
    for (const at of this.#rot.keys())
      if (at >= position && at < position + bytes.length) this.#rot.delete(at);
    this.length = Math.max(this.length, position + bytes.length);
  }

  truncate(length: number): void {
    this.#reserve(length);
    if (length < this.length) this.#bytes.fill(0, length, this.length);
    this.length = length;
    for (const at of this.#rot.keys()) if (at >= length) this.#rot.delete(at);
  }

  /** Turns bits of a byte, if there is one. */
  rot(position: number, mask: number): void {
    if (position >= this.length) return;
    this.#bytes[position]! ^= mask;
    const turned = (this.#rot.get(position) ?? 0) ^ mask;
    if (turned === 0) this.#rot.delete(position);
    else this.#rot.set(position, turned);
  }

  get isRotten(): boolean {
    return this.#rot.size > 0;
  }

  mend(): void {
    for (const [at, mask] of [...this.#rot]) this.rot(at, mask);
  }

  slice(begin: number, end: number): Uint8Array {
    return this.#bytes.slice(begin, Math.min(end, this.length));
  }

  copy(): Image {
    const copy = new Image();
    copy.#bytes = this.#bytes.slice(0, this.length);
    copy.length = this.length;
    for (const [at, mask] of this.#rot) copy.#rot.set(at, mask);
    return copy;
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

export class SimulatedFile {
  readonly kind = "file";
  #live = new Image();
  #durable = new Image();
  #changes: Change[] = [];

  get length(): number {
    return this.#live.length;
  }

  get durableLength(): number {
    return this.#durable.length;
  }

  write(position: number, bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#live.write(position, copy);
    this.#changes.push({ kind: "write", position, bytes: copy });
  }

  truncate(bytes: number): void {
    this.#live.truncate(bytes);
    this.#changes.push({ kind: "truncate", bytes });
  }

  read(position: number, bytes: number): Uint8Array {
    return this.#live.slice(position, position + bytes);
  }

  sync(): void {
    for (const change of this.#changes) apply(this.#durable, change);
    this.#changes = [];
  }

  /** The kernel reports a failed write-back once and forgets the pages: later syncs succeed without them (D5). */
  dropChanges(): void {
    this.#changes = [];
  }

  /** A power cut: each change is kept, lost, or torn into pieces that are kept or lost. */
  crash(random: Random): void {
    for (const change of this.#changes) {
      const fate = random.below(3);
      if (fate === 0) continue;
      if (fate === 1 || change.kind === "truncate") apply(this.#durable, change);
      else tear(this.#durable, change, random);
    }
    this.#changes = [];
    this.#live = this.#durable.copy();
  }

  /** What is synced of it. */
  copy(): SimulatedFile {
    const copy = new SimulatedFile();
    copy.#durable = this.#durable.copy();
    copy.#live = this.#durable.copy();
    return copy;
  }

  /** Flips bits of a byte that is synced. */
  rot(offset: number, mask: number): void {
    this.#live.rot(offset, mask);
    this.#durable.rot(offset, mask);
  }

  /** Whether processes see bits that turned; what was written over is as it was written. */
  get isRotten(): boolean {
    return this.#live.isRotten;
  }

  /** Turns all bits back that turned. */
  mend(): void {
    this.#live.mend();
    this.#durable.mend();
  }
}

export type SimulatedNode = SimulatedFile | SimulatedDir;

export class SimulatedDir {
  readonly kind = "dir";
  live = new Map<string, SimulatedNode>();
  durable = new Map<string, SimulatedNode>();
}

/** A change of directory entries that no sync has covered. A rename is one change: it never tears. */
export type EntryChange =
  | { readonly kind: "link"; readonly dir: SimulatedDir; readonly name: string; readonly node: SimulatedNode }
  | {
      readonly kind: "unlink";
      readonly dir: SimulatedDir;
      readonly name: string;
      readonly node: SimulatedNode;
    }
  | {
      readonly kind: "rename";
      readonly from: SimulatedDir;
      readonly fromName: string;
      readonly dir: SimulatedDir;
      readonly name: string;
      readonly node: SimulatedNode;
    };

/** What is durable below `dir`. */
export function copyTree(dir: SimulatedDir): SimulatedDir {
  const copy = new SimulatedDir();
  for (const [name, node] of dir.durable) {
    copy.durable.set(name, node.kind === "dir" ? copyTree(node) : node.copy());
  }
  copy.live = new Map(copy.durable);
  return copy;
}

/** Makes an entry change durable. */
export function settleEntry(change: EntryChange): void {
  const { dir, name, node } = change;
  if (change.kind === "unlink") {
    if (dir.durable.get(name) === node) dir.durable.delete(name);
    return;
  }
  dir.durable.set(name, node);
  if (change.kind === "rename" && change.from.durable.get(change.fromName) === node) {
    change.from.durable.delete(change.fromName);
  }
}

/** Whether a rename that is durable took away what `change` made: a file does not come back to its old name. */
export function isMoved(change: EntryChange, later: EntryChange): boolean {
  if (change.kind !== "link" || later.kind !== "rename") return false;
  return change.dir === later.from && change.name === later.fromName && change.node === later.node;
}

/** What a power cut leaves below `dir`. */
export function crashTree(dir: SimulatedDir, random: Random): void {
  dir.live = new Map(dir.durable);
  for (const [, node] of [...dir.live].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (node.kind === "dir") crashTree(node, random);
    else node.crash(random);
  }
}

function apply(image: Image, change: Change): void {
  if (change.kind === "truncate") image.truncate(change.bytes);
  else image.write(change.position, change.bytes);
}

function tear(image: Image, { position, bytes }: Extract<Change, { kind: "write" }>, random: Random): void {
  let at = 0;
  let keep = random.below(2) === 1;
  while (at < bytes.length) {
    // Mostly one cut, as when a write is interrupted; sometimes many, as when sectors are written in any order.
    const rest = bytes.length - at;
    const end = at + 1 + random.below(random.below(4) === 0 ? Math.min(rest, 512) : rest);
    if (keep) image.write(position + at, bytes.subarray(at, end));
    keep = !keep;
    at = end;
  }
}
