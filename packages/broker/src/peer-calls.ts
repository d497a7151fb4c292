// Calls that this broker passes on to others: in which order members are asked, and their end when whoever has them is
// gone.
//
//  Y1  A call to a broker whose member key is gone ends after PEER_GONE_GRACE_MS: its connection may hang for as long
//      as TCP likes, and its journals are with others now. An answer on its way has the grace to come.
//  Y2  For a read, members of the own zone come first, then the others, each group beginning with another one each
//      time, so that readers spread.
//  Y3  Who did not answer in time is asked after all others for PEER_SILENCE_MS, and by one call at a time then: a
//      process that stands still keeps its lease for a while, and not every read shall find that out by waiting.
import { abortScope, WireError, type Clock } from "@millrace/base";
import { equalProcessIds, type ProcessId, type Route } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { brokerName, memberName } from "./journal-table.ts";
import { PEER_ANSWER_MS, PEER_GONE_GRACE_MS, PEER_SILENCE_MS } from "./limits.ts";
import type { HolderCalls, Peer, PeerNetwork, ProxiedCalls } from "./peer-network.ts";

/** A call under way: dispose it when it is over. */
export interface PeerCall {
  readonly signal: AbortSignal;
  /** Ends it. */
  abort(reason: Error): void;
  /** Ends it after PEER_ANSWER_MS, unless what this returns is called before. */
  awaitAnswer(): () => void;
  dispose(): void;
}

interface UnderWay {
  readonly peer: ProcessId;
  readonly gone: (error: WireError) => void;
}

export class PeerCalls {
  readonly #network: PeerNetwork;
  readonly #keyspace: BrokerKeyspace;
  readonly #clock: Clock;
  readonly #self: ProcessId;
  readonly #underWay = new Map<string, Set<UnderWay>>();
  /** Until when those that did not answer are not asked again; monotonic ms. */
  readonly #silent = new Map<string, number>();
  #turn = 0;

  constructor(network: PeerNetwork, keyspace: BrokerKeyspace, clock: Clock, self: ProcessId) {
    this.#network = network;
    this.#keyspace = keyspace;
    this.#clock = clock;
    this.#self = self;
    keyspace.onUpdate(() => this.#endGone());
  }

  /** Resolves when the keyspace has changed. */
  get keyspaceChanged(): BrokerKeyspace["changed"] {
    return this.#keyspace.changed;
  }

  proxied(peer: Peer): ProxiedCalls {
    return this.#network.proxied(peer);
  }

  holder(peer: Peer): HolderCalls {
    return this.#network.holder(peer);
  }

  /** The broker that takes appends; undefined when nobody knows where it listens. */
  primaryOf({ members, primary, endpoints }: Route): Peer | undefined {
    const id = members[primary];
    return id === undefined ? undefined : peerAt(id, endpoints[primary]);
  }

  /** Members to read from, this broker left out. Y2, Y3 */
  readersOf({ members, endpoints }: Route): readonly Peer[] {
    const near: Peer[] = [];
    const far: Peer[] = [];
    for (const [index, id] of members.entries()) {
      const peer = peerAt(id, endpoints[index]);
      if (peer === undefined || equalProcessIds(id, this.#self)) continue;
      (id.zone === this.#self.zone ? near : far).push(peer);
    }
    const turn = this.#turn++;
    const peers = [...rotated(near, turn), ...rotated(far, turn)];
    if (this.#silent.size === 0) return peers;
    return [...peers.filter((peer) => !this.isSilent(peer)), ...peers.filter((peer) => this.isSilent(peer))];
  }

  /** It did not answer a moment ago. Y3 */
  isSilent({ id }: Peer): boolean {
    return (this.#silent.get(memberName(id)) ?? 0) > this.#clock.monotonicMs();
  }

  isOther(id: ProcessId | undefined): boolean {
    return id !== undefined && !equalProcessIds(id, this.#self);
  }

  /** Id of a broker's data directory; "" when it keeps no lists, or is gone. */
  holderIdOf({ id }: Peer): string {
    return this.#keyspace.table.member(id)?.spec.holder ?? "";
  }

  /** The broker whose data directory `holder` is, when it is here; not this one. */
  withHolder(holder: string): Peer | undefined {
    for (const { spec } of this.#keyspace.table.members()) {
      if (spec.holder === holder && !equalProcessIds(spec.id, this.#self))
        return peerAt(spec.id, spec.endpoint);
    }
    return undefined;
  }

  /** Begins a call to `peer` that ends with `signal`, and with the broker's membership (Y1). */
  begin(peer: Peer, signal: AbortSignal): PeerCall {
    const scope = abortScope(signal);
    const call: UnderWay = { peer: peer.id, gone: (error) => scope.abort(error) };
    const name = memberName(peer.id);
    const calls = this.#underWay.get(name);
    if (calls === undefined) this.#underWay.set(name, new Set([call]));
    else calls.add(call);
    return {
      signal: scope.signal,
      abort: (reason) => scope.abort(reason),
      awaitAnswer: () => {
        const late = new WireError(
          "UNAVAILABLE",
          `broker ${brokerName(peer.id)} did not answer within ${PEER_ANSWER_MS} ms`,
        );
        const nowMs = this.#clock.monotonicMs();
        // It was silent: others wait for what becomes of this call.
        if (this.#silent.has(name)) this.#silent.set(name, nowMs + PEER_ANSWER_MS);
        const cancel = this.#clock.after(PEER_ANSWER_MS, () => {
          this.#silent.set(name, nowMs + PEER_ANSWER_MS + PEER_SILENCE_MS);
          scope.abort(late);
        });
        return () => {
          cancel();
          if (!scope.signal.aborted) this.#silent.delete(name);
        };
      },
      dispose: () => {
        scope.dispose();
        const left = this.#underWay.get(name);
        left?.delete(call);
        if (left?.size === 0) this.#underWay.delete(name);
      },
    };
  }

  #endGone(): void {
    if (this.#silent.size > 0) {
      const names = new Set([...this.#keyspace.table.members()].map(({ spec }) => memberName(spec.id)));
      for (const name of this.#silent.keys()) if (!names.has(name)) this.#silent.delete(name);
    }
    for (const calls of this.#underWay.values()) {
      const [first] = calls;
      if (first === undefined || this.#keyspace.table.member(first.peer) !== undefined) continue;
      const gone = brokerName(first.peer);
      const error = new WireError("UNAVAILABLE", `broker ${gone} is gone`, { facts: { peer: gone } });
      const those = [...calls];
      this.#clock.after(PEER_GONE_GRACE_MS, () => {
        for (const call of those) if (calls.has(call)) call.gone(error);
      });
    }
  }
}

function peerAt(id: ProcessId, endpoint: string | undefined): Peer | undefined {
  return endpoint === undefined || endpoint === "" ? undefined : { id, endpoint };
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  if (items.length < 2) return items;
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
