// Why a route cannot be activated, in words.
import { WireError } from "@millrace/base";
import type { Holder } from "./activation-runner.ts";
import type { ActivationState } from "./holders-activation.ts";
import { RESET_HEAD_REMEDY } from "./holders-store.ts";
import { brokerName } from "./journal-table.ts";
import type { Resolution } from "./resolver.ts";

/** The allocator takes the journal from it. */
export function notThere({ item, header }: Resolution, at: number): WireError {
  const journal = item!.spec.name;
  const member = brokerName(header.route.members[at]!);
  const text = `journal ${journal} is assigned to broker ${member}, which is not there`;
  return new WireError("UNAVAILABLE", text, { facts: { journal, member } });
}

export function blocked(journal: string, state: ActivationState): WireError {
  if (state.kind !== "blocked") {
    const text = `journal ${journal} is changing hands`;
    return new WireError("UNAVAILABLE", text, { facts: { journal } });
  }
  const holders = state.holders.join(", ");
  const who = `none of the brokers with the newest bytes of journal ${journal}`;
  const text = `${who} can be reached (data directories: ${holders}); ${RESET_HEAD_REMEDY}${journal}`;
  return new WireError("UNAVAILABLE", text, { facts: { journal, holders } });
}

export function copied(journal: string, [one, other]: readonly [Holder, Holder]): WireError {
  const names = [one, other].map(({ peer }) => brokerName(peer.id));
  const text = `brokers ${names.join(" and ")} announce the same data directory ${one.id}: stop the one with the copy`;
  return new WireError("UNAVAILABLE", `journal ${journal}: ${text}`, { facts: { journal, holder: one.id } });
}
