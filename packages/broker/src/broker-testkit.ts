// A broker for tests: embedded store in memory, spools in memory unless given, time that the test moves.
import {
  assert,
  concatBytes,
  MetricsRegistry,
  never,
  silentLogger,
  type Clock,
  type Logger,
  type Random,
} from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { JournalTransport } from "@millrace/client";
import type { Spools } from "@millrace/fragments";
import type { CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { EMPTY_LABELS, type AppendPreamble, type JournalSpec, type ReadRequest } from "@millrace/protocol";
import type { ObjectStores } from "@millrace/stores";
import { memoryStore } from "@millrace/stores/testkit";
import { openBroker, type Broker, type BrokerOptions } from "./broker.ts";
import { FakeSpools } from "./fake-spools.ts";
import type { PeerNetwork } from "./peer-network.ts";

export interface TestBroker {
  readonly broker: Broker;
  readonly transport: JournalTransport;
  readonly coordination: CoordinationStore;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  /** Ends the broker and the store. */
  readonly close: () => Promise<void>;
}

export interface TestBrokerOptions extends Partial<BrokerOptions> {
  readonly spools?: Spools;
  readonly stores?: ObjectStores;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly coordination?: CoordinationStore;
  readonly network?: PeerNetwork;
  readonly logger?: Logger;
}

export async function openTestBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const random = options.random ?? seededRandom("broker");
  const clock = options.clock ?? new SimulatedClock(new Agenda());
  const metrics = new MetricsRegistry();
  const owned =
    options.coordination === undefined ? await openMemoryStore(clock, random.fork("store")) : undefined;
  const coordination = options.coordination ?? owned!;
  const spools = options.spools ?? new FakeSpools();
  const stores = options.stores ?? { open: (url) => memoryStore({ url, clock, random: random.fork(url) }) };
  const { network, logger = silentLogger } = options;
  const alone = { spools, stores, coordination, clock, random, logger, metrics };
  const ports = network === undefined ? alone : { ...alone, network };
  const broker = await openBroker(
    ports,
    { id: { zone: "local", suffix: "broker" }, endpoint: "http://localhost:8080", ...options },
    new AbortController().signal,
  );
  return {
    broker,
    transport: broker.transport,
    coordination,
    metrics,
    clock,
    close: async () => {
      await broker.close();
      await owned?.close();
    },
  };
}

export interface TimedBroker extends TestBroker {
  readonly spools: FakeSpools;
  readonly agenda: Agenda;
}

/** One whose clock, and that of its spools, goes by an agenda. */
export async function openTimedBroker(options: TestBrokerOptions = {}): Promise<TimedBroker> {
  const spools = new FakeSpools();
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  spools.nowMs = () => clock.wallMs();
  return { ...(await openTestBroker({ spools, clock, ...options })), spools, agenda };
}

export function journalSpec(name: string, fields: Partial<JournalSpec> = {}): JournalSpec {
  return {
    name,
    replication: 1,
    labels: EMPTY_LABELS,
    fragment: {
      length: 1 << 20,
      compressionCodec: "NONE",
      stores: [],
      refreshIntervalMs: 300_000,
      retentionMs: 0,
      flushIntervalMs: 0,
      pathPostfixTemplate: "",
    },
    flags: 0,
    maxAppendRate: 0,
    ...fields,
  };
}

/** Creates or replaces a journal. */
export async function applySpec(transport: JournalTransport, spec: JournalSpec): Promise<void> {
  const changes = [{ expectModRevision: -1, upsert: spec, delete: "" }];
  const { status } = await transport.apply({ changes }, never);
  assert(status === "OK", "the spec is applied", { status });
}

export function preamble(journal: string, fields: Partial<AppendPreamble> = {}): AppendPreamble {
  return { journal, doNotProxy: false, offset: 0, suspend: "SUSPEND_RESUME", minEtcdRevision: 0, ...fields };
}

export function readRequest(journal: string, fields: Partial<ReadRequest> = {}): ReadRequest {
  return {
    journal,
    offset: 0,
    block: false,
    doNotProxy: false,
    metadataOnly: false,
    endOffset: 0,
    beginModTime: 0,
    minEtcdRevision: 0,
    ...fields,
  };
}

/** Content of a read until it ends. */
export async function readAll(
  transport: JournalTransport,
  request: ReadRequest,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { content } of transport.read(request, signal))
    if (content !== undefined) parts.push(content);
  return concatBytes(parts);
}
