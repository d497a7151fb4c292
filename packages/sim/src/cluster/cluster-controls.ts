// Negative controls: each takes one protection away, from the outside, and the judges have to see what it protected.
import type { PeerNetwork } from "@millrace/broker";
import { WireError, type Clock } from "@millrace/base";
import type { Spools } from "@millrace/fragments";
import { replaced } from "../replaced.ts";

/** What a restart finds on the disk is shown at once, and stays. */
export function unjudgedSpools(spools: Spools): Spools {
  return replaced(spools, "claim", async (life, atLeast) => {
    const spool = await spools.claim(life, atLeast);
    const shown = replaced(spool, "hide", (from) => {
      if (from >= spool.syncedEnd) spool.hide(from);
    });
    return replaced(shown, "cut", () => Promise.resolve());
  });
}

/** Nothing is copied of what others hold and no store does. */
export function unwillingSpools(spools: Spools): Spools {
  return replaced(spools, "claim", async (life, atLeast) =>
    replaced(await spools.claim(life, atLeast), "adopt", () =>
      Promise.reject(new WireError("UNAVAILABLE", "nothing is copied")),
    ),
  );
}

/** A primary takes the word of its last peer for given, once that is in sync. */
export function hastyNetwork(network: PeerNetwork, clock: Clock): PeerNetwork {
  return replaced(network, "replicate", (peer, journal, listener) => {
    let isFirst = true;
    let assumed = 0;
    const stream = network.replicate(peer, journal, {
      answered: (response) => {
        if (assumed > 0) assumed--;
        else listener.answered(response);
      },
      drained: () => listener.drained(),
      ended: (failure) => listener.ended(failure),
    });
    return replaced(stream, "send", (request) => {
      if (!isFirst && request.acknowledge) {
        assumed++;
        clock.after(0, () => listener.answered({ status: "OK", synced: 0 }));
      }
      if (request.proposal !== undefined) isFirst = false;
      return stream.send(request);
    });
  });
}

/** A primary goes on as if nothing had been said when a replica, once in sync, refuses its route or its stream. */
export function stubbornNetwork(network: PeerNetwork, clock: Clock): PeerNetwork {
  return replaced(network, "replicate", (peer, journal, listener) => {
    let isInSync = false;
    let isRefused = false;
    let owed = 0;
    const assume = (): void => {
      for (; owed > 0; owed--) clock.after(0, () => listener.answered({ status: "OK", synced: 0 }));
    };
    const refused = (): void => {
      isRefused = true;
      assume();
    };
    const stream = network.replicate(peer, journal, {
      answered: (response) => {
        if (isRefused) return;
        if (isInSync && response.status !== "OK") return refused();
        isInSync ||= response.status === "OK";
        owed--;
        listener.answered(response);
      },
      drained: () => listener.drained(),
      ended: (failure) => {
        // What the network does is another matter.
        const isSaid = failure !== undefined && failure.facts["why"] === undefined;
        if (isInSync && isSaid) refused();
        else if (!isRefused) listener.ended(failure);
      },
    });
    return {
      send: (request) => {
        if (request.acknowledge) owed++;
        if (!isRefused) return stream.send(request);
        assume();
        return true;
      },
      halfClose: () => {
        if (isRefused) clock.after(0, () => listener.ended(undefined));
        else stream.halfClose();
      },
      cancel: () => stream.cancel(),
    };
  });
}
