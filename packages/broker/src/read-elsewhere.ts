// Bytes of a journal that a member of its route does not have, nor find in a store: who has them.
//
//  E1  The other members of the route are asked, the primary first, with a read that they do not pass on; then those
//      that the list of holders names for the offset (durability.md D10), who need not be of the route any more.
//  E2  What a holder has below the end of its segment is acknowledged (L2 of holders-list.ts); of the segment that goes
//      on only members of the route can tell, so they alone are asked.
//  E3  `nobody`: it is certain that the bytes are not on a disk but in a store, or gone with it. Each member of the
//      segment that covers an offset holds what no store has: one that does not have the byte there is proof, one that
//      does not have all that is wanted is none. Where no segment covers it, it is in the store (L3). Without a list,
//      all members of the route have to have said so.
//  E4  Who does not answer in PEER_ANSWER_MS is taken for unreachable, and so is who did not a moment ago.
//  E5  Who was primary by our route and says himself that he is not any more does not know where the journal ends: the
//      other members are asked, too. Our route may be older than the acknowledgement that a reader has seen.
//  E6  What a restart found and nobody has judged is on a disk, though it is not shown: a member that is asked for it
//      cannot answer, and this broker's own is no proof that it is anywhere else.
import { WireError } from "@millrace/base";
import {
  equalProcessIds,
  newFragment,
  newReadRequest,
  type CompressionCodec,
  type ReadResponse,
  type Route,
} from "@millrace/protocol";
import { segmentEnd, type HoldersList } from "./holders-list.ts";
import type { HoldersStore } from "./holders-store.ts";
import { READ_CHUNK_BYTES } from "./limits.ts";
import type { PeerCalls } from "./peer-calls.ts";
import type { Peer } from "./peer-network.ts";
import { mayMoveOn } from "./read-proxy.ts";
import type { Resolver } from "./resolver.ts";

export interface ElsewherePorts {
  readonly calls: PeerCalls;
  readonly lists: HoldersStore;
  readonly resolver: Resolver;
  /** Of this data directory. */
  readonly holder: string;
}

export interface WantedBytes {
  readonly journal: string;
  readonly createRevision: number;
  readonly codec: CompressionCodec;
  readonly offset: number;
  /** Up to where; 0: as far as it goes. */
  readonly end: number;
  /** Beyond what this member knows to be written: only the primary can tell. */
  readonly isTail: boolean;
  /** This member has the byte at `offset`, and does not show it. E6 */
  readonly isHidden: boolean;
}

export type FoundBytes =
  /** Messages of a read from the offset on, the first one metadata. To be iterated, until they end or not. */
  | { readonly kind: "here"; readonly messages: AsyncIterable<ReadResponse> }
  /** `writeHead`: the greatest that was told. */
  | { readonly kind: "nobody" | "unreachable"; readonly writeHead: number };

type Messages = AsyncGenerator<ReadResponse, void, undefined>;

export class Elsewhere {
  readonly #ports: ElsewherePorts;

  constructor(ports: ElsewherePorts) {
    this.#ports = ports;
  }

  /** Whether somebody else is the journal's primary. */
  hasPrimary(journal: string): boolean {
    return this.#ports.calls.isOther(this.#primary(this.#ports.resolver.routeOf(journal)));
  }

  /** @throws {WireError} of the coordination store; what a peer says of the request; the caller's abort */
  async find(wanted: WantedBytes, signal: AbortSignal): Promise<FoundBytes> {
    const route = this.#ports.resolver.routeOf(wanted.journal);
    const asked: Asked = { absent: [], hasSilent: false, writeHead: 0 };
    for (const peer of this.#members(route)) {
      const messages = await this.#ask(peer, wanted, asked, signal);
      if (messages !== undefined) return { kind: "here", messages };
      // Nobody knows of more than the primary does.
      if (isTail(wanted, asked) && !asked.hasSilent) return { kind: "nobody", writeHead: asked.writeHead };
    }
    if (isTail(wanted, asked)) return { kind: "unreachable", writeHead: asked.writeHead };
    return this.#fromHolders(wanted, asked, signal);
  }

