// What a principal's requests find: the journals that exist for it, as long as it may ask.
import type { JournalTransport } from "@millrace/client";
import { extendedLabels, matchesSelector, withNamePrefixes, type JournalSpec } from "@millrace/protocol";
import type { Principal } from "./authoriser.ts";
import { ExpiringTransport } from "./expiring-transport.ts";
import { LocalTransport, type AppendDoor, type LocalTransportPorts } from "./local-transport.ts";
import type { LocalPeerDoor, PeerDoor } from "./peer-door.ts";

/** Journals as a principal sees them. */
export interface PrincipalJournals {
  readonly transport: JournalTransport;
  /** Without an end of the principal's time: a door that begins appends here ends them then. */
  readonly appends: AppendDoor;
  /** What other brokers may ask for; undefined without a network. */
  readonly peers: PeerDoor | undefined;
}

/** What is made for a principal is kept as long as the principal. */
export function journalsOf(
  served: LocalTransportPorts,
  transport: LocalTransport,
  door: LocalPeerDoor | undefined,
): (principal: Principal) => PrincipalJournals {
  const everything: PrincipalJournals = { transport, appends: transport, peers: door };
  const known = new WeakMap<Principal, PrincipalJournals>();
  return (principal) => {
    const { visible, expiresAtMs } = principal;
    if (visible === undefined && expiresAtMs === Number.POSITIVE_INFINITY) return everything;
    let journals = known.get(principal);
    if (journals === undefined) {
      const appends = visible === undefined ? transport : new LocalTransport(served, visible);
      const peers = visible === undefined ? door : door?.visibleTo(visible);
      journals = { transport: new ExpiringTransport(appends, expiresAtMs, served.clock), appends, peers };
      known.set(principal, journals);
    }
    return journals;
  };
}

/** Undefined when a journal of `spec` does not exist for `principal`. */
export function specFor({ visible }: Principal, spec: JournalSpec | undefined): JournalSpec | undefined {
  if (spec === undefined || visible === undefined) return spec;
  const extended = extendedLabels(spec.name, spec.labels);
  return matchesSelector(withNamePrefixes(visible), extended) ? spec : undefined;
}
