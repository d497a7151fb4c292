// Reads and listings of fragments of a journal that this broker does not have: a member of its route serves them, the
// nearest first; what it answers is passed on as it is.
//
//  Z1  A member that fails before it has said anything is passed over; one that fails later ends this attempt, and the
//      read is resolved again from where it stood (S6 of read.ts).
//  Z2  One that says nothing for PEER_ANSWER_MS is passed over, too, while there is another: its process may stand
//      still, and its lease lasts. Whoever asked to wait may have to: his read stays with its member.
//  Z3  A broker of Gazette's that has just become a member has nothing of what came before: it says
//      OFFSET_NOT_YET_AVAILABLE below its own write head, or waits. Where there may be one, members of ours and then
//      the primary are asked first, and that answer counts when nobody has another.
//  Z4  A request names the member that it is meant for. At its address another broker may listen by now, which would
//      pass it on in its turn: to itself, where the route names its own address, again and again.
import { WireError, type Code } from "@millrace/base";
import {
  equalProcessIds,
  type FragmentsRequest,
  type FragmentsResponse,
  type Header,
  type ReadResponse,
  type Route,
} from "@millrace/protocol";
import type { PeerCalls } from "./peer-calls.ts";
import type { Peer } from "./peer-network.ts";
import type { ReadPlace } from "./read-place.ts";

/** What says nothing about the request: another member may do. */
const OF_ONE_MEMBER: ReadonlySet<Code> = new Set<Code>([
  "UNAVAILABLE",
  "SHUTTING_DOWN",
  "NOT_PRIMARY",
  "OVERLOADED",
  "REQUEST_TIMEOUT",
  "CORRUPT",
  "INTERNAL",
]);

export function mayMoveOn(error: unknown): boolean {
  return OF_ONE_MEMBER.has(WireError.from(error).code);
}

/**
 * What is wanted from `place` on, as a member of the route serves it.
 * @throws {WireError} of the last member that was asked
 */
export async function* readFromMembers(
  calls: PeerCalls,
  place: ReadPlace,
  header: Header,
  signal: AbortSignal,
): AsyncGenerator<ReadResponse, void, undefined> {
  const before = place.messages;
  let failure = nobody(place.request.journal);
  const peers = inOrder(calls, header.route);
  for (const peer of peers) {
    const call = calls.begin(peer, signal);
    const answered = place.request.block || peer === peers.at(-1) ? undefined : call.awaitAnswer(); // Z2
    let hasHole = false;
    try {
      const request = { ...place.request, header: headerFor(peer, header) };
      for await (const message of calls.proxied(peer).read(request, call.signal)) {
        answered?.();
        hasHole = peer !== peers.at(-1) && isHole(message); // Z3
        if (hasHole) break;
        yield message;
      }
      if (!hasHole) return;
    } catch (error) {
      failure = failureOf(error, call.signal, signal);
      if (place.messages > before) throw failure; // Z1
    } finally {
      answered?.();
      call.dispose();
    }
  }
  throw failure;
}

/** Z4 */
function headerFor({ id: processId }: Peer, header: Header): Header {
  return { ...header, processId };
}

function inOrder(calls: PeerCalls, route: Route): readonly Peer[] {
  const peers = calls.readersOf(route);
  const isOurs = (peer: Peer): boolean => calls.holderIdOf(peer) !== "";
  if (peers.every(isOurs)) return peers;
  const primary = route.members[route.primary];
  const rank = (peer: Peer): number => {
    if (calls.isSilent(peer)) return 3;
    if (isOurs(peer)) return 0;
    return primary !== undefined && equalProcessIds(peer.id, primary) ? 1 : 2;
  };
  return [...peers].sort((a, b) => rank(a) - rank(b)); // Z3
}

function isHole({ status, offset, writeHead, header }: ReadResponse): boolean {
  return status === "OFFSET_NOT_YET_AVAILABLE" && header !== undefined && offset < writeHead;
}

/** @throws {WireError} of the last member that was asked */
export async function fragmentsOfMembers(
  calls: PeerCalls,
  header: Header,
  request: FragmentsRequest,
  signal: AbortSignal,
): Promise<FragmentsResponse> {
  let failure = nobody(request.journal);
  const peers = calls.readersOf(header.route);
  for (const peer of peers) {
    const call = calls.begin(peer, signal);
    const answered = peer === peers.at(-1) ? undefined : call.awaitAnswer(); // Z2
    try {
      return await calls
        .proxied(peer)
        .listFragments({ ...request, header: headerFor(peer, header) }, call.signal);
    } catch (error) {
      failure = failureOf(error, call.signal, signal);
    } finally {
      answered?.();
      call.dispose();
    }
  }
  throw failure;
}

/** @returns why to ask another member @throws what is about the request, and the caller's abort */
function failureOf(error: unknown, ofCall: AbortSignal, signal: AbortSignal): WireError {
  signal.throwIfAborted();
  const failure = WireError.from(ofCall.aborted ? ofCall.reason : error);
  if (!mayMoveOn(failure)) throw failure;
  return failure;
}

function nobody(journal: string): WireError {
  return new WireError("UNAVAILABLE", `no endpoint of a member of journal ${journal} is known`);
}
