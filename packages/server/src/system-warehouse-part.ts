// The warehouse as a part of the process: a child with the SQL door (D7).
import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Warehouse } from "@millrace/warehouse";
import { WAREHOUSE_DIR, WAREHOUSE_FILE } from "./data-layout.ts";
import { STAGING_STORE } from "./journal-templates.ts";
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
    stagingDir: join(dataDirectory, new URL(STAGING_STORE).pathname),
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
