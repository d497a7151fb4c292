// Composition of a process: one data directory, one disk, coordination, and the chosen components over them.
import { resolve } from "node:path";
import { MetricsRegistry, newToken, TokenBook, WireError, type Clock, type Logger } from "@millrace/base";
import { drainWhile } from "@millrace/broker";
import { FileStore, openStores } from "@millrace/stores";
import { openSystemDisk } from "@millrace/wal";
import { checkComponents } from "./component-rules.ts";
import type { ComponentName } from "./components.ts";
import { fileRoot } from "./data-layout.ts";
import { endpointUrl, type Endpoints } from "./endpoints.ts";
import { FRAGMENT_STORE, STAGING_STORE } from "./journal-templates.ts";
import { Health } from "./health.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { PartContext, PlatformPorts } from "./part-context.ts";
import type { Config } from "./settings.ts";
import { ownDataDirectory, refuseNewDirectory } from "./system-data-directory.ts";
import { removeEndpoints, writeEndpoints } from "./system-endpoints-file.ts";
import { openBrokerDoor, startBroker, type BrokerPart } from "./system-broker-part.ts";
import { openCoordination } from "./system-coordination.ts";
import { startDebug } from "./system-debug-part.ts";
import { startEtcd } from "./system-etcd-part.ts";
import { startIngest } from "./system-ingest.ts";
import { addProcessMetrics } from "./system-process-metrics.ts";
import { readFileKeys } from "./system-secrets.ts";
import { startTokens } from "./system-tokens-part.ts";
import { adoptWarehouse, launchWarehouse } from "./system-warehouse-part.ts";

export interface Platform {
  readonly dataDirectory: string;
  readonly endpoints: Endpoints;
  /** Opens every door of this process. */
  readonly token: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Lets other brokers take over and waits until nothing is lost with this one. A broker alone just stops.
   * @param signal ends the waiting
   */
  leave(signal: AbortSignal): Promise<void>;
  /** @param signal aborts when the time for finishing work is over */
  stop(signal: AbortSignal): Promise<void>;
}

/** Starts the components in their order. When one fails, those before it are stopped and the failure is thrown. */
export async function startPlatform(
  settings: { readonly config: Config; readonly components: readonly ComponentName[] },
  ports: PlatformPorts,
  signal: AbortSignal,
): Promise<Platform> {
  const lifecycle = new Lifecycle(ports.logger);
  try {
    return await startParts(lifecycle, settings, ports, signal);
  } catch (error) {
    await lifecycle.stop(AbortSignal.abort(error));
    throw error;
  }
}

async function startParts(
  lifecycle: Lifecycle,
  settings: { readonly config: Config; readonly components: readonly ComponentName[] },
  ports: PlatformPorts,
  signal: AbortSignal,
): Promise<Platform> {
  const { config } = settings;
  const components = new Set(settings.components);
  const dataDirectory = resolve(config.data);
  checkComponents(components, config);
  if (config["new-data"] === "refuse") refuseNewDirectory(dataDirectory);
  await lifecycle.start(
    "data directory",
    () => ownDataDirectory(dataDirectory, ports.random),
    (owned) => owned.release(),
  );
  removeEndpoints(dataDirectory);
  const book = new TokenBook(config["auth.token"], newToken(ports.random).text);
  // The warehouse's process takes longest to start: it does so beside everything else.
  const launched = components.has("warehouse")
    ? await lifecycle.start(
        "warehouse process",
        async () => launchWarehouse(config, dataDirectory, { ...ports, tokens: book }),
        (process, stopSignal) => process.stop(stopSignal),
      )
    : undefined;
  const base = await openBase(lifecycle, config, dataDirectory, { ...ports, tokens: book });
  const door = components.has("broker") ? await openBrokerDoor(lifecycle, base) : undefined;
  await startDebug(lifecycle, base); // Behind the door, which says from then on that the broker is starting.
  const coordination = await openCoordination(lifecycle, base, signal);
  const context = { ...base, coordination: coordination.store };
  const endpoints: Record<string, string> = {};
  const listening = (name: string, at: { host: string; port: number }, path = ""): void => {
    endpoints[name] = endpointUrl(at.host, at.port) + path;
  };

  const tokens = await startTokens(
    lifecycle,
    context,
    { coordination: coordination.kind, components },
    signal,
  );
  if (components.has("etcd") && coordination.kind === "own")
    listening("etcd", await startEtcd(lifecycle, context, coordination.store));
  let broker: BrokerPart | undefined;
  if (door !== undefined) {
    const member = coordination.kind === "etcd" ? coordination.member : undefined;
    broker = await startBroker(lifecycle, context, door, member, signal);
    endpoints["broker"] = broker.url;
  }
  const warehouse = launched === undefined ? undefined : await adoptWarehouse(context, launched);
  if (warehouse !== undefined) listening("warehouse", warehouse.address);
  await startIngest(lifecycle, context, { components, broker, warehouse, tokens, listening }, signal);

  const ready = { pid: process.pid, ...endpoints } as Endpoints;
  writeEndpoints(dataDirectory, ready);
  return {
    dataDirectory,
    endpoints: ready,
    token: book.innerToken,
    clock: ports.clock,
    logger: ports.logger,
    leave: async (leaveSignal) => {
      if (broker !== undefined) await leaveCluster(broker, base, leaveSignal);
    },
    stop: async (stopSignal) => {
      removeEndpoints(dataDirectory);
      await lifecycle.stop(stopSignal);
    },
  };
}

async function leaveCluster(
  { broker }: BrokerPart,
  { logger, dataDirectory }: Pick<PartContext, "logger" | "dataDirectory">,
  signal: AbortSignal,
): Promise<void> {
  if (!broker.drain.canLeave) return;
  const outcome = await drainWhile(broker.drain, signal);
  if (outcome !== "no-room") return;
  const { assigned, needs, onlyHere, onlyHereJournals } = broker.drain.progress;
  const left = { assigned, needs, onlyHere, onlyHereJournals };
  logger.warn("stops-without-handing-over", { ...left, keep: dataDirectory });
}

/** What is there before anybody is asked who owns what. */
async function openBase(
  lifecycle: Lifecycle,
  config: Config,
  dataDirectory: string,
  ports: PlatformPorts & Pick<PartContext, "tokens">,
): Promise<Omit<PartContext, "coordination">> {
  const root = fileRoot(config, dataDirectory);
  const storePorts = { root, clock: ports.clock, random: ports.random };
  for (const url of new Set([FRAGMENT_STORE, STAGING_STORE, config["staging.store"]])) {
    if (!url.startsWith("file:")) continue;
    await new FileStore(url, storePorts).ensureBase().catch((thrown: unknown) => {
      if (config["broker.file-root"] === "") throw thrown;
      const { code, message } = WireError.from(thrown);
      throw new WireError(code, `broker.file-root ${root}: ${message}`, { cause: thrown });
    });
  }
  const keysOfFile = readFileKeys(config, ports.logger);
  const metrics = new MetricsRegistry();
  addProcessMetrics(metrics, ports.clock);
  const fileOnly = config["broker.file-only"];
  const stores = openStores({ ...storePorts, env: process.env, metrics, fileOnly });
  stores.open(config["journal.store"]);
  const disk = await lifecycle.start(
    "disk",
    () => openSystemDisk(dataDirectory),
    (opened) => opened.close(),
  );
  return {
    ...ports,
    config,
    dataDirectory,
    disk,
    stores,
    fileKeys: keysOfFile,
    metrics,
    health: new Health(),
  };
}
