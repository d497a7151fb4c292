// The broker as a part of the process: local storage, replicas, and the HTTP door on one port.
import type { RequestListener } from "node:http";
import { hostname } from "node:os";
import { hostPolicy, RequestIds, WireError, type Logger, type MetricsRegistry } from "@millrace/base";
import { HeldBudget, type HeldReport } from "@millrace/grpc";
import {
  GrpcPeerNetwork,
  grpcDoor,
  HeldCalls,
  httpGateway,
  openBroker,
  PeerChannels,
  type PlainPutPorts,
  type Broker,
  type BrokerOptions,
  type RefuseAppend,
} from "@millrace/broker";
import { holdsFrames } from "@millrace/ingest";
import { mayResetHead } from "@millrace/protocol";
import { openSpools, SPOOL_DEFAULTS, type SpoolOptions } from "@millrace/fragments";
import { fetchSigned } from "@millrace/stores";
import type { LogOptions } from "@millrace/wal";
import { brokerAuthoriser, brokerCredentials } from "./broker-authoriser.ts";
import {
  brokerAddress,
  brokerEndpoint,
  localBrokerUrl,
  tlsFiles,
  unverifiedClients,
} from "./broker-place.ts";
import { examplesTemplate } from "./journal-templates.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { isBrokerGuarded } from "./listen-policy.ts";
import { processVariables } from "./system-debug-part.ts";
import { directoryId, renewDirectoryId } from "./system-directory-id.ts";
import { placeOf } from "./system-directory-place.ts";
import { peerTls } from "./system-client-tls.ts";
import type { TlsFiles } from "./system-tls-files.ts";
import type { HttpListener } from "./system-listen.ts";
import { writeMember, type Member } from "./system-member-file.ts";
import { listenShared, type SharedListenPorts } from "./system-shared-listen.ts";
import type { PartContext } from "./part-context.ts";
import type { Config } from "./settings.ts";

export interface BrokerPart {
  readonly broker: Broker;
  /** At which programs on this machine reach it. */
  readonly url: string;
}

/** Of a broker that shares its coordination store with no other. */
const DEFAULT_ID = "broker-1";
const ID_TAKEN = "another process has this broker's id or data directory, or had it and its lease goes on";
const PROBES: ReadonlySet<string> = new Set(["/livez", "/readyz", "/debug/ready"]);

/** Small segments hold smaller groups, and begin at their size. */
function segmentsOf(
  segmentBytes: number,
): Pick<LogOptions, "segmentBytes" | "firstSegmentBytes" | "groupBytesMax"> {
  const { firstSegmentBytes, groupBytesMax } = SPOOL_DEFAULTS.log;
  return {
    segmentBytes,
    firstSegmentBytes: Math.min(firstSegmentBytes, segmentBytes),
    groupBytesMax: Math.min(groupBytesMax, segmentBytes / 2),
  };
}

function spoolOptions(config: Config): Partial<SpoolOptions> {
  const segmentBytes = config["broker.segment-size"];
  return {
    log: { ...SPOOL_DEFAULTS.log, ...segmentsOf(segmentBytes) },
    tailBytesMax: config["broker.memory"],
    checkpointLogBytes: 3 * segmentBytes,
    reserveBytes: config["broker.reserve"],
  };
}

/** The broker's port, which listens before there is a broker. */
export interface BrokerDoor {
  readonly listener: HttpListener;
  /** From now on requests are served. */
  open(broker: Broker): void;
}

export async function startBroker(
  lifecycle: Lifecycle,
  context: PartContext,
  door: BrokerDoor,
  member: Member | undefined,
  signal: AbortSignal,
): Promise<BrokerPart> {
  const { config } = context;
  const spools = await lifecycle.start(
    "local storage",
    () => openSpools(context, spoolOptions(config), signal),
    (opened) => opened.close(),
  );
  context.health.addReason(() => spools.unhealthy());

  const peers = await lifecycle.start(
    "peer connections",
    async () => peerChannels(context),
    (opened, stopSignal) => opened.close(stopSignal),
  );
  const id = { isTaken: false };
  context.health.addReason(() => (id.isTaken ? ID_TAKEN : undefined));
  const broker = await lifecycle.start(
    "broker",
    () =>
      openBroker(
        { ...context, spools, fetch: fetchSigned, network: new GrpcPeerNetwork(peers, context.clock) },
        {
          ...brokerOptions(config, door.listener, member),
          ...leaseOptions(context, member),
          onIdTaken: () => (id.isTaken = true),
          holder: directoryId(context.dataDirectory, context.random),
          renewHolder: () => renewDirectoryId(context.dataDirectory, context.random),
          holderPlace: {
            ...placeOf(context.dataDirectory),
            mayReplace: config["new-data"] === "allow",
          },
          onFatal: context.onFatal,
        },
        signal,
      ),
    (started) => started.close(),
  );
  id.isTaken = false;
  door.open(broker);
  context.health.add(() => broker.health());
  context.health.addDegradation(() => storeDegradation(broker));
  context.health.addDegradation(() => keyspaceDegradation(broker));
  context.health.addDegradation(() => pathDegradation(broker));
  return { broker, url: localBrokerUrl(config, door.listener) };
}

