// The warehouse as a part of the process: a child with the SQL door (D7).
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Target } from "@millrace/ingest";
import { StagedCopies, Warehouse } from "@millrace/warehouse";
import { fileRoot, WAREHOUSE_DIR, WAREHOUSE_FILE, WAREHOUSE_INCOMING } from "./data-layout.ts";
import { bindHost } from "./system-listen.ts";
import type { Config } from "./settings.ts";
import { listenAddress, type PartContext, type PlatformPorts } from "./part-context.ts";

/** A process that is coming up. */
export interface LaunchedWarehouse {
  /** Rejects with UNAVAILABLE when it does not come up. */
  readonly ready: Promise<Warehouse>;
  /** Ends it, however far it has come. @param signal aborts when the time for stopping is over */
  stop(signal: AbortSignal): Promise<void>;
}

/**
 * One core is left for the process that takes records. A load that has only one task makes its caller spin while
 * another thread performs it: with two threads on two cores that was a quarter of the engine's CPU.
 */
function coresToSpare(): number {
  return Math.max(1, availableParallelism() - 1);
}

/** Where the engine finds staged objects: in the staging store itself, if that is a directory. */
function stagingDirectory(config: Config, dataDirectory: string): string {
  if (!isStagedInFiles(config)) return `${join(dataDirectory, WAREHOUSE_DIR, WAREHOUSE_INCOMING)}/`;
  const path = config["broker.file-only"] ? "/" : new URL(config["staging.store"]).pathname;
  return join(fileRoot(config, dataDirectory), path);
}

function isStagedInFiles(config: Config): boolean {
  return config["broker.file-only"] || config["staging.store"].startsWith("file:");
}

/** The target of loads: the warehouse, and in front of it what fetches the objects of a bucket. */
export function targetOf(
  { config, dataDirectory, stores }: PartContext,
  warehouse: Warehouse,
): Promise<Target> {
  if (isStagedInFiles(config)) return Promise.resolve(warehouse);
  const store = stores.open(config["staging.store"]);
  return StagedCopies.open(warehouse, store, stagingDirectory(config, dataDirectory));
}

/** Starts the process and does not wait for it. */
export function launchWarehouse(
  config: Config,
  dataDirectory: string,
  ports: PlatformPorts & Pick<PartContext, "tokens">,
): LaunchedWarehouse {
  const directory = join(dataDirectory, WAREHOUSE_DIR);
  mkdirSync(join(directory, "tmp"), { recursive: true, mode: 0o750 });
  const listen = listenAddress(config, "warehouse.listen");
  const options = {
    file: join(directory, WAREHOUSE_FILE),
    stagingDir: stagingDirectory(config, dataDirectory),
    tempDir: join(directory, "tmp"),
    reserveBytes: config["broker.reserve"],
    memoryBytes: config["warehouse.memory"],
    threads: config["warehouse.threads"] || coresToSpare(),
    listenHost: bindHost(listen.host),
    listenPort: listen.port,
    token: config["auth.token"],
    innerToken: ports.tokens.innerToken,
    logLevel: config["log.level"],
  };
  const ready = Warehouse.start(options, ports);
  // Whoever adopts it learns of a failure; until then it waits.
  ready.catch(() => undefined);
  return {
    ready,
    stop: (signal) =>
      ready.then(
        (warehouse) => warehouse.close(signal),
        () => undefined,
      ),
  };
}

/** Waits for it and takes it into the process's health. @throws {WireError} UNAVAILABLE when it does not come up */
export async function adoptWarehouse(context: PartContext, launched: LaunchedWarehouse): Promise<Warehouse> {
  const warehouse = await launched.ready;
  context.health.addReason(() => warehouse.unhealthy());
  const admit = (): void => warehouse.admit(context.tokens.known());
  context.tokens.observe(admit);
  admit();
  return warehouse;
}
