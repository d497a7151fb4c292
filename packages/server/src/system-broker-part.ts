// The broker as a part of the process: local storage, replicas, and the HTTP door on one port.
import { hostPolicy, RequestIds } from "@millrace/base";
import { openBroker, httpGateway, type Broker } from "@millrace/broker";
import { isPartition } from "@millrace/ingest";
import { JOURNAL_LIMIT_MAX } from "@millrace/protocol";
import { openSpools, SPOOL_DEFAULTS, type SpoolOptions } from "@millrace/fragments";
import { fetchSigned } from "@millrace/stores";
import type { LogOptions } from "@millrace/wal";
import { brokerAuthoriser } from "./broker-authoriser.ts";
import { endpointUrl } from "./endpoints.ts";
import { examplesTemplate } from "./journal-templates.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { isBrokerGuarded } from "./listen-policy.ts";
import { listenHttp, type HttpListener } from "./system-listen.ts";
import { listenAddress, type PartContext } from "./part-context.ts";
import type { Config } from "./settings.ts";

export interface BrokerPart {
  readonly broker: Broker;
  readonly listener: HttpListener;
}

/** Zone and suffix of the only broker of a data directory. */
const LOCAL_BROKER = { zone: "local", suffix: "broker-1" };

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

export async function startBroker(
  lifecycle: Lifecycle,
  context: PartContext,
  signal: AbortSignal,
): Promise<BrokerPart> {
  const { config, metrics, logger } = context;
  const spools = await lifecycle.start(
    "local storage",
    () => openSpools(context, spoolOptions(config), signal),
    (opened) => opened.close(),
  );
  context.health.addReason(() => spools.unhealthy());

  const address = listenAddress(config, "broker.listen");
  const part: { broker: Broker | undefined } = { broker: undefined };
  const authoriser = brokerAuthoriser(config, context.clock);
  const policy = hostPolicy(address.host, isBrokerGuarded(config));
  const guard = { policy, ids: new RequestIds(context.random) };
  const handler = httpGateway({
    authorise: ({ headers }, need) => authoriser.authorise(headers.authorization, need),
    transport: (principal) => part.broker!.journalsFor(principal).transport,
    metrics: () => metrics.render(),
    unready: () => (part.broker === undefined ? ["the broker is starting"] : context.health.reasons()),
    degraded: () => context.health.degradations(),
    storeHealth: (request, storeSignal) => part.broker!.storeHealth(request, storeSignal),
    refuseAppend: (journal) => refusePartition(journal, part.broker!),
    logger,
  });
  // Brokers listen before they announce; a request that comes earlier finds the door not ready.
  const listener = await lifecycle.start(
    "broker.listen",
    () =>
      listenHttp("broker.listen", address, guard, (request, response) => {
        if (part.broker === undefined && request.url !== "/livez" && request.url !== "/readyz") {
          response.writeHead(503, { "retry-after": "1" }).end("the broker is starting\n");
        } else {
          handler(request, response);
        }
      }),
    (started, stopSignal) => started.stop(stopSignal),
  );
  const broker = await lifecycle.start(
    "broker",
    () =>
      openBroker(
        { ...context, spools, fetch: fetchSigned },
        {
          id: LOCAL_BROKER,
          endpoint: endpointUrl(listener.host, listener.port),
          journalLimit: JOURNAL_LIMIT_MAX, // there is no other broker to take what this one refuses
          autoCreate: [{ prefix: "examples/", template: examplesTemplate(config) }],
          autoSuspend: config["broker.auto-suspend"],
          onFatal: context.onFatal,
        },
        signal,
      ),
    (started) => started.close(),
  );
  part.broker = broker;
  context.health.add(() => broker.health());
  context.health.addDegradation(() => degradation(broker));
  return { broker, listener };
}

/** One stray byte between the frames of a partition, and nothing behind it can be read any more. */
function refusePartition(journal: string, broker: Broker): string | undefined {
  const labels = broker.labelsOf(journal);
  if (labels === undefined || !isPartition(labels)) return undefined;
  return `journal ${journal} holds the records of a sink in frames: only its source appends (POST /stream/…)`;
}

function degradation(broker: Broker): string | undefined {
  const { length } = broker.failingStores();
  return length === 0
    ? undefined
    : `${length} fragment store${length === 1 ? "" : "s"} failed the last check`;
}
