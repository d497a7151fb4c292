// The targets of sinks as a part of the process. Directories of targets have a root of their own: a sink must not be
// able to write among the platform's files.
import { join, resolve } from "node:path";
import type { DefinitionMirror, Target } from "@millrace/ingest";
import { FileStore, openStores, type ObjectStore } from "@millrace/stores";
import { SinkTargets } from "@millrace/targets";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";

/** Below the data directory, where the settings name no other root. */
const TABLES_DIR = "tables";

export function startTargets(
  lifecycle: Lifecycle,
  context: PartContext,
  { catalog, warehouse }: { readonly catalog: DefinitionMirror; readonly warehouse: Target | undefined },
): Promise<SinkTargets> {
  const { config, clock, random } = context;
  const named = config["targets.file-root"];
  const root = named === "" ? join(context.dataDirectory, TABLES_DIR) : resolve(named);
  const ports = { root, clock, random };
  const stores = openStores({ ...ports, env: process.env });
  const openStore = async (url: string): Promise<ObjectStore> => {
    const store = stores.open(url);
    if (url.startsWith("file:")) await new FileStore(url, ports).ensureBase();
    return store;
  };
  return lifecycle.start(
    "targets",
    () =>
      Promise.resolve(
        new SinkTargets({
          warehouse,
          stagingStore: context.stores.open(config["staging.store"]),
          openStore,
          settings: (sink, target, signal) => catalog.settings(sink, target, signal),
          clock,
        }),
      ),
    (targets) => Promise.resolve(targets.close()),
  );
}
