// Sources by their secret alone: over gRPC a call names nothing else. Only hashes are kept and compared, so that the
// time of a search says nothing about a secret. One that is not known for now (`whyClosed`) is found by nobody.
import { createHash } from "node:crypto";
import { sourcePath, type MirroredSource, type SourceKey, type SourceType } from "./definitions.ts";
import { sourceKeyOf, type KnownSources } from "./http-source-index.ts";

export class SecretIndex {
  readonly #known: KnownSources;
  readonly #type: SourceType;
  readonly #keys = new Map<string, SourceKey>();
  /** By path: the hash under which the source stands. */
  readonly #hashes = new Map<string, string>();
  /** Paths of sources whose secret is not known for now. */
  readonly #closed = new Set<string>();
  readonly #stop: () => void;

  /** @param type of the sources that are found */
  constructor(known: KnownSources, type: SourceType) {
    this.#known = known;
    this.#type = type;
    for (const source of known.sources()) this.#add(source);
    this.#stop = known.observeSources((path) => this.#onSource(path));
  }

  close(): void {
    this.#stop();
  }

  /** A secret that is not found may be one of these. */
  get hasClosed(): boolean {
    return this.#closed.size > 0;
  }

  find(secret: string): SourceKey | undefined {
    return this.#keys.get(hashOf(secret));
  }

  #onSource(path: string): void {
    const before = this.#hashes.get(path);
    if (before !== undefined) this.#keys.delete(before);
    this.#hashes.delete(path);
    this.#closed.delete(path);
    const source = this.#known.source(sourceKeyOf(path));
    if (source !== undefined) this.#add(source);
  }

  #add(source: MirroredSource): void {
    if (source.type !== this.#type) return;
    if (source.whyClosed !== undefined) {
      this.#closed.add(sourcePath(source));
      return;
    }
    const { projectId, branchId, sourceId, secret } = source;
    const hash = hashOf(secret);
    this.#keys.set(hash, { projectId, branchId, sourceId });
    this.#hashes.set(sourcePath(source), hash);
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("base64");
}
