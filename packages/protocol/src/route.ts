// Who serves one journal, as of a revision of the coordination store.
//
//   Route   1 members repeated ProcessId · 2 primary int32 · 3 endpoints repeated string
//   Header  1 process_id ProcessId · 2 route Route ·
//           3 etcd { 1 cluster_id uint64 · 2 member_id uint64 · 3 revision int64 · 4 raft_term uint64 }
import {
  codecs,
  int32,
  int64,
  invalid,
  message,
  nested,
  repeated,
  strings,
  textOf,
  uint64,
  within,
} from "@millrace/protobuf";
import {
  compareProcessIds,
  equalProcessIds,
  processIdMessage,
  validateEndpoint,
  validateProcessId,
  type ProcessId,
} from "./process.ts";

/** Members ascending; `primary` is an index into them or -1; `endpoints` is empty or as long as `members`. */
export interface Route {
  readonly members: readonly ProcessId[];
  readonly primary: number;
  readonly endpoints: readonly string[];
}

/** Nobody serves. Its primary is -1: an absent Route decodes with primary 0, which is invalid. */
export const EMPTY_ROUTE: Route = { members: [], primary: -1, endpoints: [] };

/** Nobody in particular: in a Header, any member of the route may serve. */
export const EMPTY_PROCESS_ID: ProcessId = { zone: "", suffix: "" };

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

export const routeMessage = message<Route>({
  members: repeated(1, processIdMessage),
  primary: int32(2),
  endpoints: strings(3),
});

const etcdHeaderMessage = message<EtcdHeader>({
  clusterId: uint64(1),
  memberId: uint64(2),
  revision: int64(3),
  raftTerm: uint64(4),
});

export const headerMessage = message<Header>({
  processId: nested(1, processIdMessage),
  route: nested(2, routeMessage),
  etcd: nested(3, etcdHeaderMessage),
});

export const { encode: encodeRoute, decode: decodeRoute } = codecs(routeMessage);

/** Compact prototext of a route, as the `X-Route-Token` header carries it. */
export function routeToken(route: Route): string {
  return textOf(routeMessage, route, "compact");
}

/** Same members and same primary; endpoints do not count. */
export function equivalentRoutes(a: Route, b: Route): boolean {
  if (a.primary !== b.primary || a.members.length !== b.members.length) return false;
  return a.members.every((member, i) => equalProcessIds(member, b.members[i]!));
}

/** @throws {ValidationError} */
export function validateRoute(route: Route): void {
  const { members, primary, endpoints } = route;
  members.forEach((member, i) => {
    within(`Members[${i}]`, () => validateProcessId(member));
    const before = members[i - 1];
    if (before !== undefined && compareProcessIds(before, member) >= 0) {
      invalid(`Members not in unique, sorted order (index ${i}; ${describe(before)} <= ${describe(member)})`);
    }
  });
  if (primary < -1 || primary >= members.length) {
    invalid(`invalid Primary (${primary}; expected -1 <= Primary < ${members.length})`);
  }
  if (endpoints.length !== 0 && endpoints.length !== members.length) {
    invalid(`len(Endpoints) != 0, and != len(Members) (${endpoints.length} vs ${members.length})`);
  }
  endpoints.forEach((endpoint, i) => {
    if (endpoint !== "") within(`Endpoints[${i}]`, () => validateEndpoint(endpoint));
  });
}

/** @throws {ValidationError} */
export function validateHeader(header: Header): void {
  const { zone, suffix } = header.processId;
  if (zone !== "" || suffix !== "") within("ProcessId", () => validateProcessId(header.processId));
  within("Route", () => validateRoute(header.route));
  within("Etcd", () => validateEtcdHeader(header.etcd));
}

/** @throws {ValidationError} */
export function validateEtcdHeader(etcd: EtcdHeader): void {
  if (etcd.clusterId === 0n) invalid("invalid ClusterId (expected != 0)");
  if (etcd.memberId === 0n) invalid("invalid MemberId (expected != 0)");
  if (etcd.revision <= 0) invalid(`invalid Revision (${etcd.revision}; expected 0 < revision)`);
  if (etcd.raftTerm === 0n) invalid("invalid RaftTerm (expected != 0)");
}

function describe(id: ProcessId): string {
  return `{Zone:${id.zone} Suffix:${id.suffix}}`;
}