  /** `nobody`, with the write head as the primary has it, if it can be asked. */
  head(journal: string, signal: AbortSignal): Promise<FoundBytes> {
    const wanted = { journal, createRevision: 0, codec: "NONE", offset: -1, end: 0 } as const;
    return this.find({ ...wanted, isTail: true, isHidden: false }, signal);
  }

  #primary({ members, primary }: Route): Peer["id"] | undefined {
    return members[primary];
  }

  /** The primary first. E1 */
  #members(route: Route): readonly Peer[] {
    const primary = this.#primary(route) ?? NOBODY;
    const isPrimary = ({ id }: Peer): boolean => equalProcessIds(id, primary);
    const peers = this.#ports.calls.readersOf(route);
    return [...peers.filter(isPrimary), ...peers.filter((peer) => !isPrimary(peer))];
  }

  /** @returns undefined when it does not have the bytes, or does not answer */
  async #ask(
    peer: Peer,
    { journal, offset, end, isTail: isBeyond }: WantedBytes,
    asked: Asked,
    signal: AbortSignal,
  ): Promise<Messages | undefined> {
    const { calls, resolver } = this.#ports;
    if (calls.isSilent(peer)) {
      asked.hasSilent = true; // E4
      return undefined;
    }
    const header = { ...resolver.header(), processId: peer.id, route: resolver.routeOf(journal) };
    const request = newReadRequest({ journal, offset, endOffset: end, doNotProxy: true, header });
    const lent = this.#lend(peer, (at) => calls.proxied(peer).read(request, at), signal);
    const first = await lent.next();
    if (first.done === true) {
      asked.hasSilent = true;
      return undefined;
    }
    const { status, offset: at, writeHead, content, header: told } = first.value;
    if (status === "OK" && at === offset && content === undefined) return prefixed(first.value, lent);
    await lent.return();
    if (status !== "OK" && status !== "OFFSET_NOT_YET_AVAILABLE") {
      asked.hasSilent = true;
      return undefined;
    }
    if (isBeyond && told !== undefined && !isPrimaryOf(told.route, peer.id)) asked.hasSilent = true; // E5
    asked.writeHead = Math.max(asked.writeHead, writeHead);
    asked.absent.push(calls.holderIdOf(peer));
    return undefined;
  }

  async #fromHolders(wanted: WantedBytes, asked: Asked, signal: AbortSignal): Promise<FoundBytes> {
    const { lists, calls, holder } = this.#ports;
    const { journal, createRevision, offset } = wanted;
    const { writeHead } = asked;
    const { list } = await lists.read(journal, createRevision, signal);
    const place = list === undefined ? undefined : segmentAt(list, offset);
    if (place === undefined) {
      const isListed = list !== undefined && list.tail.kind !== "void";
      return { kind: isListed || !asked.hasSilent ? "nobody" : "unreachable", writeHead }; // E3
    }
    const { members, end } = place;
    const isAway = (id: string): boolean => (id === holder ? !wanted.isHidden : asked.absent.includes(id));
    if (members.some(isAway)) return { kind: "nobody", writeHead };
    if (end === undefined) return { kind: "unreachable", writeHead }; // E2
    const until = wanted.end === 0 ? end : Math.min(end, wanted.end);
    let isAbsent = false;
    for (const id of members) {
      const peer = calls.withHolder(id);
      if (peer === undefined) continue;
      const fetched = await this.#fetch(peer, wanted, until, signal);
      if (fetched === "absent") isAbsent = true;
      else if (fetched !== undefined) return { kind: "here", messages: fetched };
    }
    return { kind: isAbsent ? "nobody" : "unreachable", writeHead };
  }

  /**
   * As much of [offset, until) as the holder has from the offset on. `absent`: not even the first byte.
   * @returns undefined when it does not answer, or lets go of them meanwhile
   */
  async #fetch(
    peer: Peer,
    { journal, createRevision, codec, offset: begin }: WantedBytes,
    until: number,
    signal: AbortSignal,
  ): Promise<Messages | "absent" | undefined> {
    const { calls } = this.#ports;
    // Holders give all of a range or nothing: they have [begin, held), and not [begin, lacking).
    let [held, lacking] = [begin, until + 1];
    for (let end = until; ; end = held === begin ? begin + 1 : held + Math.floor((lacking - held) / 2)) {
      const failed: { code: string | undefined } = { code: undefined };
      const request = { journal, createRevision, begin, end };
      const lent = this.#lend(peer, (at) => calls.holder(peer).fetch(request, at), signal, failed);
      const first = await lent.next();
      if (first.done !== true) {
        const fragment = newFragment({ journal, begin, end, compressionCodec: codec });
        if (end + 1 === lacking) return asRead(fragment, first.value, lent);
        await lent.return();
        held = end;
        continue;
      }
      if (failed.code !== "NOT_FOUND" || end === held) return undefined;
      if (end === begin + 1) return "absent";
      lacking = end;
    }
  }

  /** What a peer lends, until it fails: then it ends. E4 */
  async *#lend<T>(
    peer: Peer,
    open: (signal: AbortSignal) => AsyncIterable<T>,
    signal: AbortSignal,
    failed: { code: string | undefined } = { code: undefined },
  ): AsyncGenerator<T, void, undefined> {
    const { calls } = this.#ports;
    const call = calls.begin(peer, signal);
    const cancel = call.awaitAnswer();
    try {
      for await (const item of open(call.signal)) {
        cancel();
        yield item;
      }
    } catch (error) {
      signal.throwIfAborted();
      const failure = WireError.from(call.signal.aborted ? call.signal.reason : error);
      failed.code = failure.code;
      if (failure.code !== "NOT_FOUND" && !mayMoveOn(failure)) throw failure;
    } finally {
      cancel();
      call.abort(new WireError("UNAVAILABLE", "nobody waits for it any more"));
      call.dispose();
    }
  }
}

