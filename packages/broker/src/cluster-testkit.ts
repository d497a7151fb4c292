// Several brokers in one test: one embedded store, stores that they share, spools in memory unless given, a network
// that the test may cut, and time that it moves.
import { assert, WireError, type Clock, type Logger } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { Spools } from "@millrace/fragments";
import type { EmbeddedStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import type { ProcessId } from "@millrace/protocol";
import type { ObjectStores } from "@millrace/stores";
import { memoryStore } from "@millrace/stores/testkit";
import type { Broker, BrokerOptions } from "./broker.ts";
import { openTestBroker, type TestBroker } from "./broker-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";
import { Life } from "./mortal-ports.ts";
import type { PeerDoor } from "./peer-door.ts";
import { TestNetwork, type ServedBroker } from "./network-testkit.ts";

export interface ClusterMember extends TestBroker {
  readonly id: ProcessId;
  readonly spools: Spools;
  /** Its process is gone without a word: connections are refused, its lease ends in its time. */
  kill(): void;
}

export interface MemberOptions extends Partial<BrokerOptions> {
  readonly spools?: Spools;
  readonly logger?: Logger;
}

export interface TestClusterOptions extends MemberOptions {
  /** Zone of each broker. Default: three in three zones. */
  readonly zones?: readonly string[];
  readonly stores?: ObjectStores;
}

const ZONES = ["a", "b", "c"];
const WITHIN_MS = 30_000;

/** Opens `broker-0`, `broker-1`, …, each in its zone and on its own data directory. */
export async function openTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const { zones = ZONES, stores, ...common } = options;
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const coordination = await openMemoryStore(clock, seededRandom("cluster"));
  const cluster = new TestCluster(clock, coordination, stores ?? sharedStores(clock), common);
  for (const zone of zones) await cluster.open({ zone });
  return cluster;
}

export class TestCluster {
  readonly clock: SimulatedClock;
  readonly coordination: EmbeddedStore;
  readonly network: TestNetwork;
  /** Those that were opened and neither closed nor killed. */
  readonly members: ClusterMember[] = [];
  readonly #stores: ObjectStores;
  readonly #common: MemberOptions;
  #opened = 0;

  constructor(
    clock: SimulatedClock,
    coordination: EmbeddedStore,
    stores: ObjectStores,
    common: MemberOptions,
  ) {
    this.clock = clock;
    this.coordination = coordination;
    this.network = new TestNetwork(clock);
    this.#stores = stores;
    this.#common = common;
  }

  get agenda(): Agenda {
    return this.clock.agenda;
  }

  /** Opens one more broker, which listens before it announces itself. With the id and the spools of one that was
   * killed it is the same again. */
  async open(options: MemberOptions & { readonly zone?: string } = {}): Promise<ClusterMember> {
    const index = this.#opened++;
    const {
      zone = "z",
      id = { zone, suffix: `broker-${index}` },
      spools = new FakeSpools(),
      ...own
    } = options;
    const life = new Life();
    const part: { broker: Broker | undefined } = { broker: undefined };
    this.network.serve(id, servedOf(part));
    const opened = await this.within(
      openTestBroker({
        endpoint: `http://${id.suffix}:8080`,
        holder: `holder-${index}`,
        ...this.#common,
        ...own,
        id,
        spools,
        network: this.network.of(id),
        stores: life.stores(this.#stores),
        clock: life.clock(this.clock),
        random: seededRandom(`broker ${index}`),
        coordination: life.coordination(this.coordination),
      }),
    );
    part.broker = opened.broker;
    const member: ClusterMember = {
      ...opened,
      id,
      spools,
      kill: () => {
        life.kill();
        this.#leave(member);
      },
      close: async () => {
        await this.within(opened.close());
        this.#leave(member);
      },
    };
    this.members.push(member);
    return member;
  }

  /** Lets time pass until `work` has ended. @throws what it threw; an assertion when it takes longer than `ms` */
  async within<T>(work: Promise<T>, ms = WITHIN_MS): Promise<T> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    work.then(over, over);
    // Some work takes turns of the event loop and no time.
    for (let turns = 0; turns < 100 && !isOver; turns++) await settle();
    const hasEnded = await this.agenda.runUntil(() => isOver, this.agenda.nowMs + ms);
    assert(hasEnded, "it ends in time", { ms });
    return work;
  }

  async close(): Promise<void> {
    for (const member of [...this.members]) await member.close();
    await this.within(this.coordination.close());
  }

  #leave(member: ClusterMember): void {
    this.network.refuse(member.id);
    const at = this.members.indexOf(member);
    if (at >= 0) this.members.splice(at, 1);
  }
}

/** One store for all brokers of a URL. */
function sharedStores(clock: Clock): ObjectStores {
  const random = seededRandom("stores");
  const opened = new Map<string, ReturnType<ObjectStores["open"]>>();
  return {
    open: (url) => {
      const known = opened.get(url) ?? memoryStore({ url, clock, random: random.fork(url) });
      opened.set(url, known);
      return known;
    },
  };
}

function servedOf(part: { readonly broker: Broker | undefined }): ServedBroker {
  const broker = (): Broker => {
    if (part.broker === undefined) throw new WireError("UNAVAILABLE", "the broker is starting");
    return part.broker;
  };
  return {
    peers: {
      hold: async (request, signal) => peersOf(broker()).hold(request, signal),
      digest: async (request, signal) => peersOf(broker()).digest(request, signal),
      fetch: async function* (request, signal) {
        yield* peersOf(broker()).fetch(request, signal);
      },
      replicate: (listener) => peersOf(broker()).replicate(listener),
    },
    transport: {
      append: async (request, content, signal) => broker().transport.append(request, content, signal),
      listFragments: async (request, signal) => broker().transport.listFragments(request, signal),
      read: async function* (request, signal) {
        yield* broker().transport.read(request, signal);
      },
    },
  };
}

function peersOf({ peers }: Broker): PeerDoor {
  assert(peers !== undefined, "the broker has a network");
  return peers;
}
