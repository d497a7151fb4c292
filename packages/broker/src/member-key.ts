// What a broker announced of itself, kept readable and under its lease. Whoever comes to know the cluster while it
// cannot be read takes the broker for one that is gone, and gives its journals to others; without its lease it stays
// when the broker is gone.
import { waitUntil, WireError, type Clock, type Logger } from "@millrace/base";
import type { CoordinationStore, Session } from "@millrace/metadata";
import { encodeBrokerSpec, memberKey, type ProcessId } from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { MEMBER_KEY_RETRY_MS } from "./limits.ts";

export interface MemberKeyPorts {
  readonly coordination: CoordinationStore;
  readonly keyspace: BrokerKeyspace;
  readonly session: Session;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Puts the own member's spec again where somebody has put garbage, or without the lease; until `signal` aborts. */
export async function keepMemberKey(
  ports: MemberKeyPorts,
  self: ProcessId,
  signal: AbortSignal,
): Promise<void> {
  const { coordination, keyspace, session, clock, logger } = ports;
  const key = memberKey(keyspace.root, self);
  const isDue = (): boolean => {
    const member = keyspace.table.member(self);
    if (member === undefined) return false;
    return member.lease !== session.lease || keyspace.isUndecodableMember(self);
  };
  for (;;) {
    await waitUntil(keyspace.changed, isDue, signal);
    signal.throwIfAborted();
    const { spec, modRevision } = keyspace.table.member(self)!;
    try {
      const { header, succeeded } = await coordination.txn(
        {
          compare: [{ target: "mod", key, op: "=", revision: modRevision }],
          success: [{ kind: "put", key, value: encodeBrokerSpec(spec), lease: session.lease }],
        },
        signal,
      );
      if (succeeded) logger.warn("member-key-put-again", { key, revision: header.revision });
      await keyspace.waitForRevision(header.revision, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      logger.warn("member-key-not-put-again", { key, error: WireError.from(thrown) });
      await clock.sleep(MEMBER_KEY_RETRY_MS, signal);
    }
  }
}
