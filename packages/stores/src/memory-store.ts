// The model of an object store: a map, plus the ways in which real ones fail, drawn from a seed or scripted by a test.
// Everything happens on the given clock, so a simulation replays it.
import { gunzipSync } from "node:zlib";
import { concatBytes, WireError, type Clock, type Random } from "@millrace/base";
import type { ObjectEntry, ObjectStore, PutOptions } from "./object-store.ts";
import { checkedKey, checkedListPrefix } from "./store-url.ts";

export type StoreOperation = "list" | "get" | "head" | "put" | "sync" | "remove";

/** What goes wrong with one operation. */
export type StoreFault =
  /** 503 before anything happened. */
  | "unavailable"
  /** 403 before anything happened. */
  | "forbidden"
  /** put, remove: it happened, and the caller hears of a time-out. Others: a time-out. */
  | "timeout-after-success"
  /** put: fails, and leaves a part of the body under the right name: an upload cut off, not by an atomic store. */
  | "truncated"
  /** put: resolves, but what is stored is shorter than the body. */
  | "wrong-length"
  /** put: resolves, with a bit of what is stored turned. */
  | "rotten"
  /** put: fails when the object is there for all to see and not durable yet. */
  | "unsynced"
  /** get: fails midway. */
  | "cut-off"
  /** Takes `slowMs` before anything else. */
  | "slow";

export interface MemoryStoreOptions {
  readonly url?: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Time that each operation takes: from `latencyMs.min` to `latencyMs.max`. Default 0: no timer at all. */
  readonly latencyMs?: { readonly min: number; readonly max: number };
  readonly slowMs?: number;
  /** How long an object stays out of listings after its put. */
  readonly listLagMs?: number;
  /** Chance of each fault, in thousandths, for each operation to which it applies. */
  readonly faults?: Readonly<Partial<Record<StoreFault, number>>>;
  /** As GCS does: objects put with content encoding gzip are read decompressed. */
  readonly decompresses?: boolean;
}

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modTimeMs: number;
  readonly listedFromMs: number;
  readonly gzip: boolean;
}

const APPLIES: Record<StoreFault, readonly StoreOperation[]> = {
  unavailable: ["list", "get", "head", "put", "sync", "remove"],
  forbidden: ["list", "get", "head", "put", "sync", "remove"],
  "timeout-after-success": ["list", "get", "head", "put", "sync", "remove"],
  truncated: ["put"],
  "wrong-length": ["put"],
  rotten: ["put"],
  unsynced: ["put"],
  "cut-off": ["get"],
  slow: ["list", "get", "head", "put", "sync", "remove"],
};
const FAULTS = Object.keys(APPLIES) as readonly StoreFault[];
const CHUNK_BYTES = 64 * 1024;

export class MemoryStore implements ObjectStore {
  readonly url: string;
  readonly listLagMsMax: number;
  /** Faults of the next operations, asked before chance: return a fault, "none", or undefined to leave it to chance. */
  script: ((operation: StoreOperation, path: string) => StoreFault | "none" | undefined) | undefined;
  /** Chances in force; replace it to heal the store. */
  faults: Readonly<Partial<Record<StoreFault, number>>>;
  listLagMs: number;
  /** Every operation that began, in order. */
  readonly operations: { readonly operation: StoreOperation; readonly path: string }[] = [];
  readonly #objects = new Map<string, StoredObject>();
  /** What power loss may bring back, by paths of objects that are not durable; undefined: nothing was there. */
  readonly #before = new Map<string, StoredObject | undefined>();
  /** Number of the process that uses it: what an earlier one has not synced stays so. */
  #life = 0;
  readonly #options: MemoryStoreOptions;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: MemoryStoreOptions) {
    this.url = options.url ?? "file:///memory/";
    this.faults = options.faults ?? {};
    this.listLagMs = this.listLagMsMax = options.listLagMs ?? 0;
    this.#options = options;
    this.#clock = options.clock;
    this.#random = options.random.fork("memory-store");
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<ObjectEntry> {
    await this.#begin("list", checkedListPrefix(prefix), signal);
    const nowMs = this.#clock.monotonicMs();
    const found: ObjectEntry[] = [];
    for (const [path, object] of this.#objects) {
      if (path.startsWith(prefix) && object.listedFromMs <= nowMs) found.push(entryOf(path, object));
    }
    for (const entry of found) {
      signal.throwIfAborted();
      yield entry;
    }
  }

