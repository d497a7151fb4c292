// The warehouse as a part of the process: a child with the SQL door (D7).
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Warehouse } from "@millrace/warehouse";
import { STAGING_STORE } from "./journal-templates.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { bindHost } from "./system-listen.ts";
import type { Config } from "./settings.ts";
import { listenAddress, type PartContext, type PlatformPorts } from "./part-context.ts";

/** Starts the process. @throws {WireError} UNAVAILABLE when it does not come up */
export function launchWarehouse(
  config: Config,
  dataDirectory: string,
  ports: PlatformPorts,
): Promise<Warehouse> {
  const directory = join(dataDirectory, "warehouse");
  mkdirSync(join(directory, "tmp"), { recursive: true, mode: 0o750 });
  const listen = listenAddress(config, "warehouse.listen");
  const options = {
    file: join(directory, "warehouse.duckdb"),
    stagingDir: join(dataDirectory, new URL(STAGING_STORE).pathname),
    tempDir: join(directory, "tmp"),
    memoryBytes: config["warehouse.memory"],
    threads: config["warehouse.threads"],
    listenHost: bindHost(listen.host),
    listenPort: listen.port,
    token: config["auth.token"],
    logLevel: config["log.level"],
  };
  return Warehouse.start(options, ports);
}

/** Makes a starting warehouse a part of the process. */
export async function adoptWarehouse(
  lifecycle: Lifecycle,
  context: PartContext,
  starting: Promise<Warehouse>,
): Promise<Warehouse> {
  const warehouse = await lifecycle.start(
    "warehouse",
    () => starting,
    (started) => started.close(),
  );
  context.health.addReason(() => warehouse.unhealthy());
  return warehouse;
}
