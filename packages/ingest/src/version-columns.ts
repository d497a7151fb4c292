// Columns of any version of a sink, read when they are needed: rows name the version that they were mapped by, and few
// versions have rows on their way. A version never changes, so what was read is kept, the last used ones.
import { WireError } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import { decodeSinkColumns } from "./definition-codec.ts";
import { sinkVersionKey } from "./definition-keys.ts";
import { sinkPath, type Column, type SinkKey } from "./definitions.ts";

/** Versions whose columns are kept. */
const VERSIONS_KEPT_MAX = 1000;

export class VersionColumns {
  readonly #store: CoordinationStore;
  /** By path, a space, and version; the least recently used one first. */
  readonly #kept = new Map<string, readonly Column[]>();
  /** Changes when something is forgotten: what was asked for before is not kept. */
  #epoch = 0;

  constructor(store: CoordinationStore) {
    this.#store = store;
  }

  /** @throws {WireError} NOT_FOUND, and what the store says */
  async of(key: SinkKey, version: number, signal: AbortSignal): Promise<readonly Column[]> {
    const name = `${sinkPath(key)} ${version}`;
    const epoch = this.#epoch;
    const columns = this.#kept.get(name) ?? (await this.#read(key, version, signal));
    if (epoch !== this.#epoch) return columns;
    this.#kept.delete(name);
    this.#kept.set(name, columns);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= VERSIONS_KEPT_MAX) break;
      this.#kept.delete(oldest);
    }
    return columns;
  }

  /** A sink is gone: one with its path that comes later has versions of its own. */
  forget(path: string): void {
    this.#epoch++;
    for (const name of [...this.#kept.keys()]) if (name.startsWith(`${path} `)) this.#kept.delete(name);
  }

  async #read(key: SinkKey, version: number, signal: AbortSignal): Promise<readonly Column[]> {
    const name = sinkVersionKey(key, version);
    const { kvs } = await this.#store.range({ key: name }, signal);
    if (kvs[0] !== undefined) return decodeSinkColumns(kvs[0].value, name);
    throw new WireError("NOT_FOUND", `sink ${sinkPath(key)} has no version ${version}`);
  }
}
