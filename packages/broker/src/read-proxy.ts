// Reads and listings of fragments of a journal that this broker does not have: a member of its route serves them, the
// nearest first; what it answers is passed on as it is.
//
//  Z1  A member that fails before it has said anything is passed over; one that fails later ends this attempt, and the
//      read is resolved again from where it stood (S6 of read.ts).
//  Z2  One that says nothing for PEER_ANSWER_MS is passed over, too, while there is another: its process may stand
//      still, and its lease lasts. Whoever asked to wait may have to: his read stays with its member.
import { WireError, type Code } from "@millrace/base";
import type { FragmentsRequest, FragmentsResponse, Header, ReadResponse } from "@millrace/protocol";
import type { PeerCalls } from "./peer-calls.ts";
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
  const peers = calls.readersOf(header.route);
  for (const peer of peers) {
    const call = calls.begin(peer, signal);
    const answered = place.request.block || peer === peers.at(-1) ? undefined : call.awaitAnswer(); // Z2
    try {
      for await (const message of calls.proxied(peer).read({ ...place.request, header }, call.signal)) {
        answered?.();
        yield message;
      }
      return;
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
      return await calls.proxied(peer).listFragments({ ...request, header }, call.signal);
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