/** D16 */
function leaseOptions(
  { dataDirectory, logger }: PartContext,
  member: Member | undefined,
): Pick<BrokerOptions, "previousLease" | "keepLease"> {
  if (member === undefined) return {};
  return {
    ...(member.lease === undefined ? {} : { previousLease: member.lease }),
    keepLease: (lease) => {
      try {
        writeMember(dataDirectory, { ...member, lease });
      } catch (error) {
        // The next life waits for its end instead of revoking it.
        logger.warn("lease-not-kept", { error: WireError.from(error).message });
      }
    },
  };
}

/** Brokers sign what they send to each other as the first of the keys does, or send the platform's token. */
function peerChannels({ config, clock, logger }: PartContext): PeerChannels {
  const { keys, token } = brokerCredentials(config);
  return new PeerChannels({
    clock,
    logger,
    tls: peerTls(config, logger),
    keys,
    token,
    receiveBytesMax: config["broker.max-grpc-recv-size"],
  });
}

/** Brokers listen before they announce. Until there is one, calls wait, and what comes over HTTP finds it not ready. */
export async function openBrokerDoor(
  lifecycle: Lifecycle,
  context: Omit<PartContext, "coordination">,
): Promise<BrokerDoor> {
  const part: { broker: Broker | undefined } = { broker: undefined };
  context.health.addReason(() => (part.broker === undefined ? "the broker is starting" : undefined));
  const { config, metrics, logger } = context;
  const address = brokerAddress(config);
  const authoriser = brokerAuthoriser(config, context.tokens, context.clock);
  const authorise = authoriser.authorise.bind(authoriser);
  const allowOrigins = config["broker.allow-origin"];
  const own = hostPolicy(address.host === "" ? "0.0.0.0" : address.host, isBrokerGuarded(config));
  const guard = { policy: { ...own, origins: allowOrigins }, ids: new RequestIds(context.random) };
  const handler = httpGateway({
    authorise,
    transport: (principal) => part.broker!.journalsFor(principal).transport,
    metrics: () => metrics.render(),
    unready: () => context.health.reasons(),
    degraded: () => context.health.degradations(),
    storeHealth: (request, storeSignal) => part.broker!.storeHealth(request, storeSignal),
    refuseAppend: (...asked) => refusePartition(part.broker!, ...asked),
    drain: () => part.broker!.drain,
    brokers: () => part.broker!.members(),
    joining: () => part.broker!.joining(),
    ...diagnostics(config),
    allowOrigins,
    logger,
  });
  const onRequest: RequestListener = (request, response) => {
    if (part.broker === undefined && !PROBES.has(request.url ?? "")) {
      response.writeHead(503, { "retry-after": "1" }).end("the broker is starting\n");
    } else {
      handler(request, response);
    }
  };
  const running = (): Broker => startedOf(part.broker);
  const held = new HeldCalls(context.clock);
  const calls = grpcDoor({
    authoriser,
    clock: context.clock,
    journals: (principal) => running().journalsFor(principal),
    storeHealth: (request, storeSignal) => running().storeHealth(request, storeSignal),
    refuseAppend: (...asked) => refusePartition(running(), ...asked),
  });
  const tls = portTls(config, logger);
  const listener = await lifecycle.start(
    "broker.listen",
    () =>
      listenShared("broker.listen", address, {
        ...context,
        guard,
        onRequest,
        puts: plainPuts(authorise, () => part.broker),
        calls: held.over(calls),
        tls,
        ...connectionBounds(config, metrics),
      }),
    (started, stopSignal) => started.stop(stopSignal),
  );
  return {
    listener,
    open: (broker) => {
      part.broker = broker;
      held.open();
    },
  };
}

