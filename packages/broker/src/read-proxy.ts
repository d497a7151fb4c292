// Reads and listings of fragments of a journal that this broker does not have: a member of its route serves them, the
// nearest first; what it answers is passed on as it is.
//
//  Z1  A member that fails before it has said anything is passed over; one that fails later ends this attempt, and the
//      read is resolved again from where it stood (S6 of read.ts).
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
  for (const peer of calls.readersOf(header.route)) {
    const call = calls.begin(peer, signal);
    try {
      yield* calls.proxied(peer).read({ ...place.request, header }, call.signal);
      return;
    } catch (error) {
      failure = failureOf(error, call.signal, signal);
      if (place.messages > before) throw failure; // Z1
    } finally {
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
  for (const peer of calls.readersOf(header.route)) {
    const call = calls.begin(peer, signal);
    try {
      return await calls.proxied(peer).listFragments({ ...request, header }, call.signal);
    } catch (error) {
      failure = failureOf(error, call.signal, signal);
    } finally {
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
