// The store of fragments and staged objects as a port. One conformance suite (testkit) holds for every kind.

export interface ObjectEntry {
  /** Key below the store's prefix, '/'-separated. */
  readonly path: string;
  /** Last modification, Unix milliseconds. */
  readonly modTimeMs: number;
  readonly bytes: number;
}

export interface PutOptions {
  readonly contentEncoding?: "gzip";
  /** Length of `body` in bytes when known; a body of another length fails and leaves nothing under the name. */
  readonly bytes?: number;
}

/**
 * Every operation throws a WireError: NOT_FOUND (get, sync of a missing key), FORBIDDEN (credentials, permissions, the
 * store's base is missing), DISK_FULL, UNAVAILABLE (anything that a retry may mend), INVALID_ARGUMENT (a path that
 * leaves the store). A rejected put or remove may have happened: its outcome is unknown unless the code is FORBIDDEN,
 * DISK_FULL or INVALID_ARGUMENT.
 */
export interface ObjectStore {
  /** The URL that made it, as in a JournalSpec, e.g. `file:///fragments/`. */
  readonly url: string;
  /** How long after its put an object may stay out of listings; 0: none does. */
  readonly listLagMsMax: number;
  /** Objects whose path starts with `prefix`, in no particular order; keys that end in '/' are left out. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<ObjectEntry>;
  /** The object's bytes from `begin` (default 0) up to `end` (default its length). */
  get(path: string, range: { begin?: number; end?: number }, signal: AbortSignal): AsyncIterable<Uint8Array>;
  head(path: string, signal: AbortSignal): Promise<ObjectEntry | undefined>;
  /** Stores the whole object or nothing; an existing one is replaced in one step. Durable when it resolves. */
  put(path: string, body: AsyncIterable<Uint8Array>, options: PutOptions, signal: AbortSignal): Promise<void>;
  /**
   * Makes an object durable that is there without a put of ours having resolved: one whose put failed late, or whose
   * writer died. Until then power loss may take what head, get and list show. NOT_FOUND: there is none.
   */
  sync(path: string, signal: AbortSignal): Promise<void>;
  /** Removes the object; a missing one is fine. */
  remove(path: string, signal: AbortSignal): Promise<void>;
  /** A URL that reads the object for `ttlMs`. */
  signGet(path: string, ttlMs: number): Promise<string>;
}

/** `kept`: the one instance of its URL. `once`: that one if there is one, or else one of which nothing stays. */
export type StoreUse = "kept" | "once";

/** Opens stores by URL. */
export interface ObjectStores {
  /**
   * @param use default: kept
   * @throws {WireError} INVALID_ARGUMENT for an unknown scheme or arguments; OVERLOADED when too many are kept
   */
  open(url: string, use?: StoreUse): ObjectStore;
}
