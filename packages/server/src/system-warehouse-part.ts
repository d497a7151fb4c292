// The warehouse as a part of the process: a child with the SQL door (D7).
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Warehouse } from "@millrace/warehouse";
import { STAGING_STORE } from "./journal-templates.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { bindHost } from "./system-listen.ts";
import { reasonList, type PartContext } from "./system-platform.ts";

export async function startWarehouse(lifecycle: Lifecycle, context: PartContext): Promise<Warehouse> {
  const { config, dataDirectory, clock, logger } = context;
  const directory = join(dataDirectory, "warehouse");
  mkdirSync(join(directory, "tmp"), { recursive: true, mode: 0o750 });
  const listen = context.listenAddress("warehouse.listen");
  const options = {
    file: join(directory, "warehouse.duckdb"),
    stagingDir: `${join(dataDirectory, new URL(STAGING_STORE).pathname)}`,
    tempDir: join(directory, "tmp"),
    memoryBytes: config["warehouse.memory"],
    threads: config["warehouse.threads"],
    listenHost: bindHost(listen.host),
    listenPort: listen.port,
    token: config["auth.token"],
    logLevel: config["log.level"],
  };
  const warehouse = await lifecycle.start(
    "warehouse",
    () => Warehouse.start(options, { clock, logger }),
    (started) => started.close(),
  );
  context.health.add(() => reasonList(warehouse.unhealthy()));
  return warehouse;
}
