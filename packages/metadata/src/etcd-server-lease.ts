// etcd's Lease service over the embedded store. Leases granted here belong to other processes: they outlive this one's
// restarts, and get their full time again after each (D16).
import { WireError } from "@millrace/base";
import type { EmbeddedStore } from "./embedded-store.ts";
import { headerOf, leaseOfWire, leaseToWire } from "./etcd-server-kv.ts";
import type {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from "./etcd-api/lease.ts";
import { bytesOfKey } from "./key.ts";

/** A shorter time is raised to this, as etcd raises it to what its elections need. */
const TTL_SECONDS_MIN = 1;

export class LeaseService {
  readonly #store: EmbeddedStore;

  constructor(store: EmbeddedStore) {
    this.#store = store;
  }

  async grant(request: LeaseGrantRequest, signal: AbortSignal): Promise<LeaseGrantResponse> {
    const ttl = Math.max(TTL_SECONDS_MIN, request.ttl);
    const lease = await this.#store.grantRemoteLease(leaseOfWire(request.id), ttl, signal);
    return { header: headerOf(this.#store.header), id: leaseToWire(lease), ttl, error: "" };
  }

  async revoke(request: LeaseRevokeRequest, signal: AbortSignal): Promise<LeaseRevokeResponse> {
    await this.#store.revokeLease(leaseOfWire(request.id), signal);
    return { header: headerOf(this.#store.header) };
  }

  /** The header is of before: a client must not believe that the lease lived at a revision which ended it. */
  async keepAlive(request: LeaseKeepAliveRequest, signal: AbortSignal): Promise<LeaseKeepAliveResponse> {
    const header = headerOf(this.#store.header);
    const ttl = await foundOr(() => this.#store.keepAlive(leaseOfWire(request.id), signal), 0);
    return { header, id: request.id, ttl };
  }

  async timeToLive(request: LeaseTimeToLiveRequest, signal: AbortSignal): Promise<LeaseTimeToLiveResponse> {
    const lease = leaseOfWire(request.id);
    const status = await foundOr(
      () => this.#store.settled(() => this.#store.leaseStatus(lease), signal),
      undefined,
    );
    const header = headerOf(this.#store.header);
    if (status === undefined) return { header, id: request.id, ttl: -1, grantedTtl: 0, keys: [] };
    return {
      header,
      id: request.id,
      ttl: status.remainingSeconds,
      grantedTtl: status.ttlSeconds,
      keys: request.keys ? status.keys.map(bytesOfKey) : [],
    };
  }

  async leases(signal: AbortSignal): Promise<LeaseLeasesResponse> {
    const leases = await this.#store.settled(() => this.#store.leases(), signal);
    const header = headerOf(this.#store.header);
    return { header, leases: leases.map((lease) => ({ id: leaseToWire(lease) })) };
  }
}

/** What `ask` gives, or `otherwise` when it is about a lease that does not exist. */
async function foundOr<T, O>(ask: () => Promise<T>, otherwise: O): Promise<T | O> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof WireError && error.code === "NOT_FOUND") return otherwise;
    throw error;
  }
}