  async *get(
    path: string,
    range: { begin?: number; end?: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { begin = 0, end = Number.MAX_SAFE_INTEGER } = range;
    if (begin < 0 || begin > end) {
      throw new WireError("INVALID_ARGUMENT", `invalid range (${begin}, ${end}): expected 0 <= begin <= end`);
    }
    const fault = await this.#begin("get", checkedKey(path), signal);
    const object = this.#objects.get(path);
    if (object === undefined) throw new WireError("NOT_FOUND", `object not found: ${path}`);
    const bytes =
      this.#options.decompresses === true && object.gzip ? decompressed(path, object) : object.bytes;
    const stop = Math.min(end, bytes.length);
    const cut = fault === "cut-off" ? begin + this.#random.below(Math.max(1, stop - begin)) : stop;
    for (let at = begin; at < cut; at += CHUNK_BYTES) {
      signal.throwIfAborted();
      yield bytes.slice(at, Math.min(at + CHUNK_BYTES, cut));
    }
    if (cut < stop || fault === "cut-off") throw new WireError("UNAVAILABLE", `get of ${path} was cut off`);
  }

  async head(path: string, signal: AbortSignal): Promise<ObjectEntry | undefined> {
    await this.#begin("head", checkedKey(path), signal);
    const object = this.#objects.get(path);
    return object === undefined ? undefined : entryOf(path, object);
  }

  async put(
    path: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const life = this.#life;
    const fault = await this.#begin("put", checkedKey(path), signal);
    const parts: Uint8Array[] = [];
    for await (const part of body) {
      signal.throwIfAborted();
      parts.push(part.slice());
    }
    const bytes = concatBytes(parts);
    if (options.bytes !== undefined && bytes.length !== options.bytes) {
      throw new WireError(
        "INVALID_ARGUMENT",
        `body of ${bytes.length} bytes; expected exactly ${options.bytes}`,
      );
    }
    if (!this.#before.has(path)) this.#before.set(path, this.#objects.get(path));
    const object = this.#store(path, this.#spoil(bytes, fault), options.contentEncoding === "gzip");
    if (fault === "truncated") throw new WireError("UNAVAILABLE", `put of ${path} was cut off`);
    if (fault === "unsynced") throw new WireError("UNAVAILABLE", `put of ${path}: cannot sync its directory`);
    await this.#latency(signal);
    if (life === this.#life && this.#objects.get(path) === object) this.#before.delete(path);
    await this.#end("put", path, fault, signal);
  }

  async sync(path: string, signal: AbortSignal): Promise<void> {
    const life = this.#life;
    await this.#begin("sync", checkedKey(path), signal);
    if (!this.#objects.has(path)) throw new WireError("NOT_FOUND", `object not found: ${path}`);
    if (life === this.#life) this.#before.delete(path);
  }

  async remove(path: string, signal: AbortSignal): Promise<void> {
    const fault = await this.#begin("remove", checkedKey(path), signal);
    this.#objects.delete(path);
    await this.#end("remove", path, fault, signal);
  }

  signGet(path: string, ttlMs: number): Promise<string> {
    const expires = this.#clock.wallMs() + ttlMs;
    return Promise.resolve(`memory://${checkedKey(path)}?expires=${expires}`);
  }

  /** Puts an object there at once, durably, as another process would. */
  set(path: string, bytes: Uint8Array, gzip = false): void {
    this.#store(path, bytes, gzip);
    this.#before.delete(path);
  }

  /** The process that uses it is killed: its puts under way may still show, and are not made durable. */
  kill(): void {
    this.#life++;
  }

  /**
   * Power is lost. Of what is not durable each object may be gone, or what it was before.
   * @returns how many were
   */
  crash(): number {
    this.kill();
    let lost = 0;
    for (const [path, before] of this.#before) {
      if (this.#random.below(2) === 0) continue;
      if (before === undefined) this.#objects.delete(path);
      else this.#objects.set(path, before);
      lost++;
    }
    this.#before.clear();
    return lost;
  }

  #store(path: string, bytes: Uint8Array, gzip: boolean): StoredObject {
    // What is written again stays listed. Lag is time that passes, whatever becomes of the wall clock.
    const listedFromMs = this.#objects.get(path)?.listedFromMs ?? this.#clock.monotonicMs() + this.listLagMs;
    const object = { bytes, modTimeMs: this.#clock.wallMs(), listedFromMs, gzip };
    this.#objects.set(path, object);
    return object;
  }

  /** The stored bytes, as they are. */
  peek(path: string): Uint8Array | undefined {
    return this.#objects.get(path)?.bytes;
  }

  delete(path: string): void {
    this.#objects.delete(path);
  }

  /** Keys of all objects, sorted. */
  keys(): string[] {
    return [...this.#objects.keys()].sort();
  }

  async #begin(
    operation: StoreOperation,
    path: string,
    signal: AbortSignal,
  ): Promise<StoreFault | undefined> {
    signal.throwIfAborted();
    this.operations.push({ operation, path });
    const fault = this.#fault(operation, path);
    await this.#latency(signal, fault === "slow" ? (this.#options.slowMs ?? 30_000) : 0);
    if (fault === "unavailable") throw new WireError("UNAVAILABLE", `${operation} of ${path}: 503 Slow Down`);
    if (fault === "forbidden") throw new WireError("FORBIDDEN", `${operation} of ${path}: 403 Access Denied`);
    const changes = operation === "put" || operation === "remove";
    if (fault === "timeout-after-success" && !changes) throw timeout(operation, path);
    return fault;
  }

  async #latency(signal: AbortSignal, slowMs = 0): Promise<void> {
    const { min, max } = this.#options.latencyMs ?? { min: 0, max: 0 };
    const latencyMs = max === 0 ? 0 : min + this.#random.below(max - min + 1);
    if (latencyMs + slowMs > 0) await this.#clock.sleep(latencyMs + slowMs, signal);
  }

  async #end(operation: StoreOperation, path: string, fault: StoreFault | undefined, signal: AbortSignal) {
    if (fault !== "timeout-after-success") return;
    if (this.#options.slowMs !== undefined) await this.#clock.sleep(this.#options.slowMs, signal);
    throw timeout(operation, path);
  }

  #fault(operation: StoreOperation, path: string): StoreFault | undefined {
    const scripted = this.script?.(operation, path);
    if (scripted !== undefined) return scripted === "none" ? undefined : scripted;
    for (const fault of FAULTS) {
      const chance = this.faults[fault];
      if (chance === undefined || !APPLIES[fault].includes(operation)) continue;
      if (this.#random.below(1000) < chance) return fault;
    }
    return undefined;
  }

  #spoil(bytes: Uint8Array, fault: StoreFault | undefined): Uint8Array {
    if (bytes.length === 0) return bytes;
    if (fault === "truncated" || fault === "wrong-length")
      return bytes.slice(0, this.#random.below(bytes.length));
    if (fault !== "rotten") return bytes;
    const rotten = bytes.slice();
    const at = this.#random.below(rotten.length);
    rotten[at] = rotten[at]! ^ (1 << this.#random.below(8));
    return rotten;
  }
}

export function memoryStore(options: MemoryStoreOptions): MemoryStore {
  return new MemoryStore(options);
}

function entryOf(path: string, object: StoredObject): ObjectEntry {
  return { path, modTimeMs: object.modTimeMs, bytes: object.bytes.length };
}

function timeout(operation: StoreOperation, path: string): WireError {
  return new WireError("UNAVAILABLE", `${operation} of ${path}: timed out`);
}

function decompressed(path: string, { bytes }: StoredObject): Uint8Array {
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    throw new WireError("UNAVAILABLE", `get of ${path}: 500 the object cannot be decompressed`, { cause });
  }
}
