// Who serves one journal, as of a revision of the coordination store.
import type { ProcessId } from "./process.ts";

/** Members ascending; `primary` is an index into them or -1; `endpoints` is empty or as long as `members`. */
export interface Route {
  readonly members: readonly ProcessId[];
  readonly primary: number;
  readonly endpoints: readonly string[];
}

/** Nobody serves. Its primary is -1: an absent Route decodes with primary 0, which is invalid. */
export const EMPTY_ROUTE: Route = { members: [], primary: -1, endpoints: [] };

/** Position of the coordination store. */
export interface EtcdHeader {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: bigint;
}

/** Who answers (or should), over which route, and at which revision that was resolved. */
export interface Header {
  readonly processId: ProcessId;
  readonly route: Route;
  readonly etcd: EtcdHeader;
}