function startedOf(broker: Broker | undefined): Broker {
  if (broker === undefined) throw new WireError("UNAVAILABLE", "the broker is starting");
  return broker;
}

/** What one connection may cost, and all of them. */
function connectionBounds(
  config: Config,
  metrics: MetricsRegistry,
): Pick<SharedListenPorts, "limits" | "budget"> {
  return {
    limits: { receiveBytesMax: config["broker.max-grpc-recv-size"] },
    budget: new HeldBudget(config["broker.connection-memory"], heldReport(metrics)),
  };
}

function heldReport(metrics: MetricsRegistry): HeldReport {
  const bytes = metrics.gauge(
    "millrace_broker_connection_held_bytes",
    "Bytes that connections of gRPC hold for their clients.",
  );
  const ended = metrics.counter(
    "millrace_broker_connections_relieved_total",
    "Connections that were ended because they held most of too much.",
  );
  return { held: (held) => bytes.set(held), ended: () => ended.add() };
}

function diagnostics(config: Config): { readonly debug: boolean; readonly variables: () => string } {
  return { debug: !config["debug.private"], variables: processVariables };
}

/** Whoever wants clients verified, and does not get it, is told. */
function portTls(config: Config, logger: Logger): TlsFiles | undefined {
  const unverified = unverifiedClients(config);
  if (unverified !== undefined) logger.warn("clients-not-verified", unverified);
  return tlsFiles(config);
}

function plainPuts(authorise: PlainPutPorts["authorise"], broker: () => Broker | undefined): PlainPutPorts {
  return {
    authorise,
    journals: (principal) => broker()?.journalsFor(principal),
    refuseAppend: (...asked) => refusePartition(broker()!, ...asked),
  };
}

/** What the configuration says of the broker itself. */
function brokerOptions(
  config: Config,
  listener: { readonly host: string; readonly port: number },
  member: Member | undefined,
): BrokerOptions {
  const suffix = config["broker.id"] === "" ? (member?.id ?? DEFAULT_ID) : config["broker.id"];
  return {
    id: { zone: config["broker.zone"], suffix },
    endpoint: brokerEndpoint(config, listener, hostname()),
    root: config["etcd.prefix"],
    journalLimit: config["broker.limit"],
    leaseSeconds: Math.floor(config["etcd.lease"] / 1000),
    leaseSetting: "etcd.lease",
    watchDelayMs: config["broker.watch-delay"],
    replicationMax: config["broker.max-replication"],
    minAppendRate: config["broker.min-append-rate"],
    maxAppendRate: config["broker.max-append-rate"],
    autoCreate: [{ prefix: "examples/", template: examplesTemplate(config) }],
    autoSuspend: (labels) =>
      config["broker.auto-suspend"] || (config["stream.auto-suspend"] && holdsFrames(labels)),
  };
}

/**
 * One stray byte between the frames of a partition, and nothing behind it can be read any more. Nor may its head go
 * back below what was taken of it, which the broker does not know: a reset has to say where it goes on.
 */
function refusePartition(
  broker: Broker,
  ...[journal, principal, kind]: Parameters<RefuseAppend>
): string | undefined {
  const spec = broker.specOf(journal, principal);
  if (spec === undefined || !holdsFrames(spec.labels)) return undefined;
  const why = `journal ${journal} holds the records of a sink in frames`;
  if (kind === "content") return `${why}: only its source appends (POST /stream/…)`;
  if (mayResetHead(spec)) return undefined;
  return (
    `${why}: say where they go on, at the offset that refusals of its source name, with ` +
    `millrace journals reset-head -l name=${journal} --at OFFSET`
  );
}

function storeDegradation(broker: Broker): string | undefined {
  const { length } = broker.failingStores();
  return length === 0
    ? undefined
    : `${length} fragment store${length === 1 ? "" : "s"} failed the last check`;
}

function keyspaceDegradation(broker: Broker): string | undefined {
  const keys = broker.undecodableKeys();
  if (keys === 0) return undefined;
  return `${keys} key${keys === 1 ? "" : "s"} in etcd cannot be decoded, see keyspace-value-undecodable in the log`;
}

function pathDegradation(broker: Broker): string | undefined {
  const journals = broker.lackingPaths();
  if (journals === 0) return undefined;
  const whose = `${journals} journal${journals === 1 ? "" : "s"}`;
  return `the path postfix of ${whose} cannot be evaluated, see path-postfix-failed in the log`;
}
