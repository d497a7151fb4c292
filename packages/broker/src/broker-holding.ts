// What a broker holds for others: made of its keyspace, its resolver and its spools.
import { assert, never, type Clock, type Logger, type TaskGroup, type WireError } from "@millrace/base";
import type { FoundLife, Spool } from "@millrace/fragments";
import type { CoordinationStore } from "@millrace/metadata";
import type { ProcessId } from "@millrace/protocol";
import { applyVerdict, unlisted } from "./applied-verdict.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { heldBytes } from "./held-bytes.ts";
import { CallMeter, type BrokerMetrics, type SpoolCounts } from "./broker-metrics.ts";
import { names } from "./holders-list.ts";
import { replicationPorts } from "./broker-replication.ts";
import { HoldersStore, type ReadHolders } from "./holders-store.ts";
import { Joining, type JoiningPorts } from "./joining.ts";
import { JournalHolder, type HolderPorts } from "./journal-holder.ts";
import { isLater } from "./later-lives.ts";
import type { Holding, LocalJournals } from "./local-journal.ts";
import { journalView, LocalPeerDoor } from "./peer-door.ts";
import type { PeerNetwork } from "./peer-network.ts";
import type { BrokerLease, ReplicationPorts } from "./replication.ts";
import type { Resolver } from "./resolver.ts";
import type { StartLists } from "./start-lists.ts";

export interface BrokerHoldingPorts {
  readonly coordination: CoordinationStore;
  readonly keyspace: BrokerKeyspace;
  readonly network: PeerNetwork;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly id: ProcessId;
  /** Id of the data directory. */
  readonly holder: string;
  /** Made after this. */
  readonly resolver: () => Resolver;
  /** A journal's route has to be activated again. */
  readonly broken: (journal: string) => void;
  /** As they were read when the broker had announced itself. */
  readonly startLists: StartLists;
  readonly metrics: BrokerMetrics;
  /** This broker's. */
  readonly lease: BrokerLease;
}

const FOR_PRIMARY = { authority: "primary", mayProxy: true, visible: undefined } as const;

export class BrokerHolding implements Holding {
  /** For this broker's own primaries. */
  readonly replication: ReplicationPorts;
  readonly #ports: HolderPorts;
  readonly #keyspace: BrokerKeyspace;
  readonly #startLists: StartLists;
  readonly #meter: CallMeter;
  readonly #counts: SpoolCounts;
  #door: LocalPeerDoor | undefined;

  constructor(ports: BrokerHoldingPorts) {
    const { coordination, keyspace, network, clock, logger, id, holder } = ports;
    const lists = new HoldersStore(coordination, keyspace.root);
    this.#keyspace = keyspace;
    this.#startLists = ports.startLists;
    this.#meter = new CallMeter(ports.metrics, clock, "Replicate");
    this.#counts = ports.metrics;
    this.replication = replicationPorts({
      ...ports,
      local: {
        hold: (request, signal) => this.#own.hold(request, signal),
        fetch: (request, signal) => this.#own.fetch(request, signal),
        digest: (request, signal) => this.#own.digest(request, signal),
      },
      resolve: (journal) => ports.resolver().resolve(journal, FOR_PRIMARY),
      routeOf: (journal) => ports.resolver().routeOf(journal),
      broken: ports.broken,
    });
    this.#ports = {
      lists,
      self: holder,
      id,
      clock,
      logger,
      loadedAt: keyspace.header.revision,
      view: (journal, revision) => journalView({ keyspace, resolver: ports.resolver() }, journal, revision),
      holderOf: (peer) => network.holder(peer),
      lease: ports.lease,
    };
  }

  /** What others reach of it. */
  door(resolver: Resolver, journals: LocalJournals): LocalPeerDoor {
    const { lists, clock } = this.#ports;
    const [keyspace, meter, counts] = [this.#keyspace, this.#meter, this.#counts];
    this.#door = new LocalPeerDoor({ keyspace, resolver, journals, lists, clock, meter, counts });
    return this.#door;
  }

  /** Copies, as one of `tasks`, what others have of journals that this broker joins. */
  join(
    parts: {
      readonly journals: LocalJournals;
      readonly resolver: Resolver;
      readonly metrics: JoiningPorts["metrics"];
    },
    tasks: TaskGroup,
  ): Joining {
    const { journals, resolver, metrics } = parts;
    const { clock, logger } = this.#ports;
    const joining = new Joining({
      ...this.replication,
      ...{ keyspace: this.#keyspace, clock, logger, metrics },
      journals: () => journals.all(),
      isMember: (journal) => resolver.isMember(journal),
      isPrimary: (journal) => resolver.isPrimary(journal),
    });
    tasks.spawn("joining", (stop) => joining.run(stop));
    return joining;
  }

  get #own(): LocalPeerDoor {
    assert(this.#door !== undefined, "the broker answers before it asks itself");
    return this.#door;
  }

  holderOf(spool: Spool, found: number | undefined): JournalHolder {
    return new JournalHolder(this.#ports, spool, found);
  }

  async isForsaken({ journal, createRevision, epoch, base, end }: FoundLife): Promise<boolean> {
    const { self, loadedAt } = this.#ports;
    const { list, listRevision } = await this.#listOf(journal, createRevision);
    if (list === undefined || list.tail.kind === "void" || names(list, self)) return false;
    return base === end || !isLater({ list, listRevision }, { self, epoch, loadedAt });
  }

  async judgeFound(spool: Spool, { epoch }: FoundLife): Promise<void> {
    const { journal, createRevision } = spool.life;
    const { self, loadedAt, logger } = this.#ports;
    if (spool.held().length === 0) {
      // Nothing is here but where the journal ends.
      spool.confirm(spool.syncedEnd);
      return;
    }
    const { list, listRevision, refusal } = await this.#listOf(journal, createRevision);
    if (list !== undefined && !isLater({ list, listRevision }, { self, epoch, loadedAt }))
      return applyVerdict(spool, list, this.#ports);
    if (list !== undefined) {
      const { base: begin, end } = heldBytes(spool);
      logger.error("list-older-than-directory", { journal, begin, end, epoch });
      return;
    }
    // Until it is mended everything stays hidden, in its place.
    const { message } = refusal ?? unlisted(journal);
    logger.error("journal-not-judged", { journal, createRevision, error: message });
  }

  /** As it was read at the start, else as it is now. */
  async #listOf(
    journal: string,
    createRevision: number,
  ): Promise<Pick<ReadHolders, "list" | "listRevision"> & { readonly refusal?: WireError }> {
    const known = this.#startLists.get(journal);
    if (known?.stored?.createRevision === createRevision)
      return { list: known.stored.list, listRevision: known.modRevision };
    return this.#ports.lists.tryRead(journal, createRevision, never);
  }
}
