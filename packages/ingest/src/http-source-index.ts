// Sources as the door finds them: by the bytes of a path. Ten thousand may be known and few of them used, so a source
// is compiled when its first record comes, and forgotten again when many others were used since.
import { utf8 } from "@millrace/base";
import { sourcePath, type MirroredSource, type SourceKey } from "./definitions.ts";

/** What the index asks of the definitions. */
export interface KnownSources {
  /** Active ones, of all branches. */
  sources(): readonly MirroredSource[];
  source(key: SourceKey): MirroredSource | undefined;
  /** Calls `listener` with the path of each source that changes, itself or a sink of it. */
  observeSources(listener: (path: string) => void): () => void;
}

export interface IndexOptions<R> {
  /** Makes a source ready for its records. */
  readonly compile: (source: MirroredSource) => R;
  /** Told once in a while that many sources were compiled anew or forgotten; `compiled` are those that are left. */
  readonly onForgotten: (compiled: Iterable<R>) => void;
  /** Names whose sources are compiled at the same time. */
  readonly compiledMax: number;
}

/** The sources of one `project/source`, one for each branch. */
interface Place<R> {
  readonly name: Uint8Array;
  readonly keys: SourceKey[];
  /** Undefined until it is used. */
  routes: readonly R[] | undefined;
  /** Since it was last looked at as one to forget. */
  isUsed: boolean;
}

/** Changes after which onForgotten() is called: it looks at everything. */
const FORGOTTEN_MAX = 64;

export class SourceIndex<R> {
  readonly #known: KnownSources;
  readonly #options: IndexOptions<R>;
  /** By the hash of the name. */
  readonly #places = new Map<number, Place<R>[]>();
  /** The longest compiled first, but for those that were used (second chance). */
  readonly #compiled = new Set<Place<R>>();
  #forgotten = 0;
  readonly #stop: () => void;

  constructor(known: KnownSources, options: IndexOptions<R>) {
    this.#known = known;
    this.#options = options;
    for (const source of known.sources()) this.#add(source);
    this.#stop = known.observeSources((path) => this.#onSource(path));
  }

  close(): void {
    this.#stop();
  }

  /** The source of a key, in its branch. */
  findOne(key: SourceKey, isWanted: (route: R) => boolean): R | undefined {
    const name = nameOf(key);
    return this.find(name, 0, name.length).find(isWanted);
  }

  /** @param bytes of a path, of which [begin, end) is `<project>/<source>` */
  find(bytes: Uint8Array, begin: number, end: number): readonly R[] {
    const place = this.#place(bytes, begin, end);
    if (place === undefined) return [];
    if (place.routes === undefined) return this.#compile(place);
    place.isUsed = true;
    return place.routes;
  }

  #place(bytes: Uint8Array, begin: number, end: number): Place<R> | undefined {
    const places = this.#places.get(hashOf(bytes, begin, end));
    if (places === undefined) return undefined;
    for (const place of places) if (isSame(place.name, bytes, begin, end)) return place;
    return undefined;
  }

  #compile(place: Place<R>): readonly R[] {
    const routes: R[] = [];
    for (const key of place.keys) {
      const source = this.#known.source(key);
      if (source !== undefined) routes.push(this.#options.compile(source));
    }
    place.routes = routes;
    place.isUsed = false;
    this.#compiled.add(place);
    for (const oldest of this.#compiled) {
      if (this.#compiled.size <= this.#options.compiledMax) break;
      if (oldest === place) continue;
      this.#compiled.delete(oldest);
      if (oldest.isUsed) this.#compiled.add(oldest);
      else this.#forget(oldest);
      oldest.isUsed = false;
    }
    return routes;
  }

  #forget(place: Place<R>): void {
    this.#compiled.delete(place);
    if (place.routes === undefined) return;
    place.routes = undefined;
    if (++this.#forgotten < FORGOTTEN_MAX) return;
    this.#forgotten = 0;
    this.#options.onForgotten([...this.#compiled].flatMap(({ routes }) => routes ?? []));
  }

  #onSource(path: string): void {
    const key = sourceKeyOf(path);
    if (this.#known.source(key) === undefined) this.#remove(key);
    else this.#forget(this.#add(key));
  }

  /** Once, however often it is called. */
  #add({ projectId, branchId, sourceId }: SourceKey): Place<R> {
    const key = { projectId, branchId, sourceId };
    const name = nameOf(key);
    let place = this.#place(name, 0, name.length);
    if (place === undefined) {
      place = { name, keys: [], routes: undefined, isUsed: false };
      const hash = hashOf(name, 0, name.length);
      const places = this.#places.get(hash);
      if (places === undefined) this.#places.set(hash, [place]);
      else places.push(place);
    }
    if (!place.keys.some((one) => sourcePath(one) === sourcePath(key))) place.keys.push(key);
    return place;
  }

  #remove(key: SourceKey): void {
    const name = nameOf(key);
    const place = this.#place(name, 0, name.length);
    if (place === undefined) return;
    this.#forget(place);
    const at = place.keys.findIndex((one) => sourcePath(one) === sourcePath(key));
    if (at >= 0) place.keys.splice(at, 1);
    if (place.keys.length > 0) return;
    const hash = hashOf(name, 0, name.length);
    const others = this.#places.get(hash)!.filter((one) => one !== place);
    if (others.length > 0) this.#places.set(hash, others);
    else this.#places.delete(hash);
  }
}

/** The key with the path `<project>/<branch>/<source>`. */
export function sourceKeyOf(path: string): SourceKey {
  const [project = "", branch = "", sourceId = ""] = path.split("/");
  return { projectId: Number(project), branchId: Number(branch), sourceId };
}

function nameOf({ projectId, sourceId }: SourceKey): Uint8Array {
  return utf8(`${projectId}/${sourceId}`);
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, begin: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = begin; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash | 0;
}

function isSame(name: Uint8Array, bytes: Uint8Array, begin: number, end: number): boolean {
  if (name.length !== end - begin) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[begin + i]) return false;
  return true;
}
