// Whether appends wait for the store of their journal (sections 4.2 step 8a and 6.6).
//
// Gazette keeps unpersisted bytes in page caches, so that an unhealthy store stops all appends. Here they are durable
// before they are acknowledged, so a store that has worked may fail for a while: appends go on until the journal's
// backlog on this disk is at its bound. A store that never worked stops them at once: its URL or rights are wrong.
// Readiness follows: a store that fails is said at once, but this broker is not ready only when no journal takes
// appends any more, since a spec with a wrong store must not take the others down.
import { WireError } from "@millrace/base";
import type { FailingStore, StoreHealth } from "@millrace/fragments";
import {
  validateFragmentStoreHealthRequest,
  type FragmentStoreHealthRequest,
  type FragmentStoreHealthResponse,
  type Header,
} from "@millrace/protocol";
import { STORE_BACKLOG_BYTES_MAX } from "./limits.ts";

export interface StoreFailure {
  readonly url: string;
  readonly reason: string;
}

export interface StoredJournal {
  /** Bytes that only this disk has. */
  readonly unpersistedBytes: number;
  /** Whether the store has something of it. */
  hasPersisted(url: string): boolean;
}

export interface ServedJournal {
  /** Its store, when it has one. */
  readonly url: string | undefined;
  readonly journal: StoredJournal;
  /** Why its stores could not be listed, once that is overdue. */
  readonly unlisted: string | undefined;
}

export class StoreGate {
  readonly #health: StoreHealth;
  readonly #worked = new Set<string>();

  constructor(health: StoreHealth) {
    this.#health = health;
  }

  /** What stands against appending. @param journal asked only when the store fails */
  failure(url: string | undefined, journal: StoredJournal): StoreFailure | undefined {
    if (url === undefined) return undefined;
    const reason = this.#health.problem(url);
    if (reason === undefined) {
      this.#worked.add(url);
      return undefined;
    }
    const hasWorked = this.#worked.has(url) || journal.hasPersisted(url);
    if (hasWorked && journal.unpersistedBytes < STORE_BACKLOG_BYTES_MAX) return undefined;
    return { url, reason };
  }

  /** Stores whose last check failed. */
  failing(): readonly FailingStore[] {
    return this.#health.failing();
  }

  /** Says so when its store keeps every one of `journals` from taking appends. */
  unready(journals: Iterable<ServedJournal>): string | undefined {
    const failing = new Set<string | undefined>(this.failing().map(({ url }) => url));
    let why: string | undefined;
    for (const { url, journal, unlisted } of journals) {
      why = unlisted ?? (failing.has(url) ? this.failure(url, journal)?.reason : undefined);
      if (why === undefined) return undefined;
    }
    return why === undefined ? undefined : "no journal takes appends: the fragment store of each fails";
  }

  /** Resolves after the store's next check. */
  async nextCheck(url: string, signal: AbortSignal): Promise<void> {
    await this.#health.settledProblem(url, 1, signal);
  }

  /** Answers the RPC of section 5.6. @throws {WireError} INVALID_ARGUMENT; OVERLOADED */
  async check(
    request: FragmentStoreHealthRequest,
    header: Header,
    signal: AbortSignal,
  ): Promise<FragmentStoreHealthResponse> {
    validateFragmentStoreHealthRequest(request);
    const { fragmentStore: url, checkDelete, checkDeletePrefix } = request;
    const deletes = checkDelete ? checkDeletePrefix : undefined;
    const problem = await this.#health.askedProblem(url, deletes, signal);
    if (problem === undefined) return { status: "OK", header, storeHealthError: "" };
    return { status: "FRAGMENT_STORE_UNHEALTHY", header, storeHealthError: problem };
  }
}

/** Reads a signed URL, for health checks of stores that have them. */
export type FetchUrl = (url: string, signal: AbortSignal) => Promise<{ status: number; body: Uint8Array }>;

/** For compositions whose stores sign no http URLs. */
export const fetchNothing: FetchUrl = (url) =>
  Promise.reject(new WireError("UNAVAILABLE", `nothing here can fetch ${url}`));
