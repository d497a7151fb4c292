// Sources by their secret alone: over gRPC a call names nothing else. Only hashes are kept and compared, so that the
// time of a search says nothing about a secret.
import { createHash } from "node:crypto";
import { sourcePath, type SourceDefinition, type SourceKey, type SourceType } from "./definitions.ts";
import { sourceKeyOf, type KnownSources } from "./http-source-index.ts";

export class SecretIndex {
  readonly #known: KnownSources;
  readonly #type: SourceType;
  readonly #keys = new Map<string, SourceKey>();
  /** By path: the hash under which the source stands. */
  readonly #hashes = new Map<string, string>();
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

  find(secret: string): SourceKey | undefined {
    return this.#keys.get(hashOf(secret));
  }

  #onSource(path: string): void {
    const before = this.#hashes.get(path);
    if (before !== undefined) this.#keys.delete(before);
    this.#hashes.delete(path);
    const source = this.#known.source(sourceKeyOf(path));
    if (source !== undefined) this.#add(source);
  }

  #add(source: SourceDefinition): void {
    if (source.type !== this.#type) return;
    const { projectId, branchId, sourceId, secret } = source;
    const hash = hashOf(secret);
    this.#keys.set(hash, { projectId, branchId, sourceId });
    this.#hashes.set(sourcePath(source), hash);
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("base64");
}
