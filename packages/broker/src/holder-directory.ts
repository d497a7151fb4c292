// The cluster's brokers by their data directories, as the keyspace has them.
import { type ProcessId } from "@millrace/protocol";
import type { Holder, HolderDirectory } from "./activation-runner.ts";
import type { HolderId } from "./holders-list.ts";
import type { Member } from "./journal-table.ts";
import type { HolderCalls, PeerNetwork } from "./peer-network.ts";
import type { Resolution } from "./resolver.ts";

/** What the directory asks of the keyspace's table. */
export interface MemberTable {
  member(id: ProcessId): Member | undefined;
  members(): Iterable<Member>;
}

export class KeyspaceHolders implements HolderDirectory {
  readonly self: HolderId;
  readonly #table: MemberTable;
  readonly #network: PeerNetwork;
  readonly #local: HolderCalls;

  /** @param local what this broker answers itself */
  constructor(self: HolderId, table: MemberTable, network: PeerNetwork, local: HolderCalls) {
    this.self = self;
    this.#table = table;
    this.#network = network;
    this.#local = local;
  }

  find(id: HolderId): Holder | undefined {
    // A directory that moved to another name: the one that came last has it.
    let found: Member | undefined;
    for (const member of this.#table.members()) {
      const isLater = found === undefined || member.createRevision > found.createRevision;
      if (member.spec.holder === id && isLater) found = member;
    }
    return found && this.#holderOf(found);
  }

  all(): readonly Holder[] {
    const ids = new Set([...this.#table.members()].map(({ spec }) => spec.holder));
    ids.delete(""); // They keep no lists.
    return [...ids].map((id) => this.find(id)!);
  }

  members({ header }: Resolution): readonly (Holder | "keeps-no-lists" | undefined)[] {
    return header.route.members.map((id) => {
      const member = this.#table.member(id);
      return member?.spec.holder === "" ? "keeps-no-lists" : member && this.#holderOf(member);
    });
  }

  /** Whether `peer` keeps lists. */
  keepsLists(peer: ProcessId): boolean {
    const holder = this.#table.member(peer)?.spec.holder;
    return holder !== undefined && holder !== "";
  }

  #holderOf({ spec }: Member): Holder {
    const { id, endpoint, holder } = spec;
    const peer = { id, endpoint };
    const calls = holder === this.self ? this.#local : this.#network.holder(peer);
    return { id: holder, peer, calls };
  }
}
