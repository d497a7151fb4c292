// A disk that keeps what is written to it in memory, above another one that it only reads: the recovery of a start runs
// over it as it is, and no byte of the data directory changes.
//
// V1 Of the disk below nothing is used but `read` and `list`; the type leaves no other way.
// V2 Whoever reads sees the disk below as it was, with everything that was written here on top, as one disk.
// V3 A page is copied when it is first written, so memory grows with what is written, not with the files.
import {
  assertDiskPath,
  DiskError,
  type Disk,
  type DiskEntry,
  type DiskSpace,
  type DiskLane,
  type DiskOp,
} from "@millrace/wal";

/** What the overlay needs of the disk below (V1). */
export type ReadableDisk = Pick<Disk, "read" | "list">;

/** Small: a recovered spool may be a few bytes long, and there may be many. */
const PAGE_BYTES = 4096;
/** Segments of logs are preallocated with zeros: all such pages are this one. Never written. */
const ZERO_PAGE = new Uint8Array(PAGE_BYTES);
/** Nothing here takes space on the disk, so recovery also runs over a full one. */
const FREE_BYTES = 2 ** 50;

interface FileNode {
  readonly kind: "file";
  length: number;
  /** Path below, and how many of its bytes still show. */
  readonly below: { readonly path: string; bytes: number } | undefined;
  readonly pages: Map<number, Uint8Array>;
}

interface DirNode {
  readonly kind: "dir";
  /** Path below, for a directory that was there. */
  readonly below: string | undefined;
  entries: Promise<Map<string, Node>> | undefined;
}

type Node = FileNode | DirNode;

export class OverlayDisk implements Disk {
  readonly #below: ReadableDisk;
  readonly #root: DirNode = { kind: "dir", below: "", entries: undefined };
  #turn: Promise<void> = Promise.resolve();

  /** @param below stays the caller's to close */
  constructor(below: ReadableDisk) {
    this.#below = below;
  }