/** What the members that were asked have said. */
interface Asked {
  /** Data directories that do not have the bytes. */
  readonly absent: string[];
  hasSilent: boolean;
  writeHead: number;
}

/** As far as anybody has said, nothing is written there yet. */
function isTail({ offset, isTail: isBeyond }: WantedBytes, { writeHead }: Asked): boolean {
  return isBeyond && (offset === -1 || writeHead <= offset);
}

function isPrimaryOf({ members, primary }: Route, id: Peer["id"]): boolean {
  const member = members[primary];
  return member !== undefined && equalProcessIds(member, id);
}

const NOBODY = { zone: "", suffix: "" };

/** The segment that covers an offset. */
function segmentAt(
  list: HoldersList,
  offset: number,
): { readonly members: readonly string[]; readonly end: number | undefined } | undefined {
  for (const [index, { begin, members }] of list.segments.entries()) {
    const end = segmentEnd(list, index);
    if (begin <= offset && (end === undefined || offset < end)) return { members, end };
  }
  return undefined;
}

async function* prefixed<T>(
  first: T,
  rest: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  yield first;
  yield* rest;
}

/** Fetched bytes as a read has them. */
async function* asRead(
  fragment: ReturnType<typeof newFragment>,
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): Messages {
  const { begin, end } = fragment;
  yield { status: "OK", offset: begin, writeHead: end, fragment, fragmentUrl: "" };
  let offset = begin;
  for await (const chunk of prefixed(first, rest)) {
    for (let at = 0; at < chunk.length; at += READ_CHUNK_BYTES) {
      const content = chunk.subarray(at, at + READ_CHUNK_BYTES);
      yield { status: "OK", offset, writeHead: 0, fragmentUrl: "", content };
      offset += content.length;
    }
  }
}
