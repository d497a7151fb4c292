// Who serves which journal, as the last answers told. Bounded, and forgotten after a while: what is here only saves a
// broker from passing calls on.
import type { Clock } from "@millrace/base";
import type { Route } from "@millrace/protocol";

export interface RouteCacheLimits {
  /** Journals whose routes are kept; 0: none, every call goes to the address and is passed on. */
  readonly routesMax: number;
  /** How long a route is believed, unless a newer one comes along. */
  readonly ttlMs: number;
}

export const ROUTE_CACHE_DEFAULTS: RouteCacheLimits = { routesMax: 4096, ttlMs: 60_000 };

interface Known {
  readonly route: Route;
  readonly atMs: number;
}

export class RouteCache {
  readonly #clock: Clock;
  readonly #zone: string;
  readonly #limits: RouteCacheLimits;
  readonly #known = new Map<string, Known>();

  /** @param zone whose members are preferred for reading */
  constructor(clock: Clock, zone: string, limits: Partial<RouteCacheLimits> = {}) {
    this.#clock = clock;
    this.#zone = zone;
    this.#limits = { ...ROUTE_CACHE_DEFAULTS, ...limits };
  }

  /** A route without members, or without their endpoints, is as good as none. */
  learn(journal: string, route: Route): void {
    this.#known.delete(journal);
    if (route.members.length === 0 || route.endpoints.length !== route.members.length) return;
    this.#known.set(journal, { route, atMs: this.#clock.monotonicMs() });
    if (this.#known.size > this.#limits.routesMax) this.#known.delete(this.#known.keys().next().value!);
  }

  forget(journal: string): void {
    this.#known.delete(journal);
  }

  /** Endpoint of the broker that takes appends, if it is known. */
  primary(journal: string): string | undefined {
    const route = this.#route(journal);
    return route === undefined ? undefined : given(route.endpoints[route.primary]);
  }

  /** Endpoint of a broker that serves reads, of the own zone if one is, else the primary. */
  member(journal: string): string | undefined {
    const route = this.#route(journal);
    if (route === undefined) return undefined;
    const near = route.members.findIndex(({ zone }, i) => zone === this.#zone && route.endpoints[i] !== "");
    return given(route.endpoints[near]) ?? given(route.endpoints[route.primary]);
  }

  #route(journal: string): Route | undefined {
    const known = this.#known.get(journal);
    if (known === undefined) return undefined;
    if (this.#clock.monotonicMs() - known.atMs < this.#limits.ttlMs) return known.route;
    this.#known.delete(journal);
    return undefined;
  }
}

function given(endpoint: string | undefined): string | undefined {
  return endpoint === "" ? undefined : endpoint;
}