  /** All runs happen one after the other, whatever their lane. */
  run(_lane: DiskLane, ops: readonly DiskOp[]): Promise<void> {
    const done = this.#turn.then(async () => {
      for (const op of ops) await this.#perform(op);
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async read(path: string, position: number, bytes: number): Promise<Uint8Array> {
    const file = await this.#find(path);
    if (file?.kind !== "file") throw missing(path, "read");
    const end = Math.min(position + bytes, file.length);
    if (end <= position) return new Uint8Array(0);
    const found = new Uint8Array(end - position);
    const { below } = file;
    if (
      below !== undefined &&
      position < below.bytes &&
      !isCovered(file, position, Math.min(end, below.bytes))
    ) {
      found.set(await this.#below.read(below.path, position, Math.min(end, below.bytes) - position));
    }
    for (let page = Math.floor(position / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      const content = file.pages.get(page);
      if (content === undefined) continue;
      const begin = page * PAGE_BYTES;
      const from = Math.max(position, begin);
      found.set(content.subarray(from - begin, Math.min(end - begin, PAGE_BYTES)), from - position);
    }
    return found;
  }

  async list(dir: string): Promise<readonly DiskEntry[]> {
    const node = dir === "" ? this.#root : await this.#find(dir);
    if (node?.kind !== "dir") return [];
    const entries = [...(await this.#entries(node))].map(([name, { kind, ...rest }]): DiskEntry => ({
      name,
      kind,
      bytes: "length" in rest ? rest.length : 0,
    }));
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  space(): Promise<DiskSpace> {
    return Promise.resolve({ freeBytes: FREE_BYTES, totalBytes: FREE_BYTES });
  }

  close(): Promise<void> {
    return this.#turn;
  }

  async #perform(op: DiskOp): Promise<void> {
    switch (op.kind) {
      case "write":
        return this.#write(await this.#fileForWrite(op.path), op.position, op.bytes);
      case "sync":
        if ((await this.#find(op.path))?.kind !== "file") throw missing(op.path, "sync");
        return;
      case "sync-dir":
        if (op.path !== "" && (await this.#find(op.path))?.kind !== "dir") throw missing(op.path, "sync-dir");
        return;
      case "make-dir":
        return this.#makeDir(op.path);
      case "rename":
        return this.#rename(op.from, op.to);
      case "remove":
        return this.#remove(op.path);
      case "truncate":
        return this.#truncate(op.path, op.bytes);
    }
  }

  async #write(file: FileNode, position: number, bytes: Uint8Array): Promise<void> {
    // Writing nothing makes the file, and no file longer.
    if (bytes.length === 0) return;
    for (let done = 0; done < bytes.length;) {
      const at = position + done;
      const page = Math.floor(at / PAGE_BYTES);
      const from = at - page * PAGE_BYTES;
      const part = bytes.subarray(done, done + PAGE_BYTES - from);
      done += part.length;
      if (part.length === PAGE_BYTES && part.every((byte) => byte === 0)) {
        file.pages.set(page, ZERO_PAGE);
        continue;
      }
      (await this.#pageForWrite(file, page)).set(part, from);
    }
    // Writing nothing beyond the end does not move it.
    if (bytes.length > 0) file.length = Math.max(file.length, position + bytes.length);
  }

  /** The page as it shows now, in memory of its own (V3). */
  async #pageForWrite(file: FileNode, page: number): Promise<Uint8Array> {
    const known = file.pages.get(page);
    if (known !== undefined && known !== ZERO_PAGE) return known;
    const content = new Uint8Array(PAGE_BYTES);
    const begin = page * PAGE_BYTES;
    if (known === undefined && file.below !== undefined && begin < file.below.bytes) {
      const shown = Math.min(PAGE_BYTES, file.below.bytes - begin);
      content.set(await this.#below.read(file.below.path, begin, shown));
    }
    file.pages.set(page, content);
    return content;
  }

  async #truncate(path: string, bytes: number): Promise<void> {
    const file = await this.#find(path);
    if (file?.kind !== "file") throw missing(path, "truncate");
    if (bytes < file.length) {
      for (const page of file.pages.keys()) if (page * PAGE_BYTES >= bytes) file.pages.delete(page);
      if (file.below !== undefined) file.below.bytes = Math.min(file.below.bytes, bytes);
      const last = Math.floor(bytes / PAGE_BYTES);
      if (file.pages.has(last)) (await this.#pageForWrite(file, last)).fill(0, bytes - last * PAGE_BYTES);
    }
    file.length = bytes;
  }

  async #makeDir(path: string): Promise<void> {
    let dir = this.#root;
    for (const name of path.split("/")) {
      const entries = await this.#entries(dir);
      const node = entries.get(name) ?? { kind: "dir", below: undefined, entries: undefined };
      if (node.kind !== "dir") throw new DiskError("io", path, `make-dir ${path}: ${name} is a file`);
      entries.set(name, node);
      dir = node;
    }
  }

  async #rename(from: string, to: string): Promise<void> {
    const node = await this.#find(from);
    if (node === undefined) throw missing(from, "rename");
    const target = await this.#parent(to, "rename");
    (await this.#parent(from, "rename")).entries.delete(nameOf(from));
    target.entries.set(nameOf(to), node);
  }

  async #remove(path: string): Promise<void> {
    const node = await this.#find(path);
    if (node === undefined) return;
    if (node.kind === "dir" && (await this.#entries(node)).size > 0) {
      throw new DiskError("io", path, `remove ${path}: the directory is not empty`);
    }
    (await this.#parent(path, "remove")).entries.delete(nameOf(path));
  }

  async #fileForWrite(path: string): Promise<FileNode> {
    const { entries } = await this.#parent(path, "write");
    const node = entries.get(nameOf(path)) ?? { kind: "file", length: 0, below: undefined, pages: new Map() };
    if (node.kind !== "file") throw new DiskError("io", path, `write ${path}: it is a directory`);
    entries.set(nameOf(path), node);
    return node;
  }

  async #parent(path: string, what: string): Promise<{ entries: Map<string, Node> }> {
    assertDiskPath(path);
    const slash = path.lastIndexOf("/");
    const dir = slash < 0 ? this.#root : await this.#find(path.slice(0, slash));
    if (dir?.kind !== "dir") throw missing(path, what);
    return { entries: await this.#entries(dir) };
  }

  async #find(path: string): Promise<Node | undefined> {
    assertDiskPath(path);
    let node: Node = this.#root;
    for (const name of path.split("/")) {
      if (node.kind !== "dir") return undefined;
      const next: Node | undefined = (await this.#entries(node)).get(name);
      if (next === undefined) return undefined;
      node = next;
    }
    return node;
  }

  /** The directory's entries, listed below when first asked for. */
  #entries(dir: DirNode): Promise<Map<string, Node>> {
    dir.entries ??= dir.below === undefined ? Promise.resolve(new Map()) : this.#load(dir.below);
    return dir.entries;
  }

  async #load(path: string): Promise<Map<string, Node>> {
    const nodes = new Map<string, Node>();
    for (const { name, kind, bytes } of await this.#below.list(path)) {
      const at = path === "" ? name : `${path}/${name}`;
      const file = { kind: "file", length: bytes, below: { path: at, bytes }, pages: new Map() } as const;
      nodes.set(name, kind === "dir" ? { kind, below: at, entries: undefined } : file);
    }
    return nodes;
  }
}

/** Whether pages written here hide all of [begin, end). */
function isCovered(file: FileNode, begin: number, end: number): boolean {
  for (let page = Math.floor(begin / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
    if (!file.pages.has(page)) return false;
  }
  return true;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function missing(path: string, what: string): DiskError {
  return new DiskError("missing", path, `${what} ${path}: no such file or directory`);
}
